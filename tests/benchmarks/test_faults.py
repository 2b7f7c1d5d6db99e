"""The sick runs: each stored one is told from the healthy one by its own measurement, and the command that makes them works."""

import json
import math
import runpy
import sys

import pytest
import torch
from helpers import TOP

from minimim.diagnose import stability

BENCHMARKS = TOP / "benchmarks"


@pytest.fixture(scope="module")
def runs():
    stored = json.loads((BENCHMARKS / "results" / "faults-cpu.json").read_text())["runs"]
    return {run["fault"]: run for run in stored if run["seed"] == 0}


def test_the_healthy_run_is_healthy(runs):
    run = runs["healthy"]
    probe, floor = run["features"]["linear_probe"], run["random_features"]["linear_probe"]
    assert probe[0] - floor[0] > 2 * math.hypot(probe[1], floor[1])
    assert run["leak"]["moved"] == run["leak"]["visible_credit"] == 0 and run["baseline"]["over_hole_filler"] < 0.9
    assert stability(run["history"]).healthy


def test_collapse_has_the_best_loss_and_hardly_any_spread(runs):
    run = runs["collapse"]
    assert run["history"][-1]["loss"] < min(other["history"][-1]["loss"] for name, other in runs.items() if name != "collapse")
    assert run["features"]["spread"] < 0.05 * run["random_features"]["spread"]


def test_each_leak_has_a_measurement_that_is_zero_elsewhere(runs):
    for key, sick in (("moved", "mask unshuffled"), ("visible_credit", "loss on visible")):
        for name, run in runs.items():
            assert (run["leak"][key] > 0.1) if name == sick else run["leak"][key] == 0, (key, name)


def test_little_masking_lowers_the_loss_and_not_the_error_against_the_neighbours(runs):
    little, healthy = runs["too little masking"], runs["healthy"]
    assert little["history"][-1]["loss"] < healthy["history"][-1]["loss"]
    assert little["baseline"]["over_hole_filler"] > healthy["baseline"]["over_hole_filler"]


def test_what_is_stuck_is_settled_by_the_change_of_its_cause(runs):
    ends = {name: run["history"][-1]["loss"] for name, run in runs.items()}
    assert not stability(runs["no warm-up"]["history"]).healthy and not stability(runs["post-norm"]["history"]).healthy
    assert ends["pre-norm, as deep"] < ends["post-norm, lr / 8"] < ends["post-norm"]
    assert "overflow" in stability(runs["fp16 overflow"]["history"]).words


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
    (run,) = json.loads((tmp_path / "faults-cpu.json").read_text())["runs"]
    assert run["steps"] == 6 and run["leak"]["visible_credit"] == 1 and len(run["history"]) == 6
