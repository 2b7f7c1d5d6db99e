"""What to hide: a number for each patch, sorted and cut; masks of many kinds over one picture; how far a head looks."""

from collections.abc import Mapping

import torch
from torch import Tensor

from minimim.errors import UserError
from minimim.show.charts import curves
from minimim.show.drawing import INK, Drawing, Shown
from minimim.show.drawings.attention import WEIGHT, plain
from minimim.show.drawings.masks import TILE, number, piece

STEP = 1.2  # from tile to tile


def tint(part: float) -> str:
    """A colour between white (0) and orange (1)."""
    return "#" + "".join(f"{round(255 + 0.85 * part * (value - 255)):02x}" for value in WEIGHT)


def by_scores(image: Tensor, grid: tuple[int, int], rows: Mapping[str, Tensor], hide: int) -> Drawing:
    """One recipe for all masks: each patch of an image, (C, H, W), gets a number, (N,); they are sorted, the highest first, and the
    first `hide` are hidden. rows: {what the numbers are: numbers}, a row of the drawing each.

    Raises UserError for more than 8 patches, and for numbers of another length.
    """
    count = grid[0] * grid[1]
    for scores in rows.values():
        if count > 8 or scores.shape != (count,):
            raise UserError(f"this drawing takes at most 8 patches, and one number for each, not {count} and {tuple(scores.shape)}")
    alt = (
        f"One recipe for all masks. Each of {count} numbered patches gets a number: {', '.join(rows)}. They are sorted, the highest number first, "
        f"and the first {hide} are hidden. The rows differ in the numbers alone, and so in what is hidden."
    )
    high, wide = 3.6, 3.9
    drawing = Drawing(25, 1.5 + high * len(rows), alt, photo=True)
    for x, words in ((2.9, "a number for each patch"), (9.6 + STEP * (count - 2) / 2, "sorted, the highest first"), (22.6, "hidden")):
        drawing.text(x, 0.45, words, bold=True)
    for r, (name, scores) in enumerate(rows.items()):
        top = 1.3 + r * high
        order, part = scores.argsort(descending=True).tolist(), scores / scores.abs().max().clamp(min=1e-6)
        cell = (wide + 0.1) / grid[1]
        drawing.text(0.3, top + 0.05, name, at="left")
        for n in range(count):
            left, y = 0.3 + n % grid[1] * cell, top + 0.4 + n // grid[1] * cell
            drawing.box(left, y, cell - 0.08, cell - 0.08, fill=tint(max(part[n].item(), 0)))
            drawing.text(left + cell / 2 - 0.04, y + cell / 2 - 0.04, plain(scores[n].item()), size=9)
        middle = top + 0.4 + grid[0] * cell / 2
        drawing.arrow((wide + 0.7, middle), (wide + 2.9, middle), "sort")
        for place, n in enumerate(order):
            x = 7.4 + place * STEP
            drawing.picture(x, middle - TILE / 2, TILE, piece(image, grid, n))
            number(drawing, x, middle - TILE / 2, n)
            drawing.text(x + TILE / 2, middle - TILE / 2 - 0.3, plain(scores[n].item()), size=8, color="#555555")
        edge = 7.4 + hide * STEP - (STEP - TILE) / 2
        drawing.axes.plot((edge, edge), (middle - 1.15, middle + 0.75), color="#d55e00", linestyle="--", linewidth=1.8, zorder=4, scalex=False, scaley=False)
        drawing.text(7.4 + hide * STEP / 2, middle + 1.0, f"these {hide} are hidden", size=9, color="#d55e00")
        drawing.arrow((7.5 + count * STEP, middle), (9.7 + count * STEP, middle), "cut")
        hidden = torch.zeros(count, dtype=torch.bool)
        hidden[order[:hide]] = True
        drawing.patches(20.6, top + 0.4, wide, image, grid, hidden, gap=0.1, numbers=True)
    return drawing


def distance_by_hand(heads: Mapping[str, Tensor], grid: tuple[int, int], asking: int) -> Drawing:
    """How far a head looks from one patch: its attention weights over a small grid, {name: (N,)}, times the distances from the patch
    that asks, summed. At most 16 patches and two heads; the sum is written out, equal distances together.

    Raises UserError for more, and for weights that do not sum to 1.
    """
    count = grid[0] * grid[1]
    if count > 16 or len(heads) > 2:
        raise UserError(f"this drawing takes at most 16 patches and 2 heads, not {count} and {len(heads)}")
    for weights in heads.values():
        if weights.shape != (count,) or (weights.sum() - 1).abs() > 1e-3:
            raise UserError(f"attention weights are one number for each of the {count} patches, and sum to 1")
    row, col = torch.meshgrid(*(torch.arange(float(side)) for side in grid), indexing="ij")
    places = torch.stack([row.flatten(), col.flatten()], dim=1)  # (N, 2)
    away = torch.cdist(places[asking : asking + 1], places)[0]  # (N,)
    sums = {name: float(weights @ away) for name, weights in heads.items()}
    told = "; ".join(f"{name}, {value:.2f} patches" for name, value in sums.items())
    cell, high = 1.15, 1.15 * grid[0] + 1.7
    drawing = Drawing(22.5, 0.2 + high * len(heads), f"How far a head looks: the distance of each patch, weighted by the attention that it gets, summed. {told}.")

    def table(x: float, y: float, values: Tensor, most: float) -> float:
        for n, value in enumerate(values.tolist()):
            left, top = x + n % grid[1] * cell, y + n // grid[1] * cell
            drawing.box(left, top, cell, cell, "lit" if n == asking else "plain", plain(value), fill="" if n == asking else tint(value / most), size=9)
        return x + grid[1] * cell

    for r, (name, weights) in enumerate(heads.items()):
        y = 1.0 + r * high
        middle = y + grid[0] * cell / 2
        right = table(1.5, y, weights, float(weights.max()))
        drawing.text((1.5 + right) / 2, y - 0.4, f"{name}: attention weights", bold=True)
        drawing.text(right + 1.3, middle, "×", size=14)
        end = table(right + 2.6, y, away, 3 * float(away.max()))
        drawing.text((right + 2.6 + end) / 2, y - 0.4, "distance, in patches", bold=True)
        drawing.arrow((end + 0.4, middle), (end + 1.9, middle), "sum")
        terms = []
        for step in away.unique(sorted=True).tolist():
            share = float(weights[(away - step).abs() < 1e-4].sum())
            terms += [f"{share:.2f} · {step:.2f}"] if step else []
        drawing.text(end + 2.2, middle, " + ".join(terms), at="left", size=9)
        drawing.text(end + 2.2, middle + 0.75, f"= {sums[name]:.2f} patches", at="left", bold=True, color=INK)
    if len(heads) == 2:
        first, second = heads.values()
        drawing.text(end + 6.3, y - 1.2, f"half of the sum of |A − B| = {float((first - second).abs().sum()) / 2:.2f}", size=9)
    return drawing


def even(side: int) -> float:
    """The attention distance of a head that attends to all patches of a square grid alike."""
    steps = torch.arange(float(side))
    places = torch.cartesian_prod(steps, steps)  # (N, 2)
    return float(torch.cdist(places, places).mean())


def by_training(stored: Mapping, what: str) -> dict[str, Tensor]:
    """What benchmarks/attention_by_method.py has stored: {encoder: (seeds, blocks)}; of a "distance" the mean over the heads."""
    values: dict[str, list[Tensor]] = {}
    for run in stored["runs"]:
        each = torch.tensor(run[what], dtype=torch.float64)  # (blocks,) or (blocks, heads)
        values.setdefault(run["encoder"], []).append(each if each.dim() == 1 else each.mean(dim=1))
    return {name: torch.stack(seeds) for name, seeds in values.items()}


def heads_by_training(stored: Mapping, what: str) -> Shown:
    """A chart of what benchmarks/attention_by_method.py has stored, by block, a line for each encoder: "distance", the mean over the
    heads, or "difference" of the heads. With several seeds, their mean and standard deviation."""
    names = {"mae": "MAE", "contrast": "contrast (SimCLR)", "labels": "labels", "random": "random weights"}
    up = {"distance": "attention distance (patches)", "difference": "difference of the heads"}[what]
    lines = {}
    found = by_training(stored, what)
    for key, name in names.items():
        if key in found:
            values = found[key]  # (seeds, blocks)
            error = values.std(dim=0) if len(values) > 1 else torch.zeros(values.shape[1])
            lines[name] = (range(1, values.shape[1] + 1), values.mean(dim=0).tolist(), error.tolist())
    blocks = max(len(line[0]) for line in lines.values())
    more = {"floors": {"attention to all alike": even(8)}} if what == "distance" else {"limits": (0, 1)}
    return curves(lines, **more, marks=True, ticks=range(1, blocks + 1), across="block", up=up, size=(7.5, 3), alt=f"The {up} by block, for encoders trained in different ways: {', '.join(lines)}.")
