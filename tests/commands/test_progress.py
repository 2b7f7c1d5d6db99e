"""minimim progress: what the checks said last, which lessons were worked in, and the next step."""

import json
import re

import pytest
from helpers import TOP

from minimim.cli import main as minimim
from minimim.commands import progress
from minimim.commands.progress import ORDER
from minimim.feedback import WrongAnswer, check, tasks
from minimim.feedback.progress import FILE, remember, remembered

RIGHT = "def places(times):\n    return times.argsort(1).argsort(1) + 1"


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A learner's copy of the course, in work/ of the current folder."""
    for name in ORDER:
        part = f"exercises/{name}/{name}.ipynb" if name == "build" or name[:2] == "ps" else f"notebooks/{name}.ipynb"
        for place in ("work", "work/.course"):
            file = tmp_path / place / part
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"cells": [{"source": [f"# Title of {name}\n", "more"]}]}))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "work"


def told(capsys):
    """What progress prints: (the lines of its table, the next step)."""
    assert minimim(["progress"]) == 0
    table, _, rest = capsys.readouterr().out.partition("\n\n")
    return table.splitlines(), rest.partition("next: ")[2].strip()


def work_in(copy, name):
    """Run something of a lesson, and save it."""
    (copy / "notebooks" / f"{name}.ipynb").write_text("run, and saved")


def all_right(copy, name):
    for task in tasks():
        if task.startswith(f"{name}."):
            remember_in(copy, task, True)


def remember_in(copy, name, right):
    file = copy / FILE
    file.write_text(json.dumps(remembered(copy) | {name: right}))


def test_the_order_is_that_of_the_readme():
    page = (TOP / "README.md").read_text(encoding="utf-8")
    assert list(ORDER) == re.findall(r"^\| \[[^]]+\]\((?:notebooks|exercises/\w+)/(\w+)\.ipynb\)", page, re.MULTILINE)
    elective = re.findall(r"^\| \[[^]]+\]\(notebooks/(\w+)\.ipynb\) \| elective", page, re.MULTILINE)
    assert set(elective) == set(progress.ELECTIVE) - {"ps8"}  # the set of an elective lesson


def test_without_a_copy_a_sentence_says_how_to_get_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert minimim(["progress"]) == 0
    assert capsys.readouterr().out == (
        "nothing is in work yet: minimim lab copies the lessons there and opens them; the first step is ps0, six short questions\n"
    )


def test_a_fresh_copy_begins_with_the_first_set(copy, capsys):
    table, following = told(capsys)
    assert len(table) == len(ORDER) and all(line.startswith("[ ] ") for line in table)
    assert " ".join(table[0].split()) == "[ ] Title of ps0 0 of 6 tasks right" and table[1].endswith("not begun")
    assert following == "ps0.1, in work/exercises/ps0/ps0.ipynb"


def test_what_a_check_says_in_a_notebook_is_remembered_and_the_last_word_counts(copy, capsys, monkeypatch):
    monkeypatch.chdir(copy / "exercises" / "ps0")

    def stub(times):
        raise NotImplementedError

    for answer, right in ((lambda times: times, False), (stub, False), (lambda times: times.argsort(1).argsort(1) + 1, True), (stub, True)):
        try:
            check("ps0.3", answer)
        except WrongAnswer:
            pass
        assert remembered(copy) == {"ps0.3": right}  # a stub says nothing
    check("ps0.3", lambda times: times.argsort(1).argsort(1) + 1)
    with pytest.raises(WrongAnswer):
        check("ps0.3", lambda times: times)
    assert [path.name for path in copy.iterdir() if path.is_file()] == [FILE]
    capsys.readouterr()
    assert told(capsys)[0][0].endswith("0 of 6 tasks right; not yet: ps0.3")  # also from inside the copy


@pytest.mark.slow
def test_what_minimim_check_says_is_remembered_too(copy, capsys):
    cell = {"cell_type": "code", "metadata": {}, "source": RIGHT}
    (copy / "exercises/ps0/ps0.ipynb").write_text(json.dumps({"cells": [cell]}))
    assert minimim(["check", "ps0.3"]) == 0
    capsys.readouterr()
    assert told(capsys)[0][0].startswith("[-] ") and remembered(copy) == {"ps0.3": True}


def test_outside_of_a_copy_and_where_nothing_can_be_written_nothing_is_kept(tmp_path, monkeypatch, copy):
    monkeypatch.chdir(tmp_path)
    remember("ps0.3", True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["work"]
    monkeypatch.chdir(copy)
    (copy / FILE).mkdir()  # cannot be replaced by a file
    remember("ps0.3", True)
    assert remembered(copy) == {}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"ps0.1": "yes"}', "\x00"])
def test_a_damaged_file_counts_as_nothing(copy, text):
    (copy / FILE).write_text(text)
    assert remembered(copy) == {}
    remember_in(copy, "ps0.1", True)
    assert remembered(copy) == {"ps0.1": True}


def test_a_set_that_was_begun_comes_first_and_then_what_follows_the_last_thing_done(copy, capsys):
    work_in(copy, "00_start_here")  # ps0 is left out, and not asked for again
    table, following = told(capsys)
    assert table[1].startswith("[x] ") and table[1].endswith("worked in")
    assert following.splitlines()[0] == "Title of 01_patches, in work/notebooks/01_patches.ipynb"
    assert following.splitlines()[1].startswith("alongside: build.1, in work/exercises/build/build.ipynb")
    work_in(copy, "02_masking")
    for task, right in (("ps1.1", True), ("ps1.2", False), ("ps1.3", True), ("build.1", True)):
        remember_in(copy, task, right)
    table, following = told(capsys)
    assert following.startswith("ps1.2, in work/exercises/ps1/ps1.ipynb\nalongside: build.2,")
    assert table[5].startswith("[-] ") and table[5].endswith("2 of 5 tasks right; not yet: ps1.2")
    all_right(copy, "ps1")
    table, following = told(capsys)
    assert table[5].startswith("[x] ") and following.startswith("Title of 03_attention")


def test_an_elective_is_called_so_and_the_end_is_told(copy, capsys):
    work_in(copy, "12_masks")
    assert "13_contrast_two.ipynb (elective)" in told(capsys)[1]
    for name in ORDER:
        if name != "ps2":
            all_right(copy, name) if name == "build" or name.startswith("ps") else work_in(copy, name)
    assert told(capsys)[1] == "you have been through the whole course; still open: Title of ps2"
    all_right(copy, "ps2")
    assert told(capsys)[1] == "you have been through the whole course"
