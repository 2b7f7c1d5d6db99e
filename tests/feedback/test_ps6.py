"""Problem set 6: right answers in many hands pass and earn all points, wrong ones are told which mistake they make and
lose points, and what the lessons and the library hold does not do as an answer."""

import copy

import pytest
import right_ps6 as right
import right_ps6_layouts as right_layouts
import right_ps6_masks as right_masks
import torch
import wrong_ps6 as wrong
import wrong_ps6_masks as wrong_masks
from graded import Graded, at_hand, each, handed_on, mistaken, mutants, refusal

from minimim import masking, patches, targets
from minimim.feedback import check
from minimim.feedback.check import difference, examine
from minimim.feedback.ps6 import tasks as ps6
from minimim.masking import block, blocks, guided
from minimim.targets import handmade, tokens, vq

TASKS = {task.name: task for task in ps6.TASKS}
SETS = {
    home: Graded("ps6", TASKS, home)
    for home in ("right_ps6", "right_ps6_masks", "right_ps6_layouts", "wrong_ps6", "wrong_ps6_masks", __name__)
}
SET = SETS[__name__]
RIGHT = right.RIGHT | right_masks.RIGHT | right_layouts.RIGHT
WRONG = wrong.WRONG | wrong_masks.WRONG
HELD = {  # what comes nearest to an answer in the library
    "ps6.1": [wrong.hog_of_the_library, wrong.hog_by_the_class],
    "ps6.2": [wrong.revive_of_the_library, wrong.revive_by_kmeans],
    "ps6.3": [wrong_masks.blocks_of_the_library],
    "ps6.4": [wrong_masks.hint_of_the_library, wrong_masks.hint_by_noise_alone],
    "ps6.5": [wrong_masks.layout_of_the_library],
}


def test_five_tasks_give_fourteen_points_and_a_design_six():
    assert [SET.full(name) for name in TASKS] == [3, 3, 2, 3, 3]
    by_hand = [mark["points"] for cell, mark in SET.marked if mark["grade"] and cell["cell_type"] == "markdown"]
    assert by_hand == [6]


@pytest.mark.parametrize("name, answer", each(RIGHT))
def test_right_answers_pass_and_earn_all_points(name, answer):
    assert examine(TASKS[name], answer) >= 10
    assert SETS[answer.__module__].points(name, answer) == SET.full(name)


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
    for function in at_hand(masking, block, blocks, guided, patches, targets, handmade, tokens, vq, lessons="[01][0-9]"):
        assert SET.loses(name, handed_on(function, __name__)), f"{function} is an answer to {name}"


@pytest.mark.parametrize("name", TASKS)
def test_the_check_and_the_graded_cells_agree_on_answers_that_are_spoilt(name):
    made = mutants(TASKS[name], RIGHT[name][0], __name__)
    assert not {words: told for words, answer in made.items() if (told := SET.disagree(name, answer))}


@pytest.mark.parametrize("name", TASKS)
def test_each_graded_cell_tells_wrong_answers_apart(name):
    cells = {mark["grade_id"] for _, mark in SET.of(name)} - {
        "ps6-3-places"
    }  # whoever errs there hides other patches in ps6-3-count too
    for _, answer in WRONG[name]:
        lost = SETS[answer.__module__].lost(name, answer)
        cells -= lost if len(lost) < len(SET.of(name)) else set()
        if not cells:
            return
    raise AssertionError(f"no wrong answer loses {cells} and keeps a point")


def test_no_input_hangs_on_rounding():
    for trial in TASKS["ps6.2"].trials + TASKS["ps6.4"].trials + TASKS["ps6.3"].trials:
        exact = TASKS["ps6.2" if "codes" in trial.arguments else "ps6.4" if "hint" in trial.arguments else "ps6.3"]
        shaken = copy.deepcopy(trial.arguments)
        for x in shaken.values():
            if (
                isinstance(x, torch.Tensor) and x.is_floating_point() and len(x.unique()) > 20
            ):  # small tables hold ties on purpose
                x.mul_(
                    1 + 1e-6 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype).clamp(-1, 1)
                )
        assert not difference(exact.truth(**shaken), trial.expected, (1e-3, 1e-3)), trial.words


def test_a_right_answer_gets_one_line(capsys):
    check("ps6.2", right.revive_with_infinities)
    assert capsys.readouterr().out == "ps6.2: right, on 13 inputs\n"
