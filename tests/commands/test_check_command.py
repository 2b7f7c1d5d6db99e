"""minimim check: an answer is taken out of its notebook and looked at, whatever else stands there."""

import json

import pytest

from minimim.cli import main as minimim
from minimim.cli import parse
from minimim.feedback import notebook

RIGHT = "def places(times):\n    return times.argsort(1).argsort(1) + 1"
WRONG = "def places(times):\n    return times.argsort(1) + 1"
STUB = "def places(times):\n    raise NotImplementedError  # your code here"


@pytest.fixture
def check(tmp_path, capsys):
    """Checks the answer to ps0.3 in a notebook of some cells: (exit code, what is printed). A dict is a cell as it is."""

    def run(*cells):
        path = write(tmp_path / "mine.ipynb", *cells)
        return notebook.main("ps0.3", str(path)), capsys.readouterr().out

    return run


def write(path, *cells):
    """A notebook file."""
    whole = [c if isinstance(c, dict) else {"cell_type": "code", "metadata": {}, "source": c.splitlines(True)} for c in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": whole, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_right_wrong_and_not_written(check):
    assert check(RIGHT) == (0, "ps0.3: right, on 12 inputs\n")
    code, told = check(WRONG)
    assert code == 1 and told.startswith("ps0.3: argsort once gives the order") and len(told.splitlines()) == 1
    assert check(STUB) == (1, "ps0.3: places is not written yet\n")


def test_imports_and_helpers_of_earlier_cells_are_there(check):
    assert check("import torch", "def ranks(x):\n    return torch.argsort(torch.argsort(x, 1), 1)",
                 "def places(times):\n    return ranks(times) + 1")[0] == 0  # fmt: skip


def test_the_last_definition_counts_and_nothing_after_it_is_run(check, tmp_path):
    late = f"open({str(tmp_path / 'late')!r}, 'w')"
    assert check(WRONG, RIGHT, late)[0] == 0
    assert check(RIGHT, WRONG, late)[0] == 1
    assert not (tmp_path / "late").exists()
    assert check("places = lambda times: times.argsort(1).argsort(1) + 1")[0] == 0


def test_earlier_tasks_that_are_not_done_and_magics_do_not_matter(check):
    other = 'from minimim.feedback import check\ncheck("ps0.3", lambda times: times)'
    cells = ("%matplotlib inline\n!ls", "print('much')", other, "undefined_name", "def broken(:", "raise SystemExit", RIGHT)
    assert check(*cells) == (0, "ps0.3: right, on 12 inputs\n")


def test_text_and_graded_tests_are_not_run(check):
    graded = {"grade": True, "solution": False, "grade_id": "x", "points": 1}
    text = {"cell_type": "markdown", "metadata": {}, "source": RIGHT}
    test = {"cell_type": "code", "metadata": {"nbgrader": graded}, "source": "def places(times):\n    return times"}
    assert check(RIGHT, text, test)[0] == 0


def test_what_failed_before_a_wrong_answer_is_told(check):
    code, told = check("import torhc", "def places(times):\n    return torhc.argsort(times)")
    assert code == 1 and "before it, cell 1 fails, ModuleNotFoundError" in told and "NameError in its line 2" in told


@pytest.mark.parametrize(
    "cells, sentence",
    [
        (["def place(times):\n    return times"], "no cell of the notebook defines places"),
        (["x = 1", "def places(times):\n    return (times"], "cell 2 cannot be read: '(' was never closed, line 2"),
        (["x = 1\n" + RIGHT + "\ny = z"], "cell 1 fails, NameError: name 'z' is not defined"),
    ],
)
def test_without_an_answer_a_sentence_says_why(check, cells, sentence):
    code, told = check(*cells)
    assert code == 1 and told == f"ps0.3: {sentence}\n"


@pytest.mark.parametrize("content", ["not json", "[]", "{}", '{"cells": [1]}'])
def test_a_file_that_is_no_notebook(tmp_path, capsys, content):
    path = tmp_path / "mine.ipynb"
    path.write_text(content)
    assert notebook.main("ps0.3", str(path)) == 1
    assert capsys.readouterr().out == f"ps0.3: {path} is not a notebook\n"


def test_a_mistake_in_what_was_asked_for_gets_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments, sentence in (
        (["check", "ps0.33"], "unknown task 'ps0.33': did you mean 'ps0.3'?"),
        (["check", "ps0.3", "--notebook", "none.ipynb"], "there is no notebook none.ipynb: minimim work"),
        (["check"], "TASK"),
    ):
        assert minimim(arguments) == 2
        told = capsys.readouterr().err
        assert sentence in told and len(told.splitlines()) == 1


def test_the_task_is_given_by_its_place():
    command = parse(["check", "ps1.3", "--timeout", "5"])
    assert command.task == "ps1.3" and command.timeout == 5 and command.notebook == ""


@pytest.mark.slow
def test_the_copy_in_work_comes_first_and_the_course_after(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert minimim(["check", "ps0.3"]) == 1  # the course's own is a stub
    assert "places is not written yet" in capsys.readouterr().out
    write(tmp_path / "work/exercises/ps0/ps0.ipynb", RIGHT)
    assert minimim(["check", "ps0.3"]) == 0
    assert "ps0.3: right" in capsys.readouterr().out


@pytest.mark.slow
def test_what_hangs_is_stopped_and_what_ends_python_is_told(tmp_path, capsys):
    path = write(tmp_path / "mine.ipynb", "while True:\n    pass", RIGHT)
    assert minimim(["check", "ps0.3", "--notebook", str(path), "--timeout", "6"]) == 1
    assert "stopped after 6 s" in capsys.readouterr().out
    path = write(tmp_path / "mine.ipynb", "import os\nos._exit(7)", RIGHT)
    assert minimim(["check", "ps0.3", "--notebook", str(path)]) == 2
    assert "Python ended while it ran" in capsys.readouterr().err
