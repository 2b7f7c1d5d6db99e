"""The runs of lesson 11: distances are what they say, the command makes each run once, and the stored ones are whole."""

import json
import runpy
import sys

import numpy as np
import pytest
import torch
from helpers import TOP

BENCHMARKS = TOP / "benchmarks"


@pytest.fixture
def targets(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import targets

    return targets


def test_the_distance_of_normal_distributions_is_the_one_by_hand(targets):
    x = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)).double()
    x = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(x.T.cov())).T  # mean 0, covariance 1
    assert targets.frechet(x, x) == pytest.approx(0, abs=1e-6)
    other = x * torch.tensor([2.0, 1.0, 3.0]) + torch.tensor([1.0, 0.0, 2.0])
    assert targets.frechet(x, other) == pytest.approx(1 + 4 + (2 - 1) ** 2 + (3 - 1) ** 2, rel=1e-6)
    assert targets.frechet(x, other) == pytest.approx(targets.frechet(other, x), rel=1e-6)


def test_independent_tokens_keep_how_often_a_token_is_at_a_place(targets):
    class Tokenizer:
        def ids(self, images):
            return images.long()[:, 0, 0]  # (n, N): the numbers themselves

        def paint(self, ids):
            self.painted = ids
            return torch.zeros(len(ids), 3, 4, 4)

    images = torch.tensor([[[[0, 7]]], [[[1, 7]]]], dtype=torch.uint8).expand(2, 3, 1, 2)
    tokenizer = Tokenizer()
    original, targets.normalize = targets.normalize, lambda x: x
    try:
        assert targets.independent(tokenizer, images, 200, torch.Generator().manual_seed(0)).shape == (200, 3, 4, 4)
    finally:
        targets.normalize = original
    assert (tokenizer.painted[:, 1] == 7).all() and 60 < tokenizer.painted[:, 0].sum() < 140


def test_the_stored_runs_are_whole(targets):
    stored = json.loads((BENCHMARKS / "results" / "targets-cpu.json").read_text())["runs"]
    arrays = np.load(BENCHMARKS / "results" / "targets-cpu.npz")
    assert set(stored) == set(targets.RUNS)
    for job, run in stored.items():
        name, options, steps, lr = targets.RUNS[job]
        assert (run["method"], run["steps"], run["lr"]) == (name, steps, lr) and run["options"].keys() == options.keys()
        assert run["loss"][-1][0] == steps
    frames, hidden = arrays["frames"], arrays["hidden"]
    assert frames.shape == (len(targets.FRAMES), targets.STRIP, 3, 32, 32) and frames.dtype == np.uint8
    counts = hidden.sum(-1)
    assert (np.diff(counts, axis=0) <= 0).all() and (counts[-1] == 0).all() and tuple(arrays["after"]) == targets.FRAMES
    for step in targets.KEPT:
        assert arrays[f"photo, {step}"].shape == (196, 3) and arrays[f"scene, {step}"].shape == (64, 3)


@pytest.mark.slow
def test_the_command_makes_each_run_once(targets, tmp_path, monkeypatch):
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["targets.py", "--smoke", "--device", "cpu", "--out", str(tmp_path)])
        runpy.run_path(str(BENCHMARKS / "targets.py"), run_name="__main__")
    runs = json.loads((tmp_path / "targets-cpu.json").read_text())["runs"]
    assert list(runs) == list(targets.RUNS) and len(runs["teacher"]["target"]) == 4
    assert set(runs["mage"]["distance"]) >= {"other real scenes", "MAGE's samples"}
