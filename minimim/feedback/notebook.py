"""One answer of a notebook, without Jupyter: python -m minimim.feedback.notebook ps1.3 ps1.ipynb SECONDS

Runs the cells up to the last one that defines the task's function, as the main module. What goes wrong before it, an earlier
task for instance, does not matter unless the answer fails too. Exits with a code that nothing else gives, see VERDICTS."""

import ast
import io
import json
import linecache
import os
import re
import signal
import symtable
import sys
import types
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import torch

from minimim.feedback import check, task
from minimim.feedback.check import WrongAnswer

VERDICTS = (87, 88)  # right, not right yet: the exit codes that say that the check came to its end
CLOCK = 5  # an answer may take this many times its seconds by the clock, where other programs run or it waits
PYTHON_MAGICS = ("time", "timeit", "capture", "prun")  # whose cells hold Python


def main(name: str, path: str) -> int:
    """Print what the check says."""
    warnings.simplefilter("ignore")
    sys.stdout.reconfigure(encoding="utf-8")
    ours, sys.modules["__main__"] = sys.modules["__main__"], types.ModuleType("__main__")  # as in Jupyter
    try:
        answer, before = run_up_to(task(name).function, cells(Path(path)))
        check(name, answer)
    except Unfinished as problem:
        print(f"{name}: {problem}")
        return 1
    except WrongAnswer as wrong:
        print("\n".join([str(wrong), *before]))
        return 1
    finally:
        sys.modules["__main__"] = ours
    return 0


def limit(seconds: float) -> None:
    """End this process after so many seconds of computing, whatever else the machine does, and after CLOCK times as many by the
    clock: by signals that no code here handles. Without these, on Windows, who started it has to."""
    torch.set_num_threads(1)  # the seconds of all threads count
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, CLOCK * seconds)


class Unfinished(Exception):
    """Why there is no answer to check, in a sentence."""


def cells(path: Path) -> list[str]:
    """The code of each cell: nothing for text and for graded tests, and magics left out. Raises Unfinished for a file that
    is no notebook."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return ["" if skipped(cell) else plain("".join(cell["source"])) for cell in found]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unfinished(f"{path} is not a notebook") from None


def skipped(cell: dict) -> bool:
    """Whether a cell cannot hold an answer."""
    mark = cell.get("metadata", {}).get("nbgrader", {})
    return cell["cell_type"] != "code" or (mark.get("grade", False) and not mark.get("solution", False))


def plain(source: str) -> str:
    """Code without what only IPython understands; the lines keep their numbers."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        pass
    else:
        return source
    first = re.match(r"\s*%%(\w+)", source)
    if first and first[1] not in PYTHON_MAGICS:
        return ""
    lines = [re.sub(r"^(\s*)%time\s+(?=\S)", r"\1", line) for line in source.split("\n")]
    lines = [re.sub(r"^(\s*)(%%?\w|!|\?).*|^(\s*)[\w.]+\?\??\s*$", r"\1\3pass", line) for line in lines]
    return "\n".join(re.sub(r"^(\s*[\w, ]+=)\s*([!]|%\w).*", r"\1 None", line) for line in lines)


def run_up_to(function: str, sources: list[str]) -> tuple:
    """(the function, what failed before its cell). Raises Unfinished when the notebook does not define it."""
    here = [number for number, source in enumerate(sources) if function in defined(source)]
    if not here:
        raise Unfinished(next(unreadable(function, sources), f"no cell of the notebook defines {function}"))
    space = vars(sys.modules["__main__"])
    space["display"] = lambda *shown, **how: None  # IPython gives it
    before = []
    for number, source in enumerate(sources[: here[-1] + 1]):
        name = f"cell {number + 1}"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)  # for whoever asks for a function's source
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                exec(compile(source, name, "exec"), space)  # noqa: S102 (to run it is what was asked for)
        except (WrongAnswer, NotImplementedError):
            continue
        except BaseException as error:  # noqa: BLE001 (whatever the learner's code raises; exit() raises SystemExit)
            told = f"{name} fails, {type(error).__name__}: {error}"
            if number == here[-1]:
                raise Unfinished("; ".join([told, *before])) from None
            before.append(f"before it, {told}")
    if function not in space:
        raise Unfinished("; ".join([f"{name} speaks of {function}, but has not defined it when it ends", *before]))
    return space[function], before


def defined(source: str) -> set[str]:
    """The names that a cell gives a meaning to, in whatever way and also inside an if, a with or a try; none when it cannot be
    read."""
    try:
        table = symtable.symtable(source, "cell", "exec")
    except (SyntaxError, ValueError):
        return set()
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}


def unreadable(function: str, sources: list[str]):
    """A sentence for each cell that would define the function if Python could read it."""
    for number, source in enumerate(sources):
        try:
            ast.parse(source)
        except SyntaxError as error:
            if f"def {function}" in source:
                yield f"cell {number + 1} cannot be read: {error.msg}, line {error.lineno}"


if __name__ == "__main__":
    _ = task(sys.argv[1]).trials  # what is right is worked out before the learner's own time begins
    limit(float(sys.argv[3]))
    right = main(*sys.argv[1:3]) == 0
    sys.stdout.flush()
    os._exit(VERDICTS[0 if right else 1])  # at once, whatever threads the answer has started
