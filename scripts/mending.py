"""Restore a submission to the set as it was handed out, except for its answers: every cell of the set once, and in its place.

Each thing that had to be put back becomes a remark, so that a grader can look at it."""

import copy
import re
from itertools import pairwise

from minimim.feedback.notebook import defined

MARKS = ("grade", "solution", "locked", "task", "points")  # what decides the grade; other entries differ between versions


def mend(notebook, release, source) -> list[str]:
    """Mend a submission in place, and return a remark for each kind of thing that was put back.

    release: the set as it was handed out; source: the same cells with the hidden tests. A lost answer comes back as the stub,
    so that it earns nothing. Cells of the student's own stay behind the cell that they followed.
    """
    given = {grade_id(cell): cell for cell in release.cells if grade_id(cell)}
    whole = {grade_id(cell): cell for cell in source.cells if grade_id(cell)}
    told = {kind: [] for kind in ("copies", "missing", "marks", "changed", "order")}
    mine = names_of(notebook.cells, release.cells)
    pieces, name = {None: []}, None  # of the set's cell, or of the start: the cells from there to the next one
    order = []
    for number, cell in enumerate(notebook.cells):
        if mine[number] and mine[number] in mine[number + 1 :]:
            told["copies"].append(mine[number])
        elif mine[number]:
            name = mine[number]
            order.append(name)
            pieces[name] = []
        pieces[name].append(cell)
    rank = {name: number for number, name in enumerate(given)}
    told["order"] = [after for before, after in pairwise(order) if rank[after] < rank[before]]
    cells = unmarked(pieces[None])
    for name, handed_out in given.items():
        if name not in pieces:
            told["missing"].append(name)
            cells.append(put_back(whole[name], handed_out, None))
            continue
        cell, *following = pieces[name]
        if marks_of(cell) != marks_of(handed_out) or cell.cell_type != handed_out.cell_type:
            told["marks"].append(name)
        if marks_of(handed_out)["locked"] and text(cell.source) not in (text(handed_out.source), text(whole[name].source)):
            told["changed"].append(name)
        cells += [put_back(whole[name], handed_out, cell), *unmarked(following)]
    for number, cell in enumerate(cells, start=1):
        cell["id"] = f"{number:03d}"  # an old notebook has none, and a cell that comes back may have that of another
    notebook.cells, notebook.metadata = cells, copy.deepcopy(release.metadata)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    sentences = {
        "changed": "changed cells of the set, put back as handed out",
        "missing": "missing cells of the set, put back as handed out",
        "marks": "points or kind of cells changed, put back",
        "order": "cells out of their order, put back",
        "copies": "copies of cells of the set, of which the last counts",
    }
    return [f"{sentence}: {', '.join(told[kind])}" for kind, sentence in sentences.items() if told[kind]]


def names_of(cells: list, handed_out: list) -> list[str | None]:
    """Which cell of the set each cell is: by its mark, or, where an editor has lost the marks, by its id."""
    known = [grade_id(cell) for cell in handed_out if grade_id(cell)]
    by_id = {cell.id: grade_id(cell) for cell in handed_out if grade_id(cell)}
    marked = [grade_id(cell) if grade_id(cell) in known else None for cell in cells]
    guess = [by_id.get(cell.get("id")) for cell in cells]
    return [name or (other if other not in marked else None) for name, other in zip(marked, guess, strict=True)]


def put_back(whole, handed_out, cell):
    """The set's cell: with the submission's text where an answer is asked for, and else with the hidden tests."""
    fresh = copy.deepcopy(whole if marks_of(handed_out)["locked"] else handed_out)
    fresh.metadata = copy.deepcopy(handed_out.metadata)
    if cell and not marks_of(handed_out)["locked"]:
        fresh.source = cell.source
    return fresh


def unmarked(cells: list) -> list:
    """Cells of the student's own, without the marks by which they would be graded."""
    for cell in cells:
        cell.metadata.pop("nbgrader", None)
    return cells


def leave_out(cells: list, release, running: str, why: str) -> str | None:
    """Take what did not end out of mended cells: the answer to the task, or a cell of the student's own. running: the text of
    the cell that did not end; why: the message of a call of the answer from now on. Returns what was left out, or None."""
    asked_for = {grade_id(cell): defined(cell.source) for cell in release.cells if grade_id(cell)}
    cell = next((cell for cell in cells if cell.cell_type == "code" and text(cell.source) == text(running)), None)
    if cell is None:
        return None
    asked = re.search(r"check\(\s*[\"'](ps\d+\.\w+)", cell.source)
    task = task_of(grade_id(cell)) if grade_id(cell) else asked and asked[1]
    answers = [one for one in cells if one.cell_type == "code" and marks_of(one)["solution"] and task_of(grade_id(one)) == task]
    if grade_id(cell) and not any(why not in one.source for one in answers):
        return None
    stopped = f"\n\n\ndef stopped(*given, **named):\n    raise TimeoutError({why!r})\n\n\n"
    for one in answers:
        code = commented(one.source) if one is cell else one.source
        one.source = code + stopped + "\n".join(f"{name} = stopped" for name in sorted(asked_for[grade_id(one)]))
    if not answers:
        cell.source = f"{commented(cell.source)}\nraise TimeoutError({why!r})"
    return task if answers else "a cell of its own"


def commented(source: str) -> str:
    """Code as comments, to be read and not run."""
    return "\n".join(f"# {line}" for line in source.splitlines())


def grade_id(cell) -> str | None:
    """The name by which nbgrader knows a cell."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def marks_of(cell) -> dict:
    """The entries of a cell that decide its grade."""
    mark = cell.metadata.get("nbgrader", {})
    return {key: mark.get(key) or 0 for key in MARKS}


def text(source: str) -> str:
    """The text of a cell without blanks at the ends of its lines, which editors add and take away."""
    return "\n".join(line.rstrip() for line in source.splitlines()).rstrip()


def task_of(name: str) -> str:
    """The task that a cell belongs to: ps1-3-order → ps1.3, ps1-W1 → ps1.W1."""
    match = re.match(r"(ps\d+)-([^-]+)", name)
    return f"{match[1]}.{match[2]}" if match else name
