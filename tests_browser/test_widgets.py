"""Every widget of the course, in one notebook that is made of them: each moved by mouse and by keyboard."""

import pytest
from mover import Mover, controls, try_all, widgets

from minimim import show

LIVE = [name for file, names in show.NAMES.items() if file.startswith("widgets.") for name in names]
INTERACT = """
from ipywidgets import Checkbox, FloatLogSlider, FloatSlider, IntSlider, SelectionSlider, interact

from minimim import show

_ = interact(lambda whole, part, power, one, some, on: show.bars({"a": whole + part, "b": power + one, "c": some + on}, label="all", alt="bars"),
             whole=IntSlider(3, 0, 9), part=FloatSlider(0.5, min=0, max=1, step=0.1), power=FloatLogSlider(1, min=-1, max=1, step=0.1),
             one=SelectionSlider(options=[1, 2, 5], value=2), some=[1, 2, 3], on=Checkbox(True))
"""
GAME = """
import torch

import minimim
from minimim.masking import RandomMasking
from minimim.show.game import deal

images = minimim.data.load("scenes", "test", count=30)
deal(images, {"random": RandomMasking}, (0.5, 0.75), 4, torch.Generator().manual_seed(0)).play()
"""
FORM = """
from minimim.show.labelling import Sorting
from minimim.survey import papers

Sorting(papers()[:5]).form()
"""
STUCK = """
from ipywidgets import IntSlider, interact

from minimim import show

_ = interact(lambda number: (print(number), show.bars({"a": 1, "b": 2}, label="always the same", alt="bars"))[1], number=IntSlider(3, 0, 9))
"""


def test_each_is_moved_by_mouse_and_by_keyboard_and_its_picture_follows(opened, server):
    cells = [f"from minimim import show\n\nshow.{name}()" for name in LIVE] + [INTERACT.strip(), GAME.strip(), FORM.strip()]
    notebook = opened(server.write("widgets.ipynb", *cells))
    notebook.run_all()
    assert notebook.errors() == []
    moved, faults = try_all(notebook)
    assert len(moved) == len(cells)
    assert faults == []
    assert [one for one in notebook.figures() if one["width"] > one["intended"] + 1 or one["over"] > 1] == []
    assert notebook.errors() == []


@pytest.fixture(scope="module")
def stuck(opened, server):
    notebook = opened(server.write("stuck.ipynb", STUCK.strip()))
    notebook.run_all()
    return notebook


def test_a_picture_that_does_not_follow_is_noticed_though_the_words_beside_it_do(stuck):
    mover = Mover(stuck, widgets(stuck)[0], "stuck", wait=6)
    mover.move_all()
    assert mover.names == ["number"]
    assert mover.faults == ["number by mouse: the picture stayed as it was", "number by keyboard: the picture stayed as it was"]


def test_a_control_that_cannot_be_moved_is_noticed(stuck):
    mover = Mover(stuck, widgets(stuck)[0], "stuck", wait=2)
    (control,) = controls(mover.widget)
    control.handle.evaluate("one => one.removeAttribute('tabindex')")
    mover.move_all()
    assert "number by keyboard: number cannot be reached by keyboard" in mover.faults
