"""The doctor: a line for each thing, what to do about it, an exit code; and it runs where nothing else does."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from helpers import TOP

from minimim import doctor
from minimim.cli import parse
from minimim.commands import Doctor
from minimim.doctor import Finding, packages

PLAIN = ["__init__.py", "__main__.py", "prompt.py", "threads.py", *(f"doctor/{p.name}" for p in (TOP / "minimim/doctor").glob("*.py"))]


def test_on_a_machine_that_runs_these_tests_nothing_needed_is_missing(capsys):
    assert Doctor().run() == 0
    told = capsys.readouterr().out
    assert "[mend]" not in told and "lessons run with" in told and "bundled images: fashion-mnist-6000.npz and photos-6.webp" in told
    assert "all of them work" in told and "device: " in told and told.endswith("everything that is needed is there\n")


@pytest.mark.parametrize("needed, code, mark, word", [(True, 1, "[mend]", "do"), (False, 0, "[note]", "better")])
def test_what_is_missing_comes_with_what_to_do(capsys, needed, code, mark, word):
    assert doctor.run((lambda: Finding(False, "a hammer", "buy a hammer", needed), lambda: None)) == code
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{mark} a hammer" and told[1].split() == f"{word}: buy a hammer".split() and len(told) == 3


def test_the_same_advice_is_given_once(capsys):
    assert doctor.run((lambda: Finding(False, "a hammer", "buy tools"), lambda: Finding(False, "a saw", "buy tools"))) == 1
    assert [line.strip() for line in capsys.readouterr().out.splitlines()[1::2]] == ["do: buy tools", "do: the same as above"]


def test_the_way_to_packages_is_looked_at_while_one_is_missing(monkeypatch):
    monkeypatch.setattr(doctor.network, "index", lambda: "asked")
    for there, asked in ((True, None), (False, "asked")):
        monkeypatch.setattr(packages, "ready", lambda there=there: there)
        assert doctor.network.index_if_needed() == asked


def test_before_the_set_up_only_what_the_set_up_needs_is_looked_at(monkeypatch):
    seen = []
    monkeypatch.setattr(doctor, "run", lambda looks: seen.append(looks) or 0)
    assert parse(["doctor", "--before"]).run() == 0 and parse(["doctor"]).run() == 0
    assert seen == [doctor.BEFORE, doctor.AFTER]
    assert not [look for look in doctor.BEFORE if look.__module__.endswith(("packages", "jupyter"))]


def bare(folder, *arguments, fake="none", top=TOP):
    """The doctor of a Python that has nothing installed but the standard library, and the folder `fake` on its path."""
    place = f"import sys, runpy; sys.path[:0] = [{str(top)!r}, {str(fake)!r}]; sys.argv = {['minimim', *arguments]}; "
    command = [sys.executable, "-I", "-S", "-c", place + "runpy.run_module('minimim', run_name='__main__')"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_it_runs_on_the_standard_library_alone_and_says_what_is_missing(tmp_path):
    done = bare(tmp_path, "doctor")
    assert done.returncode == 1 and not done.stderr
    assert f"[mend] not installed for this Python: {', '.join(packages.LEAST)}\n" in done.stdout
    assert "needed to open the lessons: jupyterlab, ipywidgets" in done.stdout and "do: the same as above" in done.stdout
    assert done.stdout.count("in the folder of the course: ") == 1 and done.stdout.count(" -m pip install -c requirements.lock -e '.[lab]'\n") == 1


def test_where_minimim_came_as_a_wheel_the_advice_needs_no_folder_of_the_course(tmp_path):
    for name in PLAIN:  # no lock file lies beside them
        (tmp_path / "minimim" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / "minimim" / name, tmp_path / "minimim" / name)
    told = bare(tmp_path, "doctor", top=tmp_path).stdout
    assert told.count(" -m pip install 'minimim[lab]'\n") == 1 and "folder of the course" not in told and "requirements.lock" not in told


@pytest.mark.parametrize("error", ["OSError('libtorch.so: cannot open')", "ImportError('DLL load failed')", "RuntimeError('operator nms')"])
def test_another_command_names_the_doctor_where_torch_is_missing_or_broken(tmp_path, error):
    (tmp_path / "torch.py").write_text(f"raise {error}")
    for fake, said in (("none", "No module named"), (tmp_path, error.partition("'")[2][:-2])):
        done = bare(tmp_path, "methods", fake=fake)
        assert done.returncode == 2 and not done.stdout
        (line,) = done.stderr.splitlines()
        assert said in line and line.startswith("minimim: ") and line.endswith("python -m minimim doctor says what to do")


@pytest.mark.parametrize("name", PLAIN)
def test_what_the_doctor_is_made_of_can_be_read_by_an_old_python_and_imports_only_the_standard_library(name):
    text = (TOP / "minimim" / name).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    assert "from __future__ import annotations" in text or not re.search(r"[\w\]] \| |\b(list|dict|tuple)\[", text)
    first = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {node.module if isinstance(node, ast.ImportFrom) else alias.name for node in first for alias in node.names}
    allowed = ("minimim", "minimim.doctor", "minimim.prompt", "minimim.threads")
    assert all(n.startswith(allowed) or n.partition(".")[0] in sys.stdlib_module_names for n in names if n), names


def test_the_versions_that_are_asked_for_are_those_of_the_project():
    asked = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["dependencies"]
    assert [f"{name}>={least}" for name, least in packages.LEAST.items()] == asked
