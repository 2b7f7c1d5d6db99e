"""One answer of a notebook, without Jupyter: python -m minimim.feedback.notebook ps1.3 ps1.ipynb

Runs the cells up to the last one that defines the task's function, in a module of their own. What goes wrong before it, an
earlier task for instance, does not matter unless the answer fails too. Exits with 1 when the answer is not right."""

import ast
import io
import json
import sys
import types
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from minimim.feedback import check, task
from minimim.feedback.check import WrongAnswer


def main(name: str, path: str) -> int:
    """Print what the check says."""
    warnings.simplefilter("ignore")
    sys.stdout.reconfigure(encoding="utf-8")
    try:
        answer, before = run_up_to(task(name).function, cells(Path(path)))
    except Unfinished as problem:
        print(f"{name}: {problem}")
        return 1
    try:
        check(name, answer)
    except WrongAnswer as wrong:
        print("\n".join([str(wrong), *before]))
        return 1
    return 0


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
    """Code without the lines that only IPython understands; the others keep their numbers."""
    return "\n".join("" if line.startswith(("%", "!", "?")) else line for line in source.split("\n"))


def run_up_to(function: str, sources: list[str]) -> tuple:
    """(the function, what failed before its cell). Raises Unfinished when the notebook does not define it."""
    here = [number for number, source in enumerate(sources) if function in defined(source)]
    if not here:
        raise Unfinished(next(unreadable(function, sources), f"no cell of the notebook defines {function}"))
    module = sys.modules["answers"] = types.ModuleType("answers")
    before = []
    for number, source in enumerate(sources[: here[-1] + 1]):
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                exec(compile(source, f"cell {number + 1}", "exec"), vars(module))  # noqa: S102 (to run it is what was asked for)
        except (WrongAnswer, NotImplementedError):
            continue
        except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever the learner's code raises)
            told = f"cell {number + 1} fails, {type(error).__name__}: {error}"
            if number == here[-1]:
                raise Unfinished("; ".join([told, *before])) from None
            before.append(f"before it, {told}")
    return getattr(module, function), before


def defined(source: str) -> set[str]:
    """The names that a cell gives a meaning to; none when it cannot be read."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return set()
    named = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    return named | {target.id for target in assigned if isinstance(target, ast.Name)}


def unreadable(function: str, sources: list[str]):
    """A sentence for each cell that would define the function if Python could read it."""
    for number, source in enumerate(sources):
        try:
            ast.parse(source)
        except SyntaxError as error:
            if f"def {function}" in source:
                yield f"cell {number + 1} cannot be read: {error.msg}, line {error.lineno}"


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
