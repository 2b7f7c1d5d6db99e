"""Pictures that a method has filled in, as one sheet: a row for each, with its name, and a column for each state of it."""

import io
import math
import textwrap
import warnings

import numpy as np

from minimim.show.pictures import Filled, as_pixels

COLUMNS = {"masked": "as the encoder sees it", "filled": "filled in", "original": "original"}
SIDE = 192  # pixels of the sheet that a picture's shorter side takes at least
LINE, GAP = 22, 6  # pixels: a line of text, and what is left free
LETTER = 8  # pixels that a letter takes at most, on average


def sheet(filled: Filled, names: list[str], caption: str) -> bytes:
    """A PNG file with a row for each picture: what the encoder sees, the same filled in, and the picture itself.

    names: one for each row. caption: what stands below. Small pictures are enlarged, a pixel to a square.
    """
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    height, width = filled.original.shape[-2:]
    zoom = max(1, math.ceil(SIDE / min(height, width)))
    height, width = height * zoom, width * zoom
    across = 3 * width + 4 * GAP
    below = textwrap.wrap(caption, across // LETTER)
    down = LINE + len(names) * (LINE + height + GAP) + LINE * len(below) + GAP
    figure = Figure(figsize=(across / 100, down / 100), dpi=100)

    def write(text: str, left: int, top: int) -> None:
        figure.text(left / across, 1 - (top + LINE / 2) / down, text, va="center", fontsize=9, parse_math=False)

    for column, (state, title) in enumerate(COLUMNS.items()):
        left = GAP + column * (width + GAP)
        write(title, left, 0)
        pixels = as_pixels(getattr(filled, state)).numpy().repeat(zoom, 1).repeat(zoom, 2)  # (B, H', W', 3)
        for row, picture in enumerate(pixels):
            top = LINE + row * (LINE + height + GAP) + LINE
            figure.figimage(np.ascontiguousarray(picture), left, down - top - height, origin="upper")
    for row, name in enumerate(names):
        write(shortened(name, across // LETTER), GAP, LINE + row * (LINE + height + GAP))
    for number, line in enumerate(below):
        write(line, GAP, down - GAP - LINE * (len(below) - number))
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a name in letters that the font lacks is drawn with boxes
        figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def shortened(name: str, letters: int) -> str:
    """A name that fits into so many letters, cut in its middle where it is longer, with nothing in it that cannot be drawn."""
    name = "".join(letter if letter.isprintable() else "?" for letter in name)
    return name if len(name) <= letters else f"{name[: letters // 2 - 1]}…{name[-(letters // 2 - 1) :]}"
