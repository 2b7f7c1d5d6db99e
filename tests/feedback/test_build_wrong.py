"""The checks of the build notebook, fed with wrong answers: each is rejected, and the common mistakes are named."""

from dataclasses import replace

import pytest
from graded import each
from wrong_build import WRONG
from wrong_build_classes import WRONG_CLASSES
from wrong_build_training import WRONG_TRAINING

from minimim.feedback import check
from minimim.feedback.build import TASKS
from minimim.feedback.check import WrongAnswer, examine

ANSWERS = WRONG | WRONG_CLASSES | WRONG_TRAINING


def test_each_task_has_six_wrong_answers_at_least():
    assert {task.name for task in TASKS} == set(ANSWERS) and all(len(answers) >= 6 for answers in ANSWERS.values())


@pytest.mark.parametrize(("name", "wrong"), each(ANSWERS))
def test_a_wrong_answer_is_rejected_and_its_mistake_is_named(name, wrong):
    answer, sentence = wrong
    with pytest.raises(WrongAnswer, match=f"^{name}: ") as told:
        check(name, answer)
    assert sentence in str(told.value)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_each_known_mistake_is_told_by_its_own_sentence(task):
    as_functions = replace(task, adapt=lambda answer: answer)  # a mistake is a function already, also where a class is asked for
    for sentence, mistaken in task.mistakes.items():
        with pytest.raises(WrongAnswer) as told:
            examine(as_functions, mistaken)
        assert str(told.value) == f"{task.name}: {sentence}"
    assert len(task.mistakes) >= 6
