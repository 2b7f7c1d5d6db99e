"""Pictures and maps in rows and columns that carry their names, each large enough to be looked at."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from minimim.errors import UserError
from minimim.show.drawing import DPI, INK, Shown, large_enough
from minimim.show.pictures import as_pixels

PAGE = 1000  # pixels that a lesson's picture is wide at most


def gallery(rows: Mapping[str, Tensor], names: Sequence[str] = (), *, alt: str, side: int = 128, under: Mapping[str, Sequence] | None = None, bands=None, photo: bool = False) -> Shown:
    """Batches of images as rows with their names at the left: {name: (n, C, H, W)}, uint8 or normalised.

    names: of the columns. side: pixels that each image is wide. under: for a row's name, the words below each of its images.
    bands: as `as_pixels` has them. Raises UserError for images under 128 pixels a side, or more of them than a page holds.
    """
    across, under = max(map(len, rows.values())), under or {}
    height, width = next(iter(rows.values())).shape[-2:]
    tall = round(side * height / width)
    large_enough(min(side, tall))
    left, gap, line = 16 + 8 * max(map(len, rows)) if any(rows) else 4, 8, 22
    wide = left + across * (side + gap)
    if wide > PAGE:
        raise UserError(f"{across} pictures of {side} pixels and their names need {wide} pixels, and a page has {PAGE}: give at most {(PAGE - left) // (side + gap)} in a row")
    high = line * bool(names) + sum(tall + gap + line * (name in under) for name in rows)
    figure = Figure(figsize=(wide / DPI, high / DPI), dpi=DPI, layout="none")

    def write(x: float, y: float, words: str, at: str) -> None:
        figure.text(x / wide, 1 - y / high, words, ha=at, va="center", fontsize=10, color=INK, parse_math=False)

    for c, name in enumerate(names):
        write(left + c * (side + gap) + side / 2, line / 2, str(name), "center")
    top = line * bool(names)
    for name, images in rows.items():
        write(left - 8, top + tall / 2, name, "right")
        for c, pixels in enumerate(as_pixels(images, bands)):
            x = left + c * (side + gap)
            axes = figure.add_axes((x / wide, 1 - (top + tall) / high, side / wide, tall / high))
            axes.imshow(pixels.numpy(), interpolation="nearest", aspect="auto")
            axes.axis("off")
            if name in under:
                write(x + side / 2, top + tall + line / 2, str(under[name][c]), "center")
        top += tall + gap + line * (name in under)
    return Shown(figure, alt, photo)


def heatmaps(maps: Mapping[str, Tensor], *, alt: str, label: str = "", side: float = 200, limits=None, colours: str = "viridis", marked: Mapping[str, tuple[int, int]] | None = None, dots: Mapping[str, Tensor] | None = None, ticks=False, axes_names=("", "")) -> Shown:
    """Tables of numbers as colours, side by side on one scale with its bar: {name: (rows, cols)}.

    label: what the colours say, beside the bar. limits: of the scale, by default the smallest and the largest number of all.
    marked: (row, col) of one cell a map, framed in red. dots: (rows, cols) bool, cells with a white dot. axes_names: of the columns and of the rows.
    Raises UserError for maps under 128 pixels a side.
    """
    values = {name: torch.as_tensor(x).detach().float().cpu().numpy() for name, x in maps.items()}
    low, high = limits or (min(float(x.min()) for x in values.values()), max(float(x.max()) for x in values.values()))
    large_enough(side)
    square = [max(x.shape) <= 4 * min(x.shape) for x in values.values()]  # whether a cell is drawn as a square
    tall = max(side * min(1, x.shape[0] / x.shape[1]) if equal else side for x, equal in zip(values.values(), square, strict=True))
    size = (len(values) * (side + 50) + 90) / DPI, (max(tall, 128) + 70) / DPI
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    for axes, equal, (name, x) in zip(figure.subplots(1, len(values), squeeze=False)[0], square, values.items(), strict=True):
        image = axes.imshow(x, cmap=colours, vmin=low, vmax=high, interpolation="nearest", aspect="equal" if equal else "auto")
        axes.set_title(name, fontsize=10)
        axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
        if not ticks:
            axes.set(xticks=[], yticks=[])
        if marked and name in marked:
            row, col = marked[name]
            axes.add_patch(Rectangle((col - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=2))
        if dots and name in dots:
            there = dots[name].nonzero()  # (n, 2)
            axes.plot(there[:, 1], there[:, 0], "o", color="white", markeredgecolor=INK, markersize=5)
    figure.colorbar(image, ax=figure.axes, label=label, fraction=0.05)
    return Shown(figure, alt)
