"""Links between the pages of the web edition: kept where they lead to a page, and else sent to the repository, or turned into words."""

import posixpath
import re
import tomllib
from collections.abc import Collection
from pathlib import Path

TOP = Path(__file__).parent.parent
LINK = r"(?P<mark>!?)\[(?P<words>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)\)"
CODE = r"```.*?```|`[^`\n]+`|^ {4}[^\n]*$"  # in which a link is none
EITHER = re.compile(f"{LINK}|{CODE}", re.DOTALL | re.MULTILINE)
CELL = "cell-id="  # JupyterLab's anchor of a cell


def repository(project: Path = TOP / "pyproject.toml") -> str:
    """The repository's address, which stands under [project.urls] in pyproject.toml alone; empty where it is not set."""
    urls = tomllib.loads(project.read_text(encoding="utf-8"))["project"].get("urls", {})
    return urls.get("Repository", "").rstrip("/")


def relinked(text: str, here: str, pages: Collection[str], address: str = "") -> str:
    """The Markdown of a page with its links made to work in the web edition.

    here: the page, pages: all pages, by their paths in the repository. A link to a cell leads to its anchor. One to a file that is
    no page leads to `address`, or leaves its words alone. Raises ValueError for a link to a file that is not there.
    """

    def replaced(found: re.Match) -> str:
        mark, words, target = found["mark"], found["words"], found["target"]
        if target is None or re.match(r"[a-z]+:|#", target):
            return found[0]
        path, _, anchor = target.partition("#")
        whole = posixpath.normpath(posixpath.join(posixpath.dirname(here), path))
        if whole in pages:
            anchor = f"#cell-{anchor.removeprefix(CELL)}" if anchor.startswith(CELL) else f"#{anchor}" if anchor else ""
            return f"{mark}[{words}]({target.partition('#')[0]}{anchor})"
        if page_of_file(whole) in pages:
            return f"{mark}[{words}]({posixpath.relpath(page_of_file(whole), posixpath.dirname(here) or '.')}#{slug(whole)})"
        if not (TOP / whole).exists():
            raise ValueError(f"{here} links to {target}, which is not there: mend the link")
        return f"[{words}]({address}/blob/main/{whole})" if address else words

    return EITHER.sub(replaced, text)


def page_of_file(path: str) -> str:
    """The page on which a file of the library stands, as api/masking.md for minimim/masking/block.py; empty for other files."""
    found = re.fullmatch(r"minimim/(?:(\w+)/)?(?:\w+/)*\w+\.py", path)
    return f"api/{found[1] or 'files'}.md" if found else ""


def slug(path: str) -> str:
    """The anchor of such a file on its page."""
    return path.removesuffix(".py").replace("/", "")
