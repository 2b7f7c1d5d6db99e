"""How a learner's answer is checked: on several inputs, against a slow plain loop, and with the mistake named.

A Task knows its truth, the inputs to try, and the mistakes that people make. An answer that is wrong is compared with
each mistake's own output: where they agree, the learner is told which mistake it is.
"""

import copy
import inspect
from collections.abc import Callable, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from minimim.feedback import gradients
from minimim.feedback.gradients import Arguments


class WrongAnswer(AssertionError):
    """What a check says of an answer that is not right yet. A notebook shows the sentence alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class Unwritten(WrongAnswer):
    """What a check says of a stub."""


@dataclass
class Task:
    """One task. name: "ps1.3"; function: what the learner's function is called; truth: arguments → the right answer, by a
    slow loop; cases: (words, arguments) pairs to try; mistakes: sentence → a function that makes this mistake;
    draw: (yours, expected, arguments) → None, a picture that shows the difference; close: (rtol, atol) for floats;
    learns: the arguments that a gradient must reach, where the right one gives them one;
    left: (result, arguments after the call) → {words: tensor}, what else must be right where arguments may change;
    errors: part of an error as Python says it ("TypeError: …") → the mistake that brings it about;
    adapt: makes of an answer the function that is tried, where it is none: a class is built and run."""

    name: str
    function: str
    truth: Callable
    cases: Callable[[], Iterable[tuple[str, Arguments]]]
    mistakes: dict[str, Callable] = field(default_factory=dict)
    draw: Callable | None = None
    close: tuple[float, float] = (1e-4, 1e-5)
    learns: tuple[str, ...] = ()
    left: Callable = lambda result, arguments: {}
    errors: dict[str, str] = field(default_factory=dict)
    adapt: Callable = lambda answer: answer

    @cached_property
    def trials(self) -> list["Trial"]:
        """What an answer is tried on, with what is right: worked out once."""
        return [Trial.of(self, words, arguments) for words, arguments in self.cases()]


@dataclass
class Trial:
    """One input, in words and as arguments, what is right for it, and the slope of that where gradients are asked for."""

    words: str
    arguments: Arguments
    expected: Any
    slope: float | None = None
    left: dict[str, Tensor] = field(default_factory=dict)
    mistaken: dict[Callable, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task, words: str, arguments: Arguments) -> "Trial":
        slope = None
        if task.learns and is_plain(arguments):
            along = gradients.directions(gradients.learning(arguments, task.learns))
            slope = gradients.slope(task.truth, arguments, along)
        given = copy.deepcopy(arguments)
        expected = task.truth(**given)
        return cls(words, arguments, expected, slope, task.left(expected, given))

    def under(self, mistake: Callable) -> Any:
        """What a mistake gives here, worked out once; None where it says nothing of this input."""
        if mistake not in self.mistaken:
            self.mistaken[mistake] = None
            with suppress(Exception):
                self.mistaken[mistake] = mistake(**copy.deepcopy(self.arguments))
        return self.mistaken[mistake]


def is_plain(arguments: Arguments) -> bool:
    """Whether all floats are float32 and lie in order: gradients are looked at once, and not for each of the `variants`."""
    floats = [x for x in arguments.values() if isinstance(x, Tensor) and x.is_floating_point()]
    return all(x.dtype == torch.float32 and x.is_contiguous() for x in floats)


def examine(task: Task, answer: Callable) -> int:
    """Try an answer on every case of a task, and return how many there are. Raises WrongAnswer at the first that fails."""
    answer = task.adapt(answer)
    for trial in task.trials:
        mine, given = attempt(task, answer, trial.words, trial.arguments)
        problem = difference(mine, trial.expected, task.close)
        for words, left in {} if problem else task.left(mine, given).items():
            if text := difference(left, trial.left[words], task.close):
                problem = f"the result is right, but not {words}: {text}"
                break
        if problem:
            raise WrongAnswer(explain(task, answer, trial, mine, problem))
    for trial in task.trials:
        if trial.slope is not None:
            with complaints(task, f"{trial.words}, where gradients are taken"):
                problem = gradients.problem(task.truth, answer, trial.arguments, task.learns, trial.slope)
            if problem:
                raise WrongAnswer(f"{task.name}: on {trial.words}, the values are right, but {problem}")
    return len(task.trials)


@contextmanager
def complaints(task: Task, words: str):
    """What the learner's own code raises becomes a sentence."""
    try:
        yield
    except WrongAnswer:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever the learner's code raises)
        if isinstance(error, NotImplementedError) and not str(error):  # the stub's; torch's own have words
            raise Unwritten(f"{task.name}: {task.function} is not written yet") from None
        if isinstance(error, SystemExit):
            raise WrongAnswer(
                f"{task.name}: {task.function} ends Python, with exit() or the like, on {words}; return a result"
            ) from None
        line, said = inner_line(error), f"{type(error).__name__}: {error}"
        for part, sentence in task.errors.items():
            if part in said:
                raise WrongAnswer(f"{task.name}: {sentence} ({task.function} raised {type(error).__name__}{line})") from None
        raise WrongAnswer(f"{task.name}: {task.function} raised {type(error).__name__}{line}, on {words}: {error}") from None


def inner_line(error: BaseException) -> str:
    """The line of the learner's code in which an error came up: the first frame that lies outside this package, and outside of
    torch, which calls a module's forward."""
    here = error.__traceback__
    while here and here.tb_frame.f_globals.get("__name__", "").startswith(("minimim.feedback", "torch.")):
        here = here.tb_next
    return f" in its line {here.tb_lineno}" if here else ""


def attempt(task: Task, answer: Callable, words: str, arguments: Arguments) -> tuple[Any, Arguments]:
    """The answer for one case, and the arguments after it; its own errors become sentences, and changed arguments a complaint."""
    given = copy.deepcopy(arguments)
    with suppress(ValueError):  # a built-in function may have no signature
        order, taken = list(inspect.signature(task.truth).parameters), inspect.signature(answer)
        must = f"{task.name}: {task.function} must take the arguments {', '.join(order)}"
        try:
            taken.bind(**given)
        except TypeError:
            raise WrongAnswer(f"{must}, by these names") from None
        named = [name for name in order if name in taken.parameters]
        by_place = {}
        with suppress(TypeError):
            by_place = taken.bind(*(given[name] for name in order)).arguments if named else {}
        if any(by_place.get(name) is not given[name] for name in named):
            raise WrongAnswer(f"{must}, in this order and also without their names")
    with complaints(task, words):
        mine = answer(**given)
    for name, value in arguments.items():
        if not unchanged(value, given[name]):
            raise WrongAnswer(f"{task.name}: {task.function} changed its argument {name}, on {words}; work on a copy of it")
    return mine, given


def unchanged(before: Any, after: Any) -> bool:
    """Whether a tensor or a number, also in lists, tuples and dicts, is as it was. Models and optimisers may change."""
    if isinstance(before, Tensor):
        if before.shape != after.shape or before.dtype != after.dtype:
            return False
        return bool(((before == after) | (before.isnan() & after.isnan())).all())
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(unchanged(value, after[name]) for name, value in before.items())
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(unchanged(*pair) for pair in zip(before, after, strict=True))
    return not isinstance(before, int | float | str) or before == after


def difference(mine: Any, expected: Any, close: tuple[float, float]) -> str:
    """What tells an answer from the expected one, in words; nothing when they agree."""
    if isinstance(expected, tuple):
        if not isinstance(mine, tuple | list) or len(mine) != len(expected):
            return f"{len(expected)} results were asked for, in a tuple"
        parts = [difference(m, e, close) for m, e in zip(mine, expected, strict=True)]
        names = getattr(expected, "_fields", [f"result {n + 1} of {len(parts)}" for n in range(len(parts))])
        return next((f"{name.replace('_', ' ')}: {text}" for name, text in zip(names, parts, strict=True) if text), "")
    if isinstance(expected, dict):
        return difference_of_names(mine, expected)
    if not isinstance(mine, Tensor):
        return f"a tensor was asked for, and it returned {type(mine).__name__}"
    if mine.shape != expected.shape:
        return f"its shape is {tuple(mine.shape)}, and {tuple(expected.shape)} was asked for"
    if (mine.dtype == torch.bool) != (expected.dtype == torch.bool):
        if expected.dtype == torch.bool and ((mine != 0) & (mine != 1)).any():
            return f"it returned numbers ({mine.dtype}) where True/False was asked"
        if expected.dtype == torch.bool:
            return f"a 0/1 mask ({mine.dtype}) where True/False was asked: what True means is a convention, see lesson 02"
        return f"it returned True/False where numbers were asked ({expected.dtype})"
    if mine.is_floating_point() and not expected.is_floating_point():
        return f"whole numbers were asked for ({expected.dtype}), and it returned {mine.dtype}"
    if expected.is_floating_point() and mine.dtype != expected.dtype:
        return f"it turned {expected.dtype} numbers into {mine.dtype}"
    if expected.is_floating_point():
        same = torch.isclose(mine, expected, rtol=close[0], atol=close[1], equal_nan=True)
    else:
        same = mine == expected
    if same.all():
        return ""
    here = tuple((~same).nonzero()[0].tolist())
    one = f"yours is {shown(mine[here])}, expected {shown(expected[here])}"
    if not here:  # a single number
        return one
    return f"{int((~same).sum())} of {same.numel()} values differ; the first is at {list(here)}: {one}"


def shown(number: Tensor) -> str:
    """One number of an answer, as a person would write it."""
    return f"{number.item():.5g}" if number.is_floating_point() else str(number.item())


def difference_of_names(mine: Any, expected: dict[str, str]) -> str:
    """Which entries of a dict of names are wrong, but not what is right."""
    if not isinstance(mine, dict) or mine.keys() != expected.keys():
        return f"a dict with the keys {', '.join(expected)} was asked for"
    known = sorted(set(expected.values()) | set(getattr(expected, "names", ())))
    strangers = [name for name in mine.values() if name not in known]
    if strangers:
        return f"{strangers[0]!r} is none of the names: {', '.join(known)}"
    wrong = [key for key in expected if mine[key] != expected[key]]
    return f"not right yet: {', '.join(wrong)}" if wrong else ""


def explain(task: Task, answer, trial: Trial, mine, problem: str) -> str:
    """The sentence for a wrong answer: the mistake by name where one is recognised, else what differs."""
    named = recognise(task, answer)
    if task.draw and shapes(mine) == shapes(trial.expected):
        task.draw(mine, trial.expected, trial.arguments)
    return f"{task.name}: {named}" if named else f"{task.name}: on {trial.words}, {problem}"


def recognise(task: Task, answer: Callable) -> str | None:
    """The mistake that gives the same as the answer wherever the two can be compared, and somewhere not what is right."""
    seen = []  # (trial, mine), wherever the answer gives one
    for trial in task.trials:
        with suppress(Exception, SystemExit):
            seen.append((trial, answer(**copy.deepcopy(trial.arguments))))
    for sentence, mistake in task.mistakes.items():
        agreed, differed = True, False
        for trial, mine in seen:
            theirs = trial.under(mistake)
            if theirs is None:
                continue
            if difference(mine, theirs, task.close):
                agreed = False
                break
            differed |= bool(difference(theirs, trial.expected, task.close))
        if agreed and differed:
            return sentence
    return None


def only(condition: bool) -> None:
    """Leave a mistake that says nothing of this input."""
    if not condition:
        raise ValueError("another input")


def shapes(result: Any) -> Any:
    """The shape of a tensor, or of each in a tuple; None for anything else."""
    if isinstance(result, tuple | list):
        return [shapes(part) for part in result]
    return result.shape if isinstance(result, Tensor) else None


def variants(arguments: Arguments) -> Iterable[tuple[str, Arguments]]:
    """The same input in other clothes: as it is, in float64, and with rows that do not lie side by side in memory."""

    def mapped(change: Callable) -> Arguments:
        return {n: change(v) if isinstance(v, Tensor) and v.is_floating_point() else v for n, v in arguments.items()}

    yield "the plain input", arguments
    yield "float64 input", mapped(Tensor.double)
    yield "input that is not contiguous", mapped(lambda x: x.transpose(0, -1).contiguous().transpose(0, -1))
