"""Put the drawings of minimim.show.drawings.psK into the statements of solutions/psK: an attachment of each statement's cell.

    python scripts/statements.py            all sets that have drawings; then: python scripts/problem_sets.py generate

A statement shows its drawing where it says ![words](attachment:psK.n.png); the words are those of the drawing, which a test
checks. A picture whose words have not changed is left as it is, so that another version of matplotlib changes no file."""

import base64
import importlib
import re
from pathlib import Path

import nbformat

SETS = ("ps1", "ps2", "ps3", "ps4", "ps5", "ps6", "ps8")


def main() -> None:
    for name in SETS:
        path = Path("solutions", name, f"{name}.ipynb")
        notebook = nbformat.read(path, as_version=4)
        for task, draw in importlib.import_module(f"minimim.show.drawings.{name}").STATEMENTS.items():
            (cell,) = [cell for cell in notebook.cells if f"](attachment:{task}.png)" in cell.source]
            drawing, file = draw(), f"{task}.png"
            placed = f"![{drawing.alt}](attachment:{file})"
            if placed in cell.source and file in cell.get("attachments", {}):
                continue
            cell.source = re.sub(rf"!\[[^\]]*\]\(attachment:{re.escape(file)}\)", lambda _, placed=placed: placed, cell.source)
            cell["attachments"] = {file: {"image/png": base64.b64encode(drawing.content()).decode()}}
            print(f"{path}: {file}")
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
