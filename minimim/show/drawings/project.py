"""The capstone as drawings: the way from a question to a report, and two settings beside each other, seed by seed."""

import math
import statistics
from collections.abc import Mapping, Sequence

from matplotlib.ticker import MaxNLocator
from torch import Tensor

from minimim.errors import UserError
from minimim.show.charts import FLOOR, SERIES
from minimim.show.drawing import INK, Drawing
from minimim.show.drawings.runs import small_bars

STEPS = ("1  question", "2  prediction", "3  one change", "4  measurement", "5  report")
T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 10: 2.23}  # two-sided 95 %, by degrees of freedom


def difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """The mean of the first minus that of the second, and half the width of its 95 % interval (Student's t, one standard deviation for both).

    first, second: a number for each seed. Raises UserError for fewer than two seeds of a setting: one number has no standard deviation.
    """
    if min(len(first), len(second)) < 2:
        raise UserError("a difference needs at least two seeds of each setting: one run says nothing about how much runs differ")
    freedom = len(first) + len(second) - 2
    pooled = ((len(first) - 1) * statistics.variance(first) + (len(second) - 1) * statistics.variance(second)) / freedom
    error = math.sqrt(pooled * (1 / len(first) + 1 / len(second)))
    return statistics.mean(first) - statistics.mean(second), T95.get(freedom, 2.0) * error


def project_cycle(image: Tensor, grid: tuple[int, int], settings: Mapping[str, tuple[Tensor, Sequence[float]]], floor: float, recipe: Mapping[str, str], points: Sequence[int], predicted: tuple[float, float]) -> Drawing:
    """The five steps of the project with one question as its example, the points that each step is worth, and the way back.

    image: uint8 (C, H, W). settings: two, {name: (hidden (N,) bool, the accuracy of each seed)}. floor: the best baseline's accuracy.
    recipe: what a run is told, {name: words}; its first line is the one that is changed. points: of each step.
    predicted: between which numbers the second setting minus the first was expected.
    """
    (first, (hidden, one)), (second, (other, two)) = settings.items()
    gap, error = difference(two, one)
    alt = (
        f"The project in five steps, {sum(points)} points in all. Question: {first} or {second}? Prediction, written down before the runs: {second} minus {first} is from {signed(predicted[0])} to {signed(predicted[1])}. One change in the recipe, everything else fixed. "
        f"Measurement: it is {gap:+.3f}, with a 95 % interval of ± {error:.3f}, beside a baseline. Report: one page. From the report an arrow leads back to the next question."
    )
    drawing, wide, high = Drawing(25, 9.6, alt), 4.4, 6.6
    for n, title in enumerate(STEPS):
        x = 0.3 + 5 * n
        drawing.box(x, 0.3, wide, high)
        drawing.text(x + wide / 2, 0.8, title, bold=True)
        drawing.text(x + wide / 2, high - 0.15, f"{points[n]} points", size=9, color="#555555")
        if n:
            drawing.arrow((x - 0.6, 3.5), (x, 3.5))
    for n, (name, where) in enumerate(((first, hidden), (second, other))):
        drawing.patches(0.42 + 2.13 * n, 1.6, 2.0, image, grid, where, gap=0.03)
        drawing.text(1.42 + 2.13 * n, 4.1, name.replace(" hidden", "\nhidden"), size=8)
    drawing.text(2.5, 5.5, "Which gives the better\nlinear probe?", size=9)

    most = 1.1 * max(*map(abs, predicted), abs(gap) + error)
    drawing.text(7.5, 2.0, f"{second}\nminus {first}", size=9)
    number_line(drawing, 5.85, 9.15, 4.3, most, predicted)
    drawing.text(across(statistics.mean(predicted), 5.85, 9.15, -most, most), 3.25, f"{signed(predicted[0])} to {signed(predicted[1])}", size=8)
    drawing.text(7.5, 5.5, "sign, range and reason,\nbefore the first run", size=9)

    for n, (name, words) in enumerate(recipe.items()):
        drawing.box(10.5, 1.3 + 0.64 * n, 4.0, 0.58, "lit" if n == 0 else "plain")
        drawing.text(10.65, 1.59 + 0.64 * n, name, size=8, at="left", bold=n == 0)
        drawing.text(14.35, 1.59 + 0.64 * n, words, size=8, at="right", bold=n == 0)
    drawing.text(12.5, 5.65, "both with the same seeds", size=8.5)

    means = [statistics.mean(one), statistics.mean(two)]
    small_bars(drawing, 15.7, 1.2, 3.6, 1.5, [(floor, FLOOR), (means[0], SERIES[0]), (means[1], SERIES[1])])
    for n, name in enumerate(("floor", first, second)):
        drawing.text(16.3 + 1.2 * n, 3.1, name.replace(" hidden", "\nhidden"), size=8)
    number_line(drawing, 15.85, 19.15, 4.5, most, predicted)
    ends = [across(gap + part * error, 15.85, 19.15, -most, most) for part in (-1, 0, 1)]
    drawing.axes.plot([ends[0], ends[2]], [4.2, 4.2], color=SERIES[1], linewidth=3, zorder=4)
    drawing.axes.plot([ends[1]], [4.2], "o", color=SERIES[1], markersize=7, zorder=4)
    drawing.text(17.5, 5.65, f"{gap:+.3f} ± {error:.3f}".replace("-", "−"), size=9)

    drawing.box(20.9, 1.4, 3.2, 4.0)
    for n, words in enumerate(("question", "prediction", "method", "result", "surprise", "limits")):
        drawing.text(21.1, 1.8 + 0.6 * n, words, size=8, at="left")
        drawing.axes.plot([22.75, 23.9 - 0.25 * (n % 3)], [1.8 + 0.6 * n] * 2, color="#999999", linewidth=3)
    drawing.text(22.5, 5.8, "one page", size=9)
    drawing.path((22.5, 6.9), (22.5, 8.3), (2.5, 8.3), (2.5, 6.95))
    drawing.text(12.5, 7.85, "a surprise is the next question", size=10)
    drawing.text(12.5, 8.9, f"{sum(points)} points by the rubric below", size=9, color="#555555")
    return drawing


def seeds_on_a_line(settings: Mapping[str, Sequence[float]], floors: Mapping[str, float], *, label: str) -> Drawing:
    """Each run as a point, each setting with its mean and its standard deviation over seeds, the baselines as dotted lines; below, each
    setting minus the first one with its 95 % interval, beside 0.

    settings: {name: the number of each seed}, the one to compare with first. label: what the numbers are.
    """
    names = list(settings)
    gaps = {name: difference(settings[name], settings[names[0]]) for name in names[1:]}
    told = "; ".join(f"{name}: {statistics.mean(v):.3f} ± {statistics.stdev(v):.3f} over {len(v)} seeds" for name, v in settings.items())
    drawing = Drawing(25, 3.6 + 1.15 * len(names) + 1.15 * len(gaps) + 2.4, f"{label}: {told}. Differences from {names[0]}: " + "; ".join(f"{name}: {gap:+.3f} ± {half:.3f}" for name, (gap, half) in gaps.items()) + ".")
    everything = [x for v in settings.values() for x in v] + list(floors.values())
    low, high = min(everything), max(everything)
    room = 0.08 * (high - low) or 0.01
    low, high = low - room, high + room
    left, right = 5.4, 20.4
    bottom = axis(drawing, left, right, 1.7, 1.15 * len(names), low, high, label)
    for name, value in floors.items():
        at = across(value, left, right, low, high)
        drawing.axes.plot([at, at], [1.3, bottom], color="#777777", linestyle=":", linewidth=1.4)
        drawing.text(at, 0.9, f"{name} {value:.3f}", size=9, color="#555555")
    for n, (name, values) in enumerate(settings.items()):
        y, mean, error = 2.2 + 1.15 * n, statistics.mean(values), statistics.stdev(values)
        colour = SERIES[0 if n == 0 else 1]
        drawing.text(left - 0.3, y, name, at="right")
        drawing.axes.plot([across(v, left, right, low, high) for v in values], [y] * len(values), "o", color=colour, markersize=7, alpha=0.7, zorder=3)
        ends = [across(mean + s * error, left, right, low, high) for s in (-1, 0, 1)]
        drawing.axes.plot([ends[0], ends[2]], [y + 0.32] * 2, color=colour, linewidth=2)
        drawing.axes.plot([ends[1]] * 2, [y + 0.18, y + 0.46], color=colour, linewidth=2.5)
        drawing.text(right + 0.4, y, f"{mean:.3f} ± {error:.3f}", at="left")
    if not gaps:
        return drawing
    most = 1.1 * max(abs(gap) + half for gap, half in gaps.values()) or 0.01
    top = bottom + 2.1
    end = axis(drawing, left, right, top, 1.15 * len(gaps), -most, most, f"difference from {names[0]}, with its 95 % interval")
    zero = across(0, left, right, -most, most)
    drawing.axes.plot([zero, zero], [top, end], color=INK, linewidth=1.2)
    for n, (name, (gap, half)) in enumerate(gaps.items()):
        y = top + 0.55 + 1.15 * n
        drawing.text(left - 0.3, y, name, at="right")
        ends = [across(gap + s * half, left, right, -most, most) for s in (-1, 0, 1)]
        drawing.axes.plot([ends[0], ends[2]], [y, y], color=SERIES[1], linewidth=3)
        drawing.axes.plot([ends[1]], [y], "o", color=SERIES[1], markersize=9, zorder=3)
        drawing.text(right + 0.4, y, f"{gap:+.3f} ± {half:.3f}".replace("-", "−"), at="left")
    return drawing


def across(value: float, left: float, right: float, low: float, high: float) -> float:
    """Where a value stands on a line from left to right, on a scale from low to high."""
    return left + (value - low) / (high - low) * (right - left)


def axis(drawing: Drawing, left: float, right: float, top: float, tall: float, low: float, high: float, label: str) -> float:
    """A horizontal axis below so many units, with a few round numbers on it; returns its height on the paper."""
    bottom = top + tall + 0.2
    drawing.axes.plot([left, right], [bottom, bottom], color=INK, linewidth=1)
    places = MaxNLocator(nbins=5, steps=[1, 2, 5, 10]).tick_values(low, high)
    digits = max(2, -math.floor(math.log10(places[1] - places[0])))
    for value in places:
        if low <= value <= high:
            at = across(value, left, right, low, high)
            drawing.axes.plot([at, at], [bottom, bottom + 0.12], color=INK, linewidth=1)
            drawing.text(at, bottom + 0.42, signed(value, digits), size=8)
    drawing.text((left + right) / 2, bottom + 1.0, label, size=9)
    return bottom


def number_line(drawing: Drawing, left: float, right: float, y: float, most: float, predicted: tuple[float, float]) -> None:
    """Differences from -most to most, 0 in their middle, with the predicted range as a dashed box on the line."""
    drawing.axes.plot([left, right], [y, y], color=INK, linewidth=1)
    ends = [across(value, left, right, -most, most) for value in predicted]
    drawing.box(ends[0], y - 0.7, ends[1] - ends[0], 0.7, "prediction")
    places = MaxNLocator(nbins=2, steps=[1, 2, 5, 10], symmetric=True).tick_values(-most, most)
    for value in places:
        if abs(value) <= most:
            at = across(value, left, right, -most, most)
            drawing.axes.plot([at, at], [y - 0.1, y + 0.1], color=INK, linewidth=1, zorder=3)
            drawing.text(at, y + 0.42, signed(value), size=8)


def signed(value: float, digits: int = 2) -> str:
    """A number with a true minus sign."""
    return f"{value + 0.0:.{digits}f}".replace("-", "−")
