"""What the graded cells of a problem set give for an answer, and what a lesson defines that could be handed in as one."""

import ast
import json
from contextlib import suppress
from pathlib import Path

from helpers import TOP


class Graded:
    """The graded cells of solutions/SET. tasks: name → Task; home: the module that answers are written in."""

    def __init__(self, name: str, tasks: dict, home: str):
        cells = json.loads((TOP / f"solutions/{name}/{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        self.marked = [(cell, cell["metadata"]["nbgrader"]) for cell in cells if "nbgrader" in cell["metadata"]]
        self.cells = [("".join(cell["source"]), mark) for cell, mark in self.marked if mark["grade"] and cell["cell_type"] == "code"]
        self.set_up = next("".join(cell["source"]) for cell, mark in self.marked if mark["grade_id"] == f"{name}-setup")
        self.tasks, self.home = tasks, home

    def of(self, name: str) -> list:
        """The graded cells of a task, (source, mark) each."""
        return [(source, mark) for source, mark in self.cells if mark["grade_id"].startswith(name.replace(".", "-") + "-")]

    def full(self, name: str) -> int:
        """What a task can give."""
        return sum(mark["points"] for _, mark in self.of(name))

    def earned(self, name: str, answer):
        """What each graded cell of a task gives for an answer, one after the other."""
        for source, mark in self.of(name):
            names = {"__name__": self.home}  # the cells ask for a function of their own module
            exec(self.set_up, names)  # noqa: S102
            names[self.tasks[name].function] = answer
            try:
                exec(source, names)  # noqa: S102
            except Exception:  # noqa: BLE001 (however a submission fails)
                yield 0
            else:
                yield mark["points"]

    def points(self, name: str, answer) -> int:
        """What an answer earns."""
        return sum(self.earned(name, answer))

    def loses(self, name: str, answer) -> bool:
        """Whether an answer loses a point."""
        return 0 in self.earned(name, answer)


def each(table: dict[str, list]) -> list[tuple]:
    """Every item with the name of its task."""
    return [(name, item) for name, items in table.items() for item in items]


def defined_in(path: Path) -> list:
    """The functions that a lesson defines, made outside of it."""
    names: dict = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            for node in ast.parse("".join(cell["source"])).body:
                if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef):
                    with suppress(NameError):  # a default that only the lesson has
                        exec(compile(ast.Module([node], []), path.name, "exec"), names)  # noqa: S102
    return [value for value in names.values() if callable(value) and getattr(value, "__globals__", None) is names]
