"""What make grade says of a class: how many solved each task, and which mistake was named most often."""

import subprocess
import sys

import nbformat
import pytest
from sets import GRADED, answers, class_report, course, first_answer, hand_in, read, tasks

SET = GRADED[0]
PLACES_FIRST = "the tubelets are ordered by place first and time last; time comes first, then row, then column"
CHANNELS_FIRST = "the pixels of a tubelet are in (c, t, p, q) order; channels come last here, (t, p, q, c)"
WRONG = '''def tubelets(video, patch_size, frames):
    return rearrange(video, "b (n t) c (r p) (s q) -> {order}", t=frames, p=patch_size, q=patch_size)'''


def run(tmp_path, name, **said):
    """A notebook that was run: task → what its check raised, or None where it printed that all is right."""
    notebook = nbformat.v4.new_notebook()
    for task, sentence in said.items():
        task = task.replace("_", ".")
        output = nbformat.v4.new_output("stream", text=f"{task}: right, on 8 inputs\n")
        if sentence:
            output = nbformat.v4.new_output("error", ename="WrongAnswer", evalue=f"{task}: {sentence}", traceback=[])
        notebook.cells.append(nbformat.v4.new_code_cell("check(...)", outputs=[output]))
    path = tmp_path / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def test_the_points_of_each_task_are_those_that_tests_give():
    full = class_report.full_points(read("exercises", SET))
    assert list(full) == [task.name for task in tasks(SET)] and sum(full.values()) == 14


def test_only_mistakes_that_were_named_are_counted(tmp_path):
    differs = "on a grey video, its shape is (1, 2), and (1, 3) was asked for"
    path = run(tmp_path, "anna", ps1_1=PLACES_FIRST, ps1_2=differs, ps1_3=None, ps1_4="restore_ragged is not written yet", nonsense="x: y")
    assert class_report.named_mistakes(path) == {"ps1.1": PLACES_FIRST}


def test_a_mistake_that_an_error_stands_for_is_named(tmp_path):
    name, words = next((task.name, words) for group in GRADED for task in tasks(group) for words in task.errors.values())
    path = run(tmp_path, "anna", **{name.replace(".", "_"): f"{words} (f raised TypeError in its line 3)"})
    assert class_report.named_mistakes(path) == {name: words}


def test_three_students(tmp_path):
    full = class_report.full_points(read("exercises", SET))
    nearly = full | {"ps1.1": full["ps1.1"] - 1, "ps1.W1": 0}
    graded = [
        (full, run(tmp_path, "anna", ps1_1=None)),
        (nearly, run(tmp_path, "ben", ps1_1=PLACES_FIRST, ps1_2=None)),
        ({}, run(tmp_path, "cem", ps1_1=PLACES_FIRST, ps1_2="patches_with_border is not written yet")),
    ]
    lines = class_report.report(SET, read("exercises", SET), graded)
    assert lines[0].startswith("ps1, 3 graded: ") and len(lines) == 1 + len(full)
    assert lines[1] == f"  ps1.1    1 of 3   33%  2 × {PLACES_FIRST}"
    assert lines[2] == "  ps1.2    2 of 3   67%"
    assert class_report.report(SET, read("exercises", SET), []) == []


@pytest.mark.slow
def test_a_class_of_three_is_graded_and_told(tmp_path):
    course(tmp_path)
    for student, order in (("anna", None), ("ben", "b (r s n) (t p q c)"), ("cem", "b (r s n) (t p q c)"), ("dora", "b (n r s) (c t p q)")):
        notebook = answers(SET)
        if order:
            first_answer(notebook, SET)[0].source = WRONG.format(order=order)
        hand_in(tmp_path / "in" / student / f"{SET}.ipynb", notebook)
    command = [sys.executable, "scripts/problem_sets.py", "grade", "in"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert f"  ps1.1    1 of 4   25%  2 × {PLACES_FIRST}" in told
    assert "  ps1.2    4 of 4  100%" in told and CHANNELS_FIRST not in done.stdout
