"""The problem sets as they are handed out: the exercises are what the solutions give, and a learner can work with them.

Each test works for whatever sets there are in solutions/."""

import ast
import copy
import re
import subprocess
import sys

import matplotlib
import pytest
from helpers import TOP
from sets import GRADED, SETS, automatic, by_hand, course, mark, problem_sets, read, run, tasks

from minimim.feedback.check import WrongAnswer, examine

matplotlib.use("Agg")


@pytest.mark.slow
def test_exercises_are_byte_for_byte_what_solutions_generate(tmp_path):
    course(tmp_path)
    subprocess.run([sys.executable, "scripts/problem_sets.py", "generate"], cwd=tmp_path, check=True, capture_output=True)
    made, kept = files(tmp_path / "exercises"), files(TOP / "exercises")
    assert made.keys() == kept.keys()
    for path in made:
        assert made[path] == kept[path], f"exercises/{path} is not what solutions/ gives: make exercises"


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
            task.adapt(space[task.function])(**copy.deepcopy(arguments))
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
        (check,) = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and re.search(rf'(check|use)\("{task.name}"', cell.source)]
        assert any(re.search(rf"^(def|class) {task.function}\b", cell.source, re.MULTILINE) for cell in cells[:check])
        hints = re.findall(r"<details><summary>[^\n]*</summary>\n\n(.*?)\n\n</details>", cells[check + 1].source, re.DOTALL)
        assert len(hints) == 3, f"{task.name}: three folded hints below the check"
        assert re.search(r"`[^`]*[(=<>\[][^`]*`", hints[2]), f"{task.name}: the third hint is nearly the line of code"


@pytest.mark.parametrize("part, name", [(part, name) for part in ("solutions", "exercises") for name in SETS])
def test_no_sentence_stands_twice_in_a_text(part, name):
    for cell in read(part, name).cells:
        if cell.cell_type == "markdown":
            sentences = [" ".join(text.split()) for text in re.split(r"(?<=[.;:])\s", cell.source)]
            long = [text for text in sentences if len(text) > 20]
            assert len(set(long)) == len(long), f"{cell.id}: {max(long, key=long.count)}"


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
                said = " ".join(texts(cell.source, node.msg))
                assert len(said.split()) >= 5, f"{cell.id}, line {node.lineno}: {said!r} is no sentence"


def texts(source, node):
    """The fixed text of a message, wherever it was put together: in place, or in a variable of the cell."""
    for part in ast.walk(node) if node else ():
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
        if isinstance(part, ast.Name):
            for made in ast.walk(ast.parse(source)):
                targets = made.targets if isinstance(made, ast.Assign) else [getattr(made, "target", None)]
                if any(isinstance(n, ast.Name) and n.id == part.id for target in targets if target for n in ast.walk(target)):
                    yield from texts("", made.value if isinstance(made, ast.Assign) else getattr(made, "iter", None))
