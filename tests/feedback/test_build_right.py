"""The checks of the build notebook, fed with right answers: those of the library, and others written in other ways."""

import re

import pytest
from graded import each
from right_build import RIGHT
from right_build_classes import RIGHT_CLASSES

from minimim.feedback import check
from minimim.feedback.build import TASKS, library

NAMES = [task.name for task in TASKS]
ANSWERS = RIGHT | RIGHT_CLASSES


def test_there_are_thirteen_tasks_and_each_has_a_counterpart_in_the_library_and_other_answers():
    assert NAMES == [f"build.{n}" for n in range(1, 14)] and set(NAMES) == set(ANSWERS)
    assert all(hasattr(library, task.function) for task in TASKS)
    assert all(len(answers) >= 2 for answers in ANSWERS.values())


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_the_librarys_own_part_is_right(task, capsys):
    check(task.name, getattr(library, task.function))
    assert re.fullmatch(rf"{task.name}: right, on \d+ inputs\n", capsys.readouterr().out)


@pytest.mark.parametrize(("name", "answer"), each(ANSWERS))
def test_a_right_answer_passes_however_it_is_written(name, answer, capsys):
    check(name, answer)
    assert capsys.readouterr().out.startswith(f"{name}: right, on ")
