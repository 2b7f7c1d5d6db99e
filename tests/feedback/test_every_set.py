"""What is promised of every task, in whatever sets there are: walks the tasks that can be checked, and the graded cells."""

import re

import pytest
import torch
from graded import Graded
from helpers import TOP

from minimim.feedback import WrongAnswer, check, tasks
from minimim.feedback.check import examine

TASKS = tasks()
SETS = {
    name: Graded(name, TASKS, __name__)
    for name in sorted({task.partition(".")[0] for task in TASKS})
    if "hidden tests" in (TOP / f"solutions/{name}/{name}.ipynb").read_text(encoding="utf-8").lower()
}
GRADED = [name for name in TASKS if name.partition(".")[0] in SETS]


def other(result):
    """A result of the same shape, every number of which is another."""
    if isinstance(result, tuple):
        return tuple(other(part) for part in result)
    if isinstance(result, dict):
        return dict.fromkeys(result, min(result.values()))
    return ~result if result.dtype == torch.bool else result + 1


@pytest.mark.parametrize("name", TASKS)
def test_a_stub_is_told_to_be_unwritten(name):
    def stub(*_, **__):
        raise NotImplementedError

    with pytest.raises(WrongAnswer) as told:
        check(name, stub)
    assert str(told.value) == f"{name}: {TASKS[name].function} is not written yet"


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.draw])
def test_a_wrong_answer_is_drawn_beside_the_right_one(name, shown):
    right = iter([trial.expected for trial in TASKS[name].trials] * 2)
    with pytest.raises(WrongAnswer):
        examine(TASKS[name], lambda **_: other(next(right)))
    assert [[ax.get_title() for ax in figure.axes] for figure in shown] == [["yours", "expected"]]


@pytest.mark.parametrize("name", TASKS)
def test_every_input_is_told_in_words_of_its_own(name):
    words = [trial.words for trial in TASKS[name].trials]
    assert len(set(words)) == len(words) and all(words)


@pytest.mark.parametrize("name", SETS)
def test_a_point_is_one_behaviour_with_hidden_tests_that_do_not_lean_on_the_check(name):
    for source, mark in SETS[name].cells:
        assert mark["points"] == 1 and "BEGIN HIDDEN TESTS" in source, mark["grade_id"]
        assert not re.search(r"minimim|\bcheck\(|truth", source), mark["grade_id"]
    assert all(SETS[name].of(task) for task in GRADED if task.startswith(f"{name}."))


@pytest.mark.parametrize("name", GRADED)
def test_an_import_earns_no_full_points_even_where_it_is_right(name):
    assert TASKS[name].truth.__module__ != __name__
    assert SETS[name.partition(".")[0]].loses(name, TASKS[name].truth)
