"""The Vision Transformer: its block with the residual connections, the whole of it, positions as clocks and as a table, and why a position
is added before tokens are taken out."""

from collections.abc import Sequence

import torch
from matplotlib import colormaps
from matplotlib.patches import Circle, Rectangle
from torch import Tensor

from minimim.encoders.vit import ViT
from minimim.errors import UserError
from minimim.layers import Block
from minimim.patches import sincos_positions
from minimim.show.drawing import INK, Drawing, Shown
from minimim.show.grids import gallery
from minimim.show.pictures import as_bytes

SHADES = colormaps["RdBu_r"]  # of numbers: blue below zero, white at zero, red above
POSITION = "#e3d5f0"  # of a position's tile


def shades(drawing: Drawing, x: float, y: float, values: Tensor, cell: float, limit: float) -> tuple[float, float]:
    """A table of numbers, (rows, cols), as colours, with one frame around it; gives where it ends, (right, bottom)."""
    rows, cols = values.shape
    for r, row in enumerate(values.tolist()):
        for c, value in enumerate(row):
            place = (x + c * cell, y + r * cell)
            drawing.axes.add_patch(Rectangle(place, cell, cell, facecolor=SHADES(0.5 + 0.5 * value / limit), edgecolor="white", linewidth=0.5, zorder=2))
    drawing.axes.add_patch(Rectangle((x, y), cols * cell, rows * cell, fill=False, edgecolor=INK, linewidth=1.2, zorder=2.1))
    drawing.boxes.append((x, y, x + cols * cell, y + rows * cell))
    return x + cols * cell, y + rows * cell


def plus(drawing: Drawing, x: float, y: float) -> None:
    """A sum, as a circle around its sign."""
    drawing.axes.add_patch(Circle((x, y), 0.36, facecolor="white", edgecolor=INK, zorder=4))
    drawing.text(x, y, "+", size=14)


@torch.no_grad()
def block_flow(block: Block, x: Tensor) -> Drawing:
    """A pre-norm block on a few tokens, (T, D): what goes in, what attention adds, what the MLP adds, and the sums, in their real numbers.

    Raises UserError for more than 6 tokens, or a width over 8.
    """
    if x.dim() != 2 or len(x) > 6 or x.shape[1] > 8:
        raise UserError(f"there is room for 6 tokens of width 8 at most, not {tuple(x.shape)}: take fewer")
    attended = block.attn(block.norm1(x[None]))[0]
    middle = x + attended
    bent = block.mlp(block.norm2(middle))
    tables = {"x": x, "attention": attended, "middle": middle, "mlp": bent, "out": middle + bent}
    limit, cell = max(float(each.abs().max()) for each in tables.values()), 0.33
    count, dim = x.shape
    tall, wide, line = count * cell, dim * cell, 3.6
    alt = (
        f"A transformer block on {count} tokens of width {dim}, from left to right. The tokens go through LayerNorm and attention, and the result is added to the tokens themselves, which come past on a straight way above. "
        "The sum goes through LayerNorm and an MLP, and the result is added again."
    )
    drawing = Drawing(25, line + tall / 2 + 3.6 + tall, alt)

    def strip(x: float, y: float, name: str, words: str, over: bool = True) -> float:
        right, bottom = shades(drawing, x, y, tables[name], cell, limit)
        drawing.text((x + right) / 2, y - 0.35 if over else bottom + 0.35, words, size=9)
        return right

    left = 0.4
    for norm, part, words, name, made, made_words in (
        ("LayerNorm", "attention", "tokens exchange", "attention", "middle", "their sum"),
        ("LayerNorm", "MLP", "each token alone", "mlp", "out", "x out"),
    ):
        end = strip(left, line - tall / 2, "x", "x in") if left < 1 else left
        start = end + 0.75  # where the straight way leaves
        drawing.arrow((end + 0.1, line), (end + 1.4, line))
        drawing.box(end + 1.4, line - 0.6, 1.9, 1.2, words=norm, size=9)
        drawing.arrow((end + 3.3, line), (end + 3.9, line))
        drawing.box(end + 3.9, line - 0.6, 1.9, 1.2, words=part, size=9, fill="#fff1b8", bold=True)
        drawing.text(end + 4.85, line + 0.95, words, size=9, color="#555555")
        drawing.arrow((end + 5.8, line), (end + 6.75, line))
        plus(drawing, end + 7.1, line)
        drawing.path((start, line), (start, line - 2.2), (end + 7.1, line - 2.2), (end + 7.1, line - 0.4))
        drawing.text((start + end + 7.1) / 2, line - 2.55, "residual connection: x comes past unchanged", size=9)
        drawing.arrow((end + 7.5, line), (end + 8.1, line))
        added = end + 4.85 - wide / 2
        strip(added, line + 2.3, name, f"what {'attention' if part == 'attention' else 'the MLP'} adds", over=False)
        drawing.arrow((end + 4.85, line + 1.35), (end + 4.85, line + 2.2), dashed=True)
        left = strip(end + 8.2, line - tall / 2, made, made_words)
        drawing.shape(end + 8.2 + wide / 2, line + tall / 2 + 0.4, count, dim)
    drawing.shape(0.4 + wide / 2, line + tall / 2 + 0.4, count, dim)
    drawing.text(0.4, line + 2.9, "red: above 0\nblue: below 0", size=9, at="left")
    return drawing


@torch.no_grad()
def vit_whole(vit: ViT, image: Tensor) -> Drawing:
    """An image, (C, H, W), on its way through a ViT: patches, tokens, positions, CLS, the blocks, the last norm; of the tokens four are drawn.
    Kept as a JPEG for images of 128 pixels or more."""
    rows, cols = vit.grid(image[None])
    count, size = rows * cols, vit.patch_size
    lead = int(vit.cls_token is not None)
    alt = (
        f"A Vision Transformer. The picture is cut into {count} patches, each becomes a token of width {vit.dim}, and a position is added to it. "
        f"A CLS token with position zero goes in front. {vit.depth} blocks and a last LayerNorm turn the tokens into latents, one for each patch."
    )
    drawing = Drawing(25, 8.6, alt, photo=image.shape[-1] >= 128)
    top, middle = 1.3, 4.0
    drawing.picture(0.3, top + 0.3, 4.4, image, "picture")
    drawing.shape(2.5, top + 5.3, 1, *image.shape)
    drawing.arrow((4.8, middle), (5.8, middle), "cut")
    shown, side, step = [0, 1, 2, count - 1], 1.05, 1.25

    def place(n: int) -> float:
        return top - 0.1 + (n + lead) * step + (0.7 if n == 3 else 0)

    for n, number in enumerate(shown):
        r, c = divmod(number, cols)
        drawing.picture(6.0, place(n), side, image[:, r * size : (r + 1) * size, c * size : (c + 1) * size])
        drawing.arrow((7.2, place(n) + side / 2), (8.5, place(n) + side / 2), "W" if n == 0 else "", above=0.25)
        drawing.box(8.6, place(n), side, side, "visible", f"x{number}", size=9)
        drawing.text(10.05, place(n) + side / 2, "+", size=13)
        drawing.box(10.4, place(n), side, side, words=f"p{number}", fill=POSITION, size=9)
    for x, low in ((6.5, 0), (9.1, 0), (10.9, 0), (13.7, 0), (22.8, 0)):
        drawing.text(x, place(2) + side + 0.4 + low, "⋮", size=12)
    if lead:
        drawing.text(8.4, top - 0.1 + side / 2, "learnt, no patch →", size=9, at="right")
        drawing.box(8.6, top - 0.1, side, side, "visible", "CLS", size=8)
        drawing.text(10.05, top - 0.1 + side / 2, "+", size=13)
        drawing.box(10.4, top - 0.1, side, side, words="0", fill=POSITION, size=9)
    head = top - 0.85
    for x, words in ((6.5, "patches"), (9.1, "tokens"), (11.1, "positions"), (13.7, "x"), (18.2, f"{vit.depth} blocks"), (22.8, "latents")):
        drawing.text(x, head, words, bold=True)
    for n in range(-lead, 4):
        y = place(n) + side / 2
        drawing.arrow((11.6, y), (13.0, y))
        words = "CLS" if n < 0 else str(shown[n])
        drawing.box(13.2, place(n), side, side, "visible", words, size=8 if n < 0 else 9)
        drawing.arrow((14.4, y), (15.6, y))
        drawing.arrow((20.7, y), (22.1, y))
        drawing.box(22.3, place(n), side, side, "latent", words, size=8 if n < 0 else 9)
    bottom = place(3) + side
    first = place(-lead)
    for n in range(3):
        drawing.box(15.8 + n * 1.15, first, 0.95, bottom - first)
        drawing.text(15.8 + n * 1.15 + 0.475, (first + bottom) / 2, "attention, MLP" if n < 2 else "…", rotation=90, size=9)
    drawing.box(15.8 + 3 * 1.15 + 0.3, first, 0.95, bottom - first)
    drawing.text(15.8 + 3 * 1.15 + 0.775, (first + bottom) / 2, "LayerNorm", rotation=90, size=9)
    low = bottom + 0.45
    drawing.shape(6.5, low, 1, count, size * size * image.shape[0])
    drawing.shape(9.4, low, 1, count, vit.dim)
    drawing.shape(13.7, low, 1, lead + count, vit.dim)
    drawing.shape(22.8, low, 1, lead + count, vit.dim)
    return drawing


def clocks(dim: int, cols: int, lit: int) -> Drawing:
    """The columns' half of the sine-cosine positions as clocks: a row of them for each speed, one for each column; each hand ends at
    (sine, cosine). lit: the column whose numbers are written below.

    Raises UserError for a width over 16, or more than 8 columns.
    """
    if dim > 16 or cols > 8:
        raise UserError(f"there is room for a width of 16 and 8 columns, not {dim} and {cols}")
    table, speeds = sincos_positions(dim, (1, cols)), dim // 4
    alt = (
        f"{speeds} rows of clocks, a clock for each of {cols} columns of patches. In the first row the hand turns by one radian from column to column, in each further row more slowly. "
        f"The sines and cosines of the hands of column {lit} are the first half of its position."
    )
    step, left, top = 2.35, 5.6, 1.5
    drawing = Drawing(left + cols * step + 0.3, top + speeds * 2.15 + 2.3, alt)
    drawing.box(left + lit * step + 0.05, top - 1.15, step - 0.1, speeds * 2.15 + 1.05, "lit")
    for n in range(cols):
        drawing.text(left + (n + 0.5) * step, top - 0.75, f"column {n}", bold=n == lit)
    for i in range(speeds):
        y = top + i * 2.15 + 0.75
        drawing.text(left - 0.4, y, f"{10000.0 ** (-i / speeds):.3g} radian a column", at="right", size=9)
        for n in range(cols):
            x, sine, cosine = left + (n + 0.5) * step, table[n, i].item(), table[n, speeds + i].item()
            drawing.axes.add_patch(Circle((x, y), 0.85, facecolor="white", edgecolor=INK, zorder=2.5))
            drawing.arrow((x, y), (x + 0.78 * sine, y - 0.78 * cosine), color="#0072b2")
    y = top + speeds * 2.15 + 0.7
    drawing.text(left - 0.4, y + 0.3, f"position of column {lit}", at="right", bold=True)
    cell = (cols * step - 0.4) / (2 * speeds)
    for c, value in enumerate(table[lit, : 2 * speeds].tolist()):
        drawing.box(left + c * cell + 0.2 * (c >= speeds), y - 0.1, cell, 0.8, words=f"{value:.2f}", fill=POSITION)
    drawing.text(left + speeds * cell / 2, y + 1.1, "sines: how far right each hand points", size=9)
    drawing.text(left + speeds * cell * 1.5 + 0.2, y + 1.1, "cosines: how far up", size=9)
    return drawing


def position_table(dim: int, grid: tuple[int, int]) -> Drawing:
    """The table of sine-cosine positions, (N, D), as colours: its four parts named, and the rows of the grid marked at the left."""
    (rows, cols), table = grid, sincos_positions(dim, grid)
    wide, tall, left, top = 16.0, 8.0, 4.2, 1.3
    alt = (
        f"The table of positions of {rows}×{cols} patches as colours, a row for each patch. In the left half, which encodes the column, a pattern comes back every {cols} patches; "
        f"in the right half, which encodes the row, it stays for {cols} patches and then moves on. The slow waves at the right of each part hardly change."
    )
    drawing = Drawing(left + wide + 2.6, top + tall + 1.0, alt)
    drawing.axes.imshow(table.numpy(), cmap=SHADES, vmin=-1, vmax=1, extent=(left, left + wide, top + tall, top), aspect="auto", interpolation="nearest", zorder=2)
    drawing.axes.set(xlim=(0, left + wide + 2.6), ylim=(top + tall + 1.0, 0))
    for part, words in enumerate(("sin of column", "cos of column", "sin of row", "cos of row")):
        drawing.text(left + (part + 0.5) * wide / 4, top - 0.4, words, bold=True)
        if part:
            drawing.axes.plot([left + part * wide / 4] * 2, [top, top + tall], color=INK, linewidth=1.2, zorder=3)
    for row in range(rows):
        drawing.text(left - 0.25, top + (row + 0.5) * tall / rows, f"patches {row * cols}–{row * cols + cols - 1}", at="right", size=9)
    drawing.shape(left + wide / 2, top + tall + 0.5, rows * cols, dim)
    for n in range(40):
        drawing.axes.add_patch(Rectangle((left + wide + 0.5, top + tall * (1 - (n + 1) / 40)), 0.5, tall / 40, color=SHADES((n + 0.5) / 40), linewidth=0))
    for part, words in ((0.015, "−1"), (0.5, "0"), (0.985, "1")):
        drawing.text(left + wide + 1.2, top + tall * (1 - part), words, at="left", size=9)
    return drawing


def add_then_gather(count: int, kept: Sequence[int]) -> Drawing:
    """Why positions are added before tokens are taken out: in the upper row each kept token has its own position, in the lower one those
    of the places in the shortened row. Raises UserError for more than 8 tokens."""
    if count > 8:
        raise UserError(f"there is room for 8 tokens, not {count}")
    after = [(n, place) for place, n in enumerate(kept)]
    wrong = [n for n, place in after if n != place]
    alt = (
        f"{count} tokens, of which {', '.join(map(str, kept))} are kept. When positions are added first, each kept token carries the position of its own patch. "
        f"When they are added to the shortened row, tokens {', '.join(map(str, wrong))} get positions of other patches."
    )
    side = 0.95
    drawing = Drawing(25, 7.7, alt)

    def tile(x: float, y: float, token: int, position: int | None, bad: bool = False) -> None:
        drawing.box(x, y, side, side, "visible" if token in kept else "hidden", f"x{token}" if token in kept else "", size=9)
        if position is not None:
            drawing.box(x, y - 0.62, side, 0.6, words=f"p{position}", fill="#f4a582" if bad else POSITION, size=8, bold=bad)

    for top, name, first in ((1.9, "add, then take out", True), (5.6, "take out, then add", False)):
        drawing.text(0.4, top - 1.2, name, at="left", bold=True)
        for n in range(count):
            tile(0.4 + n * 1.05, top, n, n if first else None)
        end = 0.4 + count * 1.05
        drawing.arrow((end + 0.2, top + side / 2), (end + 2.6, top + side / 2), "take out")
        begin = end + 2.9
        for place, n in enumerate(kept):
            tile(begin + place * 1.05, top, n, n if first else None)
        if not first:
            middle = begin + len(kept) * 1.05
            drawing.arrow((middle + 0.2, top + side / 2), (middle + 2.6, top + side / 2), "+ positions")
            begin = middle + 2.9
            for n, place in after:
                tile(begin + place * 1.05, top, n, place, n != place)
        words = "each token carries the place of its patch" if first else f"token {wrong[0]} is told that it stands at place {list(kept).index(wrong[0])}" if wrong else ""
        drawing.text(begin, top + 1.6, words, at="left", size=9)
    return drawing


def boxes_on(images: Tensor, boxes: dict[str, Tensor], names: Sequence[str] = (), *, truth: Tensor, alt: str, zoom: int = 5) -> Shown:
    """Images, (n, C, H, W), a row for each name in boxes, (n, 4) of x0, y0, x1, y1 in pixels: the true box in white, the guessed one dark."""
    large = as_bytes(images).repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    rows = {}
    for name, guessed in boxes.items():
        drawn = large.clone()
        for image, true, guess in zip(drawn, truth, guessed, strict=True):
            for box, colour, thick in ((true, 255, 3), (guess, 0, 3)):
                x0, y0, x1, y1 = (int(min(max(round(side * zoom), 0), image.shape[-1] - thick)) for side in box.tolist())
                for part in ((slice(y0, y0 + thick), slice(x0, x1 + thick)), (slice(y1, y1 + thick), slice(x0, x1 + thick)), (slice(y0, y1 + thick), slice(x0, x0 + thick)), (slice(y0, y1 + thick), slice(x1, x1 + thick))):
                    image[:, part[0], part[1]] = colour
        rows[name] = drawn
    return gallery(rows, names, alt=alt, side=large.shape[-1])
