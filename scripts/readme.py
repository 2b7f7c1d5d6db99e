"""Bring the README up to date: python scripts/readme.py draws docs/mae.png, and writes the minutes of the lessons and the tree of methods.

The drawing is of one test scene on its way through the bundled model; the minutes are those that each lesson and problem set says in its
box. `--no-drawing` leaves the drawing as it is, for when only the words have changed. tests/course/test_readme.py checks that all is in step.
"""

import argparse
import json
import re
from pathlib import Path

import minimim
from minimim.commands.methods import tree
from minimim.data import scenes
from minimim.show import Drawing, mae

TOP = Path(__file__).parent.parent
PAGE, PICTURE = TOP / "README.md", TOP / "docs" / "mae.png"
SCENE, DPI = 41, 160  # the picture that is drawn, and how fine


def drawing() -> Drawing:
    """MAE on one scene."""
    return mae(minimim.load(minimim.bundled("mae-scenes")), scenes("test", SCENE + 1).images[SCENE])


def minutes(notebook: Path) -> str:
    """How long a lesson or problem set takes, as its box says: `45 min`, or `3 to 4 hours`. Raises ValueError where it does not say."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    box = "".join(cells[0]["source"])
    said = re.search(r"\*\*Time\*\*\D*?(\d+(?: to \d+)?) (minutes|hours)", box)
    if not said:
        raise ValueError(f"{notebook.name} does not say its time")
    return f"{said[1]} {said[2].replace('minutes', 'min')}"


def with_minutes(page: str) -> str:
    """The page with the minutes of each row of the course's table, `| [05 …](notebooks/05_decoder.ipynb) | … | 45 min |`."""

    def row(found: re.Match) -> str:
        path = TOP / found["path"]
        return f"{found['before']}{minutes(path) if path.exists() else found['time']} |"

    pattern = r"^(?P<before>\| \[[^]]+\]\((?P<path>(?:notebooks|exercises/ps\d)/\w+\.ipynb)\) \| .* \| )(?P<time>[^|]*) \|$"
    return re.sub(pattern, row, page, flags=re.MULTILINE)


def with_tree(page: str) -> str:
    """The page with the tree of methods between its two marks."""
    before, _, rest = page.partition("<!-- tree -->\n")
    lines = tree().splitlines()[:-1]  # the last says what to type
    return before + "<!-- tree -->\n" + "".join(f"    {line}\n" for line in lines) + "<!-- end of tree -->" + rest.partition("<!-- end of tree -->")[2]


def updated(page: str) -> str:
    """The page as it should be."""
    return with_tree(with_minutes(page))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawing", action=argparse.BooleanOptionalAction, default=True, help="draw docs/mae.png anew")
    if parser.parse_args().drawing:
        drawing().figure.savefig(PICTURE, dpi=DPI, facecolor="white")
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
