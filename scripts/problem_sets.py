"""The problem sets: make exercises/ from solutions/, and grade a folder of submissions.

    python scripts/problem_sets.py generate
    python scripts/problem_sets.py grade FOLDER     # FOLDER/STUDENT/ps1.ipynb or FOLDER/STUDENT/ps1/ps1.ipynb

Works on the course in the current folder. Needs nbgrader. Grading runs what students wrote: see docs/teaching.md."""

import argparse
import copy
import csv
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

KEPT = {"tags", "nbgrader", "deletable", "editable"}  # of a cell's metadata
GRADING = Path("grading")
PATIENCE = 5  # a submission gets this many times the seconds of a cell, then it is stopped as a whole


@dataclass
class Row:
    """A line of grades.csv. tasks: task → points; of: points that there are; by_hand: those among them that wait for a reader."""

    student: str
    problem_set: str
    total: float = 0.0
    of: float = 0.0
    by_hand: float = 0.0
    tasks: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    graded: bool = False

    @property
    def feedback(self) -> str:
        """The page for the student, beside grades.csv."""
        return f"feedback/{self.student}/{self.problem_set}/{self.problem_set}.html" if self.graded else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="do", required=True)
    parts.add_parser("generate", help="make exercises/ from solutions/")
    parts.add_parser("grade", help="grade a folder of submissions").add_argument("folder")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # of nbformat, about what it mends itself
    try:
        return generate() if given.do == "generate" else grade(given.folder)
    except Mistake as mistake:
        print(f"problem sets: {mistake}", file=sys.stderr)
        return 2


class Mistake(Exception):
    """What cannot be done, in a sentence."""


def problem_sets() -> list[str]:
    """The names of all sets that have a solution here."""
    return sorted(path.stem for path in Path("solutions").glob("*/*.ipynb") if path.parent.name == path.stem)


def nbgrader(*arguments: str, limit: float | None = None) -> str:
    """Run an nbgrader command, and return what it logged. Raises Mistake with the last line of its log when it fails, and
    TimeoutExpired after `limit` seconds."""
    place = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),  # it calls alembic by name
        "PYTHONWARNINGS": "ignore",  # it takes a warning in a graded cell for a failure
    }
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, env=os.environ | place, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise Mistake(cause(done.stderr))
    return done.stderr


def cause(log: str) -> str:
    """The line of a log that says best what went wrong: the last one of a traceback, else the last error."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    errors = [line for line in lines if "| ERROR |" in line or "ERROR" in line[:40]]
    return (raised or errors or lines or ["nbgrader failed without a word"])[-1]


def generate() -> int:
    """Make every exercise anew."""
    for name in problem_sets():
        nbgrader("generate_assignment", name, "--no-db", "--force")
        path = Path("exercises", name, f"{name}.ipynb")
        nbformat.write(normalise(nbformat.read(path, as_version=4), name), path)
        print(path)
    return 0


def normalise(notebook, name: str):
    """Only what a learner needs, written the same way each time; the ids are those of the source."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "minimim": {"source": f"generated from solutions/{name}/{name}.ipynb: edit there, then make exercises"},
    }
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in KEPT}
    return notebook


def grade(folder: str) -> int:
    """Grade every submission in a folder, and write grading/grades.csv and the feedback. Returns 1 when some could not be
    graded."""
    if not folder:
        raise Mistake("which submissions? make grade FOLDER=where they are")
    found = submissions(Path(folder))
    sets = sorted({name for _, name, _ in found})
    releases = {name: register(name) for name in sets}
    rows = []
    for student, name, path in found:
        row = grade_one(student, name, path, releases[name])
        rows.append(row)
        told = f"{row.total:g} of {row.of:g}" + (f", {row.by_hand:g} more to give by hand" if row.by_hand else "")
        print("; ".join([f"{student} {name}: {told}", *row.remarks]), flush=True)
    for name in {row.problem_set for row in rows if row.graded}:
        nbgrader("generate_feedback", name, "--force")
    write(rows, GRADING / "grades.csv")
    print(f"{GRADING / 'grades.csv'}: {len(rows)} submissions")
    return int(not all(row.graded for row in rows))


def submissions(folder: Path) -> list[tuple[str, str, Path]]:
    """(student, problem set, file) for every submission. Raises Mistake when there are none."""
    if not folder.is_dir():
        raise Mistake(f"there is no folder {folder}: name the one where the submissions are")
    found = {}
    for name in problem_sets():
        for path in [*folder.glob(f"*/{name}.ipynb"), *folder.glob(f"*/{name}/{name}.ipynb")]:
            student = path.relative_to(folder).parts[0]
            if not student.startswith(".") and not set(student) & set("*?[]+"):
                found[student, name] = path
    if not found:
        raise Mistake(f"{folder} holds no STUDENT/psK.ipynb and no STUDENT/psK/psK.ipynb of the sets {', '.join(problem_sets())}")
    return [(student, name, path) for (student, name), path in sorted(found.items())]


def register(name: str):
    """Tell nbgrader's gradebook about a set as solutions/ has it now, hidden tests included; returns the released notebook."""
    GRADING.mkdir(exist_ok=True)
    release = GRADING / "release"
    nbgrader("generate_assignment", name, "--force", f"--CourseDirectory.release_directory={release}")
    return nbformat.read(release / name / f"{name}.ipynb", as_version=4)


def grade_one(student: str, name: str, path: Path, release) -> Row:
    """Grade one submission. Whatever is wrong with it becomes a remark, and no points."""
    row = Row(student, name)
    row.of = sum(points(cell) for cell in release.cells)
    for step in ("submitted", "autograded", "feedback"):
        shutil.rmtree(GRADING / step / student / name, ignore_errors=True)
    try:
        notebook = nbformat.read(path, as_version=4)
        lost = mend(notebook, release)
    except Exception:  # noqa: BLE001 (a file may be anything)
        row.remarks.append(f"{path} is not a notebook")
        return row
    if lost:
        row.remarks.append(f"missing cells of the set, put back as handed out: {', '.join(lost)}")
    submitted = GRADING / "submitted" / student / name / f"{name}.ipynb"
    submitted.parent.mkdir(parents=True)
    nbformat.write(notebook, submitted)
    try:
        nbgrader("autograde", name, f"--student={student}", "--force", limit=PATIENCE * seconds_a_cell())
    except subprocess.TimeoutExpired:
        row.remarks.append(f"stopped: it did not end within {PATIENCE * seconds_a_cell():g} s")
        return row
    except Mistake as mistake:
        row.remarks.append(f"not graded: {mistake}")
        return row
    read_scores(row)
    graded = nbformat.read(GRADING / "autograded" / student / name / f"{name}.ipynb", as_version=4)
    stopped = sum(o.get("ename") == "CellTimeoutError" for cell in graded.cells for o in cell.get("outputs", []))
    if stopped:
        row.remarks.append(f"cells stopped after {seconds_a_cell():g} s: {stopped}")
    row.graded = True
    return row


def mend(notebook, release) -> list[str]:
    """Give a submission the set's own marks on its cells, and the cells that it has lost; returns their names.

    A lost answer comes back as the stub, so that it earns nothing, and a lost test comes back as it was.
    """
    marks = {grade_id(cell): cell.metadata.nbgrader for cell in release.cells if grade_id(cell)}
    seen: set[str] = set()
    for cell in reversed(notebook.cells):  # of a cell and its copy, the last counts
        name = grade_id(cell)
        cell.metadata.pop("nbgrader", None)
        if name in marks and name not in seen:
            cell.metadata["nbgrader"] = copy.deepcopy(marks[name])
            seen.add(name)
    lost, place = [], 0
    for cell in release.cells:
        name = grade_id(cell)
        if name in seen:
            place = next(i for i, mine in enumerate(notebook.cells) if grade_id(mine) == name) + 1
        elif name:
            notebook.cells.insert(place, copy.deepcopy(cell))
            lost.append(name)
            place += 1
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"{number:03d}"  # an old notebook has none, and a cell that comes back may have that of another
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return lost


def grade_id(cell) -> str | None:
    """The name by which nbgrader knows a cell."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def points(cell) -> float:
    """What a cell is worth."""
    mark = cell.metadata.get("nbgrader", {})
    return float(mark.get("points", 0)) if mark.get("grade") or mark.get("task") else 0.0


def task_of(name: str) -> str:
    """The task that a graded cell belongs to: ps1-3-order → ps1.3, ps1-W1 → ps1.W1."""
    match = re.match(r"(ps\d+)-([^-]+)", name)
    return f"{match[1]}.{match[2]}" if match else name


def read_scores(row: Row) -> None:
    """Fill in what the gradebook says; points that were given by hand count, and stay when a set is graded anew."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{(GRADING / 'gradebook.db').resolve()}") as book:
        for mine in book.find_submission(row.problem_set, row.student).notebooks:
            for grade in mine.grades:
                waits = grade.auto_score is None and grade.manual_score is None
                row.by_hand += grade.max_score if waits else 0
                row.tasks[task_of(grade.name)] = row.tasks.get(task_of(grade.name), 0) + (grade.score or 0)
    row.total = sum(row.tasks.values())


def seconds_a_cell() -> float:
    """The limit that nbgrader_config.py sets."""
    from traitlets.config import PyFileConfigLoader

    return PyFileConfigLoader("nbgrader_config.py", path=os.getcwd()).load_config().Execute.timeout


def write(rows: list[Row], path: Path) -> None:
    """Write grades.csv: a line for each submission, a column for each task."""
    tasks = sorted({task for row in rows for task in row.tasks})
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["student", "problem_set", "total", "of", "by_hand", *tasks, "feedback", "remarks"])
        for row in rows:
            given = [f"{row.tasks[task]:g}" if task in row.tasks else "" for task in tasks]
            figures = [f"{row.total:g}", f"{row.of:g}", f"{row.by_hand:g}"]
            table.writerow([row.student, row.problem_set, *figures, *given, row.feedback, "; ".join(row.remarks)])


if __name__ == "__main__":
    raise SystemExit(main())
