"""The runs of problem set 5: losses are what their names say, the teacher follows, and the command makes each run once."""

import json
import math
import runpy
import sys

import pytest
import torch
from helpers import TOP

BENCHMARKS = TOP / "benchmarks"


@pytest.fixture
def collapse_runs(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import collapse_runs

    return collapse_runs


class Given(torch.nn.Module):
    """A network that hands its input on."""

    def forward(self, images):
        return images


def test_a_constant_output_is_the_least_where_nothing_keeps_images_apart(collapse_runs):
    same, other = torch.ones(64, 8), torch.randn(64, 8)
    for loss in (collapse_runs.Agreement(), collapse_runs.Distance()):
        assert loss(Given(), same, same) < 1e-6 < loss(Given(), other, same)
    assert math.isclose(float(collapse_runs.Variance()(Given(), same, same)), 1)
    assert float(collapse_runs.Variance()(Given(), 9 * other, 9 * other)) == 0
    assert math.isclose(float(collapse_runs.Contrast(0.1)(Given(), same, same)), math.log(64), rel_tol=1e-5)
    assert float(collapse_runs.Contrast(0.1)(Given(), other, other)) < 1


def test_the_slow_teacher_begins_as_a_copy_and_follows(collapse_runs):
    network, loss = collapse_runs.Network(), collapse_runs.Assigned()
    images = torch.randn(2, 1, 28, 28)
    loss(network, images, images).backward()
    weight, start = network.head[0].weight, network.head[0].weight.detach().clone()
    assert weight.grad.any() and loss.prototypes.grad.any() and all(p.grad is None for p in loss.slow[0].parameters())
    with torch.no_grad():
        weight.add_(1)
    loss.after_step(network)
    torch.testing.assert_close(loss.slow[0].head[0].weight.detach(), start + 1 - collapse_runs.MOMENTUM)


def test_the_stored_runs_are_those_of_the_settings(collapse_runs):
    stored = json.loads((TOP / "minimim/assets/collapse-runs-cpu.json").read_text())
    made = [(run["setting"], run["seed"]) for run in stored["runs"]]
    asked = [(name, seed) for seed in collapse_runs.SEEDS for name in collapse_runs.SETTINGS if not seed or name != "squared distance"]
    assert made == asked and stored["images"] == collapse_runs.IMAGES and stored["steps"] == collapse_runs.STEPS


@pytest.mark.slow
def test_the_command_makes_each_run_once(collapse_runs, tmp_path, monkeypatch):
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["collapse_runs.py", "--smoke", "--seeds", "0", "--out", str(tmp_path)])
        runpy.run_path(str(BENCHMARKS / "collapse_runs.py"), run_name="__main__")
    runs = json.loads((tmp_path / "collapse-runs-cpu.json").read_text())["runs"]
    assert [run["setting"] for run in runs] == list(collapse_runs.SETTINGS)
