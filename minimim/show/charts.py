"""Charts of numbers: bars with their errors and baselines, curves, and small tables."""

import html
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from minimim.errors import UserError
from minimim.show.drawing import DPI, Shown

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333")  # told apart by colour-blind readers (Okabe and Ito)
FLOOR = "#aaaaaa"  # of baselines


def bars(values: Mapping[str, float | tuple[float, float]], *, alt: str, label: str, floors: Mapping[str, float | tuple[float, float]] | None = None, digits: int = 3, limits=None, turns: int = 1) -> Shown:
    """Numbers as bars with their names, the number written at the end of each: {name: value, or (value, error)}.

    label: what is measured and what the error is; an error of 0, that of a single run, is not shown. floors: the baselines, in grey,
    below. digits: of the numbers. limits: of the axis.
    turns: how many kinds of bars take turns, each in a colour of its own.
    """
    both = [(name, value, SERIES[n % turns]) for n, (name, value) in enumerate(values.items())] + [(name, value, FLOOR) for name, value in (floors or {}).items()]
    figure = Figure(figsize=(8, 0.7 + 0.38 * len(both)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for n, (_, value, colour) in enumerate(both):
        value, error = value if isinstance(value, tuple) else (value, 0)
        axes.barh(n, value, xerr=error or None, color=colour, height=0.65, error_kw={"capsize": 3})
        words = f"{value:z.{digits}f}" + (f" ± {error:.{digits}f}" if error else "")  # z: no minus before zeros
        axes.annotate(words, (max(value + error, 0), n), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(both)), [name for name, _, _ in both])
    axes.set(xlabel=label)
    axes.invert_yaxis()
    axes.margins(x=0.16)
    if limits:
        axes.set_xlim(*limits)
    tidy(axes)
    make_room(figure, axes)
    return Shown(figure, alt)


def make_room(figure: Figure, axes) -> None:
    """Move the right limit of the axis so far that the numbers at the ends of the bars stand within it."""
    figure.draw_without_rendering()
    (left, right), frame = axes.get_xlim(), axes.get_window_extent()
    for text in axes.texts:
        begins = axes.transData.transform((text.xy[0], 0))[0] - frame.x0  # in pixels, as is what follows
        behind = text.get_window_extent().x1 - frame.x0 - begins + 2  # of the bar's end: the gap and the number
        if behind < frame.width:
            right = max(right, left + (axes.get_xlim()[1] - left) * begins / (frame.width - behind))
    axes.set_xlim(left, right)


def curves(lines: Mapping[str, tuple], *, alt: str, across: str, up: str, log: str = "", floors: Mapping[str, float] | None = None, marks: bool = False, ticks: Sequence[float] | None = None, limits: tuple[float, float] | None = None, size: tuple[float, float] = (7.5, 3.6)) -> Shown:
    """Lines with their names: {name: (x, y), or (x, y, error)}. across, up: what the axes show. log: "x", "y" or "xy".
    floors: baselines, {name: y}, as dotted lines. marks: whether the points are marked. ticks: the numbers written
    along the axis across, by default those that matplotlib chooses. limits: of the axis up, so that two charts can be compared."""
    if len(lines) > len(SERIES):
        raise UserError(f"{len(lines)} lines cannot be told apart by colour: draw at most {len(SERIES)}")
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for colour, (name, (x, y, *error)) in zip(SERIES, lines.items(), strict=False):
        axes.errorbar(x, y, yerr=error[0] if error else None, label=name, color=colour, marker="o" if marks else None, markersize=4, capsize=3)
    for style, (name, y) in zip((":", "--", "-."), (floors or {}).items(), strict=False):
        axes.axhline(y, color="#777777", linestyle=style, label=name)
    axes.set(xlabel=across, ylabel=up)
    for way in log:
        getattr(axes, f"set_{way}scale")("log")
    if ticks is not None:
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.xaxis.minorticks_off()
    if limits is not None:
        axes.set_ylim(limits)
    if len(lines) + len(floors or {}) > 1:
        axes.legend(fontsize=9, frameon=False)
    tidy(axes)
    return Shown(figure, alt)


def tidy(axes) -> None:
    """No frame where there is nothing to read."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)


class Table:
    """A small table: names of the columns, and rows of words and numbers. digits: of numbers that are not whole."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence], digits: int = 3):
        self.columns = [str(name) for name in columns]
        self.rows = [[f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]

    def __repr__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[c]) for line in lines) for c in range(len(self.columns))]
        return "\n".join("  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]).rstrip() for line in lines)

    def _repr_html_(self) -> str:
        def row(cells, tag):
            first, *others = (html.escape(cell) for cell in cells)
            return "<tr>" + f'<{tag} style="text-align:left">{first}</{tag}>' + "".join(f'<{tag} style="text-align:right">{cell}</{tag}>' for cell in others) + "</tr>"

        return "<table>" + row(self.columns, "th") + "".join(row(cells, "td") for cells in self.rows) + "</table>"
