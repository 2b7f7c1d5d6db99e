"""Drawings in one visual language: a visible patch is its own pixels, a hidden one hatched grey, a mask token amber, a latent blue, a
prediction dashed, a target green; data flow from left to right.

A `Shown` is a figure that a notebook displays when it is the last thing in a cell, with words for those who cannot see it. A `Drawing`
is a Shown on which one places pictures, tiles, numbers, words and arrows by hand, on squared paper: x to the right, y downwards, a
unit is UNIT pixels. `faults` says what would be unreadable, so that a test can ask.
"""

import base64
import io
from collections.abc import Sequence
from itertools import pairwise

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from torch import Tensor

from minimim.errors import UserError, unknown
from minimim.show.pictures import as_pixels

UNIT, DPI = 40, 100  # pixels a unit of a drawing takes, pixels an inch
INK, PALE = "#333333", "#eeeeee"
KINDS = {  # kind of a tile → how it is drawn; the colours are told apart by colour-blind readers too
    "plain": {"facecolor": "white", "edgecolor": INK},
    "visible": {"facecolor": "#dddddd", "edgecolor": INK},
    "hidden": {"facecolor": "#bbbbbb", "edgecolor": "#777777", "hatch": "////"},
    "mask token": {"facecolor": "#e69f00", "edgecolor": INK},
    "latent": {"facecolor": "#56b4e9", "edgecolor": INK},
    "prediction": {"facecolor": "white", "edgecolor": INK, "linestyle": "--", "linewidth": 1.6},
    "target": {"facecolor": "#4fc0a0", "edgecolor": INK},
    "lit": {"facecolor": "#fff1b8", "edgecolor": INK, "linewidth": 2.2},
}
EDGES = {  # around pixels
    "prediction": {"fill": False, "edgecolor": INK, "linestyle": (0, (2, 1)), "linewidth": 1.2},
    "target": {"fill": False, "edgecolor": "#009e73", "linewidth": 1.8},
}


class Shown:
    """A figure and the words that say what it shows. photo: whether it is kept as a JPEG, which photographs need to stay small."""

    def __init__(self, figure: Figure, alt: str, photo: bool = False):
        self.figure, self.alt, self.photo = figure, alt, photo

    def content(self) -> bytes:
        """The file: PNG, or JPEG for a photo."""
        file = io.BytesIO()
        more = {"format": "jpeg", "pil_kwargs": {"quality": 85}} if self.photo else {"format": "png"}
        with rc_context({"figure.constrained_layout.use": False}):  # else saving turns on, for the next time, what the figure was made without
            self.figure.savefig(file, dpi=DPI, facecolor="white", **more)
        return file.getvalue()

    def save(self, path) -> None:
        """Write the file."""
        with open(path, "wb") as file:
            file.write(self.content())

    def _repr_mimebundle_(self, include=None, exclude=None):
        kind = "image/jpeg" if self.photo else "image/png"
        return {kind: base64.b64encode(self.content()).decode(), "text/plain": repr(self)}, {kind: {"alt": self.alt}}

    def __repr__(self) -> str:
        return f"[{self.alt}]"


class Drawing(Shown):
    """Squared paper of so many units, (width, height), on which things are placed."""

    def __init__(self, width: float, height: float, alt: str, photo: bool = False):
        super().__init__(Figure(figsize=(width * UNIT / DPI, height * UNIT / DPI), dpi=DPI, layout="none"), alt, photo)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")
        self.boxes, self.words, self.lines = [], [], []  # what `faults` compares

    def text(self, x: float, y: float, words: str, *, size: float = 10, at: str = "center", bold=False, code=False, color: str = INK, **more):
        """Words whose middle is at y; at: which side of them is at x (left, center or right). code: in a fixed width, as shapes are."""
        style = {"fontsize": size, "ha": at, "va": "center", "color": color, "parse_math": False, "zorder": 5}
        written = self.axes.text(x, y, words, weight="bold" if bold else "normal", family="monospace" if code else "sans-serif", **style, **more)
        self.words.append(written)
        return written

    def shape(self, x: float, y: float, *sizes, at: str = "center") -> None:
        """The shape of a tensor, such as (B, N, D)."""
        self.text(x, y, f"({', '.join(map(str, sizes))})", size=9, at=at, code=True, color="#555555")

    def box(self, x: float, y: float, width: float, height: float, kind: str = "plain", words: str = "", *, fill: str = "", **more) -> None:
        """A rectangle of a kind with its upper left corner at (x, y), and words in its middle. fill: a colour instead of the kind's,
        for what is no tile of a token, such as an axis. more: for the words."""
        if kind not in KINDS:
            raise unknown("kind of tile", kind, KINDS)
        self.axes.add_patch(Rectangle((x, y), width, height, **{"linewidth": 1, "zorder": 2} | KINDS[kind] | ({"facecolor": fill} if fill else {})))
        self.boxes.append((x, y, x + width, y + height))
        if words:
            self.text(x + width / 2, y + height / 2, words, **more)

    def tiles(self, x: float, y: float, kinds: Sequence[str], words: Sequence = (), *, side: float = 1, down: bool = False, gap: float = 0.08, **more) -> None:
        """A row of tiles, or a column, with what stands in them. more: for the words."""
        for n, kind in enumerate(kinds):
            place = n * (side + gap)
            self.box(x + place * (not down), y + place * down, side, side, kind, str(words[n]) if len(words) else "", **more)

    def picture(self, x: float, y: float, side: float, image: Tensor, name: str = "") -> None:
        """An image, (C, H, W), so many units wide, with its name above."""
        pixels = as_pixels(image[None])[0].numpy()
        height = side * pixels.shape[0] / pixels.shape[1]
        self.axes.imshow(pixels, extent=(x, x + side, y + height, y), aspect="auto", interpolation="nearest", zorder=2.5)
        self.axes.set(xlim=self.axes.get_xlim(), ylim=self.axes.get_ylim())
        self.boxes.append((x, y, x + side, y + height))
        if name:
            self.text(x + side / 2, y - 0.35, name)

    def patches(self, x: float, y: float, side: float, image: Tensor, grid: tuple[int, int], hidden: Tensor | None = None, *, left_out: Tensor | None = None, kind: str = "", gap: float = 0.12, numbers: bool = False) -> None:
        """An image, (C, H, W), cut into its patches, so many units wide. hidden: (N,) bool, those that are hatched; left_out: (N,)
        bool, those that are not drawn. kind: prediction or target, whose edge the patches get. numbers: write 0, 1, … on them."""
        rows, cols = grid
        height, width = image.shape[-2] // rows, image.shape[-1] // cols
        step = (side + gap) / cols
        for n in range(rows * cols):
            r, c = divmod(n, cols)
            left, top = x + c * step, y + r * step
            if left_out is not None and left_out[n]:
                continue
            if hidden is not None and hidden[n]:
                self.box(left, top, step - gap, step - gap, "hidden")
            else:
                self.picture(left, top, step - gap, image[:, r * height : (r + 1) * height, c * width : (c + 1) * width])
                if kind:
                    self.axes.add_patch(Rectangle((left, top), step - gap, step - gap, zorder=2.6, **EDGES[kind]))
            if numbers:
                halo = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
                self.text(left + (step - gap) / 2, top + (step - gap) / 2, str(n), size=8, bbox=halo)

    def numbers(self, x: float, y: float, values: Tensor, *, kind: str = "plain", cell: tuple[float, float] = (1.25, 0.8), digits: int = 2, marked=(), **more) -> None:
        """A table of numbers, (rows, cols), each in a cell of (width, height) units. marked: (row, col) of those that are lit. more: for the words."""
        for r, row in enumerate(torch.as_tensor(values).tolist()):
            for c, value in enumerate(row):
                words = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
                self.box(x + c * cell[0], y + r * cell[1], *cell, "lit" if (r, c) in marked else kind, words, **more)

    def arrow(self, start: tuple[float, float], end: tuple[float, float], words: str = "", *, above: float = 0.3, dashed: bool = False, color: str = INK, bend: float = 0) -> None:
        """The way of the data, with words above its middle. bend: how far it bows, in parts of its length."""
        style = {"arrowstyle": "-|>", "color": color, "linestyle": "--" if dashed else "-", "shrinkA": 0, "shrinkB": 0, "linewidth": 1.4}
        self.axes.annotate("", xy=end, xytext=start, arrowprops=style | {"connectionstyle": f"arc3,rad={bend}"}, zorder=3)
        if not bend:
            self.lines.append((start, end))
        if words:
            self.text((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 - above, words, size=9)

    def path(self, *points: tuple[float, float], dashed: bool = False, color: str = INK) -> None:
        """An arrow with corners: straight from point to point, its head at the last."""
        for start, end in pairwise(points[:-1]):
            self.axes.plot(*zip(start, end, strict=True), color=color, linestyle="--" if dashed else "-", linewidth=1.4, zorder=3, scalex=False, scaley=False)
            self.lines.append((start, end))
        self.arrow(points[-2], points[-1], dashed=dashed, color=color)

    def key(self, x: float, y: float, *kinds: str, width: float = 3.4) -> None:
        """What the tiles mean, side by side."""
        for n, kind in enumerate(kinds):
            self.box(x + n * width, y, 0.5, 0.5, kind)
            self.text(x + n * width + 0.7, y + 0.25, kind, size=9, at="left")

    def faults(self) -> list[str]:
        """What a reader could not read, in words: text outside the paper, over other text, across the edge of a tile, or under an arrow."""
        self.figure.draw_without_rendering()
        found, paper = [], self.figure.bbox
        there = [(word.get_text(), word.get_window_extent().padded(-1.5)) for word in self.words]
        boxes = [Bbox(self.axes.transData.transform([(left, bottom), (right, top)])) for left, top, right, bottom in self.boxes]
        for n, (words, extent) in enumerate(there):
            if not inside(extent, paper):
                found.append(f"'{words}' leaves the paper")
            found += [f"'{words}' lies over '{other}'" for other, room in there[:n] if extent.overlaps(room)]
            if any(extent.overlaps(box) and not inside(extent, box.padded(2)) for box in boxes):
                found.append(f"'{words}' crosses the edge of a tile")
            for start, end in self.lines:
                points = self.axes.transData.transform([start, end])
                along = [points[0] + (points[1] - points[0]) * part / 100 for part in range(101)]
                if any(extent.contains(*point) for point in along):
                    found.append(f"'{words}' lies under an arrow")
        return found


def inside(small: Bbox, large: Bbox) -> bool:
    """Whether one box lies in another."""
    return large.x0 <= small.x0 and small.x1 <= large.x1 and large.y0 <= small.y0 and small.y1 <= large.y1


def large_enough(pixels: float) -> None:
    """Raise UserError for a picture that would be smaller than 128 pixels on the page."""
    if pixels < 128:
        raise UserError(f"a picture of {pixels:.0f} pixels is too small to be looked at: give each at least 128, by fewer in a row")
