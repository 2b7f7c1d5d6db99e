"""How `minimim lab` opens: with nothing to answer, without panels for teachers, and with the Python of the course."""

import sys

import pytest
from lab import Notebook
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def first(opened) -> Notebook:
    return opened("exercises/ps0/ps0.ipynb")


def test_nothing_asks_about_news_and_no_dialog_is_open(first):
    first.page.wait_for_timeout(3000)  # the question came about a second after the notebook
    first.shoot("opened")
    assert first.page.locator(".jp-Dialog, .Toastify__toast").count() == 0


def test_there_is_nothing_of_nbgrader(first):
    assert first.page.locator("[id*=nbgrader], [class*=nbgrader], .jp-ValidateButton").count() == 0
    first.page.locator(".lm-MenuBar-item", has_text="View").click()
    assert "Assignment" not in first.page.locator(".lm-Menu").first.inner_text()
    first.page.keyboard.press("Escape")


def test_arrows_still_go_from_cell_to_cell(first):
    """They are kept from lists inside widgets alone, where JupyterLab would take them away."""
    first.cell(1).locator(".jp-InputPrompt, .jp-MarkdownOutput").first.click()
    for key, cell in (("ArrowDown", 3), ("ArrowDown", 4), ("ArrowUp", 3)):
        first.page.keyboard.press(key)
        expect(first.page.locator("#jp-main-statusbar")).to_contain_text(f"Cell {cell}/")


def test_nothing_is_written_but_the_work_folder(first):
    """JupyterLab itself keeps its window layout beside the learner's settings, as always."""
    written = {path.name for path in (first.server.folder / "config").rglob("*") if path.is_file()}
    assert {name for name in written if not name.endswith(".jupyterlab-workspace")} <= {"jupyter_server_config.json", "migrated"}


def test_the_kernel_is_the_python_that_minimim_is_installed_in(opened, server):
    notebook = opened(server.write("kernel.ipynb", "import sys\nprint(sys.executable)"))
    notebook.run_all()
    assert notebook.cell(0).locator(".jp-OutputArea-output").text_content().strip() == sys.executable
