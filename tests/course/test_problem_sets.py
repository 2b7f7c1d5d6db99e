"""The problem sets: the exercises are what the solutions give, and what people hand in is graded as it deserves.

Each test works for whatever sets there are in solutions/."""

import ast
import copy
import csv
import importlib.util
import re
import shutil
import subprocess
import sys

import matplotlib
import nbformat
import pytest
from helpers import TOP

from minimim import feedback
from minimim.feedback.check import WrongAnswer, examine
from minimim.feedback.notebook import plain

matplotlib.use("Agg")
spec = importlib.util.spec_from_file_location("problem_sets", TOP / "scripts" / "problem_sets.py")
problem_sets = importlib.util.module_from_spec(spec)
sys.modules["problem_sets"] = problem_sets
spec.loader.exec_module(problem_sets)

SETS = sorted(path.name for path in (TOP / "solutions").iterdir() if path.is_dir())
GRADED = [name for name in SETS if name != "ps0"]
SECONDS = 45  # a cell, where something hangs; a busy machine needs some to import torch


def read(part, name):
    return nbformat.read(TOP / part / name / f"{name}.ipynb", as_version=4)


def mark(cell):
    return cell.metadata.get("nbgrader", {})


def automatic(notebook):
    """The cells with tests that give points."""
    return [cell for cell in notebook.cells if mark(cell).get("grade") and not mark(cell).get("solution")]


def by_hand(notebook):
    """The cells whose points a reader gives."""
    return [cell for cell in notebook.cells if mark(cell).get("task") or (mark(cell).get("grade") and mark(cell).get("solution"))]


def tasks(name):
    return [task for task in feedback.tasks().values() if task.name.startswith(f"{name}.")]


def run(notebook):
    """Run all code cells in one namespace: (the namespace, [(cell, error)])."""
    space, failed = {"__name__": "answers"}, []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            try:
                exec(compile(plain(cell.source), cell.id, "exec"), space)  # noqa: S102
            except Exception as error:  # noqa: BLE001
                failed.append((cell, error))
    return space, failed


# what is handed out


@pytest.mark.slow
def test_exercises_are_byte_for_byte_what_solutions_generate(tmp_path):
    course(tmp_path)
    subprocess.run([sys.executable, "scripts/problem_sets.py", "generate"], cwd=tmp_path, check=True, capture_output=True)
    made, kept = files(tmp_path / "exercises"), files(TOP / "exercises")
    assert made.keys() == kept.keys()
    for path in made:
        assert made[path] == kept[path], f"exercises/{path} is not what solutions/ gives: make exercises"


def course(folder, seconds=None):
    """What the machinery needs, in another place."""
    shutil.copytree(TOP / "solutions", folder / "solutions")
    shutil.copytree(TOP / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    config = (TOP / "nbgrader_config.py").read_text()
    (folder / "nbgrader_config.py").write_text(config + (f"\nc.Execute.timeout = {seconds}\n" if seconds else ""))


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".ipynb_" not in str(path)}


@pytest.mark.parametrize("name", SETS)
def test_a_learner_gets_every_cell_and_no_answer(name):
    given, whole = read("exercises", name), read("solutions", name)
    assert [cell.id for cell in given.cells] == [cell.id for cell in whole.cells] and len({c.id for c in given.cells}) == len(given.cells)
    assert "solutions/" in given.metadata["minimim"]["source"]
    for mine, theirs in zip(given.cells, whole.cells, strict=True):
        assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN)", mine.source)
        assert not mine.get("outputs") and not mine.get("execution_count")
        if not mark(theirs).get("solution") and "HIDDEN TESTS" not in theirs.source:
            assert mine.source == theirs.source
        if mark(theirs).get("solution"):
            assert ("raise NotImplementedError  # your code here" if mine.cell_type == "code" else "*Write your answer here.*") in mine.source


@pytest.mark.parametrize("name", SETS)
def test_every_stub_fails_with_not_implemented_and_nothing_fails_before_it(name):
    notebook = read("exercises", name)
    space, failed = run(notebook)
    for cell, error in failed:
        waits = isinstance(error, NotImplementedError) or (isinstance(error, WrongAnswer) and "is not written yet" in str(error))
        assert waits, f"{cell.id} fails with {type(error).__name__}: {error}"
    assert tasks(name)
    for task in tasks(name):
        _, arguments = next(iter(task.cases()))
        with pytest.raises(NotImplementedError):
            space[task.function](**copy.deepcopy(arguments))
        with pytest.raises(WrongAnswer, match=f"{task.function} is not written yet"):
            examine(task, space[task.function])


@pytest.mark.parametrize("name", SETS)
def test_each_solution_passes_everything_that_is_asked(name):
    _, failed = run(read("solutions", name))
    assert not failed, [(cell.id, error) for cell, error in failed]


@pytest.mark.parametrize("name", SETS)
def test_each_task_has_a_stub_a_check_and_three_hints_in_this_order(name):
    cells = read("exercises", name).cells
    for task in tasks(name):
        (check,) = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and f'check("{task.name}"' in cell.source]
        assert any(re.search(rf"^(def|class) {task.function}\b", cell.source, re.MULTILINE) for cell in cells[:check])
        hints = re.findall(r"<details><summary>[^\n]*</summary>\n\n(.*?)\n\n</details>", cells[check + 1].source, re.DOTALL)
        assert len(hints) == 3, f"{task.name}: three folded hints below the check"
        assert re.search(r"`[^`]*[(=<>\[][^`]*`", hints[2]), f"{task.name}: the third hint is nearly the line of code"


@pytest.mark.parametrize("name", GRADED)
def test_a_set_has_20_points_and_6_of_them_by_hand(name):
    for notebook in (read("solutions", name), read("exercises", name)):
        assert sum(problem_sets.points(cell) for cell in automatic(notebook)) == 14
        assert sum(problem_sets.points(cell) for cell in by_hand(notebook)) == 6


@pytest.mark.parametrize("name", GRADED)
def test_each_behaviour_has_a_cell_of_its_own_that_says_which_and_keeps_a_visible_line(name):
    cells = automatic(read("solutions", name))
    assert all(re.fullmatch(rf"{name}\.\w+", problem_sets.task_of(mark(cell)["grade_id"])) for cell in cells)
    said = [cell.source.splitlines()[0] for cell in cells]
    assert len(set(said)) == len(cells) and all(re.match(r"# .*\w{3}", line) for line in said)
    for cell in cells:
        assert problem_sets.points(cell) <= 2, "one behaviour a cell"
        hidden, visible = re.search(r"### BEGIN HIDDEN TESTS\n.+\n### END HIDDEN TESTS", cell.source, re.DOTALL), cell.source
        assert hidden, f"{cell.id} has no hidden tests"
        visible = [line for line in visible.replace(hidden[0], "").splitlines() if line.strip() and not line.startswith("#")]
        assert any("assert" in line or "check(" in line for line in visible), f"{cell.id} would be empty when handed out"


@pytest.mark.parametrize("name", GRADED)
def test_every_graded_assertion_says_a_sentence(name):
    for cell in automatic(read("solutions", name)):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Assert):
                said = "".join(texts(cell.source, node.msg))
                assert len(said.split()) >= 5, f"{cell.id}, line {node.lineno}: {said!r} is no sentence"


def texts(source, node):
    """The fixed text of a message, wherever it was put together: in place, or in a variable just above."""
    if isinstance(node, ast.Name):
        given = [n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == node.id]
        return texts(source, given[-1])
    return [part.value if isinstance(part, ast.Constant) else "…" for part in getattr(node, "values", [node]) if part]


# what is handed in

HANGS = """

def {function}(*args, **more):
    if not hasattr({function}, "called"):
        {function}.called = True
        while True:
            pass
    raise ValueError("a second time")"""

WARNS = """

right = {function}


def {function}(*args, **more):
    import warnings

    warnings.warn("an old way to write this")
    return right(*args, **more)"""

def answers(notebook):
    """The solution as somebody would hand it in: without the hidden tests."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        cell.source = re.sub(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", "", cell.source, flags=re.DOTALL)
    return notebook


def first_answer(notebook, name):
    """The cell with the function of the first task, and that function's name."""
    function = tasks(name)[0].function
    return next(c for c in notebook.cells if c.cell_type == "code" and f"def {function}(" in c.source), function


def emptied(name):
    """Stubs, with all tests taken out."""
    notebook = read("exercises", name)
    for cell in automatic(notebook):
        cell.source = "pass"
    return notebook


def tampered(name):
    """Stubs, with tests made worthless in every way a notebook allows."""
    notebook = read("exercises", name)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("def check(*given):\n    pass"))
    ways = [
        lambda cell: cell.update(source="1000"),
        lambda cell: cell.metadata.pop("nbgrader"),
        lambda cell: mark(cell).update(points=100, locked=False, solution=True),
        lambda cell: mark(cell).update(grade_id="another"),
        lambda cell: cell.update(source=f"try:\n    {cell.source.splitlines()[-1]}\nexcept Exception:\n    pass"),
    ]
    for number, cell in enumerate(automatic(notebook)):
        ways[number % len(ways)](cell)
    return notebook


def hangs(name):
    """Right, but for the first task, which does not end."""
    notebook = answers(read("solutions", name))
    cell, function = first_answer(notebook, name)
    cell.source += HANGS.format(function=function)
    return notebook


def lost(name):
    """Right, with a warning from the first task, two tests deleted, and one cell copied as an accident."""
    notebook = answers(read("solutions", name))
    cell, function = first_answer(notebook, name)
    cell.source += WARNS.format(function=function)
    gone = [automatic(notebook)[0], automatic(notebook)[-1]]
    twice = copy.deepcopy(automatic(notebook)[1])
    twice["id"] = "copied"
    notebook.cells = [*(c for c in notebook.cells if c not in gone), twice]
    return notebook


def dies(name):
    """Ends Python in the middle."""
    notebook = answers(read("solutions", name))
    notebook.cells.insert(3, nbformat.v4.new_code_cell("import os\nos._exit(1)"))
    return notebook


@pytest.fixture(scope="module")
def grades(tmp_path_factory):
    """A class has handed in, and was graded in one go: ({(student, set): line of grades.csv}, what was printed, the folder)."""
    folder = tmp_path_factory.mktemp("class")
    course(folder, SECONDS)
    for name in GRADED:
        hand_in(folder / "in" / "right" / f"{name}.ipynb", answers(read("solutions", name)))
        hand_in(folder / "in" / "emptied" / f"{name}.ipynb", emptied(name))
    first = GRADED[0]
    for make in (tampered, hangs, lost, dies):
        hand_in(folder / "in" / make.__name__ / first / f"{first}.ipynb", make(first))
    (folder / "in" / "1234").mkdir()
    (folder / "in" / "1234" / f"{first}.ipynb").write_text("a letter instead of a notebook")
    (folder / "in" / "notes.txt").write_text("not a student")
    command = [sys.executable, "scripts/problem_sets.py", "grade", "in"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not done.stderr, done.stdout + done.stderr
    with open(folder / "grading" / "grades.csv", newline="") as file:
        rows = {(row["student"], row["problem_set"]): row for row in csv.DictReader(file)}
    return rows, done.stdout, folder


def hand_in(path, notebook):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


@pytest.mark.slow
@pytest.mark.parametrize("name", GRADED)
def test_each_solution_earns_full_points_and_a_page_of_feedback(grades, name):
    rows, told, folder = grades
    row = rows["right", name]
    assert (row["total"], row["of"], row["by_hand"], row["remarks"]) == ("14", "20", "6", "")
    assert sum(float(row[task.name]) for task in tasks(name)) == 14
    assert "<html" in (folder / "grading" / row["feedback"]).read_text()
    assert f"right {name}: 14 of 20, 6 more to give by hand" in told


@pytest.mark.slow
@pytest.mark.parametrize("name", GRADED)
def test_emptied_tests_earn_nothing(grades, name):
    row = grades[0]["emptied", name]
    assert (row["total"], row["by_hand"]) == ("0", "0")


@pytest.mark.slow
def test_tampered_tests_earn_nothing(grades):
    assert grades[0]["tampered", GRADED[0]]["total"] == "0"


@pytest.mark.slow
def test_what_hangs_is_stopped_and_the_rest_is_graded(grades):
    row = grades[0]["hangs", GRADED[0]]
    task = tasks(GRADED[0])[0]
    missed = sum(problem_sets.points(c) for c in automatic(read("solutions", GRADED[0])) if problem_sets.task_of(mark(c)["grade_id"]) == task.name)
    assert missed > 0 and float(row[task.name]) == 0 and float(row["total"]) == 14 - missed
    assert row["remarks"] == f"cells stopped after {SECONDS} s: 1"


@pytest.mark.slow
def test_lost_tests_come_back_and_a_warning_costs_nothing(grades):
    row = grades[0]["lost", GRADED[0]]
    assert row["total"] == "14"
    gone = [mark(cell)["grade_id"] for cell in automatic(read("solutions", GRADED[0]))]
    assert row["remarks"] == f"missing cells of the set, put back as handed out: {gone[0]}, {gone[-1]}"


@pytest.mark.slow
def test_what_cannot_be_graded_is_told_and_stops_nobody(grades):
    rows, told, _ = grades
    first = GRADED[0]
    assert "is not a notebook" in rows["1234", first]["remarks"] and rows["1234", first]["total"] == "0"
    assert "not graded: " in rows["dies", first]["remarks"] and "Kernel died" in rows["dies", first]["remarks"]
    assert rows["dies", first]["feedback"] == ""
    assert len(rows) == 2 * len(GRADED) + 5 and "grades.csv: " in told.splitlines()[-1]


# the pieces


def test_lost_cells_return_to_their_places_and_marks_are_the_sets_own():
    release = read("exercises", GRADED[0])
    names = [problem_sets.grade_id(cell) for cell in release.cells if problem_sets.grade_id(cell)]
    for gone in ({0}, {len(names) - 1}, {1, 2, 3}, set(range(len(names)))):
        notebook = copy.deepcopy(release)
        dropped = [names[i] for i in gone]
        notebook.cells = [cell for cell in notebook.cells if problem_sets.grade_id(cell) not in dropped]
        for cell in notebook.cells:
            mark(cell).pop("checksum", None)
        assert problem_sets.mend(notebook, release) == [names[i] for i in sorted(gone)]
        assert [problem_sets.grade_id(cell) for cell in notebook.cells if problem_sets.grade_id(cell)] == names
        assert all("checksum" in mark(cell) for cell in notebook.cells if mark(cell))


def test_a_folder_without_submissions_gets_one_sentence(tmp_path, monkeypatch):
    course(tmp_path)
    monkeypatch.chdir(tmp_path)
    for folder, sentence in (("", "which submissions"), ("nowhere", "no folder nowhere"), ("scripts", "STUDENT/psK")):
        with pytest.raises(problem_sets.Mistake, match=sentence):
            problem_sets.grade(folder)
