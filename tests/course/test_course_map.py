"""The map of course and library is read from both, and is not stale."""

import ast
import re

import pytest
from helpers import TOP, script

from minimim.methods import names


@pytest.fixture(scope="module", name="script")
def map_script():
    """scripts/course_map.py as a module."""
    return script("course_map")


def cells(*sources):
    return [ast.parse(source) for source in sources]


def test_the_page_is_what_the_script_writes(script):
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "make pages"


def test_readers_are_sent_to_the_page():
    assert "](docs/map.md)" in (TOP / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("source, files", [
    ("import minimim\nminimim.patchify(x, 4)", {"patches"}),
    ("import minimim\nx = minimim.methods.create('mae')", {"methods.registry"}),
    ("from minimim.masking import RandomMasking\nRandomMasking(0.5)", {"masking.random"}),
    ("from minimim.masking import RandomMasking as R\nR.forward", {"masking.random"}),
    ("from minimim import evaluate\nevaluate.knn(a, b)", {"evaluate.knn"}),
    ("from minimim import layers\nlayers.Block(8, 2)", {"layers"}),
    ("from minimim import show\nfrom minimim.show import lesson\nlesson.setup()\nshow.mae()", set()),
    ("import torch\ntorch.patches", set()),
    ("import minimim\nminimim.nothing.there", set()),
])  # fmt: skip
def test_what_a_cell_uses_is_the_file_that_defines_it(script, source, files):
    assert script.used(cells(source)) == files


def test_data_and_methods_count_by_their_names(script):
    assert script.by_name(cells("load('scenes')", "create('beit')")) == {"data.scenes", "methods.combined"}
    assert script.by_name(cells("load('colour')", "create('image')")) == set()


def test_a_file_comes_in_with_the_first_lesson_that_uses_it_and_not_with_the_overview(script):
    uses = script.uses()
    assert uses["patches"][0] == "01" and uses["masking.random"][0] == "02" and uses["encoders.vit"][0] == "04"
    assert uses["losses.batch"][0] == "10" and all(numbers == sorted(set(numbers)) for numbers in uses.values())
    assert {numbers[0] for numbers in uses.values()} == {lesson.name[:2] for lesson in script.lessons()} - {"00"}, "each brings something in"


def test_every_lesson_file_and_method_has_its_row(script):
    page = script.page()
    for lesson in script.lessons():
        assert f"](../notebooks/{lesson.name}) |" in page
    assert set(re.findall(r"^\| \[`([\w.]+)`\]", page, re.MULTILINE)) == set(script.files()) > {"masking.block", "patches"}
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == names()


def test_every_task_of_the_build_notebook_is_stated_in_one_lesson_in_order(script):
    stated = script.tasks()
    assert list(stated) == [f"build.{n}" for n in range(1, 14)]
    assert list(stated.values()) == sorted(stated.values()) and set(stated.values()) <= {f"0{n}" for n in range(1, 9)}
