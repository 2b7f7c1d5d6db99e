"""minimim check: an answer is taken out of its notebook and looked at, whatever else stands there."""

import _thread
import json
import os
import sys
import threading
import time

import pytest
from helpers import TOP

from minimim.cli import main as minimim
from minimim.cli import parse
from minimim.commands.check import find
from minimim.feedback import notebook, task

PASSED = (0, f"ps0.3: right, on {len(task('ps0.3').trials)} inputs\n")
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
    assert check(RIGHT) == PASSED
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
    assert check(*cells) == PASSED


@pytest.mark.parametrize(
    "cell",
    [
        "%%time\n" + RIGHT,
        "import torch\n\n%timeit -n 1 torch.ones(3)\nif True:\n    !pip --version\n\ntorch.ones?\nfiles = !ls\n%time one = 1\nassert one\n" + RIGHT,
        "text = \"\"\"\n%time\n!text\n\"\"\"\nassert '!text' in text and (7\n% 4) == 3\n" + RIGHT,
        "display(1)\n" + RIGHT,
        "assert __name__ == '__main__'\n" + RIGHT,
    ],
)
def test_what_jupyter_understands_is_no_obstacle(check, cell):
    assert check("%%bash\ndef places(: a shell's own", cell) == PASSED


INDENTED = RIGHT.replace("\n", "\n    ")


@pytest.mark.parametrize(
    "cell",
    [
        f"if __name__ == '__main__':\n    {INDENTED}",
        f"try:\n    {INDENTED}\nexcept ValueError:\n    pass",
        f"import torch\nwith torch.no_grad():\n    {INDENTED}",
        "places, other = (lambda times: times.argsort(1).argsort(1) + 1), 2",
        "places: object = lambda times: times.argsort(1).argsort(1) + 1",
        "(places := lambda times: times.argsort(1).argsort(1) + 1)",
        f"def make():\n    {INDENTED}\n    return places\n\nplaces = make()",
        "from mine import places",
        f"import torch\n@torch.no_grad()\n{RIGHT}",
        f"@staticmethod\n{RIGHT}",
        f"class Answers:\n    @staticmethod\n    {INDENTED}\n\nplaces = Answers.places",
        "class Places:\n    def __call__(self, times):\n        return times.argsort(1).argsort(1) + 1\n\nplaces = Places()",
        "from functools import partial\ndef ranks(first, times):\n    return times.argsort(1).argsort(1) + first\n\nplaces = partial(ranks, 1)",
        "import torch\n@torch.jit.script\n" + RIGHT.replace("(times)", "(times: torch.Tensor)", 1),
    ],
)
def test_a_function_is_found_however_it_is_made(check, tmp_path, monkeypatch, cell):
    (tmp_path / "mine.py").write_text(RIGHT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert check(cell) == PASSED


@pytest.mark.parametrize(
    "cell, sentence",
    [
        (RIGHT + "\nexit()", "cell 1 fails, SystemExit"),
        (RIGHT + "\nimport sys\nsys.exit(0)", "cell 1 fails, SystemExit: 0"),
        (RIGHT + "\nraise KeyboardInterrupt", "cell 1 fails, KeyboardInterrupt"),
        ("def places(times):\n    quit()", "ends Python"),
        ("import sys\ndef places(times):\n    sys.exit(0)", "ends Python"),
        ("if False:\n    " + INDENTED, "cell 1 speaks of places, but has not defined it when it ends"),
    ],
)
def test_an_answer_that_ends_python_is_not_right(check, cell, sentence):
    code, told = check(cell)
    assert code == 1 and sentence in told and len(told.splitlines()) == 1


def test_each_function_has_its_source(check):
    lines = "import inspect\nassert 'argsort' in inspect.getsource(places)"
    assert check(RIGHT, f"{lines}\nplaces = places") == PASSED


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
    assert find("ps0") == TOP / "exercises/ps0/ps0.ipynb"  # the course's own is a stub
    left_behind = "import subprocess, time\nsubprocess.Popen(['sleep', '1000'])\ntime.sleep(1.5)"  # keeps what it inherits open
    write(tmp_path / "work/exercises/ps0/ps0.ipynb", left_behind, RIGHT)
    assert minimim(["check", "ps0.3", "--timeout", "1"]) == 0  # of computing; waiting is not
    assert capsys.readouterr().out == PASSED[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "cells, code, sentence",
    [
        (["def places(times):\n    while True:\n        try:\n            pass\n        except BaseException:\n            pass"], 1, "stopped after 1 s"),
        ([RIGHT + "\nimport time\ntime.sleep(1000)"], 1, "stopped after 1 s"),
        (["import os\ndef places(times):\n    os._exit(0)"], 2, "Python ended while it ran"),
    ],
)
def test_what_hangs_is_stopped_and_what_ends_python_is_told(tmp_path, capsys, cells, code, sentence):
    path = write(tmp_path / "mine.ipynb", *cells)
    assert minimim(["check", "ps0.3", "--notebook", str(path), "--timeout", "1"]) == code
    told = capsys.readouterr()
    assert sentence in told.out + told.err and "Traceback" not in told.out + told.err
    assert "right" not in told.out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="asks after a process")
def test_ctrl_c_ends_it_with_a_sentence_and_ends_the_answer_too(tmp_path, capsys):
    here = tmp_path / "runs"
    path = write(tmp_path / "mine.ipynb", f"import os\nopen({str(here)!r}, 'w').write(str(os.getpid()))\nwhile True:\n    pass", RIGHT)

    def press():
        while not here.is_file() or not here.read_text():
            time.sleep(0.1)
        _thread.interrupt_main()

    threading.Thread(target=press, daemon=True).start()
    assert minimim(["check", "ps0.3", "--notebook", str(path)]) == 130
    assert capsys.readouterr() == ("\nps0.3: stopped by Ctrl-C\n", "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(here.read_text()), 0)
