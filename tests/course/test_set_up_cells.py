"""The set-up cell of a lesson is short, and says in one sentence what to do where the package is missing."""

import json

import pytest
from helpers import TOP

MISSING = '# missing? In the course\'s folder: python -m pip install -e ".[lab]"'
LESSONS = sorted((TOP / "notebooks").glob("*.ipynb"))


def set_up(path):
    """The lines of the first code cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "".join(next(cell["source"] for cell in cells if cell["cell_type"] == "code")).split("\n")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_it_has_eight_lines_at_most(path):
    assert len([line for line in set_up(path) if line.strip()]) <= 8


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_what_to_do_stands_where_python_would_stop(path):
    lines = set_up(path)
    first = next(n for n, line in enumerate(lines) if line.startswith(("import minimim", "from minimim")))
    assert lines[first].endswith(f"  {MISSING}") or lines[first - 1] == MISSING, f"{lines[first]}  {MISSING}"
    assert "\n".join(lines).count("missing?") == 1
