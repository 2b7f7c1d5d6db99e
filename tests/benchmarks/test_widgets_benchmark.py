"""The benchmark of widgets moves every control, and the runs that the theatre plays are made by their command."""

import json
import runpy
import shutil
import sys

import numpy as np
import pytest
import torch
from helpers import TOP

pytest.importorskip("ipywidgets")
BENCHMARKS = TOP / "benchmarks"


def run(script, out, monkeypatch) -> None:
    threads = torch.get_num_threads()
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", [script, "--smoke", "--out", str(out)])
    try:
        runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
    finally:
        torch.set_num_threads(threads)


@pytest.mark.slow
def test_every_move_is_timed_and_changes_the_picture(tmp_path, monkeypatch):
    run("widgets.py", tmp_path, monkeypatch)
    written = json.loads((tmp_path / "widgets-cpu.json").read_text())
    assert written["command"] == "python benchmarks/widgets.py --smoke --out " + str(tmp_path) and len(written["seconds_to_build"]) == 5
    for row in written["rows"]:
        times = row["milliseconds"]
        assert row["moves"] >= 2 and 0 < times["low"] <= times["median"] <= times["high"] <= times["longest"], row
        assert row["limit"] == {"looked up": 100, "through the model": 300}[row["how"]]


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("chromium", "google-chrome"))), reason="there is no Chromium")
def test_the_whole_way_through_a_browser_takes_longer_than_the_kernel_alone(tmp_path, monkeypatch):
    pytest.importorskip("playwright.sync_api", reason="Playwright comes with make test-browser")
    monkeypatch.setattr(sys, "path", [*sys.path])  # the script adds a folder of its own
    run("widgets_in_browser.py", tmp_path, monkeypatch)
    written = json.loads((tmp_path / "widgets-in-browser-cpu.json").read_text())
    assert written["browser"].startswith("Chromium ") and {row["widget"] for row in written["rows"]} == {*show_widgets()}
    for row in written["rows"]:
        assert row["moves"] >= 2 and 1 < row["milliseconds"]["low"] <= row["milliseconds"]["longest"] < 2000, row


def show_widgets():
    from minimim import show

    return [name for file, names in show.NAMES.items() if file.startswith("widgets.") for name in names]


@pytest.mark.slow
def test_the_steps_of_a_collapse_are_stored_as_the_theatre_reads_them(tmp_path, monkeypatch):
    run("collapse_steps.py", tmp_path, monkeypatch)
    with np.load(tmp_path / "collapse-steps.npz") as small, np.load(TOP / "minimim/assets/collapse-steps.npz") as stored:
        assert set(small.files) == set(stored.files)
        for key in stored.files:
            assert small[key].dtype.kind == stored[key].dtype.kind and small[key].ndim == stored[key].ndim, key
        assert small["places"].shape == (2, 5, 60, 2) and json.loads(str(small["about"]))["steps"] == 4
        assert np.array_equal(small["vector_std"][0, 0], small["vector_std"][1, 0])
        assert json.loads(str(stored["about"]))["command"] == "python benchmarks/collapse_steps.py"


def test_the_plane_is_where_vectors_differ_most(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from collapse_steps import plane, shown

    vectors = torch.zeros(3, 50, 6)
    vectors[..., 4] = 3 * torch.randn(3, 50)
    vectors[..., 1] = torch.randn(3, 50)
    axes = plane(vectors + 7)
    assert axes.shape == (6, 2) and axes[4, 0] > 0.9 and axes[1, 1] > 0.9
    assert shown(torch.tensor([1, 0, 1, 1, 0]), 2).tolist() == [1, 4, 0, 2]
