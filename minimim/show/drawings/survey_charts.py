"""Charts of the field: a dendrogram with its cut, results of papers against each other, and kappas with their intervals."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from minimim.errors import UserError
from minimim.show.charts import FLOOR, SERIES, tidy
from minimim.show.drawing import DPI, INK, Shown
from minimim.survey.clustering import Clustering
from minimim.survey.definitions import DEFINITIONS
from minimim.survey.held_out import Agreement
from minimim.survey.results import PROTOCOLS, Result

LEVELS = {  # level of a target → its colour, and how the key says it
    "low": (SERIES[0], "low-level target"),
    "high": (SERIES[1], "high-level target"),
    "both": (SERIES[3], "low and high"),
    "view": (SERIES[2], "nothing masked: another view"),
    "position": (SERIES[4], "places"),
}
OFFSETS = [(8, 0), (-8, 0), (0, 10), (0, -10), (8, 9), (8, -9), (-8, 9), (-8, -9), (14, 16), (14, -16), (-14, 16), (-14, -16), (0, 22), (0, -22), (20, 26), (20, -26), (-20, 26), (-20, -26)]
MOST = 36  # clusters whose terms can be written side by side


def dendrogram(clustering: Clustering, k: int | None = None, terms: int = 4) -> Shown:
    """A clustering as a tree, its root at the left and one paper a line at the right, cut into k clusters, each in a colour of its own and
    with the number of its papers and the terms that set it apart. k: the setting's if not given. Raises UserError for more than MOST."""
    k = clustering.setting.k if k is None else k
    if not 1 <= k <= MOST:
        raise UserError(f"{k} clusters cannot be drawn with their terms: choose from 1 to {MOST}")
    n, merges = len(clustering.papers), clustering.merges
    labels, words = clustering.cut(k), clustering.strongest(k, terms)
    across, up = positions(clustering)
    number = {i: int(labels[i]) for i in range(n)}  # node → its cluster, or −1 above the cut
    lines, colours = [], []
    for step, (a, b) in enumerate(merges[:, :2].astype(int)):
        number[n + step] = number[a] if step < n - k else -1
        x = across[n + step]
        lines += [[(across[a], up[a]), (x, up[a])], [(across[b], up[b]), (x, up[b])], [(x, up[a]), (x, up[b])]]
        colours += [SERIES[number[n + step] % 6] if number[n + step] >= 0 else "#999999"] * 3
    figure = Figure(figsize=(10, max(5.2, 0.24 * k + 1.2)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=0.9))
    far = float(merges[-1, 2])
    if k > 1:
        low = float(merges[n - k - 1, 2]) if k < n else 0.0
        axes.axvline((low + float(merges[n - k, 2])) / 2, color=INK, linestyle="--", linewidth=1)
    for number_, place in enumerate(np.linspace(0.5 * n / k, n - 0.5 * n / k, k)):
        here = np.mean([up[i] for i in np.flatnonzero(labels == number_)])
        colour = SERIES[number_ % 6]
        axes.plot([-0.02 * far, -0.06 * far], [here, place], color=colour, linewidth=0.8, clip_on=False)
        axes.text(-0.08 * far, place, f"{int((labels == number_).sum()):>3}  {', '.join(words[number_])}", va="center", fontsize=8.5, color=colour)
    axes.set(xlim=(far * 1.02, -0.85 * far), ylim=(n, 0), yticks=[])
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= far])
    axes.set_xlabel("distance at which two clusters are merged", loc="left")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_bounds(0, far)
    return Shown(figure, f"A dendrogram of {n} papers, cut into {k} clusters, each with its number of papers and the terms that set it apart.")


def positions(clustering: Clustering) -> tuple[dict[int, float], dict[int, float]]:
    """Where each node of the tree stands: its distance, and its height, that of a paper being its place in the order of the leaves."""
    n = len(clustering.papers)
    across, up = {i: 0.0 for i in range(n)}, {leaf: place + 0.5 for place, leaf in enumerate(clustering.leaves)}
    for step, (a, b, distance, _) in enumerate(clustering.merges):
        across[n + step], up[n + step] = float(distance), (up[int(a)] + up[int(b)]) / 2
    return across, up


def results_scatter(pairs: Sequence[tuple[Result, Result]], alike: Collection[tuple[Result, Result]] | None = None) -> Shown:
    """Pretrained models judged by two protocols, a point each: those of `alike` in the colour of their target and with their names, all
    others grey. pairs: as `minimim.survey.results.pairs` gives them. Raises UserError where there is none."""
    if not pairs:
        raise UserError("there is no pair of results to draw: ask for more, such as other architectures")
    alike = list(pairs if alike is None else alike)
    figure = Figure(figsize=(9.2, 5.6), dpi=DPI, layout="none")
    axes = figure.add_axes((0.08, 0.1, 0.9, 0.87))
    rest = [pair for pair in pairs if pair not in alike]
    axes.plot([a.accuracy for a, _ in rest], [b.accuracy for _, b in rest], "o", color=FLOOR, markersize=5, alpha=0.7)
    for level in {a.target_level for a, _ in alike}:
        some = [(a, b) for a, b in alike if a.target_level == level]
        axes.plot([a.accuracy for a, _ in some], [b.accuracy for _, b in some], "o", color=LEVELS[level][0], markersize=8, markeredgecolor="white")
    x, y = pairs[0][0].protocol, pairs[0][1].protocol
    axes.set(xlabel=f"{x} accuracy on ImageNet-1K (%)", ylabel=f"{y} accuracy on ImageNet-1K (%)")
    axes.margins(0.08)
    tidy(axes)
    shown = [level for level in LEVELS if any(a.target_level == level for a, _ in alike)]
    keys = [Line2D([], [], marker="o", linestyle="", color=LEVELS[level][0], label=LEVELS[level][1]) for level in shown]
    keys += [Line2D([], [], marker="o", linestyle="", color=FLOOR, label="not comparable with these")] if rest else []
    legend = axes.legend(handles=keys, frameon=False, fontsize=9, loc="lower right")
    write_names(figure, axes, [((a.accuracy, b.accuracy), a.key) for a, b in alike], [legend], [(a.accuracy, b.accuracy) for a, b in rest])
    about = PROTOCOLS[x].split(",")[0], PROTOCOLS[y].split(",")[0]
    return Shown(figure, f"{len(pairs)} pretrained models by their {x} ({about[0]}) and {y} accuracy ({about[1]}); {len(alike)} of them are named, because they may be compared.")


def write_names(figure: Figure, axes, names: Sequence[tuple[tuple[float, float], str]], others=(), pale: Sequence[tuple[float, float]] = ()) -> None:
    """Write each name beside its point where it lies over no other name, no point and nothing of `others`, and over few of the `pale` points;
    a line leads to one that is far."""
    figure.draw_without_rendering()
    taken = [one.get_window_extent() for one in others]
    points, behind = [axes.transData.transform(at) for at, _ in names], [axes.transData.transform(at) for at in pale]
    for (at, name), _ in sorted(zip(names, points, strict=True), key=lambda one: one[0][0]):
        best = None
        for dx, dy in OFFSETS:
            side = "left" if dx > 0 else "right" if dx < 0 else "center"
            line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6} if abs(dx) + abs(dy) > 20 else None
            text = axes.annotate(name, at, (dx, dy), textcoords="offset points", ha=side, va="center", fontsize=9, color=INK, arrowprops=line)
            extent = text.get_window_extent().padded(1)
            over = sum(extent.overlaps(other) for other in taken) + sum(extent.padded(4).contains(*point) for point in points)
            over += not (axes.bbox.x0 <= extent.x0 and extent.x1 <= axes.bbox.x1 and axes.bbox.y0 <= extent.y0 and extent.y1 <= axes.bbox.y1)
            over += sum(extent.padded(3).contains(*point) for point in behind) / 10
            text.remove()
            if best is None or over < best[0]:
                best = over, (dx, dy), side, line, extent
            if not over:
                break
        _, offset, side, line, extent = best
        axes.annotate(name, at, offset, textcoords="offset points", ha=side, va="center", fontsize=9, color=INK, arrowprops=line)
        taken.append(extent)


def kappas(rows: Mapping[str, Sequence[Agreement]]) -> Shown:
    """Cohen's kappa with its interval in each of the six directions, for pairs of labellings: {name of the pair: agreements}. A hollow point
    is one that cannot be decided. Raises UserError for more pairs than can be told apart."""
    if len(rows) > len(SERIES):
        raise UserError(f"{len(rows)} pairs of labellings cannot be told apart by colour: draw at most {len(SERIES)}")
    step = 0.8 / len(rows)
    figure = Figure(figsize=(9.4, 0.9 + 6 * max(0.5, 0.21 * len(rows))), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for n, (name, some) in enumerate(rows.items()):
        for one in some:
            if one.kappa is None:
                continue
            y = list(DEFINITIONS).index(one.direction) + (n + 0.5) * step - 0.4
            axes.plot((one.low, one.high), (y, y), color=SERIES[n], linewidth=1.8)
            axes.plot(one.kappa, y, "o", color=SERIES[n], markerfacecolor=SERIES[n] if one.decided else "white", markersize=6)
        axes.plot([], [], "o-", color=SERIES[n], label=f"{name}, {some[0].papers} papers")
    axes.axvline(0, color="#777777", linestyle=":")
    for above, below in pairwise(range(len(DEFINITIONS))):
        axes.axhline((above + below) / 2, color="#dddddd", linewidth=0.8)
    axes.set(yticks=range(len(DEFINITIONS)), xlabel="Cohen's kappa with its 95 % interval (0: chance, 1: full agreement; hollow: cannot be decided)", xlim=(-0.35, 1.05))
    axes.set_yticklabels(list(DEFINITIONS))
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", frameon=False, fontsize=9, ncols=2)
    tidy(axes)
    return Shown(figure, f"Cohen's kappa in six directions, with intervals, of {'; '.join(rows)}.")
