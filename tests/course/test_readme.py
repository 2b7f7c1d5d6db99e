"""The README says what is so: its drawing, its minutes, its numbers, its tree, its ten lines of code."""

import json
import re

import numpy as np
import pytest
from helpers import TOP, script
from PIL import Image

import minimim

PAGE = (TOP / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module", name="script")
def readme_script():
    """scripts/readme.py as a module."""
    return script("readme")


def test_minutes_and_tree_are_those_of_lessons_and_registry(script):
    assert script.updated(PAGE) == PAGE, "python scripts/readme.py --no-drawing"


def test_the_script_mends_a_wrong_time_and_a_missing_method(script):
    wrong = re.sub(r"\d+ min \|", "7 min |", PAGE).replace("mae  ", "mea  ")
    assert wrong.count("7 min |") == PAGE.count(" min |") > 10 and script.updated(wrong) == PAGE


def test_every_lesson_and_every_problem_set_has_its_row_in_order():
    rows = re.findall(r"^\| \[[^]]+\]\(((?:notebooks|exercises)/[\w/]+\.ipynb)\) \| .+ \| (.*) \|$", PAGE, re.MULTILINE)
    names = [path for path, _ in rows]
    lessons = sorted(f"notebooks/{path.name}" for path in (TOP / "notebooks").glob("*.ipynb"))
    assert [name for name in names if name.startswith("notebooks")] == lessons
    assert {name.split("/")[1] for name in names if name.startswith("exercises")} >= {path.name for path in (TOP / "exercises").iterdir()}
    assert names[0] == "exercises/ps0/ps0.ipynb" and all(time for path, time in rows if "build" not in path)


@pytest.mark.parametrize("box, said", [
    ("> - **Time** about 40 minutes to read; 20 seconds to run.", "40 min"), ("> **Time** 3 to 4 hours; each", "3 to 4 hours"),
    ("> - **Time** 45 minutes for reading, 60 minutes for the exercise", "45 min"), ("> - **Time** an evening", None),
])  # fmt: skip
def test_the_minutes_are_read_from_the_box(script, tmp_path, box, said):
    (tmp_path / "05.ipynb").write_text(json.dumps({"cells": [{"source": ["# 05\n", box]}]}))
    if said:
        assert script.minutes(tmp_path / "05.ipynb") == said
    else:
        with pytest.raises(ValueError, match="05.ipynb does not say its time"):
            script.minutes(tmp_path / "05.ipynb")


def test_the_drawing_is_what_the_script_draws_and_its_words_are_the_pages(script, tmp_path):
    drawing = script.drawing()
    assert drawing.faults() == [] and f"![{drawing.alt}](docs/mae.png)" in PAGE
    drawing.figure.savefig(tmp_path / "mae.png", dpi=script.DPI, facecolor="white")
    with Image.open(script.PICTURE) as stored, Image.open(tmp_path / "mae.png") as drawn:
        assert stored.size == drawn.size and stored.width > 1500
        small = [np.asarray(each.convert("RGB").resize((200, 100), Image.Resampling.BOX), float) for each in (stored, drawn)]
    assert np.abs(small[0] - small[1]).mean() < 1 and small[0].std() > 30  # of 255: fonts differ by a little, and it is not empty


@pytest.mark.parametrize("seed", [0, 1])
def test_the_table_holds_the_stored_demos(seed):
    told = json.loads((TOP / f"benchmarks/results/demo-seed{seed}.json").read_text())
    rows = {"pretrained without labels": "pretrained", "the same encoder, random weights": "random_init", "raw pixels": "raw_pixels"}
    for row, name in rows.items():
        cells = re.search(rf"^\| {row} \| (.*) \|$", PAGE, re.MULTILINE)[1].split(" | ")
        for place, probe in ((seed, "linear_probe"), (2 + seed, "knn")):
            value, error = map(float, cells[place].split(" ± "))
            assert abs(value - told[probe][name]) < 0.0006 and abs(error - told["stderr"][probe][name]) < 0.0006
    assert f"{sum(told['seconds'].values()):.0f}" in re.search(r"took (.*) seconds on", PAGE)[1].split(" and ")


def test_what_is_said_beside_the_table_is_so():
    for seed in (0, 1):
        told = json.loads((TOP / f"benchmarks/results/demo-seed{seed}.json").read_text())
        linear, knn = told["linear_probe"], told["knn"]
        assert linear["pretrained"] > max(linear["random_init"], linear["raw_pixels"]) + 0.05
        assert knn["pretrained"] < knn["raw_pixels"] - 0.05


def test_the_ten_lines_are_ten_and_run(tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    load = minimim.data.load
    monkeypatch.setattr(minimim.data, "load", lambda name, split: load(name, split, count=320))
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace("epochs=5", "epochs=1"), "README.md", "exec"), {})  # noqa: S102
    told = capsys.readouterr().out
    assert "torch.Size([8, 128])" in told and "linear probe" in told and "raw pixels" in told
    assert (tmp_path / "runs/first/last.safetensors").exists()


def test_the_ten_lines_train_as_the_demo_does():
    from minimim.presets import preset

    demo, code = preset("demo"), re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    for name in ("epochs", "batch_size", "lr"):
        assert float(re.search(rf"\b{name}=([\de.-]+)", code)[1]) == getattr(demo.train, name)
    assert (demo.method, demo.image_size, demo.patch_size, demo.options) == ("mae", 32, 4, {"normalize_target": False})
