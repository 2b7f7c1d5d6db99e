"""Gather the pages of the web edition into runs/book/source, which Sphinx reads: python -m book.gather

The folders are those of the repository, so that a link between two pages is the same in both. The order of lessons and problem sets is
that of the README's table. Solutions are not gathered; book/check.py looks for them in what is built.
"""

import re
from pathlib import Path

import nbformat

from book import api, methods
from book.links import TOP, relinked, repository
from book.notebooks import page

READING = {  # heading in the list of pages → its pages, in order; documents that are named nowhere come under the last
    "To look up": ["docs/cheat-sheet.md", "docs/glossary.md", "docs/map.md", "methods.md"],
    "What was measured": ["benchmarks/results/methods-cpu.md", "benchmarks/findings.md", "docs/claims.md", "benchmarks/README.md"],
    "To study, to teach, to extend": ["docs/self-study.md", "docs/teaching.md"],
}
RESULTS = "benchmarks/results/methods-cpu"
COPIED = ["docs/mae.png"]  # pictures of pages
GET = "    git clone {address}\n    cd {folder}\n"
LAB = "    make lab"


def notebooks() -> list[str]:
    """The paths of lessons and problem sets, in the order of the README's table."""
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^\| \[[^\]]+\]\(((?:notebooks|exercises)/[\w/]+\.ipynb)\)", readme, re.MULTILINE)


def documents() -> list[str]:
    """The paths of all documents that are pages."""
    named = [path for paths in READING.values() for path in paths if path.startswith("benchmarks")]
    return [*(f"docs/{path.name}" for path in sorted((TOP / "docs").glob("*.md"))), *named]


def contents() -> dict[str, list[str]]:
    """Heading → pages in order: the course, what to look up, and so on, the library at the end."""
    made = {"The course": notebooks()} | {heading: list(paths) for heading, paths in READING.items()}
    said = {path for paths in made.values() for path in paths}
    list(made.values())[-1].extend(path for path in documents() if path not in said)
    return made | {"The library": ["api/index.md"]}


def text_of(path: str) -> str:
    """The Markdown of a document, as its page has it."""
    text = (TOP / path).read_text(encoding="utf-8")
    if path == f"{RESULTS}.md":
        alt = "For every method a point with an error bar: the linear probe on scenes, beside the baselines."
        picture = f"```{{figure}} {Path(RESULTS).name}.png\n:alt: {alt}\n\nThe linear probe of every method on scenes, beside the baselines.\n```"
        text = f"# Every method, measured\n\n{picture}\n\n{text}"
    return text


def index(address: str) -> str:
    """The first page: what the course is, how to get it, and the list of pages."""
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    alt = re.search(r"!\[([^\]]+)\]\(docs/mae\.png\)", readme)[1]
    mae = f"```{{figure}} docs/mae.png\n:alt: {alt}\n\nA masked autoencoder at work on a test image.\n```"
    get = (GET.format(address=address, folder=address.rsplit("/", 1)[-1].removesuffix(".git")) if address else "") + LAB
    trees = []
    for heading, paths in contents().items():
        entries = "\n".join(path.rsplit(".", 1)[0] for path in paths)
        trees.append(f"```{{toctree}}\n:caption: {heading}\n:maxdepth: 1\n\n{entries}\n```")
    text = (TOP / "book/index.md").read_text(encoding="utf-8").replace("](../", "](")
    parts = {"<!-- mae -->": mae, "<!-- get -->": get, "<!-- contents -->": "\n\n".join(trees)}
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def gathered(address: str = "") -> dict[str, str | bytes]:
    """Path → content of every file that Sphinx reads. Raises ValueError for a link to a file that is not there."""
    made: dict[str, str | bytes] = {"methods.md": methods.page(), **api.pages()}
    paths = {*notebooks(), *documents(), *made}
    for path in documents():
        made[path] = relinked(text_of(path), path, paths, address)
    for path in notebooks():
        here, name = Path(path), re.match(r"\d\d|[a-z]+\d*", Path(path).name)[0]
        built, pictures = page(nbformat.read(TOP / path, 4), name, lambda text, here=path: relinked(text, here, paths, address))
        made[path] = nbformat.writes(built)
        made |= {f"{here.parent.as_posix()}/{file}": content for file, content in pictures.items()}
    made |= {path: (TOP / path).read_bytes() for path in [*COPIED, f"{RESULTS}.png"]}
    return made | {"index.md": relinked(index(address), "index.md", {*paths, "docs/mae.png"}, address)}


def main(folder: Path) -> None:
    """Write the pages; what is in the folder and is no page any more is removed, and a page that has not changed is left as it is."""
    files = gathered(repository())
    for path in [path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).as_posix() not in files]:
        path.unlink()
    for name, content in files.items():
        path, data = folder / name, content if isinstance(content, bytes) else content.encode("utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)


if __name__ == "__main__":
    main(TOP / "runs/book/source")
