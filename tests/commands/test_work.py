"""A copy of one's own: it follows the course, and never loses an answer."""

import pytest

from minimim.commands import lab
from minimim.commands.lab import Lab, Work, copy
from minimim.errors import UserError


@pytest.fixture
def course(tmp_path, monkeypatch):
    files = ("notebooks/00.ipynb", "exercises/ps1/ps1.ipynb", "benchmarks/results/quality.json")
    for name in (*files, "exercises/.hidden/x", "solutions/secret.ipynb", "benchmarks/speed.py"):
        file = tmp_path / "course" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"the first {name}")
    monkeypatch.setattr(lab, "course", lambda: tmp_path / "course")
    return tmp_path / "course"


def test_lessons_exercises_and_results_are_copied_and_nothing_else(course, tmp_path):
    new, kept = copy(course, tmp_path / "work")
    assert [str(path) for path in new] == ["notebooks/00.ipynb", "exercises/ps1/ps1.ipynb", "benchmarks/results/quality.json"]
    assert kept == []
    assert copy(course, tmp_path / "work") == ([], [])


def test_what_was_not_touched_follows_the_course_and_what_was_is_kept(course, tmp_path, capsys):
    work = tmp_path / "work"
    Work(str(work)).run()
    (work / "exercises/ps1/ps1.ipynb").write_text("my answer")
    assert copy(course, work) == ([], [])  # the course has nothing new: no noise
    for name in ("notebooks/00.ipynb", "exercises/ps1/ps1.ipynb"):
        (course / name).write_text("the second")
    Work(str(work)).run()
    assert (work / "notebooks/00.ipynb").read_text() == "the second"
    assert (work / "exercises/ps1/ps1.ipynb").read_text() == "my answer"
    assert "new version of exercises/ps1/ps1.ipynb, and yours is kept" in capsys.readouterr().out


def test_without_lessons_or_jupyterlab_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(lab.minimim, "__file__", str(tmp_path / "minimim" / "__init__.py"))
    with pytest.raises(UserError, match="no lessons beside"):
        Work(str(tmp_path / "work")).run()
    monkeypatch.setattr(lab, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="JupyterLab is not installed"):
        Lab().run()


def test_lab_says_how_to_leave_and_keeps_jupyters_own_talk_short(course, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(lab.subprocess, "run", lambda command, **_: asked.append(command) or lab.subprocess.CompletedProcess(command, 0))
    assert Lab(str(tmp_path / "work")).run() == 0
    assert "Leave this window open" in capsys.readouterr().out.splitlines()[-1] and "--log-level=WARN" in asked[0]
