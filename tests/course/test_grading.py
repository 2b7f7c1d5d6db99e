"""What people hand in is graded as it deserves: a class, graded once, and looked at from all sides.

Each test works for whatever sets there are in solutions/."""

import csv
import subprocess
import sys

import nbformat
import pytest
from sets import (
    GRADED,
    answers,
    automatic,
    course,
    first_answer,
    hand_in,
    handed_in,
    mark,
    mending,
    problem_sets,
    read,
    run,
    tasks,
    twin,
)

SECONDS = 15  # a cell, where something hangs; a busy machine needs some for the others
FIRST = GRADED[0]

HANGS = """


def {function}(*args, **more):
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            print("you cannot stop this")"""

WARNS = """

right = {function}


def {function}(*args, **more):
    import warnings

    warnings.warn("an old way to write this")
    return right(*args, **more)"""

REPLACES = """import builtins
import sys
import time
import types

torch.equal = lambda *given: True
torch.Tensor.tolist = lambda self: []
builtins.abs = lambda x: 0
sum = 3
sys.modules["torch.testing"] = types.ModuleType("mine")
get_ipython().input_transformers_cleanup.append(lambda lines: ["pass"])"""


def tampered(name):
    """Stubs, with tests made worthless in every way a notebook allows."""
    notebook = read("exercises", name)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("def check(*given):\n    pass"))
    ways = [
        lambda cell: cell.update(source="pass"),
        lambda cell: cell.update(source="1000"),
        lambda cell: cell.metadata.pop("nbgrader"),
        lambda cell: mark(cell).update(points=100, locked=False, solution=True),
        lambda cell: mark(cell).update(grade_id="another"),
        lambda cell: cell.update(source=f"try:\n    {cell.source.splitlines()[-1]}\nexcept Exception:\n    pass"),
        lambda cell: cell.metadata.update(tags=["skip-execution"]),
    ]
    for number, cell in enumerate(automatic(notebook)):
        ways[number % len(ways)](cell)
    return notebook


def odd(name):
    """Right, but: the first task does not end and cannot be interrupted, the second warns, tests are deleted, copied and in
    another order, and what they stand on is replaced."""
    notebook = answers(name)
    cell, function = first_answer(notebook, name)
    cell.source += HANGS.format(function=function)
    second = tasks(name)[1].function
    other = next(c for c in notebook.cells if c.cell_type == "code" and f"def {second}(" in c.source)
    other.source += WARNS.format(function=second)
    place = notebook.cells.index(cell)
    notebook.cells.insert(place, nbformat.v4.new_code_cell(REPLACES))
    tests = automatic(notebook)
    notebook.cells.remove(tests[-1])
    notebook.cells.insert(notebook.cells.index(tests[-2]), twin(tests[-2]))
    at = notebook.cells.index(tests[0])
    notebook.cells[at : at + 2] = notebook.cells[at + 1], notebook.cells[at]
    return notebook


def dies(name):
    """Ends Python in a cell of its own, and in the first answer."""
    notebook = answers(name)
    cell, function = first_answer(notebook, name)
    cell.source += f"\n\n\ndef {function}(*given, **named):\n    os._exit(1)"
    notebook.cells.insert(3, nbformat.v4.new_code_cell("import os\nos._exit(1)"))
    cell.source = "import os\n" + cell.source
    return notebook


PLACES = ["{0} (1).ipynb", "{0}/{0}.ipynb", "sub/folder/{0}.ipynb", "{0}.ipynb"]  # where the right answers lie, one set each


@pytest.fixture(scope="module")
def grades(tmp_path_factory):
    """A class has handed in, and was graded in one go: ({(student, set): line of grades.csv}, what was printed, the folder)."""
    folder = tmp_path_factory.mktemp("class")
    course(folder, SECONDS)
    for number, name in enumerate(GRADED):
        hand_in(folder / "in" / "right+[x]" / PLACES[number % 4].format(name), answers(name))
    hand_in(folder / "in" / "1234" / f"{FIRST}.ipynb", tampered(FIRST))
    for make in (odd, dies):
        hand_in(folder / "in" / make.__name__ / FIRST / f"{FIRST}.ipynb", make(FIRST))
    (folder / "in" / "letter").mkdir()
    (folder / "in" / "letter" / f"{FIRST}.ipynb").write_text("a letter instead of a notebook")
    (folder / "in" / "notes.txt").write_text("not a student")
    command = [sys.executable, "scripts/problem_sets.py", "grade", "in"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not done.stderr, done.stdout + done.stderr
    with open(folder / "grading" / "grades.csv", newline="") as file:
        rows = {(row["student"], row["problem_set"]): row for row in csv.DictReader(file)}
    return rows, done.stdout, folder


@pytest.mark.slow
@pytest.mark.parametrize("name", GRADED)
def test_each_solution_earns_full_points_and_a_page_of_feedback(grades, name):
    rows, told, folder = grades
    row = rows["right+[x]", name]
    assert (row["total"], row["of"], row["by_hand"]) == ("14", "20", "6"), row["remarks"]
    assert sum(float(row[task.name]) for task in tasks(name)) == 14
    assert "<html" in (folder / "grading" / row["feedback"]).read_text()
    assert f"right+[x] {name}: 14 of 20, 6 more to give by hand" in told
    place = PLACES[GRADED.index(name) % 4].format(name)
    taken = [] if place in (f"{name}.ipynb", f"{name}/{name}.ipynb") else [f"{place} is taken as {name}"]
    remarks = [*taken, f"nbgrader knows this student as {handed_in.known_as('right+[x]')}"]
    assert row["remarks"] == "; ".join(remarks) and all(f"right+[x]: {remark}\n" in told for remark in remarks)


@pytest.mark.slow
def test_worthless_tests_earn_nothing_and_are_told(grades):
    row = grades[0]["1234", FIRST]
    assert (row["total"], row["by_hand"]) == ("0", "0")
    assert "changed cells of the set, put back" in row["remarks"] and "points or kind of cells changed, put back" in row["remarks"]


@pytest.mark.parametrize("name", GRADED)
def test_after_mending_every_worthless_test_fails(name):
    notebook = tampered(name)
    changed, marks = mending.mend(notebook, read("exercises", name), read("solutions", name))
    assert changed.startswith("changed cells of the set") and marks.startswith("points or kind of cells changed")
    failed = [cell.id for cell, _ in run(notebook)[1]]
    assert [cell.source for cell in automatic(notebook)] == [cell.source for cell in automatic(read("solutions", name))]
    assert all(cell.id in failed for cell in automatic(notebook))


@pytest.mark.slow
def test_what_hangs_costs_its_task_alone(grades):
    row = grades[0]["odd", FIRST]
    task = tasks(FIRST)[0]
    missed = sum(problem_sets.points(c) for c in automatic(read("solutions", FIRST)) if problem_sets.task_of(mark(c)["grade_id"]) == task.name)
    assert missed > 0 and float(row[task.name]) == 0 and float(row["total"]) == 14 - missed
    assert f"stopped after {SECONDS} s, and left out: {task.name}" in row["remarks"].split("; ")


@pytest.mark.slow
def test_what_ends_python_costs_its_task_alone(grades):
    row = grades[0]["dies", FIRST]
    task = tasks(FIRST)[0]
    missed = sum(problem_sets.points(c) for c in automatic(read("solutions", FIRST)) if problem_sets.task_of(mark(c)["grade_id"]) == task.name)
    assert float(row[task.name]) == 0 and float(row["total"]) == 14 - missed
    assert row["remarks"] == f"ended Python (os._exit, or too little memory), and left out: a cell of its own, {task.name}"


@pytest.mark.slow
def test_what_was_put_back_is_told(grades):
    remarks = grades[0]["odd", FIRST]["remarks"].split("; ")
    tests = [mark(cell)["grade_id"] for cell in automatic(read("solutions", FIRST))]
    for remark in (
        f"missing cells of the set, put back as handed out: {tests[-1]}",
        f"copies of cells of the set, of which the last counts: {tests[-2]}",
        f"cells out of their order, put back: {tests[0]}",
    ):
        assert remark in remarks
    (replaced,) = [remark for remark in remarks if remark.startswith("replaced by the submission, and put back for the tests: ")]
    assert set(replaced.partition(": ")[2].split(", ")) >= {"torch.equal", "torch.Tensor.tolist", "abs", "the module torch.testing"}
    assert "how IPython reads a cell" in replaced


@pytest.mark.slow
def test_what_cannot_be_graded_is_told_and_stops_nobody(grades):
    rows, told, _ = grades
    assert "is not a notebook" in rows["letter", FIRST]["remarks"] and rows["letter", FIRST]["total"] == "0"
    assert len(rows) == len(GRADED) + 4 and "grades.csv: " in told.splitlines()[-1]
    assert "notes.txt: not taken, it lies in no student's folder" in told.splitlines()
