"""Write docs/claims.md: what the survey claims, where a lesson shows it, and what comes of it: python scripts/claims.py

A claim is a row of minimim/assets/survey/claims.csv: its id, a kind, the claim in our words, a verdict, and in one sentence why. A cell
that bears the verdict has the tag `claim-ID`; a cell may have several, and a claim may be seen in several cells. Rows whose verdict is
"still to come" name the lesson that they wait for, and have no cell. tests/course/test_claims.py checks that all of this is in step.
"""

import csv
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parent.parent
ROWS, PAGE, LESSONS = TOP / "minimim/assets/survey/claims.csv", TOP / "docs/claims.md", TOP / "notebooks"
TAG = "claim-"
TO_COME = "still to come"
TASKS = ("Try it", "Your turn")  # headings within a section
VERDICTS = {
    "seen": "the numbers of the cell bear it out, for the images and runs of this course",
    "not seen": "they speak against it, or show no effect",
    "cannot be decided here": "what would decide it was not run, or the runs do not suffice",
    TO_COME: "its lesson is not written yet",
}
HEAD = """# What the survey claims, and where you see it

The course follows *Masked Image Modeling: A Survey* (arXiv [2408.06687](https://arxiv.org/abs/2408.06687)). This page lists what a summary
of the survey claims, in our words, one claim a row: the mechanisms, the parts, the trade-offs, the signs of failure, the open questions,
and what the survey says of itself. Beside each stand the cells that test it, with a link, and a verdict.

"""
FOOT = """
The links open the cell in JupyterLab; elsewhere they open the lesson. To add or change a claim, edit `minimim/assets/survey/claims.csv`, give
the cell that bears it the tag `claim-` and its id (in JupyterLab: the property inspector at the right, *Cell tags*), and run
`python scripts/claims.py`, which writes this page.
"""


@dataclass(frozen=True)
class Claim:
    """A row of claims.csv; waits_for is the number of the lesson that is still to come, or empty."""

    id: str
    kind: str
    claim: str
    verdict: str
    waits_for: str
    why: str


@dataclass(frozen=True)
class Place:
    """A cell that has a claim's tag: the file of its lesson, the cell's id, and the heading that it stands under."""

    lesson: str
    cell: str
    heading: str

    @property
    def link(self) -> str:
        """In Markdown, from docs/; the cell's number is its place in the lesson."""
        return f"[cell {int(self.cell.partition('-')[2])}](../notebooks/{self.lesson}#cell-id={self.cell})"


def claims() -> list[Claim]:
    """All claims, in the order of the page."""
    with ROWS.open(encoding="utf-8", newline="") as file:
        return [Claim(**row) for row in csv.DictReader(file)]


def tagged(notebook: Path) -> list[tuple[str, Place]]:
    """(id of a claim, cell) for each tag of a lesson. A cell with headings of its own counts under the first of them."""
    found, heading = [], ""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"]) if cell["cell_type"] == "markdown" else ""
        headings = [
            words.partition(": what is")[0]
            for words in re.findall(r"^###? (.+)$", text, re.MULTILINE)
            if not words.startswith(TASKS)
        ]
        place = Place(notebook.name, cell["id"], headings[0] if headings else heading)
        found += [(tag.removeprefix(TAG), place) for tag in cell["metadata"].get("tags", []) if tag.startswith(TAG)]
        heading = headings[-1] if headings else heading
    return found


def places() -> dict[str, list[Place]]:
    """The id of a claim → the cells that bear it, in the order of the lessons."""
    found = defaultdict(list)
    for notebook in sorted(LESSONS.glob("*.ipynb")):
        for name, place in tagged(notebook):
            found[name].append(place)
    return dict(found)


def where(claim: Claim, cells: list[Place]) -> str:
    """The cells of a claim, or the lesson that it waits for."""
    sections = defaultdict(list)
    for cell in cells:
        sections[f"lesson {cell.lesson[:2]}, {cell.heading}"].append(cell.link)
    return "; ".join(f"{name} ({', '.join(links)})" for name, links in sections.items()) or f"lesson {claim.waits_for}"


def row(*cells: str) -> str:
    """A line of a table in Markdown."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def page() -> str:
    """The page as it should be."""
    rows, cells = claims(), places()
    count = Counter(claim.verdict for claim in rows)
    text = HEAD + row("verdict", "means", "claims") + row("---", "---", "---")
    text += "".join(row(f"**{verdict}**", means, str(count[verdict])) for verdict, means in VERDICTS.items())
    for kind in dict.fromkeys(claim.kind for claim in rows):
        text += f"\n## {kind}\n\n" + row("claim", "where", "verdict", "why") + row("---", "---", "---", "---")
        for claim in rows:
            if claim.kind == kind:
                text += row(claim.claim, where(claim, cells.get(claim.id, [])), f"**{claim.verdict}**", claim.why)
    return text + FOOT


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
