"""Drawings for the statements of problem set 5: each shows its task's example, with its numbers worked out, or what is to be told apart."""

import json
import math
from importlib.resources import files

import torch
import torch.nn.functional as F

from minimim.show.drawing import INK, Drawing
from minimim.show.drawings.ps3 import GREY

BLUE = "#0072b2"


def told(number: float) -> str:
    """A number with three digits behind the point at most."""
    return f"{number:.3f}".rstrip("0").rstrip(".")


def one_positive_at_a_time() -> Drawing:
    """ps5.1: the cosines of the example's four rows, and the two questions that the first row asks."""
    z, names = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 0.5]]), ("a", "b", "c", "d")
    image = (5, 5, 5, 8)
    rows = F.normalize(z, dim=1)
    cosines = rows @ rows.T
    own = [math.log(math.exp(s) + math.exp(cosines[0, 3])) - s for s in cosines[0, 1:3].tolist()]
    alt = f"The cosines of four rows, of which a, b and c are views of image 5 and d is of image 8. Row a asks two questions, each with one positive and the negative d: its errors are {told(own[0])} and {told(own[1])}, their mean {told(sum(own) / 2)}. Row d has no positive and no loss."
    drawing = Drawing(25, 8.2, alt)
    drawing.text(4.9, 0.5, "cosine of row with column, temperature 1", bold=True)
    for r in range(4):
        drawing.text(0.5, 2.75 + 1.3 * r, names[r], bold=True)
        drawing.text(3.2 + 1.6 * r, 1.2, names[r], bold=True)
        drawing.text(3.2 + 1.6 * r, 1.7, f"image {image[r]}", size=8, color=GREY)
        drawing.text(1.4, 2.75 + 1.3 * r, f"image {image[r]}", size=8, color=GREY)
        for c in range(4):
            kind = "hidden" if r == c else "target" if image[r] == image[c] else "plain"
            drawing.box(2.5 + 1.6 * c, 2.2 + 1.3 * r, 1.5, 1.1, kind, "" if r == c else f"{cosines[r, c]:g}")
    drawing.key(0.6, 7.5, "hidden", width=3.4)
    drawing.axes.texts[-1].set_text("itself")
    drawing.key(3.6, 7.5, "target", "plain", width=3.0)
    drawing.axes.texts[-2].set_text("positive")
    drawing.axes.texts[-1].set_text("negative")
    drawing.text(17.0, 0.5, "row a asks once for each of its positives", bold=True)
    for q, (other, error) in enumerate(zip("bc", own, strict=True)):
        y = 1.6 + 2.1 * q
        drawing.text(10.6, y + 0.55, f"{other}, or d?", at="left")
        drawing.box(13.1, y, 1.5, 1.1, "target", f"{cosines[0, q + 1]:g}")
        drawing.box(14.7, y, 1.5, 1.1, "plain", f"{cosines[0, 3]:g}")
        drawing.arrow((16.3, y + 0.55), (17.3, y + 0.55))
        drawing.text(17.5, y + 0.55, f"log(e{'¹' if cosines[0, q + 1] else '⁰'} + e⁰) − {cosines[0, q + 1]:g} = {told(error)}", at="left")
    drawing.box(13.1, 5.9, 8.4, 1.2, "lit", f"loss of row a: the mean, {told(sum(own) / 2)}")
    drawing.text(17.3, 7.7, "c is no candidate in the question for b: it is a positive too", size=9, color=GREY)
    return drawing


def own_keys_left_out() -> Drawing:
    """ps5.2: the query of the example, its candidates, and the queue before and after."""
    query, key, queue, ids = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([[1.0, 0.0], [0.6, 0.8]]), (4, 9)
    scores = [float(query @ key), *(queue @ query).tolist()]
    loss = math.log(math.exp(scores[0]) + math.exp(scores[2])) - scores[0]
    alt = f"A query of image 4, its own key, and a queue with keys of image 4 and image 9. The key of image 4 in the queue is left out, so the candidates are the own key with score {told(scores[0])} and that of image 9 with {told(scores[2])}; the loss is {told(loss)}. Then the key is put at the end of the queue, and the oldest entry leaves."
    drawing = Drawing(25, 7.4, alt)
    for x, words in ((3.6, "first the loss"), (19.6, "then the queue, size = 2")):
        drawing.text(x, 0.5, words, bold=True)
    drawing.box(0.5, 1.3, 3.4, 1.4, "latent", "query, image 4\n(1, 0)", size=9)
    drawing.box(0.5, 4.2, 3.4, 1.4, "target", "own key, image 4\n(0, 1)", size=9)
    drawing.text(2.2, 6.1, "detached, length 1", size=8, color=GREY)
    for n, (row, name) in enumerate(zip(queue.tolist(), ids, strict=True)):
        x = 7.0 + 3.9 * n
        drawing.box(x, 4.2, 3.6, 1.4, "hidden" if name == 4 else "plain", f"image {name}\n({row[0]:g}, {row[1]:g})", size=9, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5})
        drawing.text(x + 1.8, 6.1, "its own: left out" if name == 4 else "a negative", size=9)
    drawing.text(10.7, 3.75, "queue, oldest first", size=9, color=GREY)
    drawing.arrow((2.2, 2.7), (2.2, 4.2))
    drawing.text(2.6, 3.45, f"score {told(scores[0])}", at="left", size=9)
    drawing.path((3.9, 2.0), (14.2, 2.0), (14.2, 4.2))
    drawing.text(13.9, 2.9, f"score {told(scores[2])}", at="right", size=9)
    drawing.text(9.1, 1.55, f"loss = log(e⁰ + e^{told(scores[2])}) − 0 = {told(loss)}", bold=True)
    for n, (name, words, kind) in enumerate(((9, "(0.6, 0.8)", "plain"), (4, "(0, 1)", "target"))):
        drawing.box(17.0 + 3.2 * n, 4.2, 3.0, 1.4, kind, f"image {name}\n{words}", size=9)
    drawing.text(19.6, 6.1, "the oldest entry is gone, the new key stands last", size=9)
    drawing.shape(19.6, 6.8, "≤ size", "D")
    return drawing


def weight_beside_average() -> Drawing:
    """ps5.3: two steps of the example: the average from 0, the weight that it has taken in, and their quotient."""
    students, momenta = (4.0, 8.0), (0.9, 0.9)
    average, weight, rows = 0.0, 0.0, []
    for student, m in zip(students, momenta, strict=True):
        before = average, weight
        average, weight = m * average + (1 - m) * student, m * weight + (1 - m)
        rows.append((student, m, *before, average, weight))
    quotients = [told(row[4] / row[5]) for row in rows]
    alt = f"An average that begins at 0 takes in the students {students[0]:g} and {students[1]:g} with momentum {momenta[0]:g}. It is {told(rows[0][4])} and {told(rows[1][4])}; the weights that it has taken in add up to {told(rows[0][5])} and {told(rows[1][5])}; their quotients are {quotients[0]} and {quotients[1]}."
    drawing = Drawing(24, 6.6, alt)
    for x, words in ((2.4, "student"), (8.6, "average, from 0"), (15.0, "weight, from 0"), (21.2, "result: average / weight")):
        drawing.text(x, 0.5, words, bold=True)
    for t, (student, m, a, w, total, taken) in enumerate(rows):
        y = 1.3 + 2.4 * t
        drawing.text(0.7, y + 0.6, f"step {t}", size=9, color=GREY)
        drawing.box(1.7, y, 1.6, 1.2, "visible", f"{student:g}")
        drawing.arrow((3.3, y + 0.6), (5.2, y + 0.6))
        drawing.box(5.3, y, 6.6, 1.2, "latent", f"{m:g} · {told(a)} + {1 - m:.1f} · {student:g} = {told(total)}")
        drawing.box(12.5, y, 5.4, 1.2, "plain", f"{m:g} · {told(w)} + {1 - m:.1f} = {told(taken)}")
        drawing.arrow((17.9, y + 0.6), (19.3, y + 0.6))
        drawing.box(19.4, y, 3.6, 1.2, "lit", quotients[t], bold=True)
    drawing.text(12.0, 6.0, "the same formula twice: once with the student, once with 1 in its place", size=9, color=GREY)
    return drawing


def columns_then_rows() -> Drawing:
    """ps5.4: one round of the example: exp(scores / temperature), the columns brought to 1, the rows brought to 1, and what they hold."""
    table = torch.tensor([[8.0, 1.0], [2.0, 1.0]])
    columns = table / table.sum(0)
    rows = columns / columns.sum(1, keepdim=True)
    used = rows.sum(0) / (len(rows) / rows.shape[1])
    alt = f"One round on two rows and one row of padding, which is left out. The columns {', '.join(f'{x:g}' for x in table.sum(0))} are brought to sum 1, then the rows. The columns then hold {' and '.join(told(float(x)) for x in used)} times what they should."
    drawing = Drawing(25, 7.2, alt)
    titles = ("exp(scores / temperature)", "columns to sum 1", "rows to sum 1: assignment")
    for n, (title, values) in enumerate(zip(titles, (table, columns, rows), strict=True)):
        x = 1.7 + 8.4 * n
        drawing.text(x + 1.85, 0.5, title, bold=True)
        for r in range(3):
            for c in range(2):
                padding = r == 2
                kind = "hidden" if padding else "lit" if n == 2 else "plain"
                words = "0" if padding and n == 2 else "" if padding else told(float(values[r, c]))
                drawing.box(x + 1.9 * c, 1.1 + 1.25 * r, 1.8, 1.15, kind, words, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5} if padding and words else None)
        sums = " and ".join(told(float(s)) for s in values.sum(0))
        drawing.text(x + 1.85, 5.25, f"columns hold {sums}", size=9)
        if n < 2:
            drawing.arrow((x + 4.3, 2.9), (x + 7.8, 2.9))
    drawing.text(1.35, 4.2, "padding", size=8, color=GREY, at="right")
    drawing.text(20.35, 6.0, f"used = sums / (V / K) = {', '.join(told(float(x)) for x in used)}", bold=True)
    drawing.text(8.5, 6.3, "V = 2 rows that are real, K = 2 prototypes: V / K = 1 for each", size=9, color=GREY)
    return drawing


def three_clouds() -> Drawing:
    """ps5.5: unit-length outputs of many images in three dimensions: spread out, all alike, and on one ring."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(90, 3, generator=generator)
    turn = torch.rand(90, generator=generator) * 2 * math.pi
    ring = torch.stack([turn.cos(), 0.55 * turn.sin(), 0.835 * turn.sin()], dim=1)
    clouds = {
        "healthy": F.normalize(noise, dim=1),
        "total collapse": F.normalize(torch.tensor([0.5, 0.4, 0.75]) + 0.04 * noise, dim=1),
        "dimensional collapse": F.normalize(ring + 0.03 * noise, dim=1),
    }
    alt = "Outputs of a head for many images, as points on a sphere, in three states. Healthy: they lie all over it. Total collapse: all lie in one place. Dimensional collapse: they differ, but all lie on one ring, so one direction is not used."
    drawing = Drawing(25, 7.9, alt)
    words = {"healthy": "outputs differ, in all directions", "total collapse": "all images get nearly one output", "dimensional collapse": "outputs differ, in few directions only"}
    angle = torch.linspace(0, 2 * math.pi, 100)
    for n, (name, x) in enumerate(clouds.items()):
        middle, height, radius = 4.2 + 8.3 * n, 3.9, 2.7
        drawing.text(middle, 0.6, name, bold=True, size=11)
        drawing.axes.plot(middle + radius * angle.cos(), height + radius * angle.sin(), color=INK, linewidth=1, scalex=False, scaley=False)
        drawing.axes.plot(middle + radius * angle.cos(), height + 0.3 * radius * angle.sin(), color="#bbbbbb", linewidth=0.8, scalex=False, scaley=False)
        front = x[:, 2] >= 0
        for side, alpha in ((~front, 0.35), (front, 0.9)):
            drawing.axes.scatter(middle + radius * x[side, 0], height - radius * x[side, 1], s=22, color=BLUE, alpha=alpha, linewidths=0, zorder=4)
        drawing.text(middle, 7.2, words[name])
    return drawing


def a_loss_that_falls() -> Drawing:
    """ps5.W1: the loss of the stored run, and what was measured before its first step and after its last."""
    text = (files("minimim") / "assets" / "collapse-runs-cpu.json").read_text(encoding="utf-8")
    (run,) = [run for run in json.loads(text)["runs"] if run["setting"] == "squared distance"]
    steps, losses = zip(*run["history"], strict=True)
    rows = (("head: mean length", "head_length", 2), ("head: relative std", "head_std", 3), ("head: effective rank", "head_rank", 1), ("features: relative std", "std", 3), ("features: k-NN", "knn", 3))
    alt = "The loss of a run on a logarithmic axis, falling by almost three powers of ten in 150 steps, beside a table. " + " ".join(f"{words}: {run['random'][name]:.{digits}f} before, {run['trained'][name]:.{digits}f} after." for words, name, digits in rows)
    drawing = Drawing(25, 7.6, alt)
    left, right, top, low, powers = 2.4, 11.4, 1.2, 6.2, (-1, -5)

    def height(loss: float) -> float:
        return top + (powers[0] - math.log10(loss)) / (powers[0] - powers[1]) * (low - top)

    drawing.text(6.9, 0.5, "loss, the mean of (z₁ − z₂)²", bold=True)
    for power in range(powers[1], powers[0] + 1):
        y = height(10.0**power)
        drawing.axes.plot([left, right], [y, y], color="#dddddd", linewidth=0.8, scalex=False, scaley=False)
        drawing.text(2.2, y, f"{10.0**power:.{-power}f}", size=9, at="right")
    for step in (0, 50, 100, 150):
        drawing.text(left + step / 150 * (right - left), 6.6, str(step), size=9)
    drawing.text(6.9, 7.15, "step", size=9, color=GREY)
    drawing.axes.plot([left + s / 150 * (right - left) for s in steps], [height(x) for x in losses], color=BLUE, linewidth=2, scalex=False, scaley=False)
    for x, words in ((18.9, "before"), (22.4, "after")):
        drawing.text(x, 0.5, words, bold=True)
    for n, (words, name, digits) in enumerate(rows):
        y = 1.2 + 1.15 * n
        drawing.text(17.0, y + 0.5, words, at="right", size=9)
        for k, when in enumerate(("random", "trained")):
            drawing.box(17.3 + 3.5 * k, y, 3.2, 1.0, "lit" if k else "plain", f"{run[when][name]:.{digits}f}")
    drawing.text(20.6, 7.3, f"k-NN has a standard error of {run['trained']['knn_error']:.2f}", size=9, color=GREY)
    return drawing


STATEMENTS = {"ps5.1": one_positive_at_a_time, "ps5.2": own_keys_left_out, "ps5.3": weight_beside_average, "ps5.4": columns_then_rows, "ps5.5": three_clouds, "ps5.W1": a_loss_that_falls}
