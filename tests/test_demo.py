"""The main job, on a preset of seconds; what it leaves behind, and how it goes on."""

import json
import re

import pytest

from minimim.commands import demo as module
from minimim.commands.demo import Demo
from minimim.config import TrainConfig
from minimim.presets import PRESETS, Preset
from minimim.train.interrupt import Interrupt

pytestmark = pytest.mark.slow


@pytest.fixture
def tiny(monkeypatch):
    """A demo of 16 steps on a few scenes."""
    load = module.data.load
    monkeypatch.setattr(module.data, "load", lambda name, split, **more: load(name, split, count=128, **more))
    train = TrainConfig(epochs=2, batch_size=16, log_every=2)
    monkeypatch.setitem(PRESETS, "demo", Preset("tiny", "mae", "scenes", 16, 4, "micro", train=train))


def test_the_demo_leaves_a_report_and_the_figures_behind(tiny, tmp_path, capsys):
    assert Demo(out=str(tmp_path)).run() == 0
    results = json.loads((tmp_path / "results.json").read_text())
    for kind in ("linear_probe", "knn"):
        assert set(results[kind]) == {"pretrained", "random_init", "raw_pixels"}
        assert all(0 <= value <= 1 for value in results[kind].values())
    assert set(results["seconds"]) == {"data", "pretrain", "evaluate", "report"} and results["seed"] == 0
    assert results["command"] == "minimim demo --seed 0" and results["steps"] == 16
    told = capsys.readouterr().out
    assert f"{results['linear_probe']['pretrained']:.3f}" in told and "report.html" in told

    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and not re.search(r'(src|href)="(?!data:)', page)
    for kind in ("linear_probe", "knn"):
        for value in results[kind].values():
            assert f"{value:.3f}" in page
    assert "minimim demo --seed 0" in page and results["versions"]["torch"] in page


def test_a_stopped_demo_goes_on_and_a_finished_one_starts_over(tiny, tmp_path, monkeypatch):
    def results():
        return json.loads((tmp_path / "results.json").read_text())

    with monkeypatch.context() as stopping:
        stopping.setattr(Interrupt, "asked", lambda self, now: True)  # Ctrl-C in the first step
        assert Demo(out=str(tmp_path)).run() == 130 and not (tmp_path / "report.html").exists()
    assert Demo(out=str(tmp_path)).run() == 0
    resumed = results()
    assert Demo(out=str(tmp_path)).run() == 0
    fresh = results()
    assert resumed["resumed"] and not fresh["resumed"]
    assert fresh["linear_probe"] == resumed["linear_probe"]


def test_another_seed_gives_another_run(tiny, tmp_path):
    losses = []
    for seed in (0, 1):
        Demo(out=str(tmp_path), seed=seed).run()
        losses.append(json.loads((tmp_path / "results.json").read_text())["final_loss"])
    assert losses[0] != losses[1]
