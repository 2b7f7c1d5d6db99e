"""The field drawn: its taxonomy with a square for every paper, its years, the grid of what was tried, and Cohen's kappa by hand."""

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minimim.errors import UserError, unknown
from minimim.show.charts import FLOOR, SERIES, Table, tidy
from minimim.show.drawing import DPI, INK, Drawing, Shown
from minimim.survey.catalogue import Paper
from minimim.survey.gaps import Grid
from minimim.survey.held_out import Labelling, kappa
from minimim.survey.taxonomy import WORDS, Branch, named

ROW, LEFT, COLUMN, SQUARE = 0.6, 2.5, 1.95, 0.3  # units of the tree: a branch, its first tile, a tile, a paper
OURS, EMPTY = SERIES[0], SERIES[1]  # papers with a method here; empty cells that were to be expected full
QUARTERS = 4


def taxonomy_tree(root: Branch, marked: Collection[str] = ()) -> Drawing:
    """The survey's tree: a row a branch, six tiles for the directions in which its papers contribute, and a square a paper. Papers that this
    library has a method for are blue. marked: keys of papers whose squares are framed."""
    groups = [child for child in root.children if child.children]
    rest = [child for child in root.children if not child.children]
    rows = sum(len(group.children) for group in groups)
    height = 2.0 + rows * ROW + len(groups) * 0.75 + len(rest) * 0.75 + 0.6
    total, ours = len(root.walk()), sum(bool(one.recipes) for one in root.walk())
    alt = f"The survey's taxonomy: {rows} branches in {len(groups)} groups by the number of directions in which papers contribute, with {total} papers, of which this library has methods for {ours}."
    drawing = Drawing(25, height, alt)
    for n, direction in enumerate(WORDS):
        drawing.text(LEFT + (n + 0.5) * COLUMN, 0.6, direction, size=9)
    right = LEFT + len(WORDS) * COLUMN + 0.4
    framed = [one.key for one in root.walk() if one.key in marked]
    drawing.text(right, 0.6, "papers, one a square" + f"; framed: {', '.join(framed)}" * bool(framed), at="left", bold=True)
    y = 1.3
    for group in groups:
        drawing.text(0.25, y + 0.25, f"{group.name}: {len(group.walk())} papers", at="left", bold=True)
        y += 0.65
        last = y + (len(group.children) - 0.5) * ROW
        drawing.axes.plot((0.5, 0.5), (y - 0.1, last), color=FLOOR, linewidth=1.2, zorder=1, scalex=False, scaley=False)
        for branch in group.children:
            middle = y + ROW / 2
            drawing.axes.plot((0.5, 0.85), (middle, middle), color=FLOOR, linewidth=1.2, zorder=1, scalex=False, scaley=False)
            drawing.text(1.0, middle, f"§{branch.section}" if branch.section else "list only", at="left", size=9)
            there = named(branch.name)
            for n, direction in enumerate(WORDS):
                if direction in there:
                    drawing.box(LEFT + n * COLUMN + 0.06, y + 0.05, COLUMN - 0.12, ROW - 0.1, "lit")
                else:
                    drawing.axes.add_patch(Rectangle((LEFT + n * COLUMN + 0.06, y + 0.05), COLUMN - 0.12, ROW - 0.1, facecolor="#f4f4f4", edgecolor="#dddddd", linewidth=0.6))
            squares(drawing, right, middle, branch.papers, marked)
            y += ROW
        y += 0.1
    for branch in rest:
        drawing.text(0.25, y + 0.35, branch.name, at="left", bold=True)
        squares(drawing, right, y + 0.35, branch.papers, marked)
        y += 0.75
    drawing.box(0.25, height - 0.7, 1.0, 0.45, "lit")
    drawing.text(1.45, height - 0.48, "a direction in which these papers contribute", at="left", size=9)
    for n, (colour, words) in enumerate(((OURS, "this library has a method for it"), (FLOOR, "another paper"))):
        drawing.box(right - 1.0 + n * 6.1, height - 0.65, 0.3, 0.3, fill=colour)
        drawing.text(right - 0.5 + n * 6.1, height - 0.48, words, at="left", size=9)
    return drawing


def squares(drawing: Drawing, x: float, middle: float, papers: Collection[Paper], marked: Collection[str]) -> None:
    """A square a paper, side by side, and how many there are."""
    for n, one in enumerate(papers):
        frame = {"edgecolor": EMPTY, "linewidth": 2.2, "zorder": 4} if one.key in marked else {"edgecolor": "white", "linewidth": 0.6, "zorder": 2}
        drawing.axes.add_patch(Rectangle((x + n * SQUARE, middle - 0.17), SQUARE - 0.03, 0.34, facecolor=OURS if one.recipes else FLOOR, **frame))
    drawing.text(x + len(papers) * SQUARE + 0.12, middle, str(len(papers)), at="left", size=9)


def quarter(one: Paper) -> float | None:
    """When a paper was put on arXiv, as a year and a quarter of it, such as 2021.75; None for one without an arXiv id."""
    if not one.arxiv_id:
        return None
    year, month = 2000 + int(one.arxiv_id[:2]), int(one.arxiv_id[2:4])
    return year + (month - 1) // 3 / QUARTERS


def timeline(papers: Collection[Paper], named_ones: Collection[str] = (), first: int = 2020) -> Shown:
    """How many papers came to arXiv in each quarter, those of the survey and others, with the names of some. first: the year with which it
    begins; earlier papers are counted in the words below it. Raises UserError for the key of a paper that is not among them, or has no
    arXiv id."""
    when = {one.key: quarter(one) for one in papers}
    for key in named_ones:
        if key not in when:
            raise unknown("paper", key, when)
        if when[key] is None:
            raise UserError(f"{key} has no arXiv id, so its quarter is not known: name another paper")
    inside, outside = (Counter(when[one.key] for one in papers if when[one.key] and when[one.key] >= first and one.in_survey == there) for there in (True, False))
    x = np.arange(first, max([*inside, *outside]) + 0.25, 1 / QUARTERS)
    heights = np.array([inside[t] for t in x]), np.array([outside[t] for t in x])
    undated, early = sum(t is None for t in when.values()), sum(t is not None and t < first for t in when.values())
    figure = Figure(figsize=(10, 4.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.bar(x + 0.125, heights[0], width=0.21, color=SERIES[0], label="in the survey")
    axes.bar(x + 0.125, heights[1], width=0.21, bottom=heights[0], color=FLOOR, label="outside it")
    tops, top = dict(zip(x.tolist(), heights[0] + heights[1], strict=True)), float(max(heights[0] + heights[1]))
    together: dict[float, list[str]] = {}
    for key in named_ones:
        if when[key] >= first:
            together.setdefault(when[key], []).append(key)
    level, roof, taken = top * 1.06, top * 1.1, (-np.inf, 0.0)  # of the last label: where it is, and where it ends above
    for t, keys in sorted(together.items()):
        bottom = max(taken[1], level) if t - taken[0] < 0.45 else level
        label = axes.annotate("\n".join(keys), (t + 0.125, tops[t] + 0.5), (t + 0.125, bottom), ha="center", va="bottom", fontsize=9, color=INK, arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.8})
        taken = t, bottom + top * 0.075 * len(keys)
        label.set_in_layout(False)
        roof = max(roof, taken[1])
    axes.set(xlabel=f"quarter of the first version on arXiv ({undated} papers without an arXiv id and {early} of earlier years are not drawn)", ylabel="papers", xticks=range(first, int(x[-1]) + 2), ylim=(0, roof * 1.03))
    axes.legend(frameon=False, fontsize=9, loc="center right")
    tidy(axes)
    return Shown(figure, f"How many papers on masked image modeling came to arXiv in each quarter, with the places of {', '.join(named_ones) or 'none'} marked.")


def gap_grid(table: Grid, at: str = "", dots: Collection[tuple[str, ...]] = ()) -> Drawing:
    """The papers in each cell of masking × target, or of two other axes: the more, the darker; an empty cell is white, and has an orange frame
    where one paper or more would stand if the choices were independent.

    at: of a grid with three axes, the word of the last one. dots: cells, by their words, that get a dot. Raises UserError for an unknown word.
    """
    counts, expected = table.counts, table.expected
    if len(table.axes) == 3:
        if at not in table.words[2]:
            raise unknown(table.axes[2], at, table.words[2])
        counts, expected = (values[:, :, table.words[2].index(at)] for values in (counts, expected))
    rows, columns = table.words[:2]
    wide, high, left, top = min(2.2, 21.6 / len(columns)), 0.72, 3.1, 1.9
    empty = int((counts == 0).sum())
    alt = f"How many papers combine each {table.axes[0]} with each {table.axes[1]}{f', compared by {at}' if at else ''}: {counts.size - empty} cells have papers, {empty} are empty."
    drawing = Drawing(left + len(columns) * wide + 0.4, top + len(rows) * high + 1.5, alt)
    drawing.text(left + len(columns) * wide / 2, 0.5, f"{table.axes[1]}{f', compared by {at}' if at else ''}", bold=True)
    drawing.text(0.25, 1.35, table.axes[0], at="left", bold=True)
    for c, word in enumerate(columns):
        drawing.text(left + (c + 0.5) * wide, 1.35, word, size=8.5)
    blues, most = colormaps["Blues"], max(int(counts.max()), 1)
    for r, row in enumerate(rows):
        drawing.text(left - 0.25, top + (r + 0.5) * high, row, at="right", size=9)
        for c, column in enumerate(columns):
            n, x, y = int(counts[r, c]), left + c * wide, top + r * high
            depth = (np.log1p(n) / np.log1p(most)) ** 0.9
            drawing.box(x + 0.03, y + 0.03, wide - 0.06, high - 0.06, fill=to_hex(blues(0.15 + 0.75 * depth)) if n else "white", words=str(n) if n else "", size=9, color="white" if depth > 0.6 else INK)
            if not n and expected[r, c] >= 1:
                drawing.axes.add_patch(Rectangle((x + 0.05, y + 0.05), wide - 0.1, high - 0.1, fill=False, edgecolor=EMPTY, linewidth=2.4, zorder=3))
            if ((row, column, at) if at else (row, column)) in dots:
                drawing.axes.plot(x + wide / 2 if not n else x + 0.2, y + high / 2, "o", color=SERIES[2], markersize=5, zorder=4, scalex=False, scaley=False)
    low = top + len(rows) * high + 0.45
    drawing.axes.add_patch(Rectangle((left, low), 0.5, 0.5, fill=False, edgecolor=EMPTY, linewidth=2.4, zorder=3))
    drawing.text(left + 0.7, low + 0.25, "empty, though one paper or more would stand there if choices were independent", at="left", size=9)
    if dots:
        drawing.axes.plot(left + 15.0, low + 0.25, "o", color=SERIES[2], markersize=5, scalex=False, scaley=False)
        drawing.text(left + 15.4, low + 0.25, "this library has the parts", at="left", size=9)
    return drawing


def kappa_by_hand(one: Labelling, other: Labelling, direction: str, names: tuple[str, str]) -> Drawing:
    """Cohen's kappa of two labellings in one direction: their answers counted in a table of 2×2, what chance would give, and the quotient.

    names: of the labellings. Raises UserError for an unknown direction, and where they have no paper in common.
    """
    if direction not in WORDS:
        raise unknown("direction", direction, WORDS)
    keys = [key for key in other if key in one]
    if not keys:
        raise UserError("the two labellings have no paper in common: they need answers to at least one of the same papers")
    a, b = (np.array([labels[key][direction] for key in keys]) for labels in (one, other))
    counts = np.array([[np.sum((a == x) & (b == y)) for y in (True, False)] for x in (True, False)])  # (one, other)
    chance = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / len(keys)
    agreed, expected, value = np.trace(counts) / len(keys), np.trace(chance) / len(keys), float(kappa(a, b))
    alt = f"Cohen's kappa by hand for the direction {direction}: of {len(keys)} papers {names[0]} and {names[1]} agree on {np.trace(counts)}, by chance it would be {np.trace(chance):.1f}, so kappa is {value:.2f}."
    drawing = Drawing(25, 6.6, alt)
    answers(drawing, 2.9, counts, names, "counted", "{:.0f}")
    answers(drawing, 11.9, chance, names, "expected by chance", "{:.1f}")
    drawing.text(19.4, 1.2, "agreed", at="left", bold=True)
    drawing.text(19.4, 1.8, f"({counts[0, 0]} + {counts[1, 1]}) / {len(keys)} = {agreed:.2f}", at="left", size=9)
    drawing.text(19.4, 2.9, "expected", at="left", bold=True)
    drawing.text(19.4, 3.5, f"({chance[0, 0]:.1f} + {chance[1, 1]:.1f}) / {len(keys)} = {expected:.2f}", at="left", size=9)
    drawing.text(19.4, 4.6, f"kappa = {value:.2f}", at="left", bold=True)
    drawing.text(19.4, 5.2, f"({agreed:.2f} − {expected:.2f}) / (1 − {expected:.2f})", at="left", size=9)
    return drawing


def answers(drawing: Drawing, x: float, table: np.ndarray, names: tuple[str, str], title: str, form: str) -> None:
    """A table of 2×2 with its totals; where both give the same answer is lit."""
    drawing.text(x + 2.9, 0.5, title, bold=True)
    drawing.text(x + 2.0, 1.15, names[1], size=9)
    drawing.text(x - 1.9, 3.6, names[0].replace(" ", "\n"), size=9)
    for n, word in enumerate(("yes", "no")):
        drawing.text(x + 1.0 + 2 * n, 1.75, word)
        drawing.text(x - 0.4, 2.8 + 1.6 * n, word)
        drawing.text(x + 4.7, 2.8 + 1.6 * n, form.format(table[n].sum()), color="#777777")
        drawing.text(x + 1.0 + 2 * n, 5.6, form.format(table[:, n].sum()), color="#777777")
        for c in range(2):
            drawing.box(x + 2 * c, 2.0 + 1.6 * n, 1.9, 1.5, "lit" if n == c else "plain", form.format(table[n, c]), size=13)


def papers_of(branches: Mapping[str, Branch], name: str) -> Table:
    """The papers of a branch as a table, for the tree's widget: {name: branch}, and the name of one. Raises UserError for an unknown branch."""
    if name not in branches:
        raise unknown("branch", name, branches)
    return Table(("paper", "year", "title", "methods here"), [(one.key, one.year, one.title, ", ".join(one.recipes)) for one in branches[name].papers])
