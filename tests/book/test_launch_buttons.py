"""Launch buttons stand on a lesson's page where the repository's address is set, and only there. Needs Sphinx, which make book installs."""

import re
import subprocess
import sys

import nbformat
import pytest
from helpers import TOP

pytest.importorskip("sphinx_book_theme", reason="Sphinx and its theme come with make book")
pytestmark = pytest.mark.slow

BUILD = """
import sys
sys.path.append(sys.argv[1])
import book.links
book.links.repository = lambda: sys.argv[2]
from sphinx.cmd.build import main
sys.exit(main(["-q", "-W", "-b", "html", "-c", sys.argv[1] + "/book", sys.argv[3], sys.argv[4]]))
"""


def lesson_page(folder, address):
    """The page of a small lesson, built by the settings of the book."""
    source, site = folder / "source", folder / "site"
    (source / "notebooks").mkdir(parents=True)
    (source / "index.md").write_text("# Course\n\n```{toctree}\nnotebooks/01_toy\n```\n")
    cells = [nbformat.v4.new_markdown_cell("# 01 Toy\n\nOne half: $\\frac{1}{2}$\n\n<details><summary>Answer</summary>\n\nIt is **bold**.\n\n</details>")]
    notebook = nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell("1")], metadata={"language_info": {"name": "python"}})
    nbformat.write(notebook, source / "notebooks/01_toy.ipynb")
    ran = subprocess.run([sys.executable, "-c", BUILD, str(TOP), address, str(source), str(site)], capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return (site / "notebooks/01_toy.html").read_text(encoding="utf-8")


def test_with_an_address_there_are_colab_and_binder(tmp_path):
    page = lesson_page(tmp_path, "https://github.com/somebody/minimim")
    assert "https://colab.research.google.com/github/somebody/minimim/blob/main/notebooks/01_toy.ipynb" in page
    assert "https://mybinder.org/v2/gh/somebody/minimim/main?urlpath=lab/tree/notebooks/01_toy.ipynb" in page
    assert '"https://github.com/somebody/minimim"' in page


def test_without_one_there_are_none_and_answers_fold_equations_are_drawn_and_the_index_is_not_loaded(tmp_path):
    page = lesson_page(tmp_path, "")
    assert "colab" not in page.lower() and "binder" not in page.lower() and "github.com/somebody" not in page
    assert "<details><summary>Answer</summary>" in page and "<strong>bold</strong>" in page
    assert "searchindex.js" not in page and 'content="width=device-width' in page
    assert "searchindex.js" in (tmp_path / "site/search.html").read_text(encoding="utf-8")
    assert "<mfrac>" in page and not re.search("<script[^>]*mathjax", page.lower())
