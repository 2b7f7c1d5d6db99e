"""Problem set 3: right answers in many hands pass and earn all points, wrong ones are told which mistake they make and
lose points, and what the lessons and the library hold does not do as an answer."""

import ast
from functools import partial

import matplotlib.pyplot as plt
import pytest
import wrong_ps3 as wrong
import wrong_ps3_step as wrong_step
from graded import Graded, defined_in, each
from helpers import TOP
from right_ps3 import RIGHT, restore_scattered

from minimim import decoders, losses, patches
from minimim.feedback import WrongAnswer, check
from minimim.feedback.check import examine
from minimim.feedback.ps3 import tasks as ps3
from minimim.show import pictures
from minimim.targets import pixels
from minimim.train import schedule, step

TASKS = {task.name: task for task in ps3.TASKS}
SETS = {home: Graded("ps3", TASKS, home) for home in ("right_ps3", "wrong_ps3", "wrong_ps3_step", __name__)}
SET = SETS[__name__]
MARKED, GRADED = SET.marked, SET.cells
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


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """Pictures are counted, not shown."""
    seen = []
    monkeypatch.setattr(plt, "show", lambda: seen.append(plt.gcf()))
    yield seen
    plt.close("all")


def test_five_tasks_give_fourteen_points_and_two_questions_six():
    assert [SET.full(name) for name in TASKS] == [3, 3, 2, 2, 4]
    assert all(mark["points"] == 1 and "BEGIN HIDDEN TESTS" in source for source, mark in GRADED)
    by_hand = [mark["points"] for cell, mark in MARKED if mark["grade"] and cell["cell_type"] == "markdown"]
    assert by_hand == [3, 3]


def test_graded_cells_do_not_lean_on_the_check():
    assert not [mark["grade_id"] for source, mark in GRADED if "minimim" in source]


@pytest.mark.parametrize("name, answer", each(RIGHT))
def test_right_answers_pass_and_earn_all_points(name, answer):
    assert examine(TASKS[name], answer) >= 6
    assert SETS["right_ps3"].points(name, answer) == SET.full(name)


@pytest.mark.parametrize("name, case", each(WRONG))
def test_wrong_answers_are_told_which_mistake_it_is_and_lose_points(name, case):
    words, answer = case
    with pytest.raises(WrongAnswer) as told:
        examine(TASKS[name], answer)
    assert words in str(told.value)
    assert SETS[answer.__module__].loses(name, answer)


@pytest.mark.parametrize("name", TASKS)
def test_every_mistake_in_the_table_is_told_apart_from_the_others(name):
    task = TASKS[name]
    for words, mistaken in task.mistakes.items():

        def answer(mistaken=mistaken, **arguments):
            try:
                return mistaken(**arguments)
            except Exception:  # noqa: BLE001 (this mistake says nothing of this input)
                return task.truth(**arguments)

        with pytest.raises(WrongAnswer) as told:
            examine(task, answer)
        assert str(told.value) == f"{name}: {words}"


@pytest.mark.parametrize("name, answer", each(HELD))
def test_what_the_library_holds_is_no_answer(name, answer):
    with pytest.raises(WrongAnswer):
        examine(TASKS[name], answer)
    assert SETS[answer.__module__].loses(name, answer)


@pytest.mark.parametrize("name", TASKS)
def test_nothing_that_can_be_imported_or_copied_from_a_lesson_earns_full_points(name):
    for function in everything_at_hand():
        handed_on = partial(function)
        handed_on.__module__ = __name__
        assert SET.loses(name, handed_on), f"{function} is an answer to {name}"


@pytest.mark.parametrize("name", TASKS)
def test_an_import_earns_no_full_points_even_where_it_is_right(name):
    assert SET.loses(name, TASKS[name].truth)


@pytest.mark.parametrize("name", TASKS)
def test_a_stub_is_told_to_be_unwritten(name):
    def stub(*_, **__):
        raise NotImplementedError

    with pytest.raises(WrongAnswer, match=f"{TASKS[name].function} is not written yet"):
        examine(TASKS[name], stub)


@pytest.mark.parametrize("name", ["ps3.1", "ps3.2", "ps3.4"])
def test_a_wrong_answer_is_drawn_beside_the_right_one(name, shown):
    with pytest.raises(WrongAnswer):
        examine(TASKS[name], WRONG[name][0][1])
    assert [ax.get_title() for ax in shown[0].axes] == ["yours", "expected"]


def test_a_right_answer_gets_one_line(capsys):
    check("ps3.1", restore_scattered)
    assert capsys.readouterr().out == "ps3.1: right, on 11 inputs\n"


def test_every_graded_assertion_says_a_sentence():
    for source, mark in GRADED:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Assert):
                assert node.msg, f"{mark['grade_id']}: {ast.unparse(node.test)} says nothing"
                literal = isinstance(node.msg, ast.Constant | ast.JoinedStr)
                words = "".join(
                    x.value for x in ast.walk(node.msg) if isinstance(x, ast.Constant) and isinstance(x.value, str)
                )
                assert not literal or len(words.split()) > 4, f"{mark['grade_id']}: {words}"
