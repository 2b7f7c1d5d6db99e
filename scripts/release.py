"""Everything that is to be done before a release: python scripts/release.py [STEP …], or make release-check.

tree: all is committed. versions: package, changelog and citation say the same. lint: ruff. wheel: it is built from what is committed, holds
the course and nothing that it should not, and works in a folder of its own. oldest, newest: the quick tests on the oldest supported PyTorch and on the newest.
book: the web edition. browser: JupyterLab in a real browser. What is built lies in runs/release/; the environments are removed afterwards.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PLACE = TOP / "runs" / "release"
SIDE_BY_SIDE = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile")
LARGEST = 30 * 2**20  # bytes of a wheel
CORE = ("tests/train", "tests/methods", "tests/data", "tests/evaluate", "tests/interop", "tests/show", "tests/survey", "tests/commands", *sorted(
    str(path.relative_to(TOP)) for path in (TOP / "tests").glob("test_*.py")
), "--ignore-glob=*test_doctor*")  # fmt: skip (the doctor looks at the environment, and this one is made up)


class Missed(Exception):
    """A step did not end well. Its text is a sentence."""


def main() -> int:
    """Do the steps that were asked for, or all, one after the other, and stop at the first that does not end well."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"some of {', '.join(STEPS)}; by default all")
    asked = parser.parse_args().steps or list(STEPS)
    for name in asked:
        if name not in STEPS:
            parser.error(f"there is no step {name}: there are {', '.join(STEPS)}")
    PLACE.mkdir(parents=True, exist_ok=True)
    for name in asked:
        print(f"--- {name}", flush=True)
        try:
            STEPS[name]()
        except Missed as missed:
            print(f"release-check: {name}: {missed}", file=sys.stderr)
            return 1
    print(f"release-check: {', '.join(asked)}: all is well")
    return 0


def run(*words, cwd: Path = TOP, code: int = 0, **more: str) -> str:
    """What a command prints. more: variables of its environment. Raises Missed, with the end of what it printed, when it ends with
    another exit code."""
    done = subprocess.run(list(map(str, words)), cwd=cwd, env=os.environ | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != code:
        raise Missed(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def tree() -> None:
    """All is committed."""
    left = run("git", "status", "--porcelain").splitlines()
    if left:
        raise Missed(f"{len(left)} files are not committed, such as {left[0].strip()}: commit them, or remove them")


def version() -> str:
    """The version, as minimim/__init__.py says it."""
    return re.search(r'^__version__ = "(.+?)"', (TOP / "minimim" / "__init__.py").read_text(), re.MULTILINE)[1]


def versions() -> None:
    """The newest heading of the changelog and the citation file name this version, with the same date."""
    changed = re.search(r"^## (\S+) \((.+)\)$", (TOP / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE).groups()
    text = (TOP / "CITATION.cff").read_text(encoding="utf-8")
    cited = tuple(re.search(rf'^{name}: "?(.+?)"?$', text, re.MULTILINE)[1] for name in ("version", "date-released"))
    if not changed[0] == cited[0] == version() or changed != cited:
        raise Missed(f"minimim/__init__.py says {version()}, CHANGELOG.md {' of '.join(changed)}, and CITATION.cff {' of '.join(cited)}: make them agree")


def lint() -> None:
    """ruff finds nothing."""
    run(sys.executable, "-m", "ruff", "check", ".")


def committed(to: Path) -> Path:
    """The folder, with what is committed and nothing else."""
    shutil.rmtree(to, ignore_errors=True)
    with tempfile.TemporaryFile() as file:
        subprocess.run(["git", "archive", "--format=tar", "HEAD"], cwd=TOP, stdout=file, check=True)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            archive.extractall(to, filter="data")
    return to


def build(source: Path, out: Path) -> Path:
    """The wheel of a course in a folder, in a folder that held none."""
    shutil.rmtree(out, ignore_errors=True)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, source)
    return next(out.glob("*.whl"))


def faults(wheel: Path) -> list[str]:
    """What is wrong with the contents of a wheel, a sentence each."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    tracked = run("git", "ls-files", "minimim", "notebooks", "exercises", "benchmarks/results").splitlines()
    wanted = {name if name.startswith("minimim/") else f"minimim/course/{name}" for name in tracked}
    found = [f"it is {wheel.stat().st_size / 2**20:.0f} MB, more than {LARGEST / 2**20:.0f}"] if wheel.stat().st_size > LARGEST else []
    found += [f"{name} is missing" for name in sorted(wanted - names)]
    found += [f"{name} should not be in it" for name in sorted(names - wanted) if ".dist-info/" not in name]
    found += [f"{name} is one of the solutions" for name in sorted(names) if "solutions" in name]
    if f"minimim-{version()}.dist-info/METADATA" not in names:
        found.append(f"it is not of version {version()}")
    return found


@contextmanager
def environment(*install):
    """A context with the Python of a fresh environment that has what is installed here besides; install: what pip puts in front of that."""
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "Scripts" if os.name == "nt" else "bin", "python")
        own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        (own / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *install)
        yield python


def wheel() -> None:
    """The wheel holds what it should, and its commands work in a folder outside the repository."""
    path = build(committed(PLACE / "source"), PLACE / "dist")
    shutil.rmtree(PLACE / "source")
    wrong = faults(path)
    if wrong:
        raise Missed("; ".join(wrong[:5]))
    with environment("--no-deps", path) as python, tempfile.TemporaryDirectory() as outside:
        minimim = partial(run, python, "-m", "minimim", cwd=outside)
        if minimim("--version").strip() != version():
            raise Missed("the installed package is not of this version")
        minimim("work")
        missing = [part for part in ("notebooks", "exercises", "benchmarks/results") if not any(Path(outside, "work", part).iterdir())]
        if missing:
            raise Missed(f"minimim work did not copy {missing[0]}")
        minimim("survey", "paper", "MAE")
        minimim("check", "ps1.1", code=1)  # it is found, and not written yet
        minimim("demo", "--fast")
        if not Path(outside, "runs", "demo-fast", "report.html").exists():
            raise Missed("minimim demo --fast wrote no report")
        if "00_start_here.ipynb" not in lessons_in_jupyterlab(Path(outside), python):
            raise Missed("minimim lab does not offer the lessons")
    print(f"{path.relative_to(TOP)}: {path.stat().st_size / 2**20:.1f} MB")


def lessons_in_jupyterlab(folder: Path, python: Path) -> list[str]:
    """The files in notebooks/ that JupyterLab offers where `minimim lab` starts it in the folder."""
    sys.path.append(str(TOP / "tests_browser"))
    from lab import Server  # it needs what make test-browser installs

    try:
        server = Server(folder, python)
    except AssertionError as error:
        raise Missed(str(error)) from error
    try:
        return [file["name"] for file in server.ask("contents/notebooks")["content"]]
    finally:
        server.stop()


def tests_on(*torches: str) -> None:
    """The quick tests of the library on another PyTorch."""
    with environment(*torches) as python:
        print(run(python, "-c", "import torch, torchvision; print('torch', torch.__version__, 'torchvision', torchvision.__version__)").strip(), flush=True)
        print(run(python, "-m", "pytest", "-q", *SIDE_BY_SIDE, "-m", "not slow", *CORE, OMP_NUM_THREADS="1", MINIMIM_QUICK="1", PYTHONPATH=str(TOP)).splitlines()[-1])


def oldest() -> None:
    """The quick tests on the oldest PyTorch that pyproject.toml allows."""
    asked = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["dependencies"]
    tests_on(*(line.replace(">=", "==") + ".*" for line in asked if line.startswith("torch")))


def newest() -> None:
    """The quick tests on the newest PyTorch."""
    tests_on("--upgrade", "torch", "torchvision")


STEPS = {
    "tree": tree,
    "versions": versions,
    "lint": lint,
    "wheel": wheel,
    "oldest": oldest,
    "newest": newest,
    "book": lambda: run("make", "book"),
    "browser": lambda: run("make", "test-browser"),
}

if __name__ == "__main__":
    sys.exit(main())
