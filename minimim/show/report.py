"""A run as one self-contained HTML file: pictures inside, no network, readable on any browser."""

import base64
import html
import io

from torch import Tensor

from minimim.show.pictures import Filled, png, strip

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.15rem; margin-top: 2rem; }}
img {{ max-width: 100%; image-rendering: pixelated; }} img.plot {{ image-rendering: auto; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .25rem .9rem; text-align: right; border-bottom: 1px solid #ddd; }}
td:first-child, th:first-child {{ text-align: left; padding-left: 0; }}
.best td {{ font-weight: 600; }} code {{ background: #f3f3f3; padding: .1rem .3rem; }} .rows {{ color: #555; }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def page(title: str, sections: list[tuple[str, str]]) -> str:
    """A page of (heading, HTML) sections."""
    body = "\n".join(f"<h2>{html.escape(heading)}</h2>\n{content}" for heading, content in sections)
    return PAGE.format(title=html.escape(title), body=body)


def picture(content: bytes, alt: str, kind: str = "") -> str:
    """A PNG inside the page."""
    data = base64.b64encode(content).decode()
    return f'<img class="{kind}" alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'


def filled_rows(filled: Filled, zoom: int = 3, bands: tuple[int, int, int] | None = None) -> str:
    """Original, masked and filled in, one row each. bands: as `as_pixels` has them."""
    rows: list[Tensor] = [filled.original, filled.masked, filled.filled]
    return (
        picture(png(strip(rows, bands=bands), zoom), "three rows of images: original, masked, filled in")
        + '<p class="rows">Rows: the image; what the encoder is shown; what the model makes of it.</p>'
    )


def curve(history: list[dict]) -> str:
    """The loss against the step."""
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    lines = [line for line in history if "loss" in line]
    axes.plot([line["step"] for line in lines], [line["loss"] for line in lines], color="#1f5fa8")
    axes.set(xlabel="step", ylabel="loss on hidden patches")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return picture(file.getvalue(), "the loss falls with the steps", "plot")


def table(header: list[str], rows: list[list[str]], best: int | None = None) -> str:
    """An HTML table; row number `best` in bold."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    lines = [
        f'<tr{" class=best" if n == best else ""}>' + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for n, row in enumerate(rows)
    ]
    return f"<table><tr>{head}</tr>\n" + "\n".join(lines) + "</table>"
