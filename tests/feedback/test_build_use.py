"""What the build notebook goes on with, cell by cell: the learner's part where it is right, and the library's, with a word, where not."""

import inspect

import pytest
import torch
from helpers import TOP
from right_build import patchify_by_loop
from right_build_classes import BlockInOneLine
from sets import mark, read
from torch import nn
from wrong_build import patches_by_reshape_alone

from minimim.errors import UserError
from minimim.feedback import build, check, notebook
from minimim.feedback.build import TASKS, library
from minimim.feedback.build.use import RIGHT, mine
from minimim.feedback.check import WrongAnswer
from minimim.show.drawings.build import PARTS


@pytest.fixture(autouse=True)
def nothing_done(monkeypatch):
    before = dict(RIGHT)
    RIGHT.clear()
    yield
    RIGHT.clear()
    RIGHT.update(before)


def empty(images, patch_size):
    raise NotImplementedError


class Empty(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        raise NotImplementedError


IMAGES = torch.arange(2.0 * 3 * 4 * 4).view(2, 3, 4, 4)


def test_a_right_part_is_used_as_it_is(capsys):
    assert build.use("build.1", patchify_by_loop) is patchify_by_loop
    assert capsys.readouterr().out == "build.1: right, equal to the library's on 18 inputs; your patchify is used from here on\n"
    assert build.use("build.7", BlockInOneLine) is BlockInOneLine and mine() == [1, 7]


@pytest.mark.parametrize("stub", [empty, lambda images, patch_size: None], ids=["raises", "returns None"])
def test_an_empty_function_is_replaced_with_a_word(stub, capsys):
    given = build.use("build.1", stub)
    assert capsys.readouterr().out == "build.1: patchify is still empty, so the library's is used from here on\n"
    assert torch.equal(given(IMAGES, 2), library.patchify(IMAGES, 2)) and torch.equal(given(IMAGES, patch_size=2), library.patchify(IMAGES, 2))
    assert mine() == []


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_what_stands_in_takes_the_same_arguments_and_is_right_but_not_the_learners(task):
    def stub(*_, **__):
        raise NotImplementedError

    given, own = build.use(task.name, stub), getattr(library, task.function)
    assert inspect.signature(given) == inspect.signature(own) and given.__name__ == own.__name__ and given.__doc__ == own.__doc__
    assert inspect.isclass(given) == inspect.isclass(own)
    with pytest.raises(WrongAnswer, match=f"^{task.name}: {task.function} is not written yet$"):
        check(task.name, given)  # of the stub, which it stands in for


def test_an_empty_class_is_replaced_by_one_that_takes_the_weights_of_the_library(capsys):
    given = build.use("build.7", Empty)
    assert capsys.readouterr().out == "build.7: Block is still empty, so the library's is used from here on\n"
    right, x = library.Block(8, 2), torch.randn(1, 3, 8)
    standing_in = given(8, 2)
    standing_in.load_state_dict(right.state_dict())
    assert torch.equal(standing_in(x), right(x))


def test_a_wrong_part_is_named_and_replaced_so_that_it_cannot_spoil_the_end(capsys):
    given = build.use("build.1", patches_by_reshape_alone)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("build.1: a reshape alone keeps the order in memory") and len(said) == 2
    assert said[1] == "build.1: until patchify is right, the library's is used from here on"
    assert torch.equal(given(IMAGES, 2), library.patchify(IMAGES, 2)) and mine() == []


def test_a_cell_that_is_run_again_says_the_same(capsys):
    given = build.use("build.1", empty)
    again = build.use("build.1", build.use("build.1", given))
    assert len(set(capsys.readouterr().out.splitlines())) == 1 and again.stands_in_for is empty
    assert build.use("build.1", patchify_by_loop) is patchify_by_loop and mine() == [1]
    build.use("build.1", patches_by_reshape_alone)
    assert mine() == []


def test_an_unknown_task_is_told_in_a_sentence():
    with pytest.raises(UserError, match="unknown task 'build.14'"):
        build.use("build.14", empty)


def test_the_end_says_which_parts_are_still_the_librarys(capsys):
    build.use("build.1", patchify_by_loop)
    capsys.readouterr()
    build.finished()
    assert capsys.readouterr().out.startswith("1 of 13 parts are yours; still the library's: 2 unpatchify, 3 random_mask, ")
    RIGHT.update({task.name: True for task in TASKS})
    build.finished()
    assert capsys.readouterr().out == "All 13 parts are yours: you have built a masked autoencoder.\n"


def test_the_drawing_and_the_tasks_have_the_same_parts():
    assert list(PARTS) == [task.function for task in TASKS]


def test_a_run_is_as_long_as_it_says_but_where_it_is_to_be_quick(monkeypatch):
    monkeypatch.setenv("MINIMIM_QUICK", "1")
    assert build.size(1000, quick=3) == 3
    monkeypatch.delenv("MINIMIM_QUICK")
    assert build.size(1000, quick=3) == 1000


def answered(folder, numbers):
    """The exercise with the answers to some tasks, as a file."""
    import nbformat

    given = read("exercises", "build")
    for cell, solved in zip(given.cells, read("solutions", "build").cells, strict=True):
        if mark(solved).get("solution") and int(mark(solved)["grade_id"].partition("-")[2]) in numbers:
            cell.source = solved.source
    nbformat.write(given, folder / "build.ipynb")
    return str(folder / "build.ipynb")


def test_the_command_looks_at_the_answer_and_not_at_what_stands_in_for_it(tmp_path, capsys):
    inputs = len(next(task for task in TASKS if task.name == "build.3").trials)
    assert notebook.main("build.3", answered(tmp_path, [3])) == 0
    assert capsys.readouterr().out == f"build.3: right, on {inputs} inputs\n"
    assert notebook.main("build.3", str(TOP / "exercises/build/build.ipynb")) == 1
    assert capsys.readouterr().out == "build.3: random_mask is not written yet\n"


def test_the_command_takes_a_class_whose_parts_are_the_librarys(tmp_path, capsys):
    assert notebook.main("build.9", answered(tmp_path, [9])) == 0
    assert capsys.readouterr().out == "build.9: right, on 3 inputs\n"
