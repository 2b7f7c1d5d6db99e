"""Every lesson in JupyterLab: run from the menu, its figures at their size, and its widgets moved by mouse and by keyboard."""

from mover import try_all

LEAST = 128  # pixels: a picture that is narrower is a thumbnail
SHRUNK = 0.9  # how much of its width a figure keeps at least on a laptop, where the column may be narrower than the figure


def test_it_runs_without_an_error(lesson):
    lesson.shoot("run")
    assert lesson.errors() == []
    assert lesson.not_run() == []


def test_figures_are_as_large_as_they_were_made_and_no_larger(lesson):
    figures = lesson.figures()
    assert len(figures) >= 5
    small = [one for one in figures if one["width"] < max(LEAST, SHRUNK * one["intended"])]
    large = [one for one in figures if one["width"] > one["intended"] + 1 or one["over"] > 1]
    assert small == [] and large == []


def test_every_widget_moves_by_mouse_and_by_keyboard_and_its_picture_follows(lesson):
    moved, faults = try_all(lesson)
    assert moved and all(moved.values())
    assert faults == []
    assert lesson.errors() == []
