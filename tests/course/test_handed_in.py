"""What people hand in, under whatever names: what is plain is taken, the rest is told, and each notebook is the set again
before it is graded. Nothing is run here."""

import copy
import csv
import os

import nbformat
import pytest
from sets import GRADED, answers, automatic, course, first_answer, handed_in, mark, mending, problem_sets, read, twin

SET = GRADED[0]


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """What is taken of some files, {path: bytes}: ({(student, set): (path, remarks)}, what is printed)."""
    monkeypatch.setattr(problem_sets, "problem_sets", lambda: ["build", "ps0", "ps1", "ps2"])

    def gather(files):
        for number, (path, content) in enumerate(files.items()):
            path = tmp_path / path
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                path.write_bytes(content)
                os.utime(path, (1000 + number, 1000 + number))
        found = problem_sets.submissions(tmp_path)
        return {(s, n): (str(p.relative_to(tmp_path)), remarks) for (s, n, p), remarks in found.items()}, capsys.readouterr().out

    return gather


def notebook(name, answer="return 1"):
    """A notebook with an answer to a set."""
    cell = nbformat.v4.new_code_cell(answer, metadata={"nbgrader": {"grade_id": f"{name}-1-x", "solution": True}})
    return nbformat.writes(nbformat.v4.new_notebook(cells=[cell])).encode()


PS1, PS2, STUB = notebook("ps1"), notebook("ps2"), notebook("ps1", "raise NotImplementedError  # your code here")


@pytest.mark.parametrize("path", ["anna/ps1.ipynb", "anna/ps1/ps1.ipynb", "Anna Bo/ps1.ipynb", "Äñna/ps1.ipynb", "1234/ps1.ipynb", "ps/ps1.ipynb"])
def test_what_was_asked_for_is_taken_without_a_word(look, path):
    assert look({path: PS1}) == ({(path.partition("/")[0], "ps1"): (path, [])}, "")


@pytest.mark.parametrize(
    "path",
    [
        "anna/ps1 (1).ipynb", "anna/ps1-Copy1.ipynb", "anna/PS1.ipynb", "anna/ps1_final.ipynb", "anna/anna_ps1.ipynb", "anna/ps01.ipynb",
        "anna/Problem Set 1.ipynb", "anna/ps1.ipynb.txt", "anna/ps1.json", "anna/ps1.IPYNB", "anna/a/deep/folder/ps1.ipynb",
        "anna/PS1/ps1.ipynb", "anna/homework.ipynb", "anna_ps1.ipynb",
    ],
)  # fmt: skip
def test_what_is_plainly_meant_is_taken_and_told(look, path):
    found, told = look({path: PS1})
    place = path.removeprefix("anna/")
    assert found == {("anna", "ps1"): (path, [f"{place} is taken as ps1"])} and told == f"anna: {place} is taken as ps1\n"


def test_the_cells_say_which_set_it_is_and_the_name_where_they_do_not(look):
    found, told = look({"anna/ps1.ipynb": PS2, "ben/ps1.ipynb": b"a letter", "cem/ps2 ps1.ipynb": PS1})
    assert found == {
        ("anna", "ps2"): ("anna/ps1.ipynb", ["ps1.ipynb is taken as ps2"]),
        ("ben", "ps1"): ("ben/ps1.ipynb", []),
        ("cem", "ps1"): ("cem/ps2 ps1.ipynb", ["ps2 ps1.ipynb is taken as ps1"]),
    }
    assert len(told.splitlines()) == 2


@pytest.mark.parametrize(
    "files, taken",
    [
        ({"ps1.ipynb": PS1, "ps1 (1).ipynb": PS1}, "ps1.ipynb"),  # the name that was asked for, though the other is newer
        ({"ps1/ps1.ipynb": PS1, "ps1.ipynb": PS1}, "ps1.ipynb"),  # the newer of two such
        ({"ps1.ipynb": PS1, "ps1/ps1.ipynb": PS1}, "ps1/ps1.ipynb"),
        ({"ps1_final.ipynb": PS1, "ps1 (1).ipynb": PS1}, "ps1 (1).ipynb"),
        ({"old/ps1.ipynb": PS1, "old/ps1_final.ipynb": PS1}, "old/ps1.ipynb"),
        ({"mine.ipynb": PS1, "ps1.ipynb": STUB}, "mine.ipynb"),  # one without an answer is not what was meant
        ({"mine.ipynb": PS1, "ps1.ipynb": b"cut off"}, "mine.ipynb"),
        ({"old/ps1.ipynb": PS1, "ps1-Copy1.ipynb": PS1, "new/ps1.ipynb": PS1}, "new/ps1.ipynb"),
    ],
)
def test_of_several_one_is_taken_and_the_others_are_named(look, files, taken):
    found, told = look({f"anna/{path}": content for path, content in files.items()})
    path, (remark,) = found["anna", "ps1"]
    assert path == f"anna/{taken}" and told == f"anna: {remark}\n"
    chosen, others = remark.split(" is taken, and not ")
    assert chosen == f"of several for ps1, {taken}" and set(others.split(", ")) == set(files) - {taken}


@pytest.mark.parametrize(
    "files, line",
    [
        ({"ben/ps1.zip": b"", "ben/ps2.ipynb.ZIP": b""}, "ben: ps1.zip is not taken: it is packed, unpack it first"),
        ({"ben/ps1.pdf": b""}, "ben: not notebooks, and not looked at: ps1.pdf"),
        ({"ben/notes.ipynb": b"{}"}, "ben: notes.ipynb is not taken: neither its name nor its cells say which set it is"),
        ({"ben/ps9.ipynb": b"{}"}, "ben: ps9.ipynb is not taken: neither"),
        ({"ben/build.ipynb": notebook("build")}, "ben: build.ipynb is not graded: it is for the student alone"),
        ({"ben/build/build.ipynb": notebook("build")}, "ben: build/build.ipynb is not graded: it is for the student alone"),
        ({"ben/": None}, "ben: nothing is in it"),
        ({"ben/more/": None}, "ben: nothing is in it"),
        ({"ps1.ipynb": PS1}, "ps1.ipynb: not taken, it lies in no student's folder"),
        ({"grades.xlsx": b""}, "grades.xlsx: not taken"),
        ({"ps2/ben/ps2.ipynb": PS2}, "ps2: not taken, it is the name of a set where that of a student was expected"),
        ({"class/ben/ps1.ipynb": PS1, "class/cem/ps1.ipynb": PS1}, "class: ps1 is in several of its folders, ben, cem, and none is taken"),
    ],
)
def test_what_is_not_taken_gets_a_line(look, tmp_path, files, line):
    for path in [path for path in files if path.endswith("/")]:
        (tmp_path / path).mkdir(parents=True)
    found, told = look({"anna/ps1.ipynb": PS1} | {path: content for path, content in files.items() if content is not None})
    assert list(found) == [("anna", "ps1")] and line in told


def test_a_link_is_not_followed_and_what_machines_leave_is_not_told(look, tmp_path):
    (tmp_path / "ben").mkdir()
    (tmp_path / "ben" / "ps1.ipynb").symlink_to(tmp_path / "anna" / "ps1.ipynb")
    (tmp_path / "ben" / "all").symlink_to(tmp_path)
    (tmp_path / "cem").symlink_to(tmp_path / "anna")
    litter = {f"anna/{path}": PS1 for path in (".ipynb_checkpoints/ps1-checkpoint.ipynb", "__MACOSX/._ps1.ipynb", "._ps1.ipynb", ".DS_Store")}
    found, told = look({"anna/ps1.ipynb": PS1, "anna/ps2.ipynb": PS2, **litter})
    assert set(found) == {("anna", "ps1"), ("anna", "ps2")}
    assert told.splitlines() == [
        "ben: all is not taken: it is a link, or no file", "ben: ps1.ipynb is not taken: it is a link, or no file",
        "ben: nothing in it can be graded", "cem: not taken, it is a link",
    ]  # fmt: skip


@pytest.mark.parametrize("student", ["emil+late", "Emil [2]", "a*b", "?", "~emil", ".emil", "a/b", "{emil}"])
def test_names_that_nbgrader_does_not_take_are_others_for_it_and_stay_apart(look, student):
    mapped = handed_in.known_as(student)
    assert mapped == handed_in.known_as(student) != handed_in.known_as(f"{student}+") and not set(mapped) & set("+*?[]{}/~") and mapped[0] not in "-."
    if "/" not in student:
        found, told = look({f"{student}/ps1.ipynb": PS1})
        assert found == {(student, "ps1"): (f"{student}/ps1.ipynb", [f"nbgrader knows this student as {mapped}"])} and mapped in told


def test_a_folder_without_submissions_gets_one_sentence(tmp_path, monkeypatch):
    course(tmp_path)
    monkeypatch.chdir(tmp_path)
    for folder, sentence in (("", "which submissions"), ("nowhere", "no folder nowhere"), ("scripts", "STUDENT/psK")):
        with pytest.raises(problem_sets.Mistake, match=sentence):
            problem_sets.grade(folder)


def test_grades_are_written_before_the_pages(tmp_path, monkeypatch, capsys):
    def nbgrader(step, name, *more, **place):
        if step == "generate_feedback":
            assert "14" in (tmp_path / "grading" / "grades.csv").read_text()
            raise problem_sets.Mistake("no page today")

    course(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(problem_sets, "nbgrader", nbgrader)
    monkeypatch.setattr(problem_sets, "register", lambda name: (tmp_path / "grading").mkdir() or read("exercises", name))
    monkeypatch.setattr(problem_sets, "read_scores", lambda row: setattr(row, "total", 14))
    monkeypatch.setattr(problem_sets, "report", lambda *_: [])  # it reads the notebooks that nbgrader runs
    for name in ("anna", "ben"):
        (tmp_path / "in" / name).mkdir(parents=True)
        nbformat.write(answers(SET), tmp_path / "in" / name / f"{SET}.ipynb")
    assert problem_sets.grade("in") == 0
    with open(tmp_path / "grading" / "grades.csv", newline="") as file:
        assert [row["student"] for row in csv.DictReader(file)] == ["anna", "ben"]
    assert f"{SET}: not every page of feedback could be made: no page today" in capsys.readouterr().out


# mending


@pytest.fixture
def mended():
    """Mends a notebook: (it, the remarks)."""

    def run(submitted):
        return submitted, mending.mend(submitted, read("exercises", SET), read("solutions", SET))

    return run


def is_the_set(notebook):
    """Whether every cell of the set is there once, in its place, with the hidden tests and the set's own marks."""
    whole, given = read("solutions", SET), read("exercises", SET)
    assert [mending.grade_id(c) for c in notebook.cells if mending.grade_id(c)] == [mending.grade_id(c) for c in whole.cells if mending.grade_id(c)]
    assert [mark(c) for c in notebook.cells if mark(c)] == [mark(c) for c in given.cells if mark(c)]
    assert [c.source for c in automatic(notebook)] == [c.source for c in automatic(whole)]
    assert all("tags" not in cell.metadata for cell in automatic(notebook)) and len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    return True


@pytest.mark.parametrize("part", ["exercises", "solutions"])
def test_an_honest_notebook_gets_no_remark(mended, part):
    submitted = read(part, SET)
    submitted.cells.insert(4, nbformat.v4.new_code_cell("mine = 1"))
    for cell in submitted.cells:
        cell.source += " \n"  # an editor's
        mark(cell).pop("checksum", None)
    notebook, remarks = mended(submitted)
    assert remarks == [] and is_the_set(notebook) and notebook.cells[4].source == "mine = 1 \n"


def changed(cells):
    cells[0].source = "pass"


def missing(cells):
    cells.remove(cells[0])


def points(cells):
    mark(cells[0])["points"] = 100


def kind(cells):
    mark(cells[0]).update(locked=False, solution=True)


def types(cells):
    cells[0].cell_type = "raw"


def copies(cells):
    cells.insert(0, twin(cells[0]))


def order(cells):
    cells.insert(0, cells.pop(1))


@pytest.mark.parametrize(
    "change, remark",
    [
        (changed, "changed cells of the set, put back as handed out: {0}"),
        (missing, "missing cells of the set, put back as handed out: {0}"),
        (points, "points or kind of cells changed, put back: {0}"),
        (kind, "points or kind of cells changed, put back: {0}"),
        (types, "points or kind of cells changed, put back: {0}"),
        (copies, "copies of cells of the set, of which the last counts: {0}"),
        (order, "cells out of their order, put back: {0}"),
    ],
)
def test_what_is_put_back_is_told(mended, change, remark):
    submitted = answers(SET)
    tests = automatic(submitted)
    at = [submitted.cells.index(cell) for cell in tests]
    first = mark(tests[0])["grade_id"]
    window = submitted.cells[at[0] : at[1] + 1]
    change(window)
    submitted.cells[at[0] : at[1] + 1] = window
    notebook, remarks = mended(submitted)
    assert remarks == [remark.format(first)] and is_the_set(notebook)


def test_exchanged_tests_are_put_back_and_a_tag_cannot_keep_one_from_being_run(mended):
    submitted = answers(SET)
    first, second = automatic(submitted)[:2]
    first.source, second.source = second.source, first.source
    second.metadata["tags"] = ["skip-execution"]
    notebook, remarks = mended(submitted)
    assert remarks == [f"changed cells of the set, put back as handed out: {mark(first)['grade_id']}, {mark(second)['grade_id']}"]
    assert is_the_set(notebook)


def test_cells_whose_marks_are_lost_are_known_by_their_ids(mended):
    submitted = answers(SET)
    for cell in submitted.cells:
        cell.metadata.pop("nbgrader", None)
    cell, _ = first_answer(submitted, SET)
    notebook, (remark,) = mended(submitted)
    assert remark.startswith("points or kind of cells changed") and is_the_set(notebook)
    assert first_answer(notebook, SET)[0].source == cell.source


def test_lost_cells_return_to_their_places(mended):
    names = [mending.grade_id(cell) for cell in read("exercises", SET).cells if mending.grade_id(cell)]
    for gone in ({0}, {len(names) - 1}, {1, 2, 3}, set(range(len(names)))):
        submitted = read("exercises", SET)
        dropped = [names[i] for i in sorted(gone)]
        submitted.cells = [cell for cell in submitted.cells if mending.grade_id(cell) not in dropped]
        notebook, remarks = mended(submitted)
        assert remarks == [f"missing cells of the set, put back as handed out: {', '.join(dropped)}"] and is_the_set(notebook)


def test_what_does_not_end_is_left_out_and_its_cell_named(mended):
    release = read("exercises", SET)
    submitted = answers(SET)
    submitted.cells.insert(2, nbformat.v4.new_code_cell("while True:\n    pass"))
    notebook, _ = mended(submitted)
    (answer, function), test = first_answer(notebook, SET), automatic(notebook)[0]
    before = copy.deepcopy(notebook.cells)
    assert mending.leave_out(notebook.cells, release, "while True:\n    pass", "late") == "a cell of its own"
    assert notebook.cells[2].source == "# while True:\n#     pass\nraise TimeoutError('late')"
    assert mending.leave_out(notebook.cells, release, "while True:\n    pass", "late") is None
    assert mending.leave_out(notebook.cells, release, test.source, "late") == f"{SET}.1"
    space = {}
    exec(answer.source.replace("Tensor", "object"), space)  # noqa: S102
    with pytest.raises(TimeoutError, match="late"):
        space[function](1, more=2)
    assert mending.leave_out(notebook.cells, release, test.source, "late") is None  # it is not the answer, then
    assert [c.source for c in notebook.cells if c is not answer][3:] == [c.source for c in before if c.id != answer.id][3:]


def test_the_numbers_of_sets_may_have_a_gap(look, monkeypatch):
    monkeypatch.setattr(problem_sets, "problem_sets", lambda: ["ps6", "ps8"])
    found, told = look({"anna/ps8.ipynb": notebook("ps8"), "anna/ps7.ipynb": notebook("ps7"), "ben/ps8 (1).ipynb": notebook("ps8")})
    assert found == {("anna", "ps8"): ("anna/ps8.ipynb", []), ("ben", "ps8"): ("ben/ps8 (1).ipynb", ["ps8 (1).ipynb is taken as ps8"])}
    assert "ps7.ipynb is not taken" in told  # and not for another set
