"""Attention by hand, on a few tokens of a few numbers: queries, keys and values, the scores, one row of softmax, the weighted mean, the
heads side by side; and what a layer attends to, over a picture."""

import torch
from matplotlib.patches import Circle, Polygon, Rectangle
from torch import Tensor

from minimim.errors import UserError
from minimim.layers import Attention
from minimim.show.drawing import INK, Drawing
from minimim.show.pictures import as_pixels

COLOURS = {"q": "#f6cfe1", "k": "#cfe0f5", "v": "#ece2bd"}  # of queries, keys and values
HEADS = ("#6a51a3", "#d55e00", "#84842a")  # one colour a head
WEIGHT = (213, 94, 0)  # the colour of a weight over a picture, RGB
CELL = (1.15, 0.75)  # units of a number's cell


def small(number: int) -> str:
    """A number as a subscript."""
    return "".join(chr(ord("₀") + int(digit)) for digit in str(number))


def plain(value: float) -> str:
    """A number as it is written by hand: two digits after the point, or none where it is whole."""
    return f"{value:.2f}".removesuffix(".00")


def few(tensor: Tensor, rows: int, cols: int, what: str) -> None:
    """Raise UserError for a table that is no table, or too large to be drawn."""
    if tensor.dim() != 2 or tensor.shape[0] > rows or tensor.shape[1] > cols:
        raise UserError(f"there is room for {what} of shape ({rows}, {cols}) at most, not {tuple(tensor.shape)}: take fewer")


def table(drawing: Drawing, x: float, y: float, values: Tensor, *, fill: str = "", rows: str = "", name: str = "", **more) -> tuple[float, float]:
    """Numbers in cells with a name above, and at the left of each row its own, as q₀; gives where the table ends, (right, bottom)."""
    for r, line in enumerate(values.tolist()):
        for c, value in enumerate(line):
            drawing.box(x + c * CELL[0], y + r * CELL[1], *CELL, "lit" if (r, c) in more.get("marked", ()) else "plain", plain(value), fill="" if (r, c) in more.get("marked", ()) else fill)
        if rows:
            drawing.text(x - 0.2, y + (r + 0.5) * CELL[1], f"{rows}{small(r)}", at="right")
    right, bottom = x + values.shape[1] * CELL[0], y + values.shape[0] * CELL[1]
    if name:
        drawing.text((x + right) / 2, y - 0.35, name, bold=True)
    return right, bottom


def queries_keys_values(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Drawing:
    """How three matrices make a query, a key and a value of each token: x (N, D), the matrices (D, d); at most 4 tokens of 3 numbers.

    Raises UserError for more.
    """
    few(x, 4, 3, "tokens")
    last, high = len(x) - 1, max(len(x), x.shape[1]) * CELL[1] + 1.5
    alt = f"{len(x)} tokens of {x.shape[1]} numbers. One matrix turns each of them into a query, a second one into a key, a third one into a value."
    drawing = Drawing(22, 3 * high + 0.5, alt)
    middle = (3 * high + 0.1) / 2
    right, bottom = table(drawing, 1.9, middle - len(x) * CELL[1] / 2, x, rows="x", name="tokens x")
    drawing.shape(1.9 + (right - 1.9) / 2, bottom + 0.4, *x.shape)
    says = {"q": "queries: what a token looks for", "k": "keys: what it can be found by", "v": "values: what it hands over"}
    for lane, (letter, weight) in enumerate((("q", w_q), ("k", w_k), ("v", w_v))):
        y, made = lane * high + 0.8, x @ weight
        centre = y + len(x) * CELL[1] / 2
        drawing.path((right + 0.25, middle), (right + 1.0, middle), (right + 1.0, centre), (7.0, centre)) if lane != 1 else drawing.arrow((right + 0.25, centre), (7.0, centre))
        after, _ = table(drawing, 7.2, centre - len(weight) * CELL[1] / 2, weight, name=f"W{'qkv'[lane]}")
        drawing.arrow((after + 0.2, centre), (after + 1.9, centre), f"x W{'qkv'[lane]}")
        end, _ = table(drawing, after + 3.0, y, made, fill=COLOURS[letter], rows=letter)
        drawing.text(end + 0.4, y + (last - 0.5) * CELL[1], says[letter], at="left")
        sums = (" + ".join(f"{plain(a)}·{plain(b)}" for a, b in zip(x[last].tolist(), column, strict=True)) for column in weight.T.tolist())
        drawing.text(end + 0.4, y + (last + 0.5) * CELL[1], f"{letter}{small(last)} = ({', '.join(sums)})", at="left", size=9, color="#555555")
    return drawing


def score_matrix(q: Tensor, k: Tensor, cell: tuple[int, int] = (0, 2)) -> Drawing:
    """From queries and keys, (N, d) each, to the weights: every query times every key, the division by √d, the softmax of each row.

    cell: the (query, key) whose score is worked out below. Raises UserError for more than 4 tokens of 3 numbers.
    """
    few(q, 4, 3, "queries")
    i, j = cell
    scores, width = q @ k.T, q.shape[1]
    scaled = scores / width**0.5
    alt = (
        f"The score matrix of {len(q)} queries and {len(k)} keys: queries stand as rows at the left, keys as columns on top, and each cell holds the dot product of its row and its column. "
        "The matrix is divided by the square root of d, and the softmax of each row gives weights that sum to one."
    )
    drawing = Drawing(21.5, 3.6 + width * CELL[1] + len(q) * CELL[1], alt)
    top, left = 1.35 + width * CELL[1], 1.0 + width * CELL[0] + 0.9
    table(drawing, 1.0, top, q, fill=COLOURS["q"], rows="q")
    for n in range(len(k)):
        drawing.text(left + (n + 0.5) * CELL[0], 0.75, f"k{small(n)}")
    table(drawing, left, 1.1, k.T, fill=COLOURS["k"])
    right, bottom = table(drawing, left, top, scores, marked=[cell])
    drawing.shape((left + right) / 2, bottom + 0.45, *scores.shape)
    x, middle = right, (top + bottom) / 2
    for values, words, name in ((scaled, f"÷ √{width}", "scaled scores"), (scaled.softmax(dim=-1), "softmax", "weights")):
        drawing.arrow((x + 0.2, middle), (x + 1.8, middle), words)
        begin = x + 2.0
        x, _ = table(drawing, begin, top, values, marked=[cell], name=name)
        drawing.shape((begin + x) / 2, bottom + 0.45, *values.shape)
    for r in range(len(q)):
        drawing.text(x + 0.25, top + (r + 0.5) * CELL[1], "sums to 1", at="left", size=9)
    products = " + ".join(f"{plain(a)}·{plain(b)}" for a, b in zip(q[i].tolist(), k[j].tolist(), strict=True))
    drawing.text(0.5, bottom + 1.3, f"Row {i} asks, column {j} answers: q{small(i)} · k{small(j)} = {products} = {plain(scores[i, j].item())}", at="left")
    return drawing


def softmax_row(scores: Tensor) -> Drawing:
    """One row of softmax in two steps, (N,): e to the power of each score, and each divided by the sum. Raises UserError for more than 6."""
    few(scores.unsqueeze(1), 6, 1, "scores")
    powers = scores.exp()
    weights, longest, row = powers / powers.sum(), 7.0, 0.95
    alt = f"Softmax of {len(scores)} scores: each is made e to its power, drawn as a bar, and divided by the sum of all, so that the bars share a length of one. The largest score gets most."
    drawing = Drawing(23, 1.3 + (len(scores) + 1) * row, alt)
    starts = (3.6, 8.1, 18.0 - longest / 7)
    for x, words in zip((2.3, 5.6 + longest / 2, 19.0), ("score s", "e to the power of s", "divided by the sum"), strict=True):
        drawing.text(x, 0.5, words, bold=True)
    for n, (score, power, weight) in enumerate(zip(scores.tolist(), powers.tolist(), weights.tolist(), strict=True)):
        y = 1.0 + n * row
        drawing.box(1.7, y + 0.1, *CELL, words=plain(score))
        drawing.text(1.4, y + 0.45, f"key {n}", at="right", size=9)
        drawing.arrow((starts[0] - 0.5, y + 0.45), (starts[0] + 1.1, y + 0.45))
        drawing.box(5.0, y + 0.15, longest * power / powers.max().item(), 0.6, fill="#dddddd")
        drawing.text(5.2 + longest * power / powers.max().item(), y + 0.45, f"{power:.2f}", at="left")
        drawing.arrow((13.8, y + 0.45), (15.4, y + 0.45))
        drawing.box(15.8, y + 0.15, longest * 0.75 * weight, 0.6, fill="#f2b48a")
        drawing.text(16.0 + longest * 0.75 * weight, y + 0.45, f"{weight:.2f}", at="left")
    y = 1.0 + len(scores) * row
    drawing.text(5.0, y + 0.4, f"sum {powers.sum():.2f}", at="left", bold=True)
    drawing.text(15.8, y + 0.4, "sum 1.00", at="left", bold=True)
    return drawing


def weighted_mean(weights: Tensor, values: Tensor) -> Drawing:
    """One output of attention as a weighted mean: weights (N,), values (N, 2); at the right, values and mean as points of a plane.

    Raises UserError for values that are no points, and for more than 4.
    """
    few(values, 4, 2, "values")
    mean, count = weights @ values, len(values)
    alt = f"The weighted mean of {count} values of two numbers: each value times its weight, and the sum of these. In the plane the mean lies between the values, nearest to that with the largest weight."
    drawing = Drawing(21, 8.4, alt)
    drawing.text(4.6, 0.5, "weight × value", bold=True)
    for n, (weight, value) in enumerate(zip(weights.tolist(), values.tolist(), strict=True)):
        y = 1.1 + n * 1.15
        drawing.box(1.6, y, *CELL, words=f"{weight:.2f}", fill="#f2b48a")
        drawing.text(3.15, y + 0.38, "×", size=12)
        drawing.text(3.95, y + 0.38, f"v{small(n)}")
        table(drawing, 4.3, y, torch.tensor([value]), fill=COLOURS["v"])
        drawing.text(1.2, y + 0.38, "+" if n else "", size=13)
        drawing.text(7.0, y + 0.38, "=", size=12)
        table(drawing, 7.5, y, weight * torch.tensor([value]))
    y = 1.2 + count * 1.15
    drawing.axes.plot((7.5, 7.5 + 2 * CELL[0]), (y, y), color=INK, linewidth=1.4)
    drawing.text(7.2, y + 0.65, "sum y =", at="right")
    table(drawing, 7.5, y + 0.28, mean.unsqueeze(0), marked=[(0, 0), (0, 1)])

    low, high = values.amin(dim=0), values.amax(dim=0)
    scale = min(8.5 / (high[0] - low[0]).item(), 5.6 / (high[1] - low[1]).item())

    def at(point: Tensor) -> tuple[float, float]:
        return 12.6 + (point[0] - low[0]).item() * scale, 7.0 - (point[1] - low[1]).item() * scale

    for axis in (0, 1):  # the lines of the plane, one for each whole number, with those numbers
        for n in range(int(high[axis] - low[axis]) + 1):
            begin, end = low.clone(), high.clone()
            begin[axis] = end[axis] = low[axis] + n
            drawing.axes.plot(*zip(at(begin), at(end), strict=True), color="#dddddd", linewidth=1, zorder=1)
            x, y = at(begin)
            drawing.text(x - 1.25 * axis, y + 0.95 * (1 - axis), plain(begin[axis].item()), size=9, color="#777777")
    if count > 2:
        drawing.axes.add_patch(Polygon([at(value) for value in values], fill=True, facecolor="#f7f1dc", edgecolor="#b5a76a", zorder=1.5))
    for n, (weight, value) in enumerate(zip(weights.tolist(), values, strict=True)):
        drawing.axes.plot(*zip(at(value), at(mean), strict=True), color="#d55e00", linewidth=0.5 + 7 * weight, alpha=0.55, zorder=2, solid_capstyle="round")
        drawing.axes.add_patch(Circle(at(value), 0.24, facecolor=COLOURS["v"], edgecolor=INK, zorder=3))
        away = torch.tensor(at(value)) - torch.tensor(at(mean))
        drawing.text(*(torch.tensor(at(value)) + 0.6 * away / (away.norm() + 1e-6)).tolist(), f"v{small(n)}", bold=True)
    drawing.axes.add_patch(Circle(at(mean), 0.28, facecolor="#d55e00", edgecolor=INK, zorder=4))
    drawing.text(at(mean)[0] + 0.3, at(mean)[1] + 0.6, "y", bold=True, size=12)
    return drawing


@torch.no_grad()
def heads_side_by_side(layer: Attention, x: Tensor) -> Drawing:
    """A layer of several heads on a few tokens, (N, D): the width is cut into slices, one colour a head; each head has its own map, here
    with its real weights; what the heads give is laid side by side and mixed.

    Raises UserError for more than 5 tokens, a width over 9, or more than 3 heads.
    """
    few(x, 5, 9, "tokens")
    count, dim = x.shape
    if layer.heads > len(HEADS):
        raise UserError(f"there is room for {len(HEADS)} heads, not {layer.heads}")
    width, cell = dim // layer.heads, 0.5
    maps = layer.weights(x.unsqueeze(0))[0]  # (heads, N, N)
    alt = (
        f"A layer of {layer.heads} heads on {count} tokens of width {dim}. Queries, keys and values are cut into slices of width {width}, one for each head. "
        "Each head has a map of its own, and its own weighted means. They are laid side by side to the full width again, and the matrix proj mixes them."
    )
    tall = count * cell
    lane = tall + 1.0
    drawing = Drawing(25, max(layer.heads * lane + 1.3, 4), alt)
    middle = 0.9 + (layer.heads * lane - 1.0) / 2

    def block(left: float, top: float, cols: int, colour) -> float:
        for r in range(count):
            for c in range(cols):
                drawing.box(left + c * cell, top + r * cell, cell, cell, fill=colour(r, c))
        return left + cols * cell

    def tint(head: int, part: float) -> str:
        hue = [int(HEADS[head][at : at + 2], 16) for at in (1, 3, 5)]
        return "#" + "".join(f"{round(255 + part * (value - 255)):02x}" for value in hue)

    end = block(0.5, middle - tall / 2, dim, lambda r, c: "#ffffff")
    drawing.text((0.5 + end) / 2, middle - tall / 2 - 0.4, "tokens x", bold=True)
    drawing.shape((0.5 + end) / 2, middle + tall / 2 + 0.4, count, dim)
    begin, joined = end + 2.0, 18.7 - dim * cell / 2
    for head in range(layer.heads):
        top = 0.9 + head * lane
        drawing.path((end + 0.15, middle), (end + 0.7, middle), (end + 0.7, top + tall / 2), (begin - 0.1, top + tall / 2)) if top + tall / 2 != middle else drawing.arrow((end + 0.15, middle), (begin - 0.1, middle))
        left = begin
        for letter in "qkv":
            right = block(left, top, width, lambda r, c, head=head: tint(head, 0.35))
            drawing.text((left + right) / 2, top - 0.3, letter)
            left = right + 0.35
        drawing.arrow((left - 0.15, top + tall / 2), (left + 0.95, top + tall / 2))
        edge = block(left + 1.1, top, count, lambda r, c, head=head: tint(head, maps[head, r, c].item() / maps.max().item()))
        drawing.text(left + 1.1 + tall / 2, top - 0.3, f"map of head {head}", size=9)
        drawing.arrow((edge + 0.15, top + tall / 2), (edge + 1.25, top + tall / 2), "× v", above=0.35)
        out = block(edge + 1.4, top, width, lambda r, c, head=head: tint(head, 0.7))
        turn = joined - 0.9
        drawing.path((out + 0.1, top + tall / 2), (turn, top + tall / 2), (turn, middle), (joined - 0.1, middle)) if top + tall / 2 != middle else drawing.arrow((out + 0.1, middle), (joined - 0.1, middle))
    end = block(joined, middle - tall / 2, dim, lambda r, c: tint(c // width, 0.7))
    drawing.text((joined + end) / 2, middle - tall / 2 - 0.4, "side by side", bold=True)
    drawing.shape((joined + end) / 2, middle + tall / 2 + 0.4, count, dim)
    drawing.arrow((end + 0.15, middle), (end + 1.4, middle), "proj")
    last = block(end + 1.55, middle - tall / 2, dim, lambda r, c: "#ffffff")
    drawing.text((end + 1.55 + last) / 2, middle - tall / 2 - 0.4, "new tokens", bold=True)
    drawing.shape((end + 1.55 + last) / 2, middle + tall / 2 + 0.4, count, dim)
    return drawing


def weighted(pixels: Tensor, weights: Tensor, grid: tuple[int, int], limit: float) -> Tensor:
    """A picture in pale grey, and the more orange a patch, the larger its weight, from 0 to limit: (H, W, 3) and (N,) → float (H, W, 3)."""
    height, width = pixels.shape[0] // grid[0], pixels.shape[1] // grid[1]
    grey = 255 - (255 - pixels.float().mean(dim=-1, keepdim=True)) * 0.55  # (H, W, 1)
    part = (weights.detach().float() / limit).clamp(max=1).view(grid)  # (rows, cols)
    return orange(grey, part.repeat_interleave(height, 0).repeat_interleave(width, 1).unsqueeze(-1))


def orange(grey: Tensor | float, part: Tensor) -> Tensor:
    """Grey and, where a weight is this part of the largest, so much orange in it: (…, 1) both → float (…, 3)."""
    part = part**0.7 * 0.9
    return grey * (1 - part) + torch.tensor(WEIGHT) * part


def weight_colours(count: int) -> list[list[float]]:
    """The colours of a bar of weights, from 0 up: so many (red, green, blue), from 0 to 255."""
    return orange(200, (torch.arange(count).unsqueeze(1) + 0.5) / count).tolist()


def attention_over(images: Tensor, places: list[int], maps: dict[str, Tensor], grid: tuple[int, int], *, limit: float | None = None, rows: list[str] | None = None, title: str = "the patch that asks", side: float = 5.0, photo: bool = False) -> Drawing:
    """What a patch attends to, over its picture: images (R, C, H, W), a row each; places: the patch that asks in each; maps: {name: (R, N)}.

    The picture is grey, and the more orange a patch, the larger its weight, on one scale for all, with its bar. limit: the weight that
    is fully orange, by default the largest. title: of the pictures on which the place is framed. Raises UserError for pictures under 128 pixels.
    """
    if side * 40 < 128:
        raise UserError(f"a picture of {side * 40:.0f} pixels is too small to be looked at: give each at least 128")
    limit = limit or max(float(weights.max()) for weights in maps.values())
    step, names = side + 0.4, [title, *maps]
    left = 0.3 + 2.4 * bool(rows)
    alt = f"A patch framed in blue ({title}), and over the same picture in grey: {'; '.join(maps)}. The more orange a patch there, the larger its weight."
    drawing = Drawing(left + len(names) * step + 2.2, 0.8 + len(images) * step, alt, photo)
    for c, name in enumerate(names):
        drawing.text(left + c * step + side / 2, 0.4, name)
    for r, (pixels, place) in enumerate(zip(as_pixels(images).float(), places, strict=True)):
        y = 0.8 + r * step
        if rows:
            drawing.text(left - 0.3, y + side / 2, rows[r], at="right")
        for c, name in enumerate(names):
            shown = weighted(pixels, maps[name][r], grid, limit) if name in maps else pixels
            x = left + c * step
            drawing.picture(x, y, side, shown.round().to(torch.uint8).permute(2, 0, 1))
            row, col = divmod(place, grid[1])
            frame = (x + col * side / grid[1], y + row * side / grid[0])
            for colour, line in (("white", 4), ("#0072b2", 2)):
                drawing.axes.add_patch(Rectangle(frame, side / grid[1], side / grid[0], fill=False, edgecolor=colour, linewidth=line, zorder=3))
    bar = left + len(names) * step
    for n, colour in enumerate(weight_colours(40)):
        drawing.axes.add_patch(Rectangle((bar, 0.8 + side * (1 - (n + 1) / 40)), 0.5, side / 40, color=[value / 255 for value in colour], linewidth=0))
    drawing.text(bar, 0.4, "weight", at="left", size=9)
    clipped = any(bool((weights > limit).any()) for weights in maps.values())
    for part, down in ((0, -0.15), (0.5, 0), (1, 0.15)):
        words = f"{'≥ ' * (clipped and part == 1)}{limit * part:.2f}"
        drawing.text(bar + 0.65, 0.8 + side * (1 - part) + down, words, at="left", size=9)
    return drawing
