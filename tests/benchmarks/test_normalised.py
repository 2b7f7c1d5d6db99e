"""The normalised target in parts: each part is what its name says, the command makes the runs, and the stored ones bear out lesson 06."""

import json
import runpy
import sys

import pytest
import torch
from helpers import TOP

from minimim.targets import Pixels

BENCHMARKS = TOP / "benchmarks"


@pytest.fixture
def normalised(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import normalised

    return normalised


def test_parts_keep_the_mean_and_divide_or_not(normalised):
    image = {"image": torch.randn(2, 3, 8, 8)}
    patch = {(mean, divided): normalised.Parts(4, mean, divided)(image)["patch"] for mean in (True, False) for divided in (True, False)}
    raw, target = (Pixels(4, normalize=normalize)(image)["patch"] for normalize in (False, True))
    torch.testing.assert_close(patch[True, False], raw)
    torch.testing.assert_close(patch[False, True], target)
    mean = raw.mean(-1, keepdim=True)
    torch.testing.assert_close(patch[False, False], raw - mean)
    torch.testing.assert_close(patch[True, True], target + mean)


def test_the_stored_runs_are_those_of_the_settings(normalised):
    stored = json.loads((BENCHMARKS / "results" / "normalised-cpu.json").read_text())
    assert set(stored["settings"]) == set(normalised.SETTINGS) == {run["target"] for run in stored["runs"]}
    assert len({(run["target"], run["seed"]) for run in stored["runs"]}) == len(stored["runs"])


@pytest.mark.slow
def test_the_command_makes_each_setting_once(normalised, tmp_path, monkeypatch):
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["normalised.py", "--smoke", "--device", "cpu", "--out", str(tmp_path)])
        runpy.run_path(str(BENCHMARKS / "normalised.py"), run_name="__main__")
    runs = json.loads((tmp_path / "normalised-cpu.json").read_text())["runs"]
    assert [run["target"] for run in runs] == list(normalised.SETTINGS)
