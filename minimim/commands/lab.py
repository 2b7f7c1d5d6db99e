"""minimim work, minimim lab"""

import filecmp
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import minimim
from minimim.config import option
from minimim.doctor.finding import INSTALL
from minimim.errors import UserError

COPIED = ("notebooks", "exercises", "benchmarks/results")  # the last: figures that lessons read


@dataclass
class Work:
    """Copy lessons, exercises and the stored results that lessons read to a folder of your own, which git ignores, so that
    pulling a newer course never touches your answers. What you have changed there is never overwritten."""

    out: str = option("work", "the folder for your copy")

    def run(self) -> int:
        """Copy what is new, and say what was left alone."""
        new, kept = copy(course(), Path(self.out))
        print(f"{self.out}: {len(new)} files copied" + (f", {len(kept)} of yours left as they are" if kept else ""))
        for path in kept:
            print(f"  the course has a new version of {path}, and yours is kept: rename yours and run this again to get the new one")
        return 0


@dataclass
class Lab:
    """Open the lessons in JupyterLab, in your own copy of them."""

    out: str = option("work", "the folder of your copy; created if it does not exist")

    def run(self) -> int:
        """Bring the copy up to date, then start JupyterLab in it until it is closed."""
        if find_spec("jupyterlab") is None:
            raise UserError(f"JupyterLab is not installed: {INSTALL}")
        Work(self.out).run()
        return subprocess.run([sys.executable, "-m", "jupyterlab", self.out], check=False).returncode


def course() -> Path:
    """The folder of the course: the one that minimim was installed from. Raises UserError when it is not there."""
    top = Path(minimim.__file__).parent.parent
    if not (top / COPIED[0]).is_dir():
        raise UserError(f"there are no lessons beside {top / 'minimim'}: clone the course and install it from there by -e .")
    return top


def copy(top: Path, out: Path) -> tuple[list[Path], list[Path]]:
    """Copy the lessons' files to `out`: (new, kept), the paths that were copied and those that differ from the course.

    A file that was copied before and not changed since is updated; one that you changed stays.
    """
    sources = [path for part in COPIED for path in sorted((top / part).rglob("*")) if path.is_file()]
    new, kept = [], []
    for source in sources:
        path = source.relative_to(top)
        if any(part.startswith(".") for part in path.parts):
            continue
        mine, origin = out / path, out / ".course" / path  # the course's file as it was when it was copied
        if mine.exists() and filecmp.cmp(source, mine, shallow=False):
            continue
        if mine.exists() and not (origin.exists() and filecmp.cmp(origin, mine, shallow=False)):
            if not (origin.exists() and filecmp.cmp(origin, source, shallow=False)):
                kept.append(path)
            continue
        for place in (mine, origin):
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, place)
            except OSError as error:
                raise UserError(f"cannot write {place}: {error}; choose another --out") from error
        new.append(path)
    return new, kept
