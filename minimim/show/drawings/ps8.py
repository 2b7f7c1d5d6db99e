"""Drawings for the statements of problem set 8: each shows its task's example, with its numbers worked out. And a dendrogram of any tree."""

import math

from matplotlib.ticker import MaxNLocator

from minimim.show.drawing import INK, Drawing
from minimim.show.drawings.ps3 import GREY
from minimim.show.drawings.ps5 import BLUE, told

RED = "#d55e00"
CORPUS, WEIGHTS, COUNTS = ("masked images", "masked video, masked"), (1, 3), {"images": 0, "masked": 2, "video": 1}
LINE = {"0": (0.0, 6), "1": (2.0, 1), "2": (4.5, 1)}  # place, weight
MERGES = ((0, 2, 1.0), (1, 3, 1.5), (5, 6, 7.4246), (4, 7, 21.3454))  # of five papers
TABLE = (("P", "ViT-B/16", 800, "", 83.1), ("Q", "ViT-B/16", 800, "", 83.9), ("R", "ViT-B/16", 800, "CLIP as teacher", 85.0), ("S", "ViT-B/16", 1600, "", 84.2))


def words_and_weights() -> Drawing:
    """ps8.1: the two texts of the example and their weights, what each term gets, and the vector of a text."""
    total = sum(WEIGHTS)
    held = {term: sum(w for text, w in zip(CORPUS, WEIGHTS, strict=True) if term in text) for term in COUNTS}
    factor = {term: math.log((1 + total) / (1 + held[term])) + 1 for term in COUNTS}
    row = {term: COUNTS[term] * factor[term] for term in COUNTS}
    length = math.sqrt(sum(x * x for x in row.values()))
    vector = ", ".join(told(row[term] / length) for term in COUNTS)
    alt = f"A corpus of two texts: masked images, with weight 1, and masked video, masked, with weight 3. The terms images, masked and video are held by weights of 1, 4 and 3 of 4, so their factors are {', '.join(told(x) for x in factor.values())}. The text masked VIDEO masked has the counts 0, 2, 1, and its vector is {vector}."
    drawing = Drawing(25, 10.2, alt)
    drawing.text(4.4, 0.5, "the corpus: total weight 4", bold=True)
    for n, (text, weight) in enumerate(zip(CORPUS, WEIGHTS, strict=True)):
        drawing.box(0.5, 1.2 + 2.1 * n, 5.6, 1.5, "visible", text, size=11)
        drawing.text(6.4, 1.95 + 2.1 * n, f"weight {weight}", at="left", bold=True)
    drawing.text(3.3, 5.75, "masked stands twice in the second\ntext, whose weight counts once", size=9, color=GREY)
    drawing.text(17.0, 0.5, "factor = log((1 + total) / (1 + held)) + 1", bold=True)
    drawing.text(12.3, 1.35, "term", size=9, color=GREY)
    drawing.text(15.3, 1.35, "held", size=9, color=GREY)
    for n, term in enumerate(COUNTS):
        y = 1.8 + 1.35 * n
        drawing.box(10.8, y, 3.0, 1.1, "latent", term, size=11)
        drawing.box(14.4, y, 1.8, 1.1, "plain", str(held[term]), size=11)
        drawing.text(16.6, y + 0.55, f"log(5 / {1 + held[term]}) + 1 = {told(factor[term])}", at="left")
    drawing.arrow((8.7, 2.6), (10.5, 2.6))
    drawing.text(3.3, 7.2, "a text", bold=True)
    drawing.box(0.5, 7.7, 5.6, 1.4, "visible", "masked VIDEO masked", size=11)
    drawing.arrow((6.3, 8.4), (7.5, 8.4))
    for n, (name, values) in enumerate((("count", COUNTS.values()), ("count × factor", row.values()), (f"divided by the length {told(length)}", [x / length for x in row.values()]))):
        x = 7.8 + 5.9 * n
        drawing.text(x + 2.4, 7.2, name, size=9, color=INK)
        for k, value in enumerate(values):
            drawing.box(x + 1.6 * k, 7.7, 1.5, 1.4, "target" if n == 2 else "plain", told(value), size=10)
        if n < 2:
            drawing.arrow((x + 4.85, 8.4), (x + 5.8, 8.4))
    drawing.text(14.9, 9.65, "columns: images, masked, video", size=9, color=GREY)
    return drawing


def heaviest_later() -> Drawing:
    """ps8.2: three papers on a line, the heights at which each two would merge, and the tree."""
    (a, w), (b, v), (c, u) = LINE.values()
    first, second = math.sqrt(2 * w * v / (w + v)) * (b - a), math.sqrt(2 * v * u / (v + u)) * (c - b)
    centre = (b + c) / 2
    last = math.sqrt(2 * w * 2 / (w + 2)) * (centre - a)
    alt = f"Three papers on a line: paper 0 at 0 with weight 6, papers 1 and 2 at 2 and 4.5 with weight 1 each. 0 and 1 would merge at height {told(first)}, 1 and 2 at {told(second)}, which is lower, so 1 and 2 merge first, although 1 is nearer to 0. Their centre is {told(centre)}, their weight 2, and 0 merges with them at {told(last)}."
    drawing = Drawing(25, 8.6, alt)
    drawing.text(6.6, 0.5, "height = √(2 · w · v / (w + v)) · distance", bold=True)
    place = {name: 1.5 + 2.3 * x for name, (x, _) in LINE.items()}
    drawing.axes.plot([0.6, 13.2], [4.2, 4.2], color=GREY, linewidth=1, zorder=1)
    for name, (x, weight) in LINE.items():
        side = 0.8 + 0.16 * weight
        drawing.box(place[name] - side / 2, 4.2 - side / 2, side, side, "latent", name, bold=True)
        drawing.text(place[name], 5.6, f"at {x:g}", size=9)
        drawing.text(place[name], 6.15, f"weight {weight}", size=9)
    for left, right, words, y in (("0", "1", f"√(2·6·1/7) · 2 = {told(first)}", 1.7), ("1", "2", f"√(2·1·1/2) · 2.5 = {told(second)}", 2.8)):
        color = RED if left == "0" else BLUE
        drawing.axes.plot([place[left]] * 2 + [place[right]] * 2, [y + 0.35, y, y, y + 0.35], color=color, linewidth=1.6, zorder=3)
        drawing.text(place[right] + (0.25 if left == "0" else -2.4), y - (0 if left == "0" else 0.35), words, at="left", size=10, color=color)
    drawing.text(6.6, 7.4, "1 and 2 merge first, although 1 is nearer to 0:\njoining 1 to the heavy 0 costs more", size=9, color=GREY)
    drawing.text(18.9, 0.5, "rows of the result", bold=True)
    for k, name in enumerate(("a", "b", "height", "weight")):
        drawing.text(15.1 + 2.6 * k, 1.4, name, size=9, color=GREY)
    for r, values in enumerate(((1, 2, told(second), 2), (0, 3, told(last), 8))):
        for k, value in enumerate(values):
            drawing.box(13.9 + 2.6 * k, 1.8 + 1.5 * r, 2.4, 1.3, "target", str(value), size=11)
    drawing.text(18.9, 5.2, f"cluster 3, of row 0: papers 1 and 2, centre {told(centre)}, weight 2", size=10)
    drawing.text(18.9, 6.0, f"√(2·6·2/8) · {told(centre)} = {told(last)}", size=10)
    return drawing


def order_of(merges) -> list[int]:
    """The papers from left to right, by the merges (a, b, height, …)."""
    n = len(merges) + 1
    below = {i: [i] for i in range(n)}
    for step, (a, b, *_) in enumerate(merges):
        below[n + step] = below[int(a)] + below[int(b)]
    return below[2 * n - 2]


def branches(drawing: Drawing, merges, place: dict[int, float], across) -> None:
    """The lines of a tree, from left to right. place: paper → y; across(height) → x."""
    n, node = len(merges) + 1, {i: (0.0, y) for i, y in place.items()}
    for step, (a, b, height, *_) in enumerate(merges):
        (low, y), (high, z) = node[int(a)], node[int(b)]
        xs = [across(low), across(height), across(height), across(high)]
        drawing.axes.plot(xs, [y, y, z, z], color=INK, linewidth=1.6, zorder=3, solid_capstyle="butt")
        node[n + step] = (height, (y + z) / 2)


def small_tree(merges, names: list[str], height: float | None = None, *, alt: str, room: float = 12.0) -> Drawing:
    """A tree with its papers below each other, heights to the right. merges: (n − 1, 4), as ps8.2 has it; height: where it is cut, as a
    dashed line. room: units for the names."""
    merges = [[float(x) for x in row] for row in merges]
    top = merges[-1][2]
    drawing = Drawing(25, 2.0 + 0.75 * len(names), alt)
    place = {i: 1.4 + 0.75 * row for row, i in enumerate(order_of(merges))}

    def across(at: float) -> float:
        return room + 0.3 + (24.2 - room) * at / top

    for i, y in place.items():
        drawing.text(room, y, names[i], at="right", size=9)
    branches(drawing, merges, place, across)
    drawing.text(room, 0.45, "height", at="right", size=8, color=GREY)
    ticks = MaxNLocator(nbins=10, steps=[1, 2, 5, 10]).tick_values(0, top)
    for at in ticks[ticks <= top].tolist():
        drawing.text(across(at), 0.45, f"{at:.6g}", size=8, color=GREY)
        drawing.axes.plot([across(at)] * 2, [0.8, 1.1 + 0.75 * len(names)], color=GREY, linewidth=0.4, zorder=1)
    if height is not None:
        bottom = 1.2 + 0.75 * len(names)
        drawing.axes.plot([across(height)] * 2, [0.8, bottom], color=RED, linestyle="--", linewidth=1.6, zorder=4)
        drawing.text(across(height), bottom + 0.4, f"cut at {height:g}", size=9, color=RED)
    return drawing


def where_they_meet() -> Drawing:
    """ps8.3: the tree of the example, its cut, and what is read from it."""
    n, cut = 5, 3.0
    labels = (0, 1, 0, 1, 2)
    alt = "A tree of five papers, drawn from top to bottom in the order 4, 0, 2, 1, 3. 0 and 2 merge at 1, 1 and 3 at 1.5, these two clusters at 7.42, and 4 with all at 21.35. A dashed line cuts it at 3, which gives the labels 0, 1, 0, 1, 2. 2 and 1 stand side by side, and come together only at 7.42."
    drawing = Drawing(25, 9.4, alt)
    order = order_of(MERGES)
    place = {i: 2.0 + 1.2 * row for row, i in enumerate(order)}

    def across(at: float) -> float:
        return 2.2 + 10.0 * math.sqrt(at / 22)

    drawing.text(7.0, 0.5, "heights, on a square-root scale", size=9, color=GREY)
    for i, y in place.items():
        drawing.box(0.5, y - 0.45, 1.4, 0.9, "latent", str(i), bold=True)
    branches(drawing, MERGES, place, across)
    for step, (_, _, at) in enumerate(MERGES):
        drawing.text(across(at), (7.6, 7.6, 7.6, 7.6)[step] + (0.0 if step != 1 else 0.45), told(round(at, 2)), size=9)
    drawing.axes.plot([across(cut)] * 2, [1.3, 8.2], color=RED, linestyle="--", linewidth=1.6, zorder=4)
    drawing.text(across(cut), 8.6, "cut at 3", size=9, color=RED)
    drawing.text(14.6, 0.5, "labels", bold=True)
    for i, label in enumerate(labels):
        drawing.text(13.6, 2.0 + 1.2 * i, str(i), size=9, color=GREY)
        drawing.box(14.0, 1.55 + 1.2 * i, 1.2, 0.9, "target", str(label))
    together = [[0.0] * n for _ in range(n)]
    below = {i: [i] for i in range(n)}
    for step, (a, b, at) in enumerate(MERGES):
        for i in below[a]:
            for j in below[b]:
                together[i][j] = together[j][i] = at
        below[n + step] = below[a] + below[b]
    drawing.text(20.6, 0.5, "together", bold=True)
    for i in range(n):
        drawing.text(17.5 + 1.55 * i, 1.15, str(i), size=9, color=GREY)
        drawing.text(16.4, 2.0 + 1.2 * i, str(i), size=9, color=GREY)
        for j in range(n):
            lit = {i, j} == {1, 2}
            drawing.box(16.75 + 1.55 * j, 1.55 + 1.2 * i, 1.5, 0.9, "lit" if lit else "plain", told(round(together[i][j], 2)), size=9)
    drawing.text(20.6, 8.6, "1 and 2 are neighbours in the drawing, and meet late", size=9, color=GREY)
    return drawing


def chance_and_kappa() -> Drawing:
    """ps8.4: the answers of the example, which of them count, and the three numbers."""
    one, other = ("yes", "yes", "no", "no", "?"), ("yes", "no", "no", "no", "yes")
    alt = "The answers of two readers to one question about five papers. One says yes, yes, no, no and nothing, other says yes, no, no, no, yes. Four papers count. agreed is 3 of 4, 0.75. always is 0.75, because other says no to three of four. chance is 0.5 · 0.25 + 0.5 · 0.75 = 0.5, so kappa is 0.5. Always answering no would agree with other as often."
    drawing = Drawing(25, 7.0, alt)
    for n, (name, answers) in enumerate((("one", one), ("other", other))):
        drawing.text(1.6, 2.3 + 1.6 * n, name, bold=True)
        for k, answer in enumerate(answers):
            kind = "hidden" if answer == "?" else "target" if answer == "yes" else "plain"
            halo = {"bbox": {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}} if kind == "hidden" else {}
            drawing.box(2.9 + 1.7 * k, 1.65 + 1.6 * n, 1.6, 1.3, kind, answer, **halo)
    for k in range(5):
        drawing.text(3.7 + 1.7 * k, 1.0, f"paper {k}", size=8, color=GREY)
        same = one[k] == other[k]
        drawing.text(3.7 + 1.7 * k, 5.1, "left out" if k == 4 else "agree" if same else "differ", size=9, color=GREY if k == 4 else INK if same else RED)
    drawing.text(6.9, 6.2, "one says yes to 2 of 4, other to 1 of 4", size=9)
    for n, (name, sums, kind) in enumerate((("agreed", "3 / 4 = 0.75", "plain"), ("always", "other says no to 3 of 4: 0.75", "plain"), ("chance", "½ · ¼ + ½ · ¾ = 0.5", "plain"), ("kappa", "(0.75 − 0.5) / (1 − 0.5) = 0.5", "target"))):
        drawing.box(13.4, 0.7 + 1.4 * n, 2.6, 1.1, kind, name, bold=True)
        drawing.text(16.4, 1.25 + 1.4 * n, sums, at="left")
    drawing.text(18.9, 6.4, "always answering no would agree with other as often", size=9, color=GREY)
    return drawing


def one_row_out_of_place() -> Drawing:
    """ps8.5: a made-up table, the row that differs from all others, and who leads without it."""
    alt = "A made-up table of four methods, all fine-tuned at 224 pixels by their authors. P: 800 epochs, 83.1. Q: 800 epochs, 83.9. R: 800 epochs, with CLIP as teacher, 85.0. S: 1600 epochs, 84.2. R alone used extra data, so the flaw is extra data, and S, row 3, leads among the rest. 1600 and 800 epochs are a factor of two apart, which is allowed."
    drawing = Drawing(25, 8.0, alt)
    widths, x0 = (1.8, 3.6, 2.4, 4.6, 2.6), 1.9
    for k, name in enumerate(("name", "architecture", "epochs", "extra", "accuracy")):
        drawing.text(x0 + sum(widths[:k]) + widths[k] / 2, 0.8, name, size=9, color=GREY)
    for r, values in enumerate(TABLE):
        drawing.text(1.0, 2.0 + 1.4 * r, f"row {r}", size=9, color=GREY)
        for k, value in enumerate(values):
            kind = "lit" if r == 2 and k == 3 else "hidden" if r == 2 else "target" if r == 3 and k == 4 else "plain"
            halo = {"bbox": {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}} if kind == "hidden" else {}
            drawing.box(x0 + sum(widths[:k]), 1.4 + 1.4 * r, widths[k] - 0.1, 1.2, kind, f"{value}", size=9, **halo)
    drawing.text(17.6, 4.8, "alone in this: the flaw\nis `extra data`".replace("`", ""), at="left", bold=True)
    drawing.text(17.6, 6.2, "1600 is twice 800, which\nis allowed: row 3 leads", at="left")
    drawing.text(9.4, 7.5, "all were fine-tuned, at 224 pixels, by the methods' own authors", size=9, color=GREY)
    return drawing


STATEMENTS = {"ps8.1": words_and_weights, "ps8.2": heaviest_later, "ps8.3": where_they_meet, "ps8.4": chance_and_kappa, "ps8.5": one_row_out_of_place}
