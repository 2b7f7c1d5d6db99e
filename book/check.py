"""Look through the site that was built in runs/book/html: python -m book.check

Dead links, requests to other hosts, pictures without alternative text, pages above 2 MB, and lines of the solutions of graded problem
sets. Prints each fault in a line; the exit code is 1 where there is one.
"""

import json
import posixpath
import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from book.links import TOP

HEAVY = 2_000_000  # bytes that a page may take with all that it loads
LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("source", "src"), ("iframe", "src"), ("video", "src")}
FETCHED = {"stylesheet", "preload", "icon", "shortcut icon", "modulepreload", "preconnect", "dns-prefetch"}
SECRET = re.compile(r"### BEGIN (?:SOLUTION|HIDDEN TESTS)\n(.*?)### END", re.DOTALL)
LONG = 40  # characters from which on a line of a solution is not there by chance


class Page(HTMLParser):
    """What a page says, links to and loads, which anchors it has, and which pictures lack their words."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.loads, self.anchors, self.faults, self.words = [], [], set(), [], []
        self.feed(text)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs) -> None:
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img" and not given.get("alt"):
            self.faults.append(f"a picture without alternative text: {given.get('src')}")
        for name in ("src", "href"):
            fetched = tag != "link" or given.get("rel", "").lower() in FETCHED
            if (tag, name) in LOADS and given.get(name) and fetched:
                self.loads.append(given[name])


def pages_of(site: Path) -> dict[str, Page]:
    """Path → page of a built site, without the theme's templates."""
    paths = [path for path in sorted(site.rglob("*.html")) if path.relative_to(site).parts[0] != "_static"]
    return {path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8")) for path in paths}


def faults(site: Path, pages: dict[str, Page]) -> list[str]:
    """All that is wrong with a built site, a sentence each."""
    found, told = [], secrets()
    for name, page in pages.items():
        text, weight = "".join(page.words), weighs(site, name, page)
        wrong = [*page.faults, *dead(site, name, pages), *(f"a line of a solution: {line}" for line in told if line in text)]
        if weight > HEAVY:
            wrong.append(f"{weight / 1e6:.2f} MB with its pictures and scripts, above 2 MB")
        found += [f"{name}: {fault}" for fault in wrong]
    return found


def target(name: str, link: str) -> str:
    """The path in the site to which a link of a page leads."""
    path = unquote(urlsplit(link).path)
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name


def dead(site: Path, name: str, pages: dict[str, Page]) -> Iterator[str]:
    """Links of a page to files or anchors that are not there, and what it loads from elsewhere."""
    told = [(link, ("http", "https", "mailto")) for link in pages[name].links] + [(link, ("data",)) for link in pages[name].loads]
    for link, elsewhere in told:
        parts, path = urlsplit(link), target(name, link)
        if parts.scheme in elsewhere:
            continue
        if parts.scheme or parts.netloc:
            yield f"loads {link} from another host"
        elif not (site / path).exists():
            yield f"a dead link to {link}"
        elif parts.fragment and path in pages and unquote(parts.fragment) not in pages[path].anchors:
            yield f"a link to {link}, and there is no such place"


def weighs(site: Path, name: str, page: Page) -> int:
    """The bytes of a page and of the files that it loads, without those that a style sheet loads."""
    loaded = {name, *(target(name, link) for link in page.loads if not urlsplit(link).scheme)}
    return sum((site / path).stat().st_size for path in loaded if (site / path).is_file())


@cache
def secrets() -> set[str]:
    """The long lines of solutions and hidden tests of the graded sets, in code and in words, that the exercises do not have."""
    told = set()
    for path in sorted((TOP / "solutions").glob("ps*/*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source, marks = "".join(cell["source"]), cell["metadata"].get("nbgrader", {})
            if cell["cell_type"] == "markdown" and marks.get("solution"):
                told |= lines(source)
            for part in SECRET.findall(source):
                told |= lines(part)
    shown = "\n".join(path.read_text(encoding="utf-8") for path in sorted((TOP / "exercises").glob("*/*.ipynb")))
    return {line for line in told if json.dumps(line, ensure_ascii=False)[1:-1] not in shown}


def lines(text: str) -> set[str]:
    """Lines that are long enough to be known again."""
    return {line.strip() for line in text.splitlines() if len(line.strip()) >= LONG}


def main(site: Path) -> int:
    """Print what is wrong, and how much the heaviest page weighs."""
    pages = pages_of(site)
    found = faults(site, pages)
    print("\n".join(found) or "no dead link, nothing from another host, no solution", file=sys.stderr if found else sys.stdout)
    weight, name = max((weighs(site, name, page), name) for name, page in pages.items())
    print(f"{len(pages)} pages; the heaviest, {name}, weighs {weight / 1e6:.2f} MB")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(TOP / "runs/book/html"))
