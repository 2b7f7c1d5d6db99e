"""A lesson or problem set as a page: its stored pictures become figures with captions and alternative text, its cells get anchors.

Nothing is run. A widget, which needs Python, is shown as it is at first, above a line that says where it moves.
"""

import base64
import json
import re

import nbformat
from nbformat import NotebookNode

from book.docstrings import escaped

KINDS = {"image/png": "png", "image/jpeg": "jpg"}
MOVES = "*This follows your hand when you open the notebook in JupyterLab: `minimim lab`.*"
ATTACHED = re.compile(r"!\[([^\]]*)\]\(attachment:([^)]+)\)")


class Figures:
    """The pictures of one notebook: a file each, numbered as they come. name: 01 or ps1; files: path beside the page → content."""

    def __init__(self, name: str):
        self.name, self.files = name, {}

    def add(self, alt: str, content: bytes, kind: str) -> str:
        """A figure in Markdown. alt: what the picture shows; its first sentence is the caption."""
        number = f"{self.name}.{len(self.files) + 1}"
        path = f"figures/{number}.{kind}"
        self.files[path] = content
        caption = f"**Figure {number}** {escaped(first_sentence(alt))}"
        label = f"figure-{number.replace('.', '-')}"
        return f"```{{figure}} {path}\n:alt: {json.dumps(alt, ensure_ascii=False)}\n:name: {label}\n\n{caption}\n```"


def first_sentence(words: str) -> str:
    """Up to the first full stop that ends a sentence of more than one word."""
    found = re.match(r".+? .+?[.?!](?= [A-Z0-9“]|$)", words, re.DOTALL)
    return " ".join((found[0] if found else words).split())


def with_figures(text: str, attachments: dict, figures: Figures) -> str:
    """The Markdown of a cell, its attached drawings as figures."""

    def figure(found: re.Match) -> str:
        ((kind, content),) = attachments[found[2]].items()
        return figures.add(found[1], base64.b64decode(content), KINDS[kind])

    return ATTACHED.sub(figure, text)


def output(stored: NotebookNode, figures: Figures) -> list[NotebookNode]:
    """A stored output as a page has it; what moves, with a line below it."""
    data, found = stored.get("data", {}), []
    for kind, ending in KINDS.items():
        if kind in data:
            found.append(shown(figures.add(stored.metadata.get(kind, {}).get("alt", ""), base64.b64decode(data[kind]), ending)))
    if "(children=(" in data.get("text/plain", ""):
        tables = [nbformat.v4.new_output("display_data", {"text/html": data["text/html"]})] if "text/html" in data else []
        return [*found, *tables, shown(MOVES)]
    return found or [stored]


def shown(markdown: str) -> NotebookNode:
    """Markdown as the output of a cell."""
    return nbformat.v4.new_output("display_data", {"text/markdown": markdown})


def page(notebook: NotebookNode, name: str, relink) -> tuple[NotebookNode, dict[str, bytes]]:
    """The notebook as a page, and its pictures. name: 01 or ps1. relink: Markdown → Markdown whose links lead to pages."""
    figures, cells = Figures(name), []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = with_figures(relink(cell.source), cell.get("attachments", {}), figures)
            cells.append(nbformat.v4.new_markdown_cell(anchored(text, cell.id), id=cell.id))
        else:
            anchor = nbformat.v4.new_markdown_cell(f"(cell-{cell.id})=", id=f"to-{cell.id}")
            tags = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
            made = nbformat.v4.new_code_cell(cell.source, id=cell.id, execution_count=cell.execution_count, metadata=tags)
            made.outputs = [kept for each in cell.outputs for kept in output(each, figures)]
            cells += [anchor, made]
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata), figures.files


def anchored(text: str, cell: str) -> str:
    """The Markdown of a cell, to which `#cell-ID` leads."""
    return f"(cell-{cell})=\n{text}"
