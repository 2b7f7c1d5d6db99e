"""How a class did: for each task the fraction of students with all its points, and the mistake that its check named most often."""

from collections import Counter
from pathlib import Path

import nbformat
from mending import grade_id, marks_of, task_of


def report(name: str, release, graded: list[tuple[dict[str, float], Path]]) -> list[str]:
    """The lines for one problem set. release: the set as it was handed out; graded: for each student ({task: points}, the notebook as it
    was run). Tasks that a reader grades are left out."""
    if not graded:
        return []
    full = full_points(release)
    told = [named_mistakes(path) for _, path in graded]
    lines = [f"{name}, {len(graded)} graded: who has all points of a task, and the mistake that its check names most often"]
    for task, points in full.items():
        right = sum(given.get(task, 0) >= points for given, _ in graded)
        common = Counter(sorted(said[task] for said in told if task in said)).most_common(1)
        said = f"{common[0][1]} × {common[0][0]}" if common else ""
        lines.append(f"  {task:<6} {right:>3} of {len(graded)}  {right / len(graded):>4.0%}  {said}".rstrip())
    return lines


def full_points(release) -> dict[str, float]:
    """{task: the points that its tests give}, in the order of the set."""
    full = {}
    for cell in release.cells:
        marks = marks_of(cell)
        if marks["grade"] and not marks["solution"] and not marks["task"]:
            task = task_of(grade_id(cell))
            full[task] = full.get(task, 0) + marks["points"]
    return full


def named_mistakes(path: Path) -> dict[str, str]:
    """{task: the mistake that its check named}, from what the checks of a notebook that was run have said. What a check could not name, such
    as values that differ, is left out."""
    from minimim import feedback  # imports torch

    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]
    tasks, found = feedback.tasks(), {}
    for output in outputs:
        name, _, sentence = str(output.get("evalue", "")).partition(": ")
        if output.output_type == "error" and name in tasks:
            known = [*tasks[name].mistakes, *tasks[name].errors.values()]
            found.update((name, words) for words in known if sentence.startswith(words))
    return found
