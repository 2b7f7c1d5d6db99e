"""Problem set 3: right answers in many hands pass and earn all points, wrong ones are told which mistake they make and
lose points, and what the lessons and the library hold does not do as an answer."""

from functools import partial

import pytest
import wrong_ps3 as wrong
import wrong_ps3_step as wrong_step
from graded import Graded, defined_in, each, mistaken, refusal
from helpers import TOP
from right_ps3 import RIGHT, restore_scattered

from minimim import decoders, losses, patches
from minimim.feedback import check
from minimim.feedback.check import examine
from minimim.feedback.ps3 import tasks as ps3
from minimim.show import pictures
from minimim.targets import pixels
from minimim.train import schedule, step

TASKS = {task.name: task for task in ps3.TASKS}
SETS = {home: Graded("ps3", TASKS, home) for home in ("right_ps3", "wrong_ps3", "wrong_ps3_step", __name__)}
SET = SETS[__name__]
MARKED = SET.marked
WRONG = wrong.WRONG | wrong_step.WRONG


# What the lessons and the library hold


def everything_at_hand():
    """Every function of the rooms that these tasks stand on, and of lessons 05 to 07."""
    for module in (decoders, losses, patches, pictures, pixels, schedule, step):
        yield from (value for value in list(vars(module).values()) if callable(value))
    for path in sorted((TOP / "notebooks").glob("0[567]_*.ipynb")):
        yield from defined_in(path)


HELD = {
    "ps3.1": [wrong.restore_padding_fills],
    "ps3.2": [wrong.mae_target, wrong.borrowed_target],
    "ps3.3": [wrong.loss_of_the_library],
    "ps3.4": [wrong_step.plan_of_the_library],
    "ps3.5": [wrong_step.train_step_of_the_library],
}


def test_five_tasks_give_fourteen_points_and_two_questions_six():
    assert [SET.full(name) for name in TASKS] == [3, 3, 2, 2, 4]
    by_hand = [mark["points"] for cell, mark in MARKED if mark["grade"] and cell["cell_type"] == "markdown"]
    assert by_hand == [3, 3]


@pytest.mark.parametrize("name, answer", each(RIGHT))
def test_right_answers_pass_and_earn_all_points(name, answer):
    assert examine(TASKS[name], answer) >= 6
    assert SETS["right_ps3"].points(name, answer) == SET.full(name)


@pytest.mark.parametrize("name, case", each(WRONG))
def test_wrong_answers_are_told_which_mistake_it_is_and_lose_points(name, case):
    words, answer = case
    assert words in refusal(TASKS[name], answer)
    assert SETS[answer.__module__].loses(name, answer)


@pytest.mark.parametrize("name", TASKS)
def test_every_mistake_in_the_table_is_told_apart_from_the_others(name):
    task = TASKS[name]
    for words, answer in mistaken(task):
        assert refusal(task, answer) == f"{name}: {words}"


@pytest.mark.parametrize("name, answer", each(HELD))
def test_what_the_library_holds_is_no_answer(name, answer):
    assert refusal(TASKS[name], answer)
    assert SETS[answer.__module__].loses(name, answer)


@pytest.mark.parametrize("name", TASKS)
def test_nothing_that_can_be_imported_or_copied_from_a_lesson_earns_full_points(name):
    for function in everything_at_hand():
        handed_on = partial(function)
        handed_on.__module__ = __name__
        assert SET.loses(name, handed_on), f"{function} is an answer to {name}"


def test_a_right_answer_gets_one_line(capsys):
    check("ps3.1", restore_scattered)
    assert capsys.readouterr().out == "ps3.1: right, on 10 inputs\n"
