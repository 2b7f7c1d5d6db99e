"""The library stands on floors: no import runs upwards, none in a circle, and no file holds two things."""

import ast
from graphlib import TopologicalSorter

import pytest
from helpers import TOP

LIBRARY = TOP / "minimim"
FLOORS = (  # from the ground up; what is not named is ground
    ("encoders",),
    ("decoders", "targets", "losses"),
    ("methods",),
    ("train", "hole_filler"),
    ("evaluate", "interop"),
    ("diagnose", "presets", "survey"),
    ("show",),
    ("feedback",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(FLOORS, start=1) for name in names}
FILES = sorted(path for path in LIBRARY.rglob("*.py"))


def name_of(path):
    """minimim.masking.random of minimim/masking/random.py."""
    parts = path.relative_to(TOP).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def imported(path, *, late=False):
    """The modules of the library that a file imports when it is read; or, late, also inside of functions."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in ast.walk(tree) if late else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {full if (full := f"{node.module}.{alias.name}") in MODULES else node.module for alias in node.names}
    return {name for name in found if name in MODULES} - {name_of(path)}


def level(name):
    """The floor of a module."""
    part = name.split(".")[1] if "." in name else ""
    return LEVEL.get(part, 0)


@pytest.mark.parametrize("path", [path for path in FILES if path != LIBRARY / "__init__.py"], ids=name_of)
def test_no_import_runs_upwards_and_no_file_is_too_long(path):
    upwards = [name for name in imported(path, late=True) if level(name) > level(name_of(path))]
    assert not upwards, f"{name_of(path)} imports {upwards}"
    assert len(path.read_text().splitlines()) <= 300


def test_no_imports_run_in_a_circle():
    """A package's own list of what it offers reads its files; a file that reads the package's list instead of a file could meet itself."""
    graph = {name: {other for other in imported(path) if not (name + ".").startswith(other + ".")} for name, path in MODULES.items() if name != "minimim"}
    list(TopologicalSorter(graph).static_order())  # raises CycleError with the circle in words
