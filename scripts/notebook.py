"""Run lessons top to bottom in a fresh kernel and store them as they are kept: python scripts/notebook.py notebooks/01*.ipynb

Outputs are kept, in small files and without widget state. Cell ids are numbers by place, so that a diff shows only what changed."""

import argparse
import base64
import io
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

KEPT = {"tags"}  # of a cell's metadata; problem sets keep nbgrader's too
SHOWN = ("image/png", "image/jpeg", "text/html")


def smaller(picture: str) -> str:
    """A PNG in base64, in 256 colours where that takes less. Those of the widest coverage keep small objects as they are."""
    image, file = Image.open(io.BytesIO(base64.b64decode(picture))), io.BytesIO()
    image.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        file, "PNG", optimize=True
    )
    return min(picture, base64.b64encode(file.getvalue()).decode(), key=len)


def normalise(notebook, stem: str):
    """Ids by place, the metadata that a reader needs, outputs without execution times."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"{stem.split('_')[0]}-{number:02d}"
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in KEPT}
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            if "data" in output:
                output["data"].pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = smaller(output["data"]["image/png"])
    return notebook


def keep_what_moves(notebook, widgets: dict) -> None:
    """What each `interact` showed first stays beside the words that stand for it, for those who read without a kernel.

    widgets: id of a widget → what it holds."""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        view = output.get("data", {}).get("application/vnd.jupyter.widget-view+json", {})
        for child in widgets.get(view.get("model_id"), {}).get("children", []):
            for shown in widgets[child.removeprefix("IPY_MODEL_")].get("outputs", []):
                output.data |= {kind: shown.data[kind] for kind in SHOWN if kind in shown.get("data", {})}
                output.metadata |= shown.get("metadata", {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    for path in parser.parse_args().notebooks:
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": path.parent}})
        client.execute()
        keep_what_moves(notebook, client.widget_state)
        nbformat.write(normalise(notebook, path.stem), path)
        print(f"{path}: {len(notebook.cells)} cells, {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
