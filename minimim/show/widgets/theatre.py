"""Collapse theatre: a run that collapses and one that does not, step by step."""

from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from minimim import data
from minimim.show.charts import SERIES
from minimim.show.drawing import INK
from minimim.show.widgets.live import BOARD, Live, Seen, slider, widgets
from minimim.show.widgets.paper import LINE, Paper

SIDE, HIGH = 360, 110  # pixels of a stage, and of a chart's height
COLOURS = {"agreement alone": SERIES[1], "InfoNCE": SERIES[0]}  # vermilion and blue; the first is dashed, too
CHARTS = {"vector_std": ("standard deviation of the vectors", 1.0), "vector_rank": ("effective rank of the vectors", 40.0)}


def collapse_theatre() -> Live:
    """Two stored runs that differ in the loss alone: where test garments lie after each step, and what two measurements say of it.

    A garment stands where its vector, of unit length, lies on a plane that is the same for both runs and all steps.
    """
    played = stored()
    last = played.places.shape[1] - 1
    step = slider("step", last, 0, last)
    play = widgets.Play(value=0, min=0, max=last, interval=200, description="play", tooltip="play the run from its start")
    play.observe(lambda change: step.set_trait("value", change["new"]), "value")
    return Live(lambda: seen(played, step.value), [[play, step]], quiet=(play,))


@lru_cache(maxsize=1)
def stored() -> SimpleNamespace:
    """The runs: places (runs, steps + 1, k, 2) of k garments in [−1, 1]; their pictures, dark on white; measurements (runs, steps + 1)."""
    with np.load(files("minimim") / "assets" / "collapse-steps.npz") as file:
        arrays = {key: file[key] for key in file.files}
    garments = data.load("fashion", "test").images[torch.from_numpy(arrays["shown"].astype(int)), 0].numpy()  # (k, 28, 28)
    arrays["pictures"] = [Image.fromarray(255 - garment).convert("RGB") for garment in garments]
    return SimpleNamespace(**arrays)


def seen(played: SimpleNamespace, step: int) -> Seen:
    """Both stages and both charts at one step."""
    paper = Paper(2 * SIDE + 3 * BOARD, 2 * LINE + SIDE + HIGH + 34)
    lefts = [BOARD + n * (SIDE + BOARD) for n in range(2)]
    how, told = [], []
    for name, left, places in zip(COLOURS, lefts, played.places[:, step].astype(float), strict=True):
        paper.words(left + SIDE // 2, LINE // 2, f"{name}, step {step}", bold=True)
        middle = np.array([left, LINE]) + SIDE / 2 - 14  # of a picture's upper left corner, as a picture has 28 pixels
        corners = (middle + places * [1, -1] * (SIDE / 2 - 16)).round().astype(int)
        for picture, (x, y) in zip(played.pictures, corners, strict=True):
            paper.darken(int(x), int(y), picture)
        paper.pen.ellipse((left, LINE, left + SIDE - 1, LINE + SIDE - 1), outline=COLOURS[name], width=3)
        apart = places.std(axis=0).max()
        how.append(f"with {name} the garments are {'nearly on one point' if apart < 0.03 else 'close together' if apart < 0.2 else 'spread out'}")
    for left, (key, (title, most)) in zip(lefts, CHARTS.items(), strict=True):
        values = getattr(played, key)  # (runs, steps + 1)
        chart(paper, left + 30, 2 * LINE + SIDE + 6, SIDE - 38, values, most, step)
        paper.words(left + SIDE // 2, LINE + SIDE + 14, title, size=12)
        told.append(f"{title}: " + ", ".join(f"{value:.{2 if most == 1 else 1}f} ({name})" for name, value in zip(COLOURS, values[:, step], strict=True)))
    return Seen(paper, f"Step {step} of two runs: {' and '.join(how)}. {'; '.join(told)}.", f"step {step}. {'; '.join(told)}".replace("; ", " · "))


def chart(paper: Paper, x: int, y: int, width: int, values: np.ndarray, most: float, step: int) -> None:
    """A measurement of both runs over the steps, from 0 to `most`, the first run dashed; a line and dots where the step is."""
    last = values.shape[1] - 1
    across, down = x + np.arange(last + 1) * width / last, y + HIGH - values / most * HIGH
    paper.pen.line((x, y, x, y + HIGH, x + width, y + HIGH), fill=INK)
    for mark in (0, most / 2, most):
        paper.words(x - 5, round(y + HIGH - mark / most * HIGH), f"{mark:g}", at="right", size=11)
    for mark in (0, last // 2, last):
        paper.words(round(across[mark]), y + HIGH + 10, str(mark), size=11)
    paper.pen.line((across[step], y, across[step], y + HIGH), fill="#999999")
    for n, (colour, line) in enumerate(zip(COLOURS.values(), down, strict=True)):
        points = list(zip(across, line, strict=True))
        for k, both in enumerate(pairwise(points)):
            if n or k % 6 < 4:
                paper.pen.line(both, fill=colour, width=2)
        left, top = points[step]
        paper.pen.ellipse((left - 4, top - 4, left + 4, top + 4), fill=colour, outline="white")
