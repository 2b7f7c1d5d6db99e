"""Write docs/map.md, which lesson brings in which file of the library: python scripts/course_map.py

Read from the code of the lessons and from the package. A file of minimim/ comes in with the first lesson, from 01 on, whose code uses
something that the file defines (lesson 00 shows the whole course, so it brings in nothing). Pictures, checks and commands are left out.
tests/course/test_course_map.py says when the page is stale: make pages.
"""

import ast
import inspect
import json
import re
from collections import defaultdict
from functools import cache
from importlib import import_module
from pathlib import Path

from claims import row

from minimim.commands.progress import title
from minimim.data import BUNDLED
from minimim.methods import RECIPES, names

TOP = Path(__file__).parent.parent
PAGE, LESSONS, LIBRARY = TOP / "docs/map.md", TOP / "notebooks", TOP / "minimim"
OVERVIEW = "00"
LEFT_OUT = ("show", "feedback", "commands", "doctor", "cli", "errors")  # of minimim: what is not about masked image modeling itself
HEAD = """# A map of course and library

Which lesson brings in which file of the library, and which lessons use it again. The tables are read from the code of the lessons and from
the package; a file comes in with the first lesson, from 01 on, whose code names something that is defined in it. `make pages` writes them.

"""


@cache
def code(lesson: Path) -> list[ast.Module]:
    """The code cells of a lesson, without the lines that are for IPython."""
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [ast.parse(re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE)) for source in sources]


def text(lesson: Path) -> list[str]:
    """The words of a lesson, cell by cell."""
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


@cache
def defined_in(name: str) -> str:
    """The file that defines a dotted name of the library, as `masking.block`; empty for what is defined in none, such as a folder."""
    parts, found = name.split("."), None
    for n in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:n]))
            break
        except ImportError:
            continue
    for part in parts[n:]:
        found = getattr(found, part, None)
        if found is None:
            return ""
        if inspect.isfunction(found) or inspect.isclass(found):
            break
    where = found.__name__ if inspect.ismodule(found) else getattr(found, "__module__", None) or ""
    where = where.removeprefix("minimim").removeprefix(".")
    return where if (LIBRARY / f"{where.replace('.', '/')}.py").exists() else ""


def used(cells: list[ast.Module]) -> set[str]:
    """The files that a lesson's code uses, by what it imports from the library and by the attributes that it takes from there."""
    known: dict[str, str] = {}
    nodes = [node for cell in cells for node in ast.walk(cell)]
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minimim"):
            known |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
        if isinstance(node, ast.Import):
            known |= {each.asname or "minimim": each.name if each.asname else "minimim" for each in node.names if each.name.startswith("minimim")}
    files = set()
    for node in nodes:
        if isinstance(node, ast.Attribute | ast.Name):
            first, _, rest = ast.unparse(node).partition(".")
            if first in known and re.fullmatch(r"[\w.]*", rest):
                files.add(defined_in(f"{known[first]}.{rest}".rstrip(".")))
    return {name for name in files if name and name.split(".")[0] not in LEFT_OUT}


def words(cells: list[ast.Module]) -> set[str]:
    """The texts in a lesson's code, as "scenes" in data.load("scenes")."""
    return {node.value for cell in cells for node in ast.walk(cell) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def by_name(cells: list[ast.Module]) -> set[str]:
    """The files of data and of methods that a lesson's code asks for by name, as in data.load("scenes") and create("mae")."""
    told = words(cells)
    return {f"data.{name}" for name in BUNDLED if name in told} | {RECIPES[name].__module__.removeprefix("minimim.") for name in RECIPES.keys() & told}


def lessons() -> list[Path]:
    """All lessons in order."""
    return sorted(LESSONS.glob("*.ipynb"))


@cache
def uses() -> dict[str, list[str]]:
    """File → the numbers of the lessons that use it, in order."""
    found = defaultdict(list)
    for lesson in lessons():
        cells = code(lesson)
        for name in sorted(used(cells) | by_name(cells)) if lesson.name[:2] != OVERVIEW else ():
            found[name].append(lesson.name[:2])
    return dict(found)


def files() -> list[str]:
    """The files of the library that the map shows, in order."""
    paths = [path.relative_to(LIBRARY).with_suffix("") for path in sorted(LIBRARY.rglob("*.py"))]
    return [".".join(path.parts) for path in paths if path.parts[0] not in LEFT_OUT and not path.name.startswith("_")]


def tasks() -> dict[str, str]:
    """Task of the build notebook → the number of the lesson that states it, the first that names it."""
    found = {}
    for lesson in lessons():
        for number in sorted(set(map(int, re.findall(r"\bbuild\.(\d+)", "\n".join(text(lesson)))))):
            found.setdefault(f"build.{number}", lesson.name[:2])
    return found


def problem_sets(lesson: Path) -> list[str]:
    """The graded sets that the last cell of a lesson names."""
    return sorted(set(re.findall(r"exercises/(ps[1-9])/", text(lesson)[-1])))


def by_lesson() -> str:
    """The table from lesson to library."""
    table = row("lesson", "files that come in", "tasks of Build your MAE", "problem set") + row(*["---"] * 4)
    first, stated = {name: numbers[0] for name, numbers in uses().items()}, tasks()
    for lesson in lessons():
        own = [task for task, number in stated.items() if number == lesson.name[:2]]
        new = [f"`{name}`" for name in files() if first.get(name) == lesson.name[:2]]
        sets = ", ".join(f"[{one}](../exercises/{one}/{one}.ipynb)" for one in problem_sets(lesson))
        table += row(f"[{title(lesson)}](../notebooks/{lesson.name})", ", ".join(new), ", ".join(own), sets)
    return table


def by_file() -> str:
    """The table from library to lesson."""
    table, found = row("file", "what it is", "comes in with", "used again in") + row(*["---"] * 4), uses()
    for name in files():
        path = LIBRARY / f"{name.replace('.', '/')}.py"
        about = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0].split())
        sentence = re.match(r".+?[.?](?= [A-Z`]|$)|.*", about)[0].rstrip(".").replace("_", "\\_").replace("*", "\\*")
        numbers = found.get(name, [])
        table += row(f"[`{name}`](../minimim/{name.replace('.', '/')}.py)", sentence, numbers[0] if numbers else "–", ", ".join(numbers[1:]))
    return table


def by_method() -> str:
    """The table from method to lesson."""
    table = row("method", "lessons whose code names it") + row("---", "---")
    named = {lesson.name[:2]: words(code(lesson)) for lesson in lessons()}
    for name in names():
        table += row(f"`{name}`", ", ".join(number for number, those in named.items() if name in those) or "–")
    return table


def page() -> str:
    """The page as it should be."""
    parts = {"From lesson to library": by_lesson(), "From library to lesson": by_file(), "From method to lesson": by_method()}
    return HEAD + "\n".join(f"## {heading}\n\n{table}" for heading, table in parts.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
