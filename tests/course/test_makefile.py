"""make setup: what it says, what it runs, and what it leaves behind when it is stopped or fails. Nothing is installed here."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from helpers import TOP
from packaging.requirements import Requirement

PIP = "-m pip install --quiet --disable-pip-version-check"
CPU = f"{PIP} --no-deps --force-reinstall --index-url https://download.pytorch.org/whl/cpu -c requirements.lock torch torchvision"
ALL = f"{PIP} -c requirements.lock -e .[lab]"
STAND_IN = """#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then echo "$@" >> asked; if [ -e broken ]; then exit 1; fi; exit 0; fi
if [ "$1 $2" = "-m venv" ]; then echo "$@" >> asked; mkdir -p .venv/bin; cp "$0" .venv/bin/python; touch .venv/bin/pip; exit 0; fi
if [ "$1 $2" = "-m minimim" ]; then echo "$@" >> asked; echo "the doctor speaks"; if [ -e ill ]; then exit 1; fi; exit 0; fi
exec REAL "$@"
"""


@pytest.fixture
def clone(tmp_path):
    """What make needs, in a folder whose path has a space, with a Python that only notes what it is asked to do."""
    folder = tmp_path / "my courses"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-test.lock"):
        shutil.copy(TOP / name, folder)
    stand_in = folder / "python"
    stand_in.write_text(STAND_IN.replace("REAL", sys.executable))
    stand_in.chmod(0o755)
    return folder


def make(folder, *words):
    """(exit code, what was printed). Where make test runs this, the inner make must not know of it, and of its folders and words."""
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS", "CPU")}
    done = subprocess.run(["make", "PYTHON=./python", *words], cwd=folder, env=alone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def asked(folder):
    """What the Python was asked to do since the last time."""
    file = folder / "asked"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


BEGIN = ["-m minimim doctor --before", "-m venv .venv"]


def test_the_first_time_it_looks_installs_and_says_how_much_and_how_long(clone):
    code, told = make(clone, "setup")
    assert code == 0 and asked(clone) == [*BEGIN, ALL]
    for words in ("the doctor speaks", "6 GB of disk", "3 to 20 minutes", "Ctrl-C stops it", "all is installed. make lab opens"):
        assert words in told
    assert "pip install" not in told  # commands are not what a learner reads here
    assert make(clone, "setup")[0] == 0 and asked(clone) == []


def test_a_cpu_in_the_environment_does_not_choose(clone, monkeypatch):
    monkeypatch.setenv("CPU", "x86_64")  # as openSUSE has it
    assert make(clone, "setup")[0] == 0 and asked(clone) == [*BEGIN, ALL]


def test_the_small_pytorch_is_taken_first_and_remembered(clone):
    code, told = make(clone, "setup", "CPU=1")
    assert code == 0 and asked(clone) == [*BEGIN, CPU, ALL] and "1.5 GB of disk" in told and "6 GB" not in told
    assert make(clone, "setup")[0] == 0 and asked(clone) == []
    later = (clone / ".venv" / "lab").stat().st_mtime + 10
    os.utime(clone / "requirements.lock", (later, later))  # as git pull does
    assert make(clone, "setup")[0] == 0 and asked(clone) == [CPU, ALL]


def test_without_make_the_readme_has_the_same_lines():
    page = (TOP / "README.md").read_text(encoding="utf-8")
    for line in (CPU.replace(" --quiet --disable-pip-version-check", "").replace(" --force-reinstall", ""), PIP[:14] + ' -c requirements.lock -e ".[lab]"'):
        assert f"\n    python {line}\n" in page


def test_when_pip_fails_the_doctor_explains_and_the_next_try_begins_again(clone):
    (clone / "broken").touch()
    for words in ([], ["CPU=1"]):
        code, told = make(clone, "setup", *words)
        assert code != 0 and told.index("pip could not install everything") < told.rindex("the doctor speaks")
        assert not (clone / ".venv" / "lab").exists() and not (clone / ".venv" / "cpu").exists() and "all is installed" not in told
    (clone / "broken").unlink()
    asked(clone)
    assert make(clone, "setup")[0] == 0 and asked(clone) == [ALL]


def test_what_the_doctor_finds_missing_stops_it_before_anything_is_made(clone):
    (clone / "ill").touch()
    assert make(clone, "setup")[0] != 0 and asked(clone) == BEGIN[:1] and not (clone / ".venv").exists()


def test_an_environment_that_was_not_finished_is_made_again(clone):
    (clone / ".venv/bin").mkdir(parents=True)
    shutil.copy(clone / "python", clone / ".venv/bin/python")  # Ctrl-C before pip came
    assert make(clone, "setup")[0] == 0 and asked(clone) == [*BEGIN, ALL]


def test_a_python_that_is_too_old_gets_one_sentence(clone):
    real = f'exec {sys.executable} -c "import sys; sys.version_info = (3, 9, 1); exec(sys.argv[1])" "$2"'
    (clone / "python").write_text(f'#!/bin/sh\nif [ "$1" = "-c" ]; then {real}; fi\necho "$@" >> asked\n')
    code, told = make(clone, "setup")
    assert code != 0 and asked(clone) == []
    assert told.startswith("minimim needs Python 3.11, 3.12 or 3.13, and ./python is ") and told.splitlines()[0].endswith("try make PYTHON=python3.12")


def wheel(folder, name, version, needs=()):
    """A package with nothing in it, in an index of packages."""
    place, info = folder / name, f"{name}-{version}.dist-info"
    place.mkdir(parents=True, exist_ok=True)
    meta = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(f"Requires-Dist: {need}\n" for need in needs)
    file = place / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(f"{name}.py", "")
        packed.writestr(f"{info}/METADATA", meta)
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/RECORD", "")
    with (place / "index.html").open("a") as page:
        page.write(f'<a href="{file.name}">{file.name}</a>\n')


@pytest.mark.slow
def test_pip_takes_the_small_pytorch_of_the_locked_version_and_keeps_it(tmp_path):
    locked = {need.name: str(need.specifier)[2:] for need in map(Requirement, (TOP / "requirements.lock").read_text().splitlines()) if need.name[:5] == "torch"}
    for version, vision in (tuple(locked[name] for name in ("torch", "torchvision")), ("99.0", "98.0")):
        wheel(tmp_path / "index", "torch", f"{version}+cpu")
        wheel(tmp_path / "index", "torchvision", f"{vision}+cpu", ["numpy", f"torch=={version}"])
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "new"], check=True)

    def pip(command):
        words = [tmp_path / "new/bin/python", *command.replace("--quiet", "").split()]
        done = subprocess.run(words, cwd=TOP, env=os.environ | {"PIP_CONFIG_FILE": os.devnull}, capture_output=True, text=True, check=True)
        return done.stdout

    pip(CPU.replace("https://download.pytorch.org/whl/cpu", (tmp_path / "index").as_uri()))
    assert f"torch {locked['torch']}+cpu" in " ".join(pip("-m pip list").split())
    told = pip(ALL.replace("-e .[lab]", "--dry-run --no-index --no-deps torch torchvision"))
    assert told.count("already satisfied") == 2 and "Would install" not in told
