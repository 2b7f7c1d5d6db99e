"""Targets: all targets of one picture side by side, HOG by hand, a codebook with how often each code is used, how much a target changes
when the picture does, and a chart with a panel for each question that is asked of the features."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

from minimim.data.views import denormalize, normalize
from minimim.errors import UserError
from minimim.masking.frequency import spectrum
from minimim.patches import grid_of, unpatchify
from minimim.show.charts import SERIES, tidy
from minimim.show.drawing import DPI, INK, KINDS, Drawing, Shown
from minimim.targets.handmade import HOG, sobel
from minimim.targets.pixels import Pixels

ACROSS = 4  # panels in a row
GREEN = KINDS["target"]["facecolor"]
STYLES = (("--", "#555555"), (":", "#555555"), ("-", "#4fc0a0"))  # of floors


def all_targets(panels: Mapping[str, tuple[Tensor, Sequence[int], str]], *, alt: str, photo: bool = False) -> Drawing:
    """The targets of one picture, four in a row: {name: (picture of it, uint8 (C, H, W), its shape, words about it)}."""
    side, step, high = 5.7, 6.2, 8.0
    rows = -(-len(panels) // ACROSS)
    drawing = Drawing(ACROSS * step + 0.2, rows * high, alt, photo)
    for n, (name, (picture, shape, words)) in enumerate(panels.items()):
        x, y = 0.35 + n % ACROSS * step, n // ACROSS * high
        drawing.text(x + side / 2, y + 0.5, name, bold=True, size=11)
        drawing.picture(x, y + 0.95, side, picture)
        drawing.shape(x + side / 2, y + side + 1.3, *shape)
        drawing.text(x + side / 2, y + side + 1.85, words, size=8.5)
    return drawing


def target_panels(image: Tensor, patch_size: int, tokenizers: Mapping[str, torch.nn.Module], teachers: Mapping[str, tuple[Tensor, int, str]]) -> dict:
    """The targets of one picture, uint8 (C, H, W), as `all_targets` takes them.

    tokenizers: {name: fitted tokenizer}, whose tokens are painted. teachers: {name: (features (N, D) or their first components, the
    teacher's width, words about it)}.
    """
    x, grid = normalize(image[None]), grid_of(*image.shape[-2:], patch_size)
    hog = HOG(patch_size)
    pixels = Pixels(patch_size, normalize=True)({"image": x})["patch"]  # (1, N, P·P·C)
    edges, waves = hog({"image": x})["patch"][0], spectrum(x)[0]  # (N, T), complex (C, H, W)
    level = (128 + 50 * unpatchify(pixels, patch_size, grid)[0]).round().clamp(0, 255).to(torch.uint8)
    count, width = pixels.shape[1:]
    panels = {
        "pixels": (image, (count, width), "as they are (SimMIM)"),
        "normalised pixels": (level, (count, width), "each patch on its own scale (MAE)"),
        "HOG": (hog_glyphs(edges, grid, hog.bins, hog.cells, cell=224 // (grid[1] * hog.cells)), tuple(edges.shape), "which way edges run (MaskFeat)"),
        "spectrum": (amplitudes(waves), (waves[0].numel(), 2 * len(waves)), "waves of the whole image (MFM)"),
    }
    for name, tokenizer in tokenizers.items():
        painted = denormalize(tokenizer.paint(tokenizer.ids(x), grid))[0]
        panels[name] = (painted, (count,), f"one of {tokenizer.codebook} codes (BEiT)")
    return panels | {name: (pca_colours(features, grid), (count, dim), words) for name, (features, dim, words) in teachers.items()}


def pca_colours(features: Tensor, grid: tuple[int, int], cell: int = 1, like: Tensor | None = None) -> Tensor:
    """Features of the patches of one picture, (N, D), as colours: their first three principal components, each from its 2nd to its
    98th percentile, as red, green and blue: uint8 (3, rows·cell, cols·cell). like: features whose components and percentiles are taken,
    so that colours can be compared; by default these. Raises UserError for fewer than three features."""
    if features.shape[-1] < 3:
        raise UserError("three colours need three features or more")
    like = (features if like is None else like).float()
    middle = like.mean(0)
    axes = torch.linalg.svd(like - middle, full_matrices=False)[2][:3]  # (3, D)
    axes = axes * axes.sum(1, keepdim=True).sign()  # the sign of a component is arbitrary: the same on every machine
    parts, scale = ((x.float() - middle) @ axes.T for x in (features, like))  # (N, 3) both
    low, high = scale.quantile(0.02, dim=0), scale.quantile(0.98, dim=0)
    colours = ((parts - low) / (high - low).clamp(min=1e-9)).clamp(0, 1) * 255
    return colours.round().to(torch.uint8).T.unflatten(1, grid).repeat_interleave(cell, 1).repeat_interleave(cell, 2)


def hog_glyphs(hog: Tensor, grid: tuple[int, int], bins: int, cells: int, *, cell: int = 16) -> Tensor:
    """Histograms of oriented gradients as strokes along the edges: (N, C·bins·cells²), in the order of `HOG`, → uint8 (3, H, W).

    In each cell a stroke for each direction, across its gradients and as bright as its votes, the mean over channels.
    cell: pixels that a cell is wide.
    """
    rows, cols = grid
    votes = hog.float().unflatten(-1, (-1, bins, cells, cells)).mean(1)  # (N, bins, cells, cells)
    votes = votes.unflatten(0, grid).permute(0, 3, 1, 4, 2).reshape(rows * cells, cols * cells, bins)
    offset = torch.arange(cell) - (cell - 1) / 2
    y, x = torch.meshgrid(offset, offset, indexing="ij")  # (cell, cell)
    strokes = []
    for b in range(bins):
        turn = (b + 0.5) / bins * math.pi  # of the gradient: its part across is sin, its part down is cos
        along, off = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
        strokes.append((1.2 - off.abs()).clamp(0, 1) * (along.abs() <= cell / 2 - 1))
    glyphs = torch.einsum("rcb,byx->rycx", votes / votes.max().clamp(min=1e-9), torch.stack(strokes))
    picture = (glyphs.flatten(2).flatten(0, 1).clamp(0, 1) * 255).round().to(torch.uint8)  # (H, W)
    return picture.expand(3, -1, -1)


def amplitudes(spectrum: Tensor) -> Tensor:
    """The size of each frequency as a heat map on a logarithmic scale: complex (C, H, W) → uint8 (3, H, W)."""
    size = spectrum.abs().mean(0).clamp(min=1e-6).log()
    low, high = size.quantile(0.01), size.max()
    heat = colormaps["inferno"](((size - low) / (high - low)).clamp(0, 1).numpy())[..., :3]
    return torch.from_numpy((heat * 255).round().astype(np.uint8)).permute(2, 0, 1)


def hog_by_hand(patch: Tensor, bins: int = 4) -> Drawing:
    """A histogram of oriented gradients, step by step, on a patch of one cell and one channel, (4, 4).

    The gradients are those of `HOG`: Sobel's filters with reflected borders. Raises UserError for a patch of another shape.
    """
    if patch.shape != (4, 4):
        raise UserError(f"the drawing has room for a patch of 4×4 pixels, not {tuple(patch.shape)}")
    across, down = (x[0, 0] for x in sobel(patch.view(1, 1, 4, 4).float()))
    votes = (across.square() + down.square()).sqrt()
    direction = (torch.atan2(across, down) / torch.pi * bins).floor().remainder(bins).long()
    sums = torch.stack([votes[direction == b].sum() for b in range(bins)])
    scaled = sums / sums.norm().clamp(min=1e-12)
    alt = (
        f"Five tables of 4×4 numbers: the pixels of a patch, their gradients across and down, the length of each gradient, and its direction as one of {bins} bins. "
        f"Below, the lengths are summed for each bin, and the {bins} sums are divided by the length of their vector."
    )
    cell, top, step = (0.98, 0.85), 1.3, 4.95
    drawing = Drawing(25, 10.4, alt)
    tables = {"pixels": patch.float(), "gradient across": across, "gradient down": down, "length": votes, "direction": direction}
    for n, (name, values) in enumerate(tables.items()):
        x = 0.4 + n * step
        drawing.text(x + 2 * cell[0], top - 0.55, name, bold=n == 0)
        digits = 1 if name == "length" else 0
        for r in range(4):
            for c in range(4):
                value = values[r, c]
                fill = SERIES[int(value)] + "55" if name == "direction" and votes[r, c] > 0 else ""
                words = "–" if name == "direction" and votes[r, c] == 0 else f"{float(value):.{digits}f}".replace("-0", "0" if float(value) == 0 else "-0")
                drawing.box(x + c * cell[0], top + r * cell[1], *cell, "plain", words, size=8.5, fill=fill)
    y = top + 4 * cell[1] + 1.6
    drawing.text(0.4, y, "sum of the lengths\nin each direction", at="left", size=9)
    drawing.text(12.6, y, "divided by the length of this vector,\n" + f"√({' + '.join(f'{float(s):.1f}²' for s in sums)}) = {float(sums.norm()):.1f}", at="left", size=9)
    for b in range(bins):
        drawing.text(5.5 + b * 1.5 + 0.7, y - 0.85, f"bin {b}", size=8.5)
        drawing.box(5.5 + b * 1.5, y - 0.45, 1.4, 0.9, "plain", f"{float(sums[b]):.1f}", fill=SERIES[b] + "55")
        drawing.text(5.5 + b * 1.5 + 0.7, y + 1.55, f"bin {b}", size=8.5)
    low = y + 3.6
    drawing.text(0.4, low - 0.8, "target: the histogram", at="left", size=9, bold=True)
    for b in range(bins):
        high = 1.5 * float(scaled[b])
        drawing.box(5.5 + b * 1.5, low - high, 1.4, max(high, 0.02), "target")
        drawing.text(5.5 + b * 1.5 + 0.7, low + 0.35, f"{float(scaled[b]):.2f}")
        drawing.text(13.0 + b * 3.0, low + 0.35, f"bin {b}", size=8.5, at="left")
        turn = (b + 0.5) / bins * math.pi
        middle = (13.9 + b * 3.0, low - 0.9)
        drawing.box(middle[0] - 0.9, middle[1] - 0.9, 1.8, 1.8, "plain", fill=SERIES[b] + "33")
        drawing.axes.plot(
            [middle[0] - 0.7 * math.cos(turn), middle[0] + 0.7 * math.cos(turn)], [middle[1] + 0.7 * math.sin(turn), middle[1] - 0.7 * math.sin(turn)],
            color=INK, linewidth=2.5, zorder=4, scalex=False, scaley=False,
        )  # fmt: skip
    drawing.text(13.0, low - 2.2, "edges that vote for each bin run, in the middle of the bin, like this:", at="left", size=9)
    return drawing


def codebook(books: Mapping[str, tuple[Tensor, Tensor]], *, alt: str, most: int = 64) -> Drawing:
    """Codes as pictures, the most frequent first, and how often each is used: {name: (codes, uint8 (K, C, P, P); counts (K,))}.

    most: how many codes are drawn, at equal distances from the most frequent to the rarest. Raises UserError for more than two books.
    """
    if len(books) > 2:
        raise UserError(f"a page has room for two codebooks, not {len(books)}")
    across, side, gap = 16, 0.62, 0.1
    drawing = Drawing(25, 7.6, alt)
    for n, (name, (codes, counts)) in enumerate(books.items()):
        x, order = 0.5 + n * 12.4, counts.argsort(descending=True, stable=True)
        part = counts[order].double() / counts.sum()
        perplexity = float(torch.exp(-(part * part.clamp(min=1e-12).log()).sum()))
        drawing.text(x, 0.5, name, at="left", bold=True, size=11)
        every = torch.linspace(0, len(order) - 1, min(most, len(order))).round().long()
        for place, k in enumerate(order[every].tolist()):
            drawing.picture(x + place % across * (side + gap), 1.0 + place // across * (side + gap), side, codes[k])
        low, wide = 6.2, across * (side + gap) - gap
        unit = wide / len(part)
        high = 1.4 / float(part.max())
        drawing.axes.fill_between(
            [x + unit * k for k in range(len(part) + 1)], [low - high * float(p) for p in [*part, part[-1]]], low, step="post", color=GREEN, zorder=2, linewidth=0
        )
        drawing.axes.set(xlim=(0, 25), ylim=(7.6, 0))
        drawing.axes.plot([x, x + wide], [low - high / len(part)] * 2, color=INK, linestyle="--", linewidth=1, zorder=3, scalex=False, scaley=False)
        drawing.text(x, 4.25, f"above: {len(every)} of the {len(part)} codes, most frequent first", at="left", size=9)
        drawing.text(x, low + 0.4, f"how often each of the {len(part)} is used; dashed: all equally often", at="left", size=9)
        drawing.text(x, low + 0.95, f"perplexity {perplexity:.0f}; the most frequent code has {100 * float(part[0]):.1f} %", at="left", size=9, bold=True)
    return drawing


def moved(values: Tensor, rows: Sequence[str], names: Sequence[str], *, alt: str, corner: str = "") -> Drawing:
    """How much each target changes when a picture does: (rows, columns) of numbers from 0, which are written on squares that are the
    darker the larger the number."""
    wide, high, left, top = 2.45, 0.95, 6.9, 1.5
    drawing = Drawing(left + wide * len(names) + 0.3, top + high * len(rows) + 0.3, alt)
    drawing.text(left - 0.3, top - 0.55, corner, at="right", size=9)
    for c, name in enumerate(names):
        drawing.text(left + (c + 0.5) * wide, top - 0.6, name, bold=True, size=9)
    for r, row in enumerate(rows):
        drawing.text(left - 0.3, top + (r + 0.5) * high, row, at="right")
        for c in range(len(names)):
            value = float(values[r, c])
            part = min(1.0, value) ** 0.5 * 0.75
            fill = "#" + "".join(f"{round(255 + part * (channel - 255)):02x}" for channel in (213, 94, 0))
            words = "0" if value < 5e-7 else f"{value:.2f}" if value >= 0.005 else "< 0.01"
            drawing.box(left + c * wide, top + r * high, wide, high, "plain", words, fill=fill)
    return drawing


def side_by_side(values: Mapping[str, Mapping[str, tuple[float, float]]], floors: Mapping[str, Mapping[str, float]], *, alt: str) -> Shown:
    """A panel for each question, a row in it for each method: {question: {method: (value, error)}}; floors: {question: {name: value}}, as
    lines. All panels have the same rows. Raises UserError where a panel lacks one."""
    methods = [*next(iter(values.values()))]
    if any([*panel] != methods for panel in values.values()):
        raise UserError("every panel needs the same methods in the same order")
    figure = Figure(figsize=(10, 1.5 + 0.36 * len(methods)), dpi=DPI, layout="constrained")
    styles = dict(zip(dict.fromkeys(name for panel in floors.values() for name in panel), STYLES, strict=False))  # the same in all panels
    lines = {}
    for axes, (question, panel) in zip(figure.subplots(1, len(values), sharey=True, squeeze=False)[0], values.items(), strict=True):
        for n, (value, error) in enumerate(panel.values()):
            axes.errorbar(value, n, xerr=error, fmt="o", color=SERIES[n % len(SERIES)], capsize=3, markersize=7)
        for name, value in floors[question].items():
            style, colour = styles[name]
            lines[name] = axes.axvline(value, linestyle=style, color=colour, zorder=0, linewidth=1.6)
        axes.set_yticks(range(len(methods)), methods)
        axes.set_title(question, fontsize=10)
        tidy(axes)
    axes.invert_yaxis()
    figure.legend([*lines.values()], [*lines], loc="outside lower center", ncols=len(lines), frameon=False, fontsize=9)
    return Shown(figure, alt)
