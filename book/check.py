"""Look through the built site: python -m book.check runs/book/html

Dead links, requests to other hosts, pictures without alternative text, equations that were not drawn, pages above 2 MB, and lines of
the solutions of graded problem sets. Prints each fault in a line; the exit code is 1 where there is one.
"""

import json
import posixpath
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

TOP = Path(__file__).parent.parent
HEAVY = 2_000_000  # bytes that a page may take with all that it loads
LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("source", "src"), ("iframe", "src"), ("video", "src")}
FETCHED = {"stylesheet", "preload", "icon", "shortcut icon", "modulepreload", "preconnect", "dns-prefetch"}
SECRET = re.compile(r"### BEGIN (?:SOLUTION|HIDDEN TESTS)\n(.*?)### END", re.DOTALL)
LONG = 40  # characters from which on a line of a solution is not there by chance


class Page(HTMLParser):
    """What a page links to, what it loads, which anchors it has, and what is missing in it."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.loads, self.anchors, self.faults = [], [], set(), []
        self.feed(text)

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


def faults(site: Path) -> list[str]:
    """All that is wrong with a built site, a sentence each."""
    pages, found = pages_of(site), []
    for name, page in pages.items():
        found += [f"{name}: {fault}" for fault in [*page.faults, *dead(site, name, page, pages), *heavy(site, name, page)]]
    return found + [f"{name}: a line of a solution: {line}" for name, line in leaks(site)]


def pages_of(site: Path) -> dict[str, Page]:
    """Path → page of a built site, without the theme's templates."""
    paths = [path for path in sorted(site.rglob("*.html")) if path.relative_to(site).parts[0] != "_static"]
    return {path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8")) for path in paths}


def dead(site: Path, name: str, page: Page, pages: dict[str, Page]) -> Iterator[str]:
    """Links of a page to files or anchors that are not there, and what it loads from elsewhere."""
    for link in [*page.links, *page.loads]:
        parts = urlsplit(link)
        if parts.scheme == "data" or (parts.scheme in ("http", "https", "mailto") and link in page.links):
            continue
        if parts.scheme or parts.netloc:
            yield f"loads {link} from another host"
            continue
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
        if not (site / path).exists():
            yield f"a dead link to {link}"
        elif parts.fragment and path in pages and unquote(parts.fragment) not in pages[path].anchors:
            yield f"a link to {link}, and there is no such place"


def heavy(site: Path, name: str, page: Page) -> Iterator[str]:
    """Whether a page is above the limit with all that it loads."""
    weight = weighs(site, name, page)
    if weight > HEAVY:
        yield f"{weight / 1e6:.2f} MB with its pictures and scripts, above 2 MB"


def weighs(site: Path, name: str, page: Page) -> int:
    """The bytes of a page and of the files that it loads, and that its style sheets load."""
    loaded = {name}
    for link in page.loads:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(urlsplit(link).path)))
        loaded.add(path)
    return sum((site / path).stat().st_size for path in loaded if (site / path).is_file())


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


def leaks(folder: Path) -> Iterator[tuple[str, str]]:
    """(file, line) for each line of a solution that stands in a page, gathered or built."""
    told = secrets()
    for path in sorted([*folder.rglob("*.html"), *folder.rglob("*.md"), *folder.rglob("*.ipynb"), *folder.rglob("searchindex.js")]):
        text = plain(path)
        yield from ((path.relative_to(folder).as_posix(), line) for line in told if line in text)


def plain(path: Path) -> str:
    """The text of a page without marks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    if path.suffix != ".html":
        return text
    import html

    return html.unescape(re.sub(r"<[^>]+>", "", text))


def main(site: Path) -> int:
    """Print what is wrong, and how much the heaviest page weighs."""
    found = faults(site)
    print("\n".join(found) or "no dead link, nothing from another host, no solution", file=sys.stderr if found else sys.stdout)
    weights = {name: weighs(site, name, page) for name, page in pages_of(site).items()}
    name, weight = max(weights.items(), key=lambda each: each[1])
    print(f"{len(weights)} pages; the heaviest, {name}, weighs {weight / 1e6:.2f} MB")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
