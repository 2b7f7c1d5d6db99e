"""How to read a run: the plan as a flow chart with the curves of stored runs, rank and standard deviation as clouds, and what collapse looks like in features."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from minimim.diagnose import effective_rank, relative_std
from minimim.errors import UserError
from minimim.show.charts import FLOOR, SERIES
from minimim.show.drawing import INK, Drawing

HEALTHY, SICK, OTHER = SERIES[0], SERIES[1], SERIES[4]  # of curves
SIGNS = (  # what is seen; the run that shows it; what is measured; each answer and the cause that it stands for
    ("a low loss, and poor features", "collapse", "rank and deviation of the features", (("far below\nrandom's", "collapse"), ("not", "task\nmismatch"))),
    ("a loss that is too good", "loss on visible", "noise under the mask, and credit", (("above 0", "leak"), ("0", "too little\nmasking"))),
    ("a loss that does not fall", "rate × 8, no warm-up", "the same again, one thing changed", (("a small rate\nmends it", "learning\nrate"), ("another block\nmends it", "architecture"))),
)
BESIDE = {"collapse": "fixed target"}  # the healthy run that predicts the same kind of thing, where it is not an MAE
BEFORE = ("1  look at the data", "2  fix the seed", "3  loss at the start", "4  overfit one batch", "5  baselines")


def reading_plan(runs: Mapping[str, Mapping], image: Tensor, hidden: Tensor, grid: tuple[int, int], batch: Sequence[float]) -> Drawing:
    """The order in which a run is read: five looks before it is trained, then a measurement for each of three signs.

    runs: {name: a run of benchmarks/faults.py}, with healthy, those of SIGNS, and where there are such, those of BESIDE. image: uint8 (C, H, W), with hidden (N,) bool over its
    grid, what the model sees. batch: losses of a model that is overfitted to one batch. Curves are the losses, on a scale of powers.
    """
    healthy, first = runs["healthy"], runs["healthy"]["history"][0]["loss"]
    alt = (
        "The order in which a run is read. Before training: look at the data, fix the seed, compare the loss at the start with the variance, overfit one batch, note the baselines. "
        "Afterwards one of three signs, each with a measurement that tells two causes apart: "
        + "; ".join(f"{sign}: {measured}, {answers[0][1]} or {answers[1][1]}".replace("\n", " ") for sign, _, measured, answers in SIGNS) + "."
    )
    drawing = Drawing(25, 14.1, alt)
    for n, title in enumerate(BEFORE):
        x = 0.3 + 5 * n
        drawing.box(x, 0.3, 4.4, 4.0)
        drawing.text(x + 2.2, 0.75, title, bold=True)
        if n:
            drawing.arrow((x - 0.6, 2.3), (x, 2.3))
    drawing.patches(1.15, 1.15, 2.65, image, grid, hidden, gap=0.04)
    drawing.text(2.5, 4.0, "as the model sees it", size=8)
    half = losses(healthy)[: len(losses(healthy)) // 2]
    small_curves(drawing, 5.7, 1.3, 3.6, 2.2, {"once": (half, HEALTHY), "again": (half, SICK)})
    drawing.text(7.5, 4.0, "twice the same curve", size=8)
    small_bars(drawing, 11.2, 1.3, 2.6, 2.2, [(1.0, FLOOR), (first, HEALTHY)])
    drawing.text(11.85, 3.75, "variance", size=8)
    drawing.text(13.2, 3.75, "loss", size=8)
    small_curves(drawing, 15.7, 1.3, 3.6, 2.2, {"batch": (batch, HEALTHY)}, log=False)
    drawing.text(17.5, 4.0, "it must go to 0", size=8)
    probes = [(healthy[key]["linear_probe"][0], colour) for key, colour in (("random_features", FLOOR), ("features", HEALTHY))]
    small_bars(drawing, 21.2, 1.3, 2.6, 2.2, probes)
    drawing.text(21.85, 3.75, "random", size=8)
    drawing.text(23.2, 3.75, "trained", size=8)

    drawing.text(12.5, 5.15, "train, and look at the curve: orange is the run, blue a healthy one", bold=True)
    for n, (sign, sick, measured, answers) in enumerate(SIGNS):
        x = 0.3 + 8.3 * n
        drawing.box(x, 5.7, 7.8, 3.3)
        drawing.text(x + 3.9, 6.15, f"sign: {sign}", bold=True)
        well = runs.get(BESIDE.get(sick, "healthy"), healthy)
        small_curves(drawing, x + 1.6, 6.6, 4.6, 2.1, {"healthy": (losses(well), HEALTHY), sick: (losses(runs[sick]), SICK)})
        drawing.arrow((x + 3.9, 9.0), (x + 3.9, 9.8))
        drawing.box(x, 9.8, 7.8, 0.95, "lit", measured)
        for side, (answer, cause) in enumerate(answers):
            down = x + 1.1 + 5.6 * side
            drawing.arrow((down, 10.75), (down, 12.35))
            drawing.text(down + (0.25 if side == 0 else -0.25), 11.5, answer, size=9, at="left" if side == 0 else "right")
            drawing.box(x + 4.2 * side, 12.4, 3.6, 1.4, "plain", cause, bold=True)
    return drawing


def clouds(panels: Mapping[str, Tensor]) -> Drawing:
    """Features of two numbers as points on paper, with the way from 0 to their mean, and the rank and relative standard deviation of each cloud: {name: (n, 2)}."""
    side = 6.4
    numbers = {name: (effective_rank(x), relative_std(x)) for name, x in panels.items()}
    told = "; ".join(f"{name}: effective rank {rank:.2f}, relative standard deviation {std:.2f}" for name, (rank, std) in numbers.items())
    drawing = Drawing(0.6 + (side + 1) * len(panels), side + 3.4, f"Clouds of features of two numbers. {told}.")
    most = 1.15 * max(float(x.abs().max()) for x in panels.values())
    for n, (name, x) in enumerate(panels.items()):
        left, top = 0.6 + n * (side + 1), 1.3
        drawing.box(left, top, side, side)
        drawing.text(left + side / 2, 0.75, name, bold=True)
        across, down = (left + (x[:, 0] + most * 0.15) / (1.15 * most) * side).tolist(), (top + side - (x[:, 1] + most * 0.15) / (1.15 * most) * side).tolist()
        zero = (left + 0.15 / 1.15 * side, top + side - 0.15 / 1.15 * side)
        drawing.axes.plot([left, left + side], [zero[1]] * 2, color="#bbbbbb", linewidth=1, zorder=2.2)
        drawing.axes.plot([zero[0]] * 2, [top, top + side], color="#bbbbbb", linewidth=1, zorder=2.2)
        drawing.arrow(zero, (sum(across) / len(across), sum(down) / len(down)), color=OTHER)
        drawing.axes.plot(across, down, "o", color=HEALTHY, markersize=5, zorder=3)
        rank, std = numbers[name]
        drawing.text(left + side / 2, top + side + 0.6, f"effective rank {rank:.2f} of 2")
        drawing.text(left + side / 2, top + side + 1.2, f"relative standard deviation {std:.2f}")
    return drawing


def features_apart(samples: Mapping[str, Tensor]) -> Drawing:
    """Features of the same images by several encoders, {name: (n, D)}: each row of a map is an image, each column a feature, on the scale
    of its own encoder; below, the images on the two directions in which they differ most, all on one scale, where 1 is the length of a
    typical feature vector. Where all images get nearly the same features the rows are alike, and the points lie on each other."""
    wide, high = 7.0, 4.6
    numbers = {name: (effective_rank(x), relative_std(x)) for name, x in samples.items()}
    told = "; ".join(f"{name}: effective rank {rank:.1f}, relative standard deviation {std:.2g}" for name, (rank, std) in numbers.items())
    drawing = Drawing(1.6 + (wide + 0.7) * len(samples), 13.8, f"Features of the same images by several encoders, as maps and as points. {told}.")
    flat = {name: plane(x) for name, x in samples.items()}
    most = 1.05 * max(float(x.abs().max()) for x in flat.values())
    drawing.text(0.7, 1.2 + high / 2, "an image a row", rotation=90)
    drawing.text(0.7, 9.5, "an image a point", rotation=90)
    for n, (name, x) in enumerate(samples.items()):
        left = 1.4 + n * (wide + 0.7)
        drawing.text(left + wide / 2, 0.7, name, bold=True)
        limit = float(x.abs().max())
        drawing.axes.imshow(x.detach().numpy(), extent=(left, left + wide, 1.2 + high, 1.2), aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest", zorder=2)
        drawing.axes.set(xlim=(0, 1.6 + (wide + 0.7) * len(samples)), ylim=(13.8, 0))
        drawing.boxes.append((left, 1.2, left + wide, 1.2 + high))
        drawing.text(left + wide / 2, 1.2 + high + 0.4, f"{x.shape[1]} features", size=9)
        top = 7.0
        drawing.box(left + (wide - 5) / 2, top, 5, 5)
        middle = (left + wide / 2, top + 2.5)
        points = middle[0] + flat[name][:, 0] / most * 2.4, middle[1] - flat[name][:, 1] / most * 2.4
        drawing.axes.plot(points[0].tolist(), points[1].tolist(), "o", color=HEALTHY, markersize=5, alpha=0.8, zorder=3)
        rank, std = numbers[name]
        drawing.text(left + wide / 2, top + 5.5, f"effective rank {rank:.1f}")
        drawing.text(left + wide / 2, top + 6.15, f"relative standard deviation {std:.2g}")
    return drawing


def leak_maps(rows: Mapping[str, tuple[Tensor, Tensor, Tensor, Tensor]], image: Tensor, grid: tuple[int, int]) -> Drawing:
    """The two measurements of a leak, place by place, for several methods on one image, uint8 (C, H, W).

    rows: {name: (hidden (N,) bool, the image with noise under that mask, uint8 (C, H, W), how far the prediction of each place moved (N,),
    the credit of each place (N,))}. Maps are white at 0 and dark at their largest number; visible places have a black frame.
    """
    side, left, names = 4.2, 3.6, ("what the mask says", "noise under the mask", "predictions that moved", "credit: |gradient|")
    told = "; ".join(f"{name}: predictions moved at {int((moved[hidden] > 0).sum())} of {int(hidden.sum())} hidden places, credit at {int((credit[~hidden] > 0).sum())} of {int((~hidden).sum())} visible ones" for name, (hidden, _, moved, credit) in rows.items())
    drawing = Drawing(left + 4 * (side + 0.9), 1.4 + (side + 0.75) * len(rows) + 0.4, f"Two measurements of a leak, at each place of one image. {told}.")
    for n, words in enumerate(names):
        drawing.text(left + n * (side + 0.9) + side / 2, 0.6, words, bold=True)
    for r, (name, (hidden, noisy, moved, credit)) in enumerate(rows.items()):
        top = 1.2 + r * (side + 0.75)
        drawing.text(left / 2 - 0.1, top + side / 2, name.replace(" ", "\n", 1), bold=True)
        drawing.patches(left, top, side, image, grid, hidden, gap=0.05)
        drawing.picture(left + side + 0.9, top, side, noisy)
        for n, (values, counted) in enumerate(((moved, hidden), (credit, torch.ones_like(hidden)))):
            place_map(drawing, left + (n + 2) * (side + 0.9), top, side, values.masked_fill(~counted, 0), hidden, grid)
    drawing.text(left + 4 * side + 2.7, 1.15 + len(rows) * (side + 0.75), "frame: visible · white: 0 · dark: the largest of its map", size=9, at="right")
    return drawing


def place_map(drawing: Drawing, x: float, y: float, side: float, values: Tensor, hidden: Tensor, grid: tuple[int, int]) -> None:
    """A number for each place, (N,), as a map that is white at 0; visible places have a black frame."""
    limits, high = (drawing.axes.get_xlim(), drawing.axes.get_ylim()), max(float(values.max()), 1e-12)
    drawing.axes.imshow(values.reshape(grid).tolist(), extent=(x, x + side, y + side, y), aspect="auto", cmap="Blues", vmin=0, vmax=high, interpolation="nearest", zorder=2)
    drawing.axes.set(xlim=limits[0], ylim=limits[1])
    drawing.axes.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor=INK, linewidth=1, zorder=3))
    drawing.boxes.append((x, y, x + side, y + side))
    step = side / grid[1]
    for n in (~hidden).nonzero().flatten().tolist():
        drawing.axes.add_patch(Rectangle((x + n % grid[1] * step, y + n // grid[1] * step), step, step, fill=False, edgecolor=INK, linewidth=1.4, zorder=3))


def plane(x: Tensor) -> Tensor:
    """Features (n, D) on the two directions in which they differ most, (n, 2), as parts of the length of a typical feature vector."""
    _, _, directions = torch.linalg.svd(x - x.mean(dim=0), full_matrices=False)
    return (x - x.mean(dim=0)) @ directions[:2].T / x.square().sum(dim=1).mean().sqrt()


def small_curves(drawing: Drawing, x: float, y: float, width: float, height: float, lines: Mapping[str, tuple[Sequence[float], str]], *, log: bool = True) -> None:
    """Curves without numbers on their axes, all on one scale: {name: (values, colour)}, at even steps. log: of the values.

    Raises UserError where there is nothing to draw.
    """
    if not lines or not all(len(values) for values, _ in lines.values()):
        raise UserError("a small chart needs at least one curve, and each of them a point")
    scaled = {name: torch.tensor(values, dtype=torch.float64) for name, (values, _) in lines.items()}
    scaled = {name: values.log() if log else values for name, values in scaled.items()}
    everything = torch.cat([values[values.isfinite()] for values in scaled.values()])
    low, room = float(everything.min()), max(float(everything.max() - everything.min()), 1e-9)
    drawing.axes.plot([x, x, x + width], [y, y + height, y + height], color=INK, linewidth=1)
    for n, (name, values) in enumerate(scaled.items()):
        there = values.isfinite()
        across = torch.linspace(x + 0.1, x + width, len(values))[there]
        down = y + height - 0.15 - (values[there] - low) / room * (height - 0.3)
        style = "--" if n and torch.equal(values, next(iter(scaled.values()))) else "-"  # a second curve that lies on the first
        drawing.axes.plot(across.tolist(), down.tolist(), color=lines[name][1], linestyle=style, linewidth=1.8, zorder=3)


def small_bars(drawing: Drawing, x: float, y: float, width: float, height: float, bars: Sequence[tuple[float, str]]) -> None:
    """Bars on one scale from 0: (value, colour) each."""
    most, step = max(max(value for value, _ in bars), 1e-9), width / len(bars)
    for n, (value, colour) in enumerate(bars):
        tall = value / most * (height - 0.2)
        drawing.axes.fill([x + (n + part) * step for part in (0.15, 0.85, 0.85, 0.15)], [y + height - part * tall for part in (0, 0, 1, 1)], color=colour, zorder=2.5)
    drawing.axes.plot([x, x + width], [y + height] * 2, color=INK, linewidth=1)


def losses(run: Mapping) -> list[float]:
    """The loss in each line of a run's history."""
    return [line["loss"] for line in run["history"]]
