"""What a reader can move in a lesson: it follows the hand when all cells have run, and shows something where no kernel runs."""

import symtable

import nbformat
import pytest
from helpers import TOP

LESSONS = [path for path in sorted((TOP / "notebooks").glob("*.ipynb")) if "interact(" in path.read_text(encoding="utf-8")]
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def code(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


@every_lesson
def test_it_has_something_to_look_at_for_those_without_a_kernel(path):
    for cell in code(path):
        if "interact(" in cell.source:
            assert any({"image/png", "image/jpeg", "text/html"} & set(output.get("data", {})) for output in cell.outputs), cell.id
            assert "nbval-ignore-output" in cell.metadata.tags, cell.id


def read_in_functions(table):
    """The names that functions of a cell take from outside themselves."""
    inside = table.get_symbols() if table.get_type() != "module" else []
    own = {symbol.get_name() for symbol in inside if symbol.is_global()}
    return own.union(*map(read_in_functions, table.get_children()))


@every_lesson
def test_it_reads_no_name_that_a_later_cell_gives_to_something_else(path):
    cells = [(cell, symtable.symtable(cell.source, cell.id, "exec")) for cell in code(path)]
    for n, (cell, table) in enumerate(cells):
        if "interact(" in cell.source:
            for later, other in cells[n + 1 :]:
                given = {symbol.get_name() for symbol in other.get_symbols() if symbol.is_assigned()}
                assert not read_in_functions(table) & given, (cell.id, later.id)
