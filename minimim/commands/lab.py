"""minimim work, minimim lab"""

import filecmp
import os
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

SETTINGS = Path(minimim.__file__).parent / "assets" / "jupyter"  # no question about news, none of nbgrader's panels, and arrow keys for the lists in widgets
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
        print("JupyterLab opens in your browser. Leave this window open meanwhile; Ctrl-C, pressed twice here, ends it", flush=True)
        return subprocess.run([sys.executable, "-m", "jupyterlab", "--log-level=WARN", self.out], env=os.environ | quiet(), check=False).returncode


def quiet() -> dict[str, str]:
    """The variable that leads Jupyter to SETTINGS: after your own settings, which overrule them, and before those of installed packages."""
    from jupyter_core.paths import jupyter_config_dir

    paths = [os.environ.get("JUPYTER_CONFIG_PATH"), jupyter_config_dir(), str(SETTINGS)]
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths))}


def course() -> Path:
    """The folder of the course: the repository that minimim was installed from, or what a wheel carries of it. Raises UserError when there
    is neither."""
    here = Path(minimim.__file__).parent
    for top in (here.parent, here / "course"):  # setup.py fills the second one
        if all((top / part).is_dir() for part in COPIED):
            return top
    raise UserError(f"there are no lessons beside {here}, nor in it: install a wheel of minimim, or clone the course and install it from there by -e .")


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
