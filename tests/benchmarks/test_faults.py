"""The sick runs: each stored one is told from the healthy one by its own measurement, on one schedule, and the command that makes them works."""

import json
import math
import runpy
import statistics
import sys

import pytest
import torch
from helpers import TOP

from minimim.diagnose import collapse, effective_rank, relative_std, stability

BENCHMARKS = TOP / "benchmarks"


@pytest.fixture(scope="module")
def stored():
    return json.loads((BENCHMARKS / "results" / "faults-cpu.json").read_text())


@pytest.fixture(scope="module")
def runs(stored):
    found = {}
    for run in stored["runs"]:
        found.setdefault(run["fault"], []).append(run)
    return found


def mean(runs, *path):
    for key in path:
        runs = [run[key] for run in runs]
    return statistics.mean(runs)


def ends(runs):
    return [run["history"][-1]["loss"] for run in runs]


def test_every_run_is_on_one_schedule_and_has_at_least_three_seeds(stored, runs):
    for name, several in runs.items():
        seeds = [run["seed"] for run in several]
        assert sorted(seeds) == list(range(len(seeds))) and len(seeds) >= 3, name
        for run in several:
            assert run["steps"] == stored["steps"]
            assert name == "fp16 overflow" or run["history"][-1]["step"] == stored["steps"], name
    at = {run["history"][20]["step"]: run["history"][20]["lr"] for name in ("healthy", "loss on visible", "mask unshuffled", "too little masking") for run in runs[name]}
    assert len(at) == 1
    healthy, fast = runs["healthy"][0]["history"], runs["rate × 8"][0]["history"]
    assert all(math.isclose(8 * a["lr"], b["lr"], rel_tol=1e-3) for a, b in zip(healthy, fast, strict=True))


def test_the_healthy_run_is_healthy(runs):
    for run in runs["healthy"]:
        probe, floor = run["features"]["linear_probe"], run["random_features"]["linear_probe"]
        assert probe[0] - floor[0] > 2 * math.hypot(probe[1], floor[1])
        assert run["leak"]["moved"] == run["leak"]["visible_credit"] == 0 and run["baseline"]["over_hole_filler"] < 0.9
        assert stability(run["history"]).healthy
        assert run["leak_at_start"]["home"] == 1 and run["leak"]["home"] > 0.3
    assert min(run["leak"]["home"] for run in runs["healthy"]) < 0.5  # so near 1 is no condition of health


def test_collapse_is_told_by_its_standard_deviation_alone_and_is_due_to_the_target_that_moves(runs):
    for run, control in zip(runs["collapse"], runs["fixed target"], strict=True):
        assert run["history"][-1]["loss"] < min(ends(other)[0] for name, other in runs.items() if name != "collapse")
        assert run["features"]["std"] < 0.01 * run["random_features"]["std"] and run["features"]["effective_rank"] > run["random_features"]["effective_rank"]
        assert control["random_features"] == run["random_features"] and control["features"]["std"] > 0.5 * control["random_features"]["std"]
    assert mean(runs["collapse"], "features", "linear_probe", 0) > mean(runs["collapse"], "random_features", "linear_probe", 0)  # it rescales what is left
    assert mean(runs["collapse"], "features", "linear_probe_bf16", 0) < mean(runs["collapse"], "random_features", "linear_probe_bf16", 0)


def test_what_is_drawn_of_the_features_is_a_part_of_what_was_measured(runs):
    drawn = {name: several[0]["sample"] for name, several in runs.items() if "sample" in several[0]}
    assert set(drawn) == {"collapse", "fixed target", "rate × 8, no warm-up"}
    for name, sample in drawn.items():
        x, measured = torch.tensor(sample["features"]), runs[name][0]["features"]
        assert x.shape == (32, 64)
        if measured["std"] > 1e-4:  # below, four digits do not tell the images apart
            assert relative_std(x) == pytest.approx(measured["std"], rel=0.3) and 1 <= effective_rank(x) <= 32
    sick, start = (torch.tensor(drawn["collapse"][key]) for key in ("features", "random_features"))
    assert not collapse(sick, random=start).healthy


def test_each_leak_has_a_measurement_that_is_zero_elsewhere(runs):
    for key, sick in (("moved", "mask unshuffled"), ("visible_credit", "loss on visible")):
        for when in ("leak_at_start", "leak"):
            for name, several in runs.items():
                assert all((run[when][key] > 0.1) if name == sick else run[when][key] == 0 for run in several), (key, name)


def test_one_leak_hurts_the_features_and_the_other_does_not(runs):
    probes = {name: [run["features"]["linear_probe"][0] for run in several] for name, several in runs.items()}
    assert max(probes["loss on visible"]) < min(probes["healthy"]) - 0.05
    assert statistics.mean(probes["mask unshuffled"]) > statistics.mean(probes["healthy"]) - 0.01
    assert len(probes["healthy"]) == len(probes["mask unshuffled"]) == len(probes["loss on visible"]) == len(probes["too little masking"]) == 5


def test_little_masking_lowers_the_loss_and_not_the_error_against_the_neighbours(runs):
    little, healthy = runs["too little masking"], runs["healthy"]
    assert max(ends(little)) < 0.6 * min(ends(healthy))
    assert mean(little, "baseline", "over_hole_filler") > 1.2 * mean(healthy, "baseline", "over_hole_filler")


def test_only_both_changes_together_keep_the_loss_high(runs):
    end = {name: statistics.mean(ends(several)) for name, several in runs.items()}
    assert end["no warm-up"] < 1.1 * end["healthy"] and end["rate × 8"] < 1.25 * end["healthy"]
    assert end["rate × 8, no warm-up"] > 1.7 * end["healthy"]
    assert mean(runs["rate × 8"], "features", "effective_rank") < 0.5 * mean(runs["rate × 8"], "random_features", "effective_rank")


def test_the_block_and_the_rate_each_help_a_deep_encoder_and_the_block_more(runs):
    end = {name: ends(several) for name, several in runs.items()}
    assert max(end["pre-norm"]) < min(end["post-norm, rate / 8"]) and max(end["post-norm, rate / 8"]) < 0.9 * statistics.mean(end["post-norm"])
    assert mean(runs["post-norm"], "features", "linear_probe", 0) < 0.12 and "overflow" in stability(runs["fp16 overflow"][0]["history"]).words


def test_one_batch_is_learnt_by_heart_unless_positions_are_missing(stored):
    whole, blind = stored["one_batch"]["healthy"], stored["one_batch"]["no positions"]
    assert whole[-1] < 0.15 and abs(blind[-1] - blind[-50]) < 0.02 and blind[-1] > 0.7


@pytest.mark.slow
def test_the_command_makes_a_run_and_does_not_make_it_again(tmp_path, monkeypatch, capsys):
    from minimim.encoders import vit

    monkeypatch.setattr(vit, "SIZES", dict(vit.SIZES))
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", ["faults.py", "--smoke", "--only", "visible", "--seeds", "0", "--out", str(tmp_path)])
    threads = torch.get_num_threads()
    for said in ("seed 0, loss on visible", ""):
        runpy.run_path(str(BENCHMARKS / "faults.py"), run_name="__main__")
        assert said in capsys.readouterr().out
    torch.set_num_threads(threads)
    told = json.loads((tmp_path / "faults-cpu.json").read_text())
    (run,) = told["runs"]
    assert run["steps"] == 6 and run["leak"]["visible_credit"] == 1 and len(run["history"]) == 6
    assert told["raw_pixels"]["linear_probe"] and len(told["one_batch"]["no positions"]) == 6
