"""benchmarks/methods.py: each run is a line, none is made twice, what does not learn is run longer, what is missing is called so."""

import csv
import sys

import pytest
import torch
from helpers import TOP

from minimim.methods import names

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(TOP / "benchmarks")
    monkeypatch.delitem(sys.modules, "methods", raising=False)
    import methods as bench

    yield bench
    sys.modules.pop("methods", None)


def go(bench, monkeypatch, out, *words):
    monkeypatch.setattr(sys, "argv", ["methods.py", "--smoke", "--device", "cpu", "--out", str(out), *words])
    bench.main()
    with (out / "methods-cpu.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_method_is_tried_run_and_run_longer_and_nothing_is_done_again(bench, monkeypatch, tmp_path, capsys):
    calls = []
    whole = bench.pretrain
    monkeypatch.setattr(bench, "pretrain", lambda name, images, seed, steps, lr, *more: calls.append((steps, lr)) or whole(name, images, seed, steps, lr, *more))
    rows = go(bench, monkeypatch, tmp_path, "--methods", "umae")
    mine = [row for row in rows if row["method"] == "umae"]
    best = float(max(mine[:3], key=lambda row: float(row["chosen_by"]))["lr"])
    longer = sorted({best, 2e-3}, reverse=True)
    assert [row["stage"] for row in mine] == ["try", "try", "try", "whole", *["again"] * len(longer)]  # four steps teach nothing
    assert [steps for steps, _ in calls] == [2, 2, 2, 4, *[16] * len(longer)]
    assert [float(row["lr"]) for row in mine] == [1.5e-4, 2e-3, 8e-3, best, *longer]
    last = mine[-1]
    for column in ("linear", "random_linear", "best_linear", "random_best", "knn", "shots20", "miou", "place_r2", "effective_rank", "std", "gflops_a_step", "seconds"):
        assert float(last[column]) == float(last[column]), column
    assert {row["method"] for row in rows if row["stage"] == "floor"} == {"raw pixels", "random init", "eva's teacher"}
    told = capsys.readouterr().out
    assert sum("| missing |" in line for line in told.splitlines()) == len(names()) - 1 and (tmp_path / "methods-cpu.png").stat().st_size > 10_000
    again = go(bench, monkeypatch, tmp_path, "--methods", "umae")
    assert again == rows and len(calls) == len(mine)


def test_a_run_that_is_stopped_leaves_no_line(bench, monkeypatch, tmp_path):
    whole = bench.train
    monkeypatch.setattr(bench, "train", lambda method, data, config, **more: whole(method, data, bench.replace(config, max_minutes=1e-9, epochs=100), **more))
    with pytest.raises(SystemExit):
        go(bench, monkeypatch, tmp_path, "--methods", "mae")
    assert "mae" not in (tmp_path / "methods-cpu.csv").read_text()


def test_the_seconds_of_a_step_are_measured_apart_once_and_stand_in_the_table(bench, monkeypatch, tmp_path):
    from methods_table import table

    for _ in range(2):
        rows = go(bench, monkeypatch, tmp_path, "--methods", "mae", "--time")
    (row,) = rows
    assert (row["stage"], row["method"], row["steps"]) == ("time", "mae", "20") and float(row["seconds"]) > 0
    whole = dict.fromkeys(bench.COLUMNS, "") | {"data": "scenes", "method": "mae", "seed": "0", "stage": "whole", "steps": "600", "linear": "0.4", "lr": "0.002", "gflops_a_step": "8.25"}
    (line,) = (text for text in table([whole, row | {"seconds": "0.0123"}]).splitlines() if "| mae |" in text)
    assert line.endswith("| 0.002 | 12 | 8.2 | – | – |")


def test_a_run_counts_as_learnt_two_standard_errors_above_its_own_random_weights(bench):
    row = {"best_se": "0.006", "random_se": "0.008", "random_best": "0.300"}
    assert bench.learnt(row | {"best_linear": "0.321"}) and not bench.learnt(row | {"best_linear": "0.319"})


def test_a_table_compares_runs_of_one_length_and_shows_longer_ones_beside_them_and_the_spread_of_seeds(bench):
    from methods_table import runs_of, table

    row = dict.fromkeys(bench.COLUMNS, "") | {"method": "mae", "seed": "0", "stage": "whole", "linear": "0.4", "linear_se": "0.01", "steps": "600"}
    longer = row | {"stage": "again", "linear": "0.6", "best_linear": "0.65", "best_se": "0.01", "steps": "2400", "lr": "0.008", "chosen_by": "0.6"}
    better = longer | {"lr": "0.002", "chosen_by": "0.7", "best_linear": "0.63"}
    assert runs_of([longer, row, better], "mae", "whole") == [row]
    assert runs_of([row, longer, better], "mae", "again") == runs_of([better, longer, row], "mae", "again") == [better]
    other = row | {"seed": "1", "linear": "0.5"}
    (line,) = (text for text in table([longer, row, better, other]).splitlines() if "| mae |" in text)
    assert "0.450 ± 0.071" in line and line.endswith("| 0.002, 2400 | 0.630 ± 0.010 |")
    (line,) = (text for text in table([row]).splitlines() if "| mae |" in text)
    assert "0.400 ± 0.010" in line and line.endswith("| – | – |")


def test_data_sets_have_tables_of_their_own(bench):
    from methods_table import table

    row = dict.fromkeys(bench.COLUMNS, "") | {"data": "scenes", "method": "mae", "seed": "0", "stage": "whole", "linear": "0.4", "steps": "600"}
    told = table([row | {"data": "fashion", "linear": "0.8", "steps": "300"}, row]).split("**fashion**")
    assert ["0.800" in part for part in told] == [False, True] and ["0.400" in part for part in told] == [True, False]
    assert ["missing" in part for part in told] == [True, False]  # methods that were not run on other data are no lines there


def test_a_method_is_shown_by_its_runs_in_bf16_where_there_are_some(bench):
    from methods_table import table

    row = dict.fromkeys(bench.COLUMNS, "") | {"data": "scenes", "method": "mae", "seed": "0", "stage": "whole", "linear": "0.4", "steps": "600", "chosen_by": "0.9"}
    told = table([row | {"precision": "fp32"}, row | {"precision": "bf16", "linear": "0.3", "chosen_by": "0.2"}])
    assert "0.300" in told and "0.400" not in told and "0.400" in table([row])


def test_grey_images_come_with_the_three_channels_that_methods_and_the_bundled_teacher_read(bench):
    images = bench.Images("fashion", True)
    for part in (images.seen, images.labelled, images.judge, images.test):
        assert part.images.shape[1] == 3 and (part.images == part.images[:, :1]).all()
    assert bench.taught(images, torch.device("cpu")).features(images.test.images).shape[0] == len(images.test)
