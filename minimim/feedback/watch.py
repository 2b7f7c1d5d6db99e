"""Watches the kernel in which a submission is graded: what the tests stand on is put back before each test, and told.

An IPython extension, loaded before the first cell. It stops mistakes and plain tricks; code in the same process can always
get around it. What it sees goes line by line into the file WATCH_NOTES: ["runs", cell] or ["replaced", name]."""

import ast
import builtins
import inspect
import json
import os
import sys

import torch

from minimim import feedback
from minimim.feedback.notebook import defined

MODULES = ("builtins", "copy", "einops", "math", "torch", "torch.linalg", "torch.nn", "torch.nn.functional", "torch.testing")
CLASSES = (torch.Tensor, torch.Generator, torch.nn.Module)
GIVEN = {"_", "input"}  # of the builtins, IPython sets these anew for each cell
SHOWN = {"__repr__", "__str__", "__format__", "__doc__"}  # how a thing looks is a learner's own business
MISSING = object()


def load_ipython_extension(shell) -> None:
    """What IPython calls. WATCH_SET names the notebook with the set's cells, hidden tests included."""
    feedback.tasks()  # its modules are watched too
    with open(os.environ["WATCH_SET"], encoding="utf-8") as file:
        cells = [cell for cell in json.load(file)["cells"] if cell["cell_type"] == "code"]
    marks = [("".join(cell["source"]), cell["metadata"].get("nbgrader", {})) for cell in cells]
    locked = [(source, mark["grade"]) for source, mark in marks if mark.get("locked")]
    watch = Watch(shell, {source for source, grade in locked if grade}, {source for source, grade in locked if not grade})
    shell.events.register("pre_run_cell", watch.before)
    shell.events.register("post_run_cell", watch.after)


class Watch:
    """tests, set_up: the sources of the cells with points, and of the other cells of the set."""

    def __init__(self, shell, tests: set[str], set_up: set[str]):
        self.shell, self.tests, self.set_up = shell, tests, set_up
        self.names = {name: value for name, value in vars(builtins).items() if name not in shell.user_ns}
        self.kept = None
        self.taken = {}

    def note(self, kind: str, text: str) -> None:
        """Write a line, at once: the kernel may not live long."""
        with open(os.environ["WATCH_NOTES"], "a", encoding="utf-8") as file:
            file.write(json.dumps([kind, text]) + "\n")

    def before(self, info) -> None:
        """Put back what a cell of the set stands on."""
        self.note("runs", info.raw_cell)
        if self.kept is None:  # nothing of the submission has run
            self.kept = {(id(owner), name): (owner, label, name, value) for owner, label, name, value in everything()}
            self.transforms = [(part, list(part)) for part in transformers(self.shell)]
        if info.raw_cell in self.tests | self.set_up:
            self.put_back()
        if info.raw_cell in self.tests:
            space = self.shell.user_ns
            known = [name for name in words(info.raw_cell) if name in space and name in self.names]
            self.taken = {name: space[name] for name in known if space[name] is not self.names[name]}
            for name in self.taken:
                self.note("replaced", name)
                space[name] = self.names[name]

    def after(self, result) -> None:
        """Give the submission its own names back; what the set-up has defined is from now on the set's."""
        for part, whole in self.transforms:  # after each cell, as the next one is changed before it is announced
            if part != whole:
                self.note("replaced", "how IPython reads a cell")
                part[:] = whole
        if result.info.raw_cell in self.set_up:
            space = self.shell.user_ns
            self.names |= {name: space[name] for name in defined(result.info.raw_cell) if name in space}
        if result.info.raw_cell in self.tests:
            self.put_back()
            self.shell.user_ns.update(self.taken)
            self.taken = {}

    def put_back(self) -> None:
        """Put back each function and class that is another by now."""
        for owner, label, name, value in self.kept.values():
            now = owner.get(name, MISSING) if isinstance(owner, dict) else inspect.getattr_static(owner, name, MISSING)
            if now is not value and not wrapped_by_torch(now, value):
                self.note("replaced", f"{label}{name}")
                if isinstance(owner, dict):
                    owner[name] = value
                elif name in vars(owner) and any(name in vars(base) and vars(base)[name] is value for base in owner.__mro__[1:]):
                    delattr(owner, name)  # it hid that of the class above
                else:
                    setattr(owner, name, value)


def wrapped_by_torch(now, before) -> bool:
    """Whether PyTorch itself has put a function around another, as its compiler does when it is loaded."""
    code = getattr(now, "__code__", None)
    inside = code is not None and code.co_filename.startswith(os.path.dirname(torch.__file__))
    return inside and inspect.unwrap(now, stop=lambda function: function is before) is before


def everything():
    """(owner, its name, name, value) of every function and class that tests may call. The owner of what a module holds is its
    dict."""
    modules = [name for name in sys.modules if name in MODULES or name.partition(".")[0] == "minimim"]
    for name in modules:
        yield sys.modules, "the module ", name, sys.modules[name]
        space = vars(sys.modules[name])
        label = "" if name == "builtins" else f"{name}."
        yield from ((space, label, key, value) for key, value in space.items() if callable(value) and key not in GIVEN)
    for owner in CLASSES:
        label = f"{owner.__module__}.{owner.__qualname__}."
        for name in set(dir(owner)) - SHOWN:
            value = inspect.getattr_static(owner, name)
            if callable(value) or inspect.isdatadescriptor(value):
                yield owner, label, name, value


def transformers(shell) -> list[list]:
    """The lists of what changes a cell's code before it is run."""
    return [shell.input_transformers_cleanup, shell.input_transformers_post, shell.ast_transformers]


def words(source: str) -> set[str]:
    """The names that a cell speaks of and does not define."""
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)} - defined(source)
