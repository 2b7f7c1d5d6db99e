"""A browser, a server and lessons, each started once."""

import shutil

import pytest
from chromium import FLAGS, found, root
from lab import COURSE, SHOTS, Notebook, Server
from playwright.sync_api import sync_playwright

QUICK = ("02_masking",)  # the lesson of a quick run: it trains nothing long, and has a game and several widgets
SIZE = {"width": 1440, "height": 900}  # a usual laptop


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="one lesson, every widget, one exercise")


def pytest_generate_tests(metafunc):
    if "lesson" in metafunc.fixturenames:
        names = [path.stem for path in sorted((COURSE / "notebooks").glob("*.ipynb"))]
        names = [name for name in names if name in QUICK or not metafunc.config.getoption("quick")]
        metafunc.parametrize("lesson", names, indirect=True, scope="module")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    shutil.rmtree(SHOTS, ignore_errors=True)
    server = Server(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found(), chromium_sandbox=not root(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser, server):
    """Opens a notebook of the work folder; what it holds is given back at the end of the file."""
    pages = []

    def opened(path: str) -> Notebook:
        pages.append(browser.new_page(viewport=SIZE))
        return Notebook(pages[-1], server, path)

    yield opened
    for page in pages:
        page.close()
    server.end_kernels()


@pytest.fixture(scope="module")
def lesson(request, browser, server):
    """A lesson that was run from its menu."""
    page = browser.new_page(viewport=SIZE)
    notebook = Notebook(page, server, f"notebooks/{request.param}.ipynb")
    notebook.run_all()
    yield notebook
    page.close()
    server.end_kernels()
