"""Contrast: the cosines of two views as a table, one InfoNCE loss by hand, pairs on the unit circle, a student and its teacher, and a
hidden patch that looks for its place."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from torch import Tensor

from minimim.errors import UserError
from minimim.show.charts import SERIES, tidy
from minimim.show.drawing import DPI, INK, Drawing, Shown

LIKE, UNLIKE = (86, 180, 233), (240, 190, 150)  # the colours of a cosine of 1, that of a latent, and of −1; RGB
BACK = "#c0392b"  # the way of the gradient
MOST = 5  # pictures that fit a table of cosines


def tint(value: float) -> str:
    """The colour of a cosine: white at 0."""
    towards, part = (LIKE, value) if value > 0 else (UNLIKE, -value)
    return "#" + "".join(f"{round(255 + min(1, part) * (channel - 255)):02x}" for channel in towards)


def signed(value: float, digits: int = 2) -> str:
    """A number with a minus as it is printed, and no minus before zero."""
    words = f"{value:.{digits}f}"
    return words.replace("-", "") if float(words) == 0 else words.replace("-", "−")


def cosine_tables(first: Tensor, second: Tensor, tables: Mapping[str, Tensor]) -> Drawing:
    """How alike the vectors of every two pictures are: a row for each picture in one view, a column for each in the other, two tables at most.

    first, second: two views of the same pictures, (n, C, H, W). tables: {name: cosines (n, n)}. The diagonal, framed, is what should
    agree. Raises UserError for more than MOST pictures, and for more than two tables.
    """
    count = len(first)
    if count > MOST or len(tables) > 2:
        raise UserError(f"there is room for {MOST} pictures and two tables, not for {count} and {len(tables)}: take fewer")
    cell, head, gap = 1.75, 2.0, 1.6
    wide = head + count * cell
    alt = f"Tables of cosines between {count} pictures in one view, as rows, and in another view, as columns: {', '.join(tables)}. The diagonal is framed: there both are views of one picture."
    drawing = Drawing(0.9 + len(tables) * (wide + gap) - gap + 0.3, head + count * cell + 1.6, alt)
    for n, (name, cosines) in enumerate(tables.items()):
        x, y = 0.9 + n * (wide + gap), 1.1
        drawing.text(x + head + count * cell / 2, 0.4, name, size=12, bold=True)
        for k in range(count):
            drawing.picture(x + head + k * cell + 0.1, y + 0.1, cell - 0.2, second[k])
            drawing.picture(x + 0.1, y + head + k * cell + 0.1, cell - 0.2, first[k])
        drawing.text(x + head / 2 - 0.1, y + head / 2 - 0.05, "↓ view 1\nview 2 →", size=9, color="#555555")
        for r in range(count):
            for c in range(count):
                left, top = x + head + c * cell, y + head + r * cell
                drawing.box(left, top, cell, cell, fill=tint(float(cosines[r, c])), words=signed(float(cosines[r, c])), size=11, bold=r == c)
        for k in range(count):
            drawing.axes.add_patch(Rectangle((x + head + k * cell, y + head + k * cell), cell, cell, fill=False, edgecolor=INK, linewidth=2.6, zorder=4))
    return drawing


def circle(drawing: Drawing, x: float, y: float, radius: float, a: Tensor, b: Tensor, names: bool = False) -> None:
    """Pairs of unit vectors of two numbers on the unit circle, (n, 2) each, joined: a as discs, b as squares, a colour for each pair."""
    drawing.axes.add_patch(Circle((x, y), radius, fill=False, edgecolor="#bbbbbb", linewidth=1.2, zorder=1))
    for n, (p, q) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        colour = SERIES[n % len(SERIES)]
        (px, py), (qx, qy) = ((x + radius * v[0], y - radius * v[1]) for v in (p, q))
        drawing.axes.plot([px, qx], [py, qy], color=colour, linewidth=1.4, zorder=2.2)
        if names:
            for vx, vy in ((px, py), (qx, qy)):
                drawing.axes.plot([x, vx], [y, vy], color=colour, linewidth=0.8, alpha=0.5, zorder=2)
            for word, v in (("a", p), ("b", q)):
                drawing.text(x + (radius + 0.5) * v[0], y - (radius + 0.45) * v[1], f"{word}{chr(ord('₀') + n)}", color=colour, bold=True)
        drawing.axes.add_patch(Circle((px, py), 0.15, facecolor=colour, edgecolor="white", zorder=3))
        drawing.axes.add_patch(Rectangle((qx - 0.13, qy - 0.13), 0.26, 0.26, facecolor=colour, edgecolor="white", zorder=3))


def info_nce_by_hand(first: Tensor, second: Tensor, a: Tensor, b: Tensor, temperature: float) -> Drawing:
    """One InfoNCE loss from vectors of two numbers: cosines, scores, the softmax of each row, and −log of its diagonal.

    first, second: two views of three pictures, (3, C, H, W). a, b: what the head says of them, (3, 2) each. Raises UserError for others.
    """
    if a.shape != (3, 2) or b.shape != (3, 2):
        raise UserError(f"three pictures and vectors of two numbers fit the page, not {tuple(a.shape)} and {tuple(b.shape)}")
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    cosines = a @ b.T
    scores = cosines / temperature
    weights = scores.softmax(dim=1)
    losses = -weights.diagonal().log()
    alt = (
        "Three pictures in two views, and what the head says of each: two vectors on the unit circle. The table of their cosines is divided by the "
        "temperature, the softmax of each row is taken, and minus the logarithm of the diagonal is the loss of each picture."
    )
    drawing = Drawing(24.6, 7.9, alt)
    circle(drawing, 2.95, 4.1, 2.15, a, b, names=True)
    drawing.text(2.95, 0.55, "vectors of length 1", bold=True)
    drawing.text(2.95, 7.3, "●  view 1     ■  view 2", size=9)
    cell, top = 1.15, 2.7
    for n in range(3):
        drawing.picture(7.4 + n * cell + 0.05, top - cell - 0.05, cell - 0.1, second[n])
        drawing.picture(7.4 - cell - 0.05, top + n * cell + 0.05, cell - 0.1, first[n])
    steps = (("cosines  a · b", cosines, ""), ("scores", scores, f"÷ {temperature:g}"), ("softmax of each row", weights, "softmax"))
    x = 7.4
    for name, values, words in steps:
        drawing.text(x + 1.5 * cell, 0.55 if values is cosines else top - 0.45, name, bold=True)
        for r in range(3):
            for c in range(3):
                kind = {"kind": "lit"} if r == c else {"fill": tint(float(cosines[r, c]))}
                drawing.box(x + c * cell, top + r * cell, cell, cell, words=signed(float(values[r, c])), size=9.5, **kind)
        if words:
            drawing.text(x - 0.9, top + 1.2 * cell, words, size=9)
        x += 3 * cell
        drawing.arrow((x + 0.2, top + 1.5 * cell), (x + 1.6, top + 1.5 * cell))
        x += 1.8
    drawing.text(x - 0.9, top + 1.2 * cell, "−log", size=9)
    drawing.text(x + cell / 2, top - 0.45, "loss", bold=True)
    for r in range(3):
        drawing.box(x, top + r * cell, cell, cell, "plain", signed(float(losses[r])))
    drawing.text(x + cell, top + 3 * cell + 0.45, f"mean {losses.mean():.2f}", at="right", bold=True)
    powers = " + ".join(f"e^{signed(float(score))}" for score in scores[0])
    drawing.text(6.3, 7.3, f"row 0:  e^{signed(float(scores[0, 0]))} / ({powers}) = {weights[0, 0]:.2f},   −log {weights[0, 0]:.2f} = {losses[0]:.2f}", at="left")
    return drawing


def alignment(a: Tensor, b: Tensor) -> float:
    """The mean squared distance of the two unit vectors of a pair: (n, D) twice."""
    return float((a - b).square().sum(dim=1).mean())


def uniformity(a: Tensor) -> float:
    """The logarithm of the mean of exp(−2 · squared distance) over all pairs of different pictures: unit vectors (n, D)."""
    return float(torch.pdist(a).square().mul(-2).exp().mean().log())


def on_the_circle(panels: Mapping[str, tuple[Tensor, Tensor]]) -> Drawing:
    """Pairs of vectors of two numbers on the unit circle, with their alignment and uniformity (Wang and Isola, arXiv 2005.10242) below.

    panels: {name: (a, b)}, (n, 2) each; at most four.
    """
    if len(panels) > 4:
        raise UserError(f"four circles fit the page, not {len(panels)}")
    told = []
    drawing = Drawing(0.4 + 6.1 * len(panels), 7.7, "circles")
    for n, (name, (a, b)) in enumerate(panels.items()):
        x, (a, b) = 3.2 + 6.1 * n, (F.normalize(v, dim=1) for v in (a, b))
        drawing.text(x, 0.5, name, size=11, bold=True)
        circle(drawing, x, 3.5, 2.3, a, b)
        near, even = signed(alignment(a, b)), signed(uniformity(a))
        drawing.text(x, 6.45, f"alignment {near}")
        drawing.text(x, 7.1, f"uniformity {even}")
        told.append(f"{name}: alignment {near}, uniformity {even}")
    drawing.alt = f"Pairs of points on unit circles, joined. {'; '.join(told)}."
    return drawing


def runs_on_a_plane(runs: Mapping[str, Sequence[tuple[float, float]]], *, alt: str) -> Shown:
    """Runs by their alignment, across, and uniformity, up; the better, the nearer to the lower left: {name: a point for each seed}.

    Names stand at the right of their points; those of runs that lie in one place share a line.
    """
    figure = Figure(figsize=(8.6, 4.8), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    places: dict[tuple[float, float], list[str]] = {}
    for n, (name, points) in enumerate(runs.items()):
        axes.scatter(*zip(*points, strict=True), color=SERIES[n % len(SERIES)], marker="os^Dv*PX<>"[n % 10], s=70, edgecolor="white", linewidth=0.5, zorder=3)
        x, y = max(points)
        there = next((place for place in places if abs(place[0] - x) < 0.01 and abs(place[1] - y) < 0.02), (x, y))
        places.setdefault(there, []).append(name)
    for (x, y), names in places.items():
        axes.annotate(" · ".join(names), (x, y), xytext=(9, 10 if len(names) > 1 else 0), textcoords="offset points", va="center", fontsize=9)
    axes.set(xlabel="alignment: squared distance of two views  (lower: more alike)", ylabel="uniformity  (lower: more spread out)")
    axes.margins(x=0.14, y=0.12)
    tidy(axes)
    return Shown(figure, alt)


def student_and_teacher(first: Tensor, second: Tensor, momentum: float) -> Drawing:
    """A student that predicts what a slow average of itself says of another view: where the data go, where the gradient goes, and what moves
    the teacher. first, second: two views of a picture, (C, H, W)."""
    alt = (
        "Above, the student: view 1 goes through encoder, projector and predictor to a vector p. Below, the teacher: view 2 goes through its encoder and "
        "projector to a vector z. The loss is minus their cosine. The gradient goes back through the student alone, because a stop-gradient stands before the "
        "loss on the teacher's side. After each step the teacher's weights move a little towards the student's."
    )
    drawing = Drawing(25, 9.6, alt)
    top, low, tall = 1.2, 6.1, 1.7
    rows = (("student", top, first, "view 1", "lit"), ("teacher", low, second, "view 2", "visible"))
    for who, y, image, view, kind in rows:
        middle = y + tall / 2
        drawing.picture(0.4, middle - 1.6, 3.2, image)
        drawing.text(2.0, middle + 1.95, view)
        drawing.text(8.8, y - 0.5 if who == "student" else y + tall + 0.5, who, size=12, bold=True)
        drawing.arrow((3.7, middle), (4.9, middle))
        for n, part in enumerate(("encoder", "projector")):
            drawing.box(5.0 + n * 4.4, y, 3.2, tall, kind, part, size=11)
            if part == "encoder" or who == "student":
                drawing.arrow((8.3 + n * 4.4, middle), (9.3 + n * 4.4, middle))
    drawing.box(13.8, top, 3.2, tall, "lit", "predictor", size=11)
    drawing.arrow((17.1, top + tall / 2), (18.1, top + tall / 2))
    drawing.path((12.7, low + tall / 2), (18.1, low + tall / 2))
    drawing.tiles(18.3, top + 0.4, ["prediction"], ["p"], size=12)
    drawing.tiles(18.3, low + 0.4, ["target"], ["z"], size=12)
    drawing.box(21.2, 3.5, 3.3, 1.5, "plain", "−cos(p, z)", size=12)
    drawing.text(22.85, 5.35, "loss", size=9)
    drawing.path((19.45, top + tall / 2), (22.3, top + tall / 2), (22.3, 3.4))
    drawing.path((19.45, low + tall / 2), (22.85, low + tall / 2), (22.85, 5.7))
    for shift in (-0.12, 0.12):
        drawing.axes.plot([20.8 + shift, 20.8 + shift], [low + 0.35, low + tall - 0.35], color=BACK, linewidth=3, zorder=4)
    drawing.text(20.8, low + tall + 0.2, "stop-gradient", color=BACK)
    along = top + tall + 0.55
    drawing.path((21.1, 4.0), (18.8, 4.0), (18.8, along), (5.4, along), color=BACK, dashed=True)
    drawing.text(16.2, along + 0.35, "gradient: the student learns", color=BACK, size=9)
    for n, x in enumerate((6.6, 11.0)):
        drawing.arrow((x, top + tall + 0.1), (x, low - 0.1), dashed=True)
        if n:
            drawing.text(x + 0.25, 4.6, f"after each step:  teacher ← {momentum:g} · teacher + {1 - momentum:g} · student", at="left", size=9)
    return drawing


def patch_finds_its_place(student: Tensor, teacher: Tensor, hidden: Tensor, cosines: Tensor, grid: tuple[int, int], asked: int, temperature: float) -> Drawing:
    """ConMIM (arXiv 2205.09616) on one picture: what each hidden patch is predicted to be, compared with what the teacher says of every place.

    student, teacher: the two views, (C, H, W). hidden: (N,) bool. cosines: (N, N), a row for each place that asks. asked: the hidden place
    whose softmax is drawn at the right. Raises UserError for a place that is not hidden.
    """
    if not bool(hidden[asked]):
        raise UserError(f"place {asked} is visible: ask for one that is hidden")
    rows, cols = grid
    places = hidden.nonzero().flatten().tolist()
    alt = (
        f"The student sees a picture with {len(places)} of {rows * cols} patches hidden, the teacher sees the whole of it in other contrast. A table holds the cosine of each "
        "hidden patch's prediction with the teacher's vector of every place, and the right place of each row is framed. One row is shown as a map over the picture."
    )
    drawing = Drawing(25, 10.4, alt)
    drawing.text(2.5, 0.5, "student sees", bold=True)
    drawing.patches(0.5, 1.0, 4.0, student, grid, hidden, gap=0.06)
    drawing.text(2.5, 5.75, "teacher sees", bold=True)
    drawing.patches(0.5, 6.2, 4.0, teacher, grid, gap=0.06)
    cell, left, top = min(9.6 / (rows * cols), 7.6 / len(places)), 7.6, 1.7
    drawing.arrow((4.7, 3.2), (6.3, 3.2), "encoder,\nhead", above=0.55)
    drawing.path((4.7, 9.6), (left + rows * cols * cell / 2, 9.6), (left + rows * cols * cell / 2, top + len(places) * cell + 0.15))
    drawing.text(6.4, 9.2, "encoder, head", size=9, at="center")
    drawing.text(left + rows * cols * cell / 2, 0.5, "cosines: hidden places × all places", bold=True)
    for r, place in enumerate(places):
        drawing.text(left - 0.25, top + (r + 0.5) * cell, str(place), at="right", size=8, bold=place == asked)
        for c in range(rows * cols):
            value = float(cosines[place, c])
            drawing.box(left + c * cell, top + r * cell, cell, cell, fill=tint(value))
        drawing.axes.add_patch(Rectangle((left + place * cell, top + r * cell), cell, cell, fill=False, edgecolor=INK, linewidth=2.2, zorder=4))
    for c in range(rows * cols):
        drawing.text(left + (c + 0.5) * cell, top - 0.3, str(c), size=8)
    row = places.index(asked)
    weights = (cosines[asked] / temperature).softmax(dim=0)
    end = left + rows * cols * cell
    drawing.arrow((end + 0.15, top + (row + 0.5) * cell), (end + 1.5, top + (row + 0.5) * cell), "softmax")
    side, x = 5.6, end + 1.8
    step, y = side / cols, 2.6
    drawing.text(x + side / 2, 1.9, f"where does place {asked} find itself?", bold=True)
    for n in range(rows * cols):
        at = x + n % cols * step, y + n // cols * step
        drawing.box(*at, step, step, fill=tint(float(weights[n] / weights.max())), words=f"{weights[n]:.2f}", size=9)
    drawing.axes.add_patch(Rectangle((x + asked % cols * step, y + asked // cols * step), step, step, fill=False, edgecolor=INK, linewidth=2.6, zorder=4))
    drawing.text(x + side / 2, y + side * rows / cols + 0.45, f"loss  −log {weights[asked]:.2f} = {-math.log(float(weights[asked])):.2f}")
    return drawing
