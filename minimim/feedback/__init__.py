"""What tells a learner whether an answer is right, and which mistake it is when not: `check("ps1.3", my_function)`."""

from collections.abc import Callable

from minimim.errors import unknown
from minimim.feedback.check import Task, Unwritten, WrongAnswer, examine
from minimim.feedback.progress import remember

__all__ = ["Task", "WrongAnswer", "check", "task", "tasks"]


def tasks() -> dict[str, Task]:
    """Every task that can be checked, by name."""
    from minimim.feedback import build, ps0, ps1, ps2, ps3, ps4, ps5, ps6, ps8

    return {task.name: task for module in (ps0, build, ps1, ps2, ps3, ps4, ps5, ps6, ps8) for task in module.TASKS}


def task(name: str) -> Task:
    """A task by name. Raises UserError for one that is not there."""
    known = tasks()
    if name not in known:
        raise unknown("task", name, known)
    return known[name]


def check(name: str, answer: Callable) -> None:
    """Check an answer to a task. Prints one line when it is right; raises WrongAnswer, with the mistake named where it can
    be, when it is not."""
    try:
        tried = examine(task(name), answer)
    except WrongAnswer as wrong:
        if not isinstance(wrong, Unwritten):
            remember(name, right=False)
        raise
    remember(name, right=True)
    print(f"{name}: right, on {tried} inputs")
