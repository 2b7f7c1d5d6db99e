"""What the graded cells of a problem set give for an answer, and what a lesson defines that could be handed in as one."""

import ast
import copy
import inspect
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from helpers import TOP
from torch import Tensor

from minimim.feedback.check import Task, WrongAnswer, examine


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
            names = self.names()
            names[self.tasks[name].function] = answer
            try:
                exec(source, names)  # noqa: S102
            except Exception:  # noqa: BLE001 (however a submission fails)
                yield 0
            else:
                yield mark["points"]

    def names(self, code: str = "") -> dict:
        """What is defined after the first cell of the set and a cell of the learner's own."""
        names = {"__name__": self.home}  # the graded cells ask for a function of their own module
        exec(self.set_up, names)  # noqa: S102
        exec(code, names)  # noqa: S102
        return names

    def lost(self, name: str, answer) -> set[str]:
        """The graded cells of a task in which an answer earns nothing."""
        return {mark["grade_id"] for (_, mark), earned in zip(self.of(name), self.earned(name, answer), strict=True) if not earned}

    def disagree(self, name: str, answer) -> str:
        """What the check and the graded cells say of an answer, where one accepts it and the other does not; else nothing."""
        said = refusal(self.tasks[name], answer)
        lost = self.lost(name, answer)
        return f"the check says {said or 'right'!r}, and lost are {lost or 'no cells'}" if bool(said) != bool(lost) else ""

    def points(self, name: str, answer) -> int:
        """What an answer earns."""
        return sum(self.earned(name, answer))

    def loses(self, name: str, answer) -> bool:
        """Whether an answer loses a point."""
        return 0 in self.earned(name, answer)


def refusal(task: Task, answer: Callable) -> str:
    """What the check says of a wrong answer; nothing where it accepts it."""
    try:
        examine(task, answer)
    except WrongAnswer as wrong:
        return str(wrong)
    return ""


def mistaken(task: Task) -> Iterable[tuple[str, Callable]]:
    """Each mistake in the table of a task: its words, and an answer that makes it wherever the mistake has something to say."""
    for words, mistake in task.mistakes.items():

        def answer(mistake=mistake, **arguments):
            try:
                return mistake(**copy.deepcopy(arguments))
            except Exception:  # noqa: BLE001 (this mistake says nothing of this input)
                return task.truth(**arguments)

        yield words, answer


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


def at_hand(*modules, lessons: str) -> Iterable[Callable]:
    """Every function of some modules, and of the lessons that a pattern names."""
    for module in modules:
        yield from [value for value in vars(module).values() if callable(value)]
    for path in sorted((TOP / "notebooks").glob(f"{lessons}_*.ipynb")):
        yield from defined_in(path)


def handed_on(function: Callable, home: str) -> Callable:
    """A function as if it had been written in the module `home`."""
    function = partial(function)
    function.__module__ = home
    return function


def mutants(task: Task, right: Callable, home: str) -> dict[str, Callable]:
    """A right answer spoilt in every way that has nothing to do with the task: words → answer.

    Some are right all the same (a batch that is turned round where all samples are alike): the check and the graded cells
    must agree on each.
    """
    arguments = task.trials[0].arguments
    tensors = [name for name, value in arguments.items() if isinstance(value, Tensor)]
    parts = task.trials[0].expected if isinstance(task.trials[0].expected, tuple) else (task.trials[0].expected,)

    def spoilt(before: Callable = lambda given: None, after: Callable = lambda parts: None) -> Callable:
        """before: changes the arguments by name; after: changes the list of results."""

        def answer(*given, **named):
            named = dict(inspect.signature(right).bind(*given, **named).arguments)
            kept = dict(named)
            before(named)
            result = right(**named)
            results = list(result) if isinstance(result, tuple | list) else [result]
            after(results, *[kept] * (after.__code__.co_argcount - 1))
            return tuple(results) if isinstance(result, tuple | list) else results[0]

        answer.__module__ = home
        return answer

    def floats(change: Callable, only: tuple[str, ...] | None = None) -> Callable:
        def before(given):
            for name in only or tensors:
                if given[name].is_floating_point():
                    given[name] = change(given[name])

        return before

    def refuse(condition: Callable) -> Callable:
        def before(given):
            if any(condition(given[name]) for name in tensors):
                raise ValueError("not for this input")

        return before

    def at(number: int, change: Callable) -> Callable:
        def after(results):
            results[number] = change(results[number])

        return after

    def changed(name: str) -> Callable:
        def after(results, kept):
            kept[name].data.copy_(~kept[name] if kept[name].dtype == torch.bool else kept[name].data + 1)

        return after

    def one_off(place: int) -> Callable:
        def change(x):
            x = x.clone()
            x.view(-1)[place] = ~x.view(-1)[place] if x.dtype == torch.bool else x.view(-1)[place] + 1
            return x

        return change

    made = {
        "not for float64": spoilt(refuse(lambda x: x.dtype == torch.float64)),
        "not for float32": spoilt(refuse(lambda x: x.dtype == torch.float32)),
        "only for contiguous input": spoilt(refuse(lambda x: not x.is_contiguous())),
        "in single precision and back": spoilt(floats(lambda x: x.float().to(x.dtype))),
        "all results in float32": spoilt(after=lambda parts: parts.__setitem__(slice(None), [p.float() if p.is_floating_point() else p for p in parts])),
        "results the other way round": spoilt(after=lambda parts: parts.reverse()),
    } if tensors else {}  # fmt: skip
    if tensors:
        made["not for a batch of 1"] = spoilt(refuse(lambda x: x.ndim > 1 and len(x) == 1))
    for name in tensors:
        made[f"{name} changed in place"] = spoilt(after=changed(name))
    for name in task.learns:
        made[f"no gradient for {name}"] = spoilt(floats(Tensor.detach, (name,)))
    if task.learns:
        made["no gradient at all"] = spoilt(floats(Tensor.detach, task.learns))
    for number, part in enumerate(parts):
        for axis in range(part.ndim):
            made[f"result {number} rolled along axis {axis}"] = spoilt(after=at(number, lambda x, axis=axis: x.roll(1, axis)))
        made |= {
            f"result {number}, first number off": spoilt(after=at(number, one_off(0))),
            f"result {number}, last number off": spoilt(after=at(number, one_off(-1))),
            f"result {number} with one more axis": spoilt(after=at(number, lambda x: x[None])),
            f"result {number}, a batch of 1 squeezed": spoilt(after=at(number, lambda x: x.squeeze(0))),
            f"result {number}, the first sample for all": spoilt(after=at(number, lambda x: x[:1].expand_as(x))),
            f"result {number} as a list": spoilt(after=at(number, Tensor.tolist)),
            f"result {number} in another type": spoilt(
                after=at(number, lambda x: x.long() if x.dtype == torch.bool else x.float() if x.dtype == torch.float64 else x.double())
            ),
        }
    return made
