"""The built site in a browser: nothing from another host, no page that moves sideways, one sheet for the cheat sheet, search that finds.

Looks at runs/book/html; make book builds it. Needs Playwright, which make test-browser installs.
"""

import os
import re
import shutil
import sys
from urllib.parse import unquote, urlsplit

import pytest
from helpers import TOP

sys.path.append(str(TOP))

from book import check

SITE = TOP / "runs/book/html"
CHROMIUM = shutil.which("chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright comes with make test-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="make book builds the site"),
    pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed"),
]
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PAGES = ["index.html", "notebooks/03_attention.html", "notebooks/17_survey.html", "exercises/ps1/ps1.html", "benchmarks/results/methods-cpu.html", "docs/claims.html", "api/masking.html"]


@pytest.fixture(scope="module", name="browser")
def chromium():
    """Debian's Chromium."""
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


def opened(browser, name, width=1280, mode="light"):
    """A page of the site, and what it asked for outside of it."""
    page, asked = browser.new_context(viewport={"width": width, "height": 850}, color_scheme=mode).new_page(), []
    page.on("request", lambda request: asked.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
    page.goto(f"file://{SITE}/{name}")
    return page, asked


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_width_and_asks_nobody(browser, name, width):
    page, asked = opened(browser, name, width)
    assert asked == [] and page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_in_the_dark_pictures_keep_their_white_ground_and_words_are_light(browser):
    page, _ = opened(browser, "notebooks/03_attention.html", mode="dark")
    light = "getComputedStyle(document.querySelector('.bd-article p')).color"
    assert min(map(int, re.findall(r"\d+", page.evaluate(light))[:3])) > 150
    assert page.evaluate("getComputedStyle(document.querySelector('.bd-article figure img')).backgroundColor") == "rgb(255, 255, 255)"
    page.context.close()


def test_equations_are_drawn(browser):
    page, _ = opened(browser, "notebooks/03_attention.html")
    sizes = page.evaluate("[...document.querySelectorAll('.bd-article .equation math')].map(e => e.getBoundingClientRect().height)")
    assert len(sizes) >= 2 and min(sizes) > 15
    page.context.close()


def test_a_folded_answer_opens(browser):
    page, _ = opened(browser, "notebooks/01_patches.html")
    answer = page.locator(".bd-article details").first
    assert not answer.locator("p").first.is_visible()
    answer.locator("summary").click()
    assert answer.locator("p").first.is_visible()
    page.context.close()


def test_the_heaviest_page_is_below_two_megabytes_with_all_that_the_browser_asks_for(browser):
    weights = {name: check.weighs(SITE, name, page) for name, page in check.pages_of(SITE).items()}
    name, loaded = max(weights, key=weights.get), set()
    page = browser.new_context().new_page()
    page.on("requestfinished", lambda request: loaded.add(unquote(urlsplit(request.url).path)))
    page.goto(f"file://{SITE}/{name}")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_load_state("networkidle")
    assert len(loaded) > 10 and sum(os.path.getsize(path) for path in loaded) < 2_000_000, name
    page.context.close()


def test_search_finds_the_lesson(browser):
    page, _ = opened(browser, "search.html?q=hole-filler")
    page.wait_for_selector("ul.search li a", timeout=30_000)
    assert "02 Masking" in page.locator("ul.search").inner_text()
    page.context.close()


def test_the_cheat_sheet_prints_on_one_sheet(browser):
    page, _ = opened(browser, "docs/cheat-sheet.html")
    assert len(re.findall(rb"/Type\s*/Page[^s]", page.pdf(prefer_css_page_size=True))) == 1
    page.context.close()
