"""What the build notebook goes on with: the learner's part where it is right, and the library's, with a word, where it is not."""

import functools
import inspect
import os
from collections.abc import Callable

from minimim.feedback.check import Unwritten, WrongAnswer, examine

NOTHING = "it returned NoneType"  # of a stub whose body is only a docstring, or ...
RIGHT: dict[str, bool] = {}  # task → whether the last answer that was given to `use` is right


def use(name: str, answer: Callable) -> Callable:
    """Check an answer and say what is wrong with it: returns the answer where it is right, else the library's version of it.

    Where the library's stands in for an answer, that answer is what is checked, also the next time. Raises UserError for an
    unknown task.
    """
    from minimim.feedback import task as known
    from minimim.feedback.build import library

    task = known(name)
    answer = behind(answer)
    try:
        inputs = examine(task, answer)
    except WrongAnswer as wrong:
        RIGHT[name] = False
        if isinstance(wrong, Unwritten) or NOTHING in str(wrong):
            print(f"{name}: {task.function} is still empty, so the library's is used from here on")
        else:
            print(f"{wrong}\n{name}: until {task.function} is right, the library's is used from here on")
        return stand_in(getattr(library, task.function), answer)
    RIGHT[name] = True
    print(f"{name}: right, equal to the library's on {inputs} inputs; your {task.function} is used from here on")
    return answer


def mine() -> list[int]:
    """The numbers of the tasks whose last answer was right."""
    return sorted(int(name.partition(".")[2]) for name, right in RIGHT.items() if right)


def board():
    """A drawing of the masked autoencoder with the tasks lit whose last answer was right."""
    from minimim.show.drawings.build import built

    return built(mine(), "yours, equal to the library's")


def finished() -> None:
    """Say how many of the parts are the learner's own."""
    from minimim.show.drawings.build import PARTS

    left = [f"{number} {part}" for number, part in enumerate(PARTS, 1) if number not in mine()]
    if left:
        print(f"{len(PARTS) - len(left)} of {len(PARTS)} parts are yours; still the library's: {', '.join(left)}")
    else:
        print(f"All {len(PARTS)} parts are yours: you have built a masked autoencoder.")


def behind(answer: Callable) -> Callable:
    """The learner's own answer, where the library's stands in for it."""
    return getattr(answer, "stands_in_for", answer)


def stand_in(library: Callable, answer: Callable) -> Callable:
    """The library's function or class, which remembers what it stands in for."""
    if inspect.isclass(library):
        return type(library.__name__, (library,), {"stands_in_for": staticmethod(answer), "__doc__": library.__doc__})

    @functools.wraps(library)
    def given(*arguments, **named):
        return library(*arguments, **named)

    given.stands_in_for = answer
    return given


def size(full: int, quick: int) -> int:
    """How much of something a run takes: `quick` where MINIMIM_QUICK is set, as the tests have it, else `full`."""
    return quick if os.environ.get("MINIMIM_QUICK") else full
