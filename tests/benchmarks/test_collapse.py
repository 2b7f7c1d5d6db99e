"""Runs that collapse and runs that do not: they differ in what their names say, the command makes each once, and the stored ones bear out lesson 10."""

import json
import runpy
import sys

import pytest
import torch
from helpers import TOP, generator

from minimim.losses import info_nce
from minimim.methods.teacher import Teacher

BENCHMARKS = TOP / "benchmarks"


@pytest.fixture
def collapse(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import collapse

    return collapse


@pytest.fixture(scope="module")
def runs():
    stored = json.loads((BENCHMARKS / "results" / "collapse-cpu.json").read_text())
    found = {}
    for run in stored["runs"]:
        found.setdefault(run["name"], []).append(run)
    return found


def test_both_views_look_for_each_other(collapse):
    z = torch.randn(2, 6, 8, generator=generator(0))
    torch.testing.assert_close(collapse.both_ways(z), (info_nce(z[0], z[1]) + info_nce(z[1], z[0])) / 2)
    torch.testing.assert_close(collapse.both_ways(z), collapse.both_ways(z.flip(0)))


def test_runs_differ_in_what_their_names_say(collapse):
    built = {}
    for name, (_, more) in collapse.RUNS.items():
        torch.manual_seed(0)
        built[name] = collapse.method(**more)
    starts = [method.encoder.state_dict() for method in built.values()]
    assert all(torch.equal(a, b) for other in starts for a, b in zip(starts[0].values(), other.values(), strict=True))
    for name, method in built.items():
        assert isinstance(method.teacher, Teacher) == (name not in ("agreement alone", "InfoNCE"))
        if method.teacher:
            assert method.teacher.momentum == ((0.99, 0.99) if "slow" in name or "prototypes" in name else (0.0, 0.0))
        assert hasattr(method.decoder, "predictor") == ("predictor" in name)
        if "prototypes" in name:
            assert method.target.momentum == (1.0 if "no centring" in name else 0.9)
            assert method.target.temperature == ((0.1, 0.1) if "no sharpening" in name else (0.04, 0.04))
        assert not any("BatchNorm" in type(part).__name__ for part in method.modules())


def test_every_run_is_stored_with_every_seed(collapse, runs):
    assert list(runs) == list(collapse.RUNS)
    for name, several in runs.items():
        assert [run["seed"] for run in several] == [*collapse.SEEDS] and {run["steps"] for run in several} == {collapse.RUNS[name][0]}
    for seed in collapse.SEEDS:  # one start for all
        assert len({json.dumps(several[seed]["random_features"]) for several in runs.values()}) == 1


def test_agreement_alone_collapses_and_infonce_does_not(runs):
    for sick, well in zip(runs["agreement alone"], runs["InfoNCE"], strict=True):
        assert sick["history"][-1]["loss"] < -0.99 and sick["head_std"] < 0.02 and well["head_std"] > 0.6
        assert sick["features"]["effective_rank"] > 0.8 * sick["random_features"]["effective_rank"]  # it does not tell
        assert well["features"]["knn"][0] > sick["features"]["knn"][0]
        assert min(min(line) for line in sick["cosines"]) > 0.99


@pytest.mark.slow
def test_the_command_makes_a_run_and_does_not_make_it_again(collapse, tmp_path, monkeypatch, capsys):
    threads = torch.get_num_threads()
    for said in ("seed 0, agreement alone", ""):
        monkeypatch.setattr(sys, "argv", ["collapse.py", "--smoke", "--only", "agreement", "--seeds", "0", "--out", str(tmp_path)])
        runpy.run_path(str(BENCHMARKS / "collapse.py"), run_name="__main__")
        assert said in capsys.readouterr().out
    torch.set_num_threads(threads)
    (run,) = json.loads((tmp_path / "collapse-cpu.json").read_text())["runs"]
    assert run["steps"] == 4 and run["alignment"] >= 0 and len(run["cosines"]) == 5
