"""The main job, on a preset of seconds; what it leaves behind, and how it goes on."""

import json
import re
from dataclasses import replace

import pytest
import torch
from helpers import build, raw
from tensor_board import read_back

from minimim.checkpoint import NAME
from minimim.commands import demo as module
from minimim.commands.demo import Demo
from minimim.config import TrainConfig
from minimim.data import Images
from minimim.errors import UserError
from minimim.presets import PRESETS, Preset
from minimim.train import save, train
from minimim.train.interrupt import Interrupt

pytestmark = pytest.mark.slow


@pytest.fixture
def tiny(monkeypatch):
    """A demo of 16 steps on a few scenes."""
    train = TrainConfig(epochs=2, batch_size=16, log_every=2)
    monkeypatch.setitem(PRESETS, "demo", Preset("tiny", "mae", "scenes", 16, 4, "micro", count=128, train=train))


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


def test_a_fast_demo_says_what_it_is(tiny, tmp_path, monkeypatch, capsys):
    short = replace(PRESETS["demo"], count=64)
    monkeypatch.setattr(module, "preset", lambda name, fast=False: short if fast else PRESETS[name])
    monkeypatch.chdir(tmp_path)
    assert Demo(fast=True).run() == 0
    results = json.loads((tmp_path / "runs" / "demo-fast" / "results.json").read_text())
    assert results["command"] == "minimim demo --seed 0 --fast" and results["labels"] == 64 and results["steps"] == 8
    assert "64 labels" in (tmp_path / "runs" / "demo-fast" / "report.html").read_text() and "64 images" in capsys.readouterr().out


def test_the_demo_draws_its_curves_and_pictures_for_tensorboard_too(tiny, tmp_path):
    for _ in range(2):  # the second one starts over
        assert Demo(out=str(tmp_path), tensorboard=True).run() == 0
        curves, shots = read_back(tmp_path)
        assert [step for step, _ in curves["loss"]] == [2, 4, 6, 8, 10, 12, 14, 16] and len(shots) == 10


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


@pytest.mark.parametrize("before", [False, True])
def test_a_demo_that_was_stopped_after_its_pretraining_goes_on_with_it(tiny, tmp_path, monkeypatch, before):
    if before:  # a complete demo, whose results must not pass for those of the next
        Demo(out=str(tmp_path)).run()
    with monkeypatch.context() as stopping:
        stopping.setattr(module.evaluate, "compare", pressed)
        with pytest.raises(KeyboardInterrupt):
            Demo(out=str(tmp_path)).run()
    kept = (tmp_path / NAME).stat().st_mtime_ns
    assert Demo(out=str(tmp_path)).run() == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert (tmp_path / NAME).stat().st_mtime_ns == kept and results["resumed"] and results["steps"] == 16


def pressed(*_, **__):
    raise KeyboardInterrupt


def finished(out):
    train(build("mae"), Images(raw(16)), TrainConfig(epochs=1, batch_size=16), out=out, bar=False)


def stopped(out):
    with pytest.MonkeyPatch.context() as stopping:
        stopping.setattr(Interrupt, "asked", lambda self, now: True)
        Demo(out=str(out), seed=1).run()


@pytest.mark.parametrize(
    "leave, sentence",
    [
        (finished, "already holds a run with another"),
        (stopped, "already holds a run with another seed than this demo's"),
        (lambda out: (finished(out), (out / "results.json").write_text("{}")), "already holds a run with another"),
        (lambda out: save(out / NAME, build("mae")), "already holds a run with another"),
        (lambda out: (out / NAME).write_bytes(b"half a check"), "is damaged"),
    ],
)
def test_a_demo_deletes_no_other_run(tiny, tmp_path, leave, sentence):
    leave(tmp_path)
    kept = (tmp_path / NAME).read_bytes()
    with pytest.raises(UserError, match=f"{sentence}.*choose another --out"):
        Demo(out=str(tmp_path)).run()
    assert (tmp_path / NAME).read_bytes() == kept


def test_a_file_in_place_of_the_folder_is_told_in_a_sentence(tiny, tmp_path):
    (tmp_path / "README.md").write_text("a file")
    with pytest.raises(UserError, match="README.md.* choose another --out"):
        Demo(out=str(tmp_path / "README.md")).run()
    assert (tmp_path / "README.md").read_text() == "a file"


@pytest.mark.parametrize("name, classes", [("scenes", 5), ("fashion", 10)])  # the first scenes, and a part of all the others
def test_labels_come_from_all_classes_of_a_set_that_may_lie_class_by_class(tiny, tmp_path, monkeypatch, name, classes):
    monkeypatch.setitem(PRESETS, "sorted", replace(PRESETS["demo"], data=name, count=None))
    monkeypatch.setattr("minimim.presets.load", lambda *_, **__: Images(raw(200), torch.arange(200) // 20))
    monkeypatch.setattr(module, "LABELLED", 100)
    seen = []

    def look(method, labelled, *_, **__):
        seen.extend(labelled.labels.tolist())
        raise KeyboardInterrupt

    monkeypatch.setattr(module.evaluate, "compare", look)
    with pytest.raises(KeyboardInterrupt):
        Demo(out=str(tmp_path), preset="sorted").run()
    assert len(seen) == 100 and set(seen) == set(range(classes))


def test_another_seed_gives_another_run(tiny, tmp_path):
    losses = []
    for seed in (0, 1):
        Demo(out=str(tmp_path), seed=seed).run()
        losses.append(json.loads((tmp_path / "results.json").read_text())["final_loss"])
    assert losses[0] != losses[1]
