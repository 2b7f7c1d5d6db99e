"""Find what was handed in: whose each notebook in a folder of submissions is, and of which problem set.

Each student has a folder. STUDENT/psK.ipynb and STUDENT/psK/psK.ipynb are asked for; other names and places are taken where it is
clear what is meant, and each file that is not taken gets a line."""

import hashlib
import json
import os
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

LITTER = {".ipynb_checkpoints", "__MACOSX", "__pycache__", ".DS_Store", "Thumbs.db", "desktop.ini", ".git"}  # left by systems and editors
PACKED = {".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".rar"}
NAMED = re.compile(r"(?<![a-z])(?:ps|pset|problem[ _-]*set)[ _-]*0*(\d+)(?!\d)", re.IGNORECASE)
STUB = "raise NotImplementedError  # your code here"
UNGRADED = ("build",)  # sets that are for the student alone


@dataclass
class Candidate:
    """A file that may be a student's answer to a set. state: 2 a notebook with an answer, 1 without one, 0 no notebook."""

    path: Path
    problem_set: str
    state: int
    place: str  # its path inside the student's folder

    @property
    def exact(self) -> bool:
        """Whether it has the name and the place that were asked for."""
        name = f"{self.problem_set}.ipynb"
        return self.place in (name, f"{self.problem_set}/{name}")

    @property
    def rank(self) -> tuple:
        """The highest of several is taken: first a notebook with an answer in it, then the name that was asked for, then the newest."""
        return self.state, self.exact, self.path.name == f"{self.problem_set}.ipynb", self.path.stat().st_mtime, self.place


def gather(folder: Path, sets: list[str]) -> tuple[dict[tuple[str, str, Path], list[str]], list[str]]:
    """({(student, problem set, file): remarks} for the files that are taken, a line for each that is not as it was asked for)."""
    taken, lines, candidates = {}, [], defaultdict(list)
    for top in sorted(folder.iterdir()):
        if litter(top.name):
            continue
        if top.is_symlink():
            lines.append(f"{top.name}: not taken, it is a link")
        elif top.is_file():
            owner, found = loose(top, sets)
            if owner:
                candidates[owner, found.problem_set].append(found)
            else:
                lines.append(f"{top.name}: not taken, it lies in no student's folder")
        elif set_named(top.name, sets) and NAMED.fullmatch(top.name):
            lines.append(f"{top.name}: not taken, it is the name of a set where that of a student was expected")
        else:
            found, told = look_into(top, sets)
            lines += [f"{top.name}: {line}" for line in told]
            for one in found:
                candidates[unicodedata.normalize("NFC", top.name), one.problem_set].append(one)
    for (student, problem_set), group in sorted(candidates.items()):
        best, told = choose(group)
        if known_as(student) != student:
            told.append(f"nbgrader knows this student as {known_as(student)}")
        lines += [f"{student}: {line}" for line in told]
        if best:
            taken[student, problem_set, best.path] = told
    return taken, lines


def look_into(top: Path, sets: list[str]) -> tuple[list[Candidate], list[str]]:
    """The candidates anywhere in a student's folder, and a line for the rest."""
    found, told, others = [], [], []
    for where, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not litter(name))
        links = [name for name in folders if (Path(where) / name).is_symlink()]
        for path in (Path(where) / name for name in [*links, *sorted(files)] if not litter(name)):
            place = path.relative_to(top).as_posix()
            if path.is_symlink() or not path.is_file():
                told.append(f"{place} is not taken: it is a link, or no file")
            elif path.suffix.lower() in PACKED:
                told.append(f"{place} is not taken: it is packed, unpack it first")
            elif one := candidate(path, place, sets):
                found.append(one)
            elif ".ipynb" in path.name.lower() and any(mark.startswith(f"{name}-") for mark in read(path)[0] for name in UNGRADED):
                told.append(f"{place} is not graded: it is for the student alone")
            elif ".ipynb" in path.name.lower():
                told.append(f"{place} is not taken: neither its name nor its cells say which set it is")
            else:
                others.append(place)
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        told.append(f"not notebooks, and not looked at: {', '.join(others[:5])}{more}")
    if not found:
        told.append("nothing in it can be graded" if told else "nothing is in it")
    return found, told


def candidate(path: Path, place: str, sets: list[str]) -> Candidate | None:
    """The file as an answer to the set that its cells belong to, or else that its name says; None for what is neither."""
    if not any(end in path.name.lower() for end in (".ipynb", ".json", ".txt")):
        return None
    marks, state = read(path)
    by_cells = [name for name in sets if any(mark.startswith(f"{name}-") for mark in marks)]
    by_name = set_named(path.stem, sets) if ".ipynb" in path.name.lower() else None
    if by_cells and by_name not in by_cells:
        return Candidate(path, by_cells[0], state, place)
    return Candidate(path, by_name, state, place) if by_name else None


def read(path: Path) -> tuple[set[str], int]:
    """(the names that nbgrader gave to a notebook's cells, its state: see Candidate)."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8-sig"))["cells"]
        marks = {cell["metadata"]["nbgrader"].get("grade_id", "") for cell in cells if "nbgrader" in cell["metadata"]}
        answers = [cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("solution")]
        empty = answers and all(STUB in "".join(cell["source"]) for cell in answers if cell["cell_type"] == "code")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set(), 0
    return {str(mark) for mark in marks}, 1 if empty else 2


def loose(path: Path, sets: list[str]) -> tuple[str, Candidate | None]:
    """(the student, the candidate) for a file beside the folders whose name begins with the student's: anna_ps1.ipynb."""
    said = NAMED.search(path.stem)
    owner = path.stem[: said.start()].strip(" _-.") if said else ""
    found = candidate(path, path.name, sets) if owner and path.suffix.lower() == ".ipynb" else None
    return (unicodedata.normalize("NFC", owner), found) if found else ("", None)


def choose(group: list[Candidate]) -> tuple[Candidate | None, list[str]]:
    """(which of a student's candidates for one set is taken, what there is to say)."""
    group = sorted(group, key=lambda one: one.rank, reverse=True)
    best, name = group[0], group[0].problem_set
    parents = sorted({Path(one.place).parts[0] for one in group if len(Path(one.place).parts) > 1})
    if not any(one.exact or "/" not in one.place for one in group) and len(parents) > 1:
        return None, [f"{name} is in several of its folders, {', '.join(parents)}, and none is taken: is each a student's?"]
    told = [] if best.exact else [f"{best.place} is taken as {name}"]
    if len(group) > 1:
        told.append(f"of several for {name}, {best.place} is taken, and not {', '.join(one.place for one in group[1:])}")
    return best, told[-1:]


def set_named(text: str, sets: list[str]) -> str | None:
    """The set that a name means: ps1 for "PS1 (1)" and for "anna_ps01-final"; None without one."""
    said = NAMED.search(text)
    return next((name for name in sets if said and name == f"ps{said[1]}"), None)


def litter(name: str) -> bool:
    """Whether a file was left by a system or an editor, and not by a student."""
    return name in LITTER or name.startswith("._")


def known_as(student: str) -> str:
    """The student's name for nbgrader, which takes no + and reads brackets and stars as patterns; the same each time."""
    plain = re.sub(r"[^\w. -]", "_", student).strip("._- ") or "student"
    return student if plain == student else f"{plain}-{hashlib.sha256(student.encode()).hexdigest()[:6]}"
