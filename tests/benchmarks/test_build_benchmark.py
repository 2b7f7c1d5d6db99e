"""The benchmark of Build your MAE runs the notebook's own cells, does nothing twice, and the notebook says what it has measured."""

import json
import re
import runpy
import statistics
import sys

import pytest
from helpers import TOP

STORED = TOP / "benchmarks/results/build-cpu.json"


def accuracies(target):
    return [run["linear_probe"][0] for run in json.loads(STORED.read_text())["runs"] if run["target"] == target]


def text():
    cells = json.loads((TOP / "exercises/build/build.ipynb").read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@pytest.mark.slow
def test_it_runs_by_its_command_and_does_nothing_twice(tmp_path, monkeypatch, capsys):
    script = TOP / "benchmarks/build_notebook.py"
    monkeypatch.syspath_prepend(script.parent)
    monkeypatch.setattr(sys, "argv", [str(script), "--smoke", "--out", str(tmp_path)])
    monkeypatch.setenv("MINIMIM_QUICK", "1")
    for _ in range(2):
        runpy.run_path(str(script), run_name="__main__")
    (path,) = tmp_path.glob("*.json")
    found = json.loads(path.read_text())
    assert path.name == "build-cpu.json" and found["steps"] == 3
    assert [(run["target"], run["seed"]) for run in found["runs"]] == [("normalised", 0), ("plain pixels", 0)]
    assert set(found["floors"]) == {"raw pixels", "random weights"}


def test_the_notebook_says_what_was_measured():
    stored = json.loads(STORED.read_text())
    assert {run["seed"] for run in stored["runs"]} == {0, 1, 2} and stored["steps"] == 1000
    said = text()
    for target in ("normalised", "plain pixels"):
        values = accuracies(target)
        assert len(values) == 3
        assert f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}" in said, target
    for name, (value, stderr) in stored["floors"].items():
        assert f"{value:.2f} ± {stderr:.2f}" in said, name
    leads = [value - stored["floors"]["raw pixels"][0] for value in accuracies("normalised")]
    gains = [plain - normed for plain, normed in zip(accuracies("plain pixels"), accuracies("normalised"), strict=True)]
    assert f"went from {min(leads):.2f} to {max(leads):.2f}" in said and f"by {min(gains):.2f} to {max(gains):.2f}" in said


def test_the_longer_run_has_the_number_that_is_stored():
    stored = json.loads((TOP / "benchmarks/results/demo-seed0.json").read_text())
    said = text()
    assert f"{stored['linear_probe']['pretrained']:.2f}" in said and f"`{stored['command']}`" in said
    assert f"{stored['steps']:,} steps" in said and re.search(rf"{stored['labels']:,} labels", said)
