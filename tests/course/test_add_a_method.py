"""docs/add-a-method.md works as it stands, and stays as short as it says."""

import re

import pytest
from helpers import TOP

from minimim import methods

PAGE = (TOP / "docs" / "add-a-method.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def registry():
    before = dict(methods.RECIPES)
    yield methods.RECIPES
    methods.RECIPES.clear()
    methods.RECIPES.update(before)


def test_the_page_runs_from_top_to_bottom_and_its_method_learns(registry, capsys):
    names = {}
    for cell in CODE:
        exec(compile(cell, "add-a-method.md", "exec"), names)  # noqa: S102
    told = capsys.readouterr().out
    first, last = map(float, re.match(r"loss ([\d.]+) → ([\d.]+)", told).groups())
    assert last < 0.9 * first and "pretrained" in told and "random_init" in told and "raw_pixels" in told
    assert methods.names().count("roughness") == 1 and methods.options("roughness") == {"channels": 3, "mask_ratio": 0.75}


def test_a_method_takes_less_than_forty_lines():
    written = [line for cell in CODE[:2] for line in cell.splitlines() if line.strip()]
    assert len(written) < 40


def test_the_files_that_the_page_names_are_there():
    for path in re.findall(r"`((?:masking|encoders|targets|decoders|losses|data)/\w+\.py)`", PAGE):
        assert (TOP / "minimim" / path).is_file(), path
    assert len(re.findall(r"`tests/[\w/*.]+`", PAGE)) == 2
