"""Every equation of a lesson or a set can be drawn without a script. Needs docutils, which make book installs."""

import re

import nbformat
import pytest
from helpers import TOP

pytest.importorskip("docutils", reason="docutils comes with make book")

from book.equations import mathml

PAGES = [*sorted((TOP / "notebooks").glob("*.ipynb")), *sorted((TOP / "exercises").glob("*/*.ipynb"))]


def equations(path):
    """(LaTeX, whether it stands alone) of the Markdown of a notebook."""
    text = "\n\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|`[^`\n]+`", "", text, flags=re.DOTALL)
    return [(alone or within, bool(alone)) for alone, within in re.findall(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$\n]+)\$(?!\$)", text, re.DOTALL)]


def test_there_are_hundreds():
    assert sum(len(equations(path)) for path in PAGES) > 250


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_each_becomes_mathml(path):
    for latex, alone in equations(path):
        made = mathml(latex, alone)
        assert made.startswith("<math") and ('display="block"' in made) == alone and "merror" not in made


@pytest.mark.parametrize("latex, part", [(r"\big(a\big)", "<mi>a</mi>"), (r"a \dots b", "…"), ("½ x", "<mfrac"), (r"h \mathrel{+}= g", "+"), (r"\tfrac1n \textstyle\sum_i z_i", "∑")])
def test_what_docutils_does_not_know_is_put_into_words_that_it_knows(latex, part):
    assert part in mathml(latex)


def test_what_cannot_be_drawn_is_an_error():
    from docutils.utils.math import MathError

    with pytest.raises(MathError):
        mathml(r"\nosuchcommand{x}")
