"""The built site in a browser: nothing from another host, no page that moves sideways, one sheet for the cheat sheet, search that finds.

Looks at runs/book/html; make book builds it. Needs Playwright and a browser, which make test-browser installs.
"""

import os
import re
from urllib.parse import unquote, urlsplit

import pytest
from helpers import TOP

from book import check
from tests_browser.chromium import FLAGS, find, root

SITE = TOP / "runs/book/html"
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright comes with make test-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="make book builds the site"),
    pytest.mark.skipif(find() is None, reason="a browser comes with make test-browser"),
]
PAGES = ["index.html", "notebooks/03_attention.html", "notebooks/17_survey.html", "exercises/ps1/ps1.html", "benchmarks/results/methods-cpu.html", "docs/claims.html", "api/masking.html"]


@pytest.fixture(scope="module", name="browser")
def chromium():
    """A browser, started once."""
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=find(), chromium_sandbox=not root(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(name="opened")
def opens(browser):
    """Opens a page of the site: the page, and all that it asked for, whatever is loaded later included."""
    contexts = []

    def opened(name, width=1280, mode="light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 850}, color_scheme=mode))
        page, asked = contexts[-1].new_page(), set()
        page.on("request", lambda request: asked.add(request.url))
        page.goto(f"file://{SITE}/{name}")
        return page, asked

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_width_and_asks_nobody(opened, name, width):
    page, asked = opened(name, width)
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"} and page.evaluate("document.documentElement.scrollWidth") <= width


def test_in_the_dark_pictures_keep_their_white_ground_and_words_are_light(opened):
    page, _ = opened("notebooks/03_attention.html", mode="dark")
    light = "getComputedStyle(document.querySelector('.bd-article p')).color"
    assert min(map(int, re.findall(r"\d+", page.evaluate(light))[:3])) > 150
    assert page.evaluate("getComputedStyle(document.querySelector('.bd-article figure img')).backgroundColor") == "rgb(255, 255, 255)"


def test_equations_are_drawn(opened):
    page, _ = opened("notebooks/03_attention.html")
    sizes = page.evaluate("[...document.querySelectorAll('.bd-article .equation math')].map(e => e.getBoundingClientRect().height)")
    assert len(sizes) >= 2 and min(sizes) > 15


def test_a_folded_answer_opens(opened):
    page, _ = opened("notebooks/01_patches.html")
    answer = page.locator(".bd-article details").first
    assert not answer.locator("p").first.is_visible()
    answer.locator("summary").click()
    assert answer.locator("p").first.is_visible()


def test_the_heaviest_page_is_below_two_megabytes_with_all_that_the_browser_asks_for(opened):
    weights = {name: check.weighs(SITE, name, page) for name, page in check.pages_of(SITE).items()}
    name = max(weights, key=weights.get)
    page, asked = opened(name)
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_load_state("networkidle")
    assert 10 < len(asked) and weight(asked) < 2_000_000, name


def weight(urls):
    """The bytes of the files of these addresses."""
    return sum(os.path.getsize(path) for path in {unquote(urlsplit(url).path) for url in urls if url.startswith("file:")})


def test_search_finds_lessons_and_functions_without_loading_their_pages(opened):
    page, asked = opened("index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("patchify")
    page.keyboard.press("Enter")
    page.wait_for_selector("p.search-summary:has-text('finished')", timeout=30_000)  # the pages are listed one by one
    found = page.locator("ul.search").inner_text()
    assert "01 Patches" in found and "minimim.patches.patchify" in found and "System Settings" not in found
    page.wait_for_load_state("networkidle")
    pages = {url for url in asked if urlsplit(url).path.endswith(".html")}
    assert len(pages) == 2 and weight(asked) < 2_000_000


def test_the_cheat_sheet_prints_on_one_sheet(opened):
    page, _ = opened("docs/cheat-sheet.html")
    assert len(re.findall(rb"/Type\s*/Page[^s]", page.pdf(prefer_css_page_size=True))) == 1
