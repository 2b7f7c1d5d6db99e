"""The problem sets: make exercises/ from solutions/, and grade a folder of submissions.

    python scripts/problem_sets.py generate
    python scripts/problem_sets.py grade FOLDER     # FOLDER/STUDENT/ps1.ipynb or FOLDER/STUDENT/ps1/ps1.ipynb

Works on the course in the current folder. Needs nbgrader. Grading runs what students wrote: see docs/teaching.md."""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

sys.path.append(str(Path(__file__).parent))  # for when this file is loaded from elsewhere

from class_report import report
from handed_in import UNGRADED, gather, known_as
from mending import leave_out, mend, task_of

KEPT = {"tags", "nbgrader", "deletable", "editable"}  # of a cell's metadata
GRADING = Path("grading")
NOTES = "watch.jsonl"  # what minimim.feedback.watch saw
WATCHED = (
    '--Execute.extra_arguments=["--ext=minimim.feedback.watch"]',  # loaded before anything of the submission can run
    "--Execute.interrupt_on_timeout=False",  # a cell can ignore an interrupt, so its answer is left out, and grading begins anew
)


@dataclass
class Row:
    """A line of grades.csv. tasks: task → points; of: points that there are; by_hand: those of them that are still to be given by hand."""

    student: str
    problem_set: str
    total: float = 0.0
    of: float = 0.0
    by_hand: float = 0.0
    tasks: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    graded: bool = False

    @property
    def notebook(self) -> Path:
        """The submission as it was run."""
        return GRADING / "autograded" / known_as(self.student) / self.problem_set / f"{self.problem_set}.ipynb"

    @property
    def feedback(self) -> str:
        """The page for the student, beside grades.csv."""
        return f"feedback/{known_as(self.student)}/{self.problem_set}/{self.problem_set}.html" if self.graded else ""


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
    """An error that is shown to the user in one sentence."""


def problem_sets() -> list[str]:
    """The names of all sets that have a solution here."""
    return sorted(path.stem for path in Path("solutions").glob("*/*.ipynb") if path.parent.name == path.stem)


def nbgrader(*arguments: str, limit: float | None = None, **place: str) -> str:
    """Run an nbgrader command, and return its log; place: more environment variables. Raises Mistake when it fails, with the line
    of its log that says why, or when it takes more than `limit` seconds."""
    place |= {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),  # it calls alembic by name
        "PYTHONWARNINGS": "ignore",  # it takes a warning in a graded cell for a failure
    }
    command = [sys.executable, "-m", "nbgrader", *arguments]
    try:
        done = subprocess.run(command, env=os.environ | place, timeout=limit, capture_output=True, check=False)
    except subprocess.TimeoutExpired:
        raise Mistake(f"it did not end within {limit:g} s") from None
    log = done.stderr.decode("utf-8", "replace")
    if done.returncode:
        raise Mistake(cause(log))
    return log


def cause(log: str) -> str:
    """The line of a log that says best what went wrong: the last one of a traceback, else the last error."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    errors = [line for line in lines if "| ERROR |" in line or "ERROR" in line[:40]]
    return (raised or errors or lines or ["nbgrader failed without a word"])[-1]


def generate() -> int:
    """Make every exercise anew."""
    nbgrader("generate_assignment", "*", "--no-db", "--force")
    for name in problem_sets():
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
    releases = {name: register(name) for name in sorted({name for _, name, _ in found})}
    rows = []
    for (student, name, path), remarks in found.items():
        row = Row(student, name, of=sum(points(cell) for cell in releases[name].cells), remarks=[*remarks])
        grade_one(row, path, releases[name])
        rows.append(row)
        told = f"{row.total:g} of {row.of:g}" + (f", {row.by_hand:g} more to give by hand" if row.by_hand else "")
        print("; ".join([f"{student} {name}: {told}", *row.remarks]), flush=True)
        write(rows, GRADING / "grades.csv")
    for name, release in releases.items():
        for line in report(name, release, [(row.tasks, row.notebook) for row in rows if row.graded and row.problem_set == name]):
            print(line)
    print(f"{GRADING / 'grades.csv'}: {len(rows)} submissions")
    for name in sorted({row.problem_set for row in rows if row.graded}):
        try:
            nbgrader("generate_feedback", name, "--force")
        except Mistake as mistake:
            print(f"{name}: not every page of feedback could be made: {mistake}")
    return int(not all(row.graded for row in rows))


def submissions(folder: Path) -> dict[tuple[str, str, Path], list[str]]:
    """{(student, problem set, file): remarks} for every submission that is taken; prints a line for everything that is not as
    it was asked for. Raises Mistake when there are none."""
    if not folder.is_dir():
        raise Mistake(f"there is no folder {folder}: name the one where the submissions are")
    sets = [name for name in problem_sets() if name not in UNGRADED]
    found, lines = gather(folder, sets)
    print(*lines, sep="\n", end="\n" if lines else "", flush=True)
    if not found:
        raise Mistake(f"{folder} holds no STUDENT/psK.ipynb and no STUDENT/psK/psK.ipynb of the sets {', '.join(sets)}")
    return found


def register(name: str):
    """Register a set, as solutions/ has it now with its hidden tests, in nbgrader's gradebook; returns the released notebook."""
    GRADING.mkdir(exist_ok=True)
    release = GRADING / "release"
    nbgrader("generate_assignment", name, "--force", f"--CourseDirectory.release_directory={release}")
    return nbformat.read(release / name / f"{name}.ipynb", as_version=4)


def grade_one(row: Row, path: Path, release) -> None:
    """Grade one submission. Whatever is wrong with it becomes a remark, and no points."""
    student, name = known_as(row.student), row.problem_set
    for step in ("submitted", "autograded", "feedback"):
        shutil.rmtree(GRADING / step / student / name, ignore_errors=True)
    solution = Path("solutions", name, f"{name}.ipynb").resolve()
    try:
        notebook = nbformat.read(path, as_version=4)
        row.remarks += mend(notebook, release, nbformat.read(solution, as_version=4))
    except Exception:  # noqa: BLE001 (a file may be anything)
        row.remarks.append(f"{path} is not a notebook")
        return
    submitted = GRADING / "submitted" / student / name / f"{name}.ipynb"
    submitted.parent.mkdir(parents=True)
    notes = (GRADING / NOTES).resolve()
    reasons = {  # part of nbgrader's error → (the message of a call of the answer from now on, the remark)
        "CellTimeoutError": (f"it did not end within {seconds_a_cell():g} s", f"stopped after {seconds_a_cell():g} s, and left out"),
        "DeadKernelError": ("it ended Python", "ended Python (os._exit, or too little memory), and left out"),
    }
    longest = seconds_a_cell() * (len(notebook.cells) + 1)  # each cell has its limit; this is nbgrader's own
    left_out = {}  # remark → what was left out
    while not row.graded:
        nbformat.write(notebook, submitted)
        notes.write_text("")
        try:
            command = ("autograde", name, f"--student={student}", "--force", *WATCHED)
            nbgrader(*command, limit=longest, WATCH_SET=str(solution), WATCH_NOTES=str(notes))
            row.graded = True
        except Mistake as mistake:
            running = [text for kind, text in read_notes(notes) if kind == "runs"][-1:]
            why, remark = next((said for part, said in reasons.items() if part in str(mistake)), ("", ""))
            left = leave_out(notebook.cells, release, *running, why) if running and why else None
            if not left:
                row.remarks.append(f"not graded: {mistake}")
                return
            left_out.setdefault(remark, []).append(left)
    if not read_notes(notes):
        row.remarks.append("not watched: what tests stand on may have been replaced")
    row.remarks += [f"{remark}: {', '.join(left)}" for remark, left in left_out.items()]
    if replaced := dict.fromkeys(text for kind, text in read_notes(notes) if kind == "replaced"):
        row.remarks.append(f"replaced by the submission, and put back for the tests: {', '.join(replaced)}")
    read_scores(row)


def read_notes(path: Path) -> list[tuple[str, str]]:
    """What minimim.feedback.watch wrote."""
    return [tuple(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def points(cell) -> float:
    """The points of a cell."""
    mark = cell.metadata.get("nbgrader", {})
    return float(mark.get("points", 0)) if mark.get("grade") or mark.get("task") else 0.0


def read_scores(row: Row) -> None:
    """Fill in what the gradebook says; points that were given by hand count, and stay when a set is graded anew."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{(GRADING / 'gradebook.db').resolve()}") as book:
        for mine in book.find_submission(row.problem_set, known_as(row.student)).notebooks:
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
