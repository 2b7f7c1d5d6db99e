"""The problem sets as tests see them: their cells, what is handed out and handed in, and the script that makes and grades them."""

import copy
import shutil
import sys

import nbformat
from helpers import TOP

from minimim import feedback
from minimim.feedback.notebook import plain

sys.path.append(str(TOP / "scripts"))
import class_report  # noqa: F401 (for the tests)
import handed_in  # noqa: F401
import mending  # noqa: F401
import problem_sets  # noqa: F401

SETS = sorted(path.name for path in (TOP / "solutions").iterdir() if path.is_dir())
GRADED = [name for name in SETS if name not in ("ps0", "build")]


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


def course(folder, seconds=None):
    """What the machinery needs, in another place."""
    shutil.copytree(TOP / "solutions", folder / "solutions")
    shutil.copytree(TOP / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    config = (TOP / "nbgrader_config.py").read_text()
    (folder / "nbgrader_config.py").write_text(config + (f"\nc.Execute.timeout = {seconds}\n" if seconds else ""))


def hand_in(path, notebook):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def answers(name):
    """The solution as somebody would hand it in: the exercise with its answers."""
    notebook = read("exercises", name)
    for cell, solved in zip(notebook.cells, read("solutions", name).cells, strict=True):
        if mark(cell).get("solution"):
            cell.source = solved.source
    return notebook


def first_answer(notebook, name):
    """The cell with the function of the first task, and that function's name."""
    function = tasks(name)[0].function
    return next(c for c in notebook.cells if c.cell_type == "code" and f"def {function}(" in c.source), function


def twin(cell):
    """The same cell once more."""
    cell = copy.deepcopy(cell)
    cell["id"] = "copied"
    return cell
