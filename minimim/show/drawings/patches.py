"""Patches: a picture on its way to tokens, patchify in three steps, the order inside a patch, a convolution's kernel as one row of W."""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from minimim.errors import UserError
from minimim.patches import grid_of, patchify
from minimim.show.charts import FLOOR, SERIES, tidy
from minimim.show.drawing import DPI, INK, Drawing, Shown

AXES = {"r": "#0072b2", "p": "#56b4e9", "s": "#d55e00", "q": "#e69f00", "c": "#009e73"}  # one colour an axis
FRAME = "#d55e00"  # around what is shown larger
CHANNELS = {"R": "#f4b6b0", "G": "#b5dcb4", "B": "#b3c9ee"}  # tiles of a channel's numbers


def shade(colour: str, part: float) -> str:
    """A colour mixed with white: part 0 is nearly white, 1 the colour itself."""
    part = 0.25 + 0.75 * part
    return "#" + "".join(f"{round(255 + part * (int(colour[at : at + 2], 16) - 255)):02x}" for at in (1, 3, 5))


def cut_apart(images: Tensor, patch_size: int, gap: int = 2) -> Tensor:
    """Images with white lines between their patches: uint8 (B, C, H, W) → (B, C, H + gap·(rows − 1), W + gap·(cols − 1)).

    Raises UserError when the patch does not divide a side.
    """
    (height, width), step = images.shape[-2:], patch_size + gap
    rows, cols = grid_of(height, width, patch_size)
    apart = images.new_full((*images.shape[:2], rows * step - gap, cols * step - gap), 255)
    y, x = (torch.arange(side) + torch.arange(side) // patch_size * gap for side in (height, width))
    apart[:, :, y.unsqueeze(1), x] = images
    return apart


def to_tokens(image: Tensor, patch_size: int, dim: int, shown: Sequence[Sequence[int]]) -> Drawing:
    """One picture, uint8 (C, H, W), cut into patches, then as a list in one row, then as tokens of width dim.

    shown: runs of patch numbers, each within one row of the grid, that the list shows, with dots between them, and that are framed in
    the picture; at most 12 in all. Raises UserError for more.
    """
    rows, cols = grid_of(*image.shape[-2:], patch_size)
    channels, count, side, step = image.shape[0], rows * cols, 5.6, 1.72
    numbers = [n for run in shown for n in run]
    if len(numbers) > 12:
        raise UserError(f"a row has room for 12 patches, not {len(numbers)}: show fewer")
    alt = (
        f"A picture is cut into {rows} rows of {cols} patches. They stand as a list in one row, in reading order from patch 0 to patch {count - 1}. "
        "The same matrix W turns each of them into a token, drawn as a blue tile below it."
    )
    drawing = Drawing(25, 13.6, alt, photo=True)
    drawing.picture(2.2, 1.2, side, image, "picture")
    drawing.shape(2.2 + side / 2, 7.25, 1, channels, *image.shape[-2:])
    drawing.arrow((8.2, 4), (11.4, 4), "cut")
    drawing.picture(11.8, 0.9, side + 0.6, cut_apart(image[None], patch_size)[0], f"{rows} × {cols} = {count} patches of {patch_size}×{patch_size} pixels")
    drawing.path((18.3, 4), (22.6, 4), (22.6, 8.3), (15.2, 8.3))
    drawing.text(20.6, 3.6, "read in order", size=9)
    drawing.text(0.4, 8.35, "as a list", at="left", bold=True)
    drawing.shape(3.0, 8.35, 1, count, patch_size**2 * channels, at="left")
    drawing.text(7.6, 8.35, f"{count} patches of {patch_size}·{patch_size}·{channels} = {patch_size**2 * channels} numbers", at="left", size=9)
    across = patch_size + 2  # of the patches that are cut apart, in their pixels
    unit = (side + 0.6) / (cols * across - 2)
    for run in shown:
        row, col = divmod(run[0], cols)
        drawing.axes.add_patch(Rectangle((11.8 + (col * across - 1.5) * unit, 0.9 + (row * across - 1.5) * unit), (len(run) * across + 1) * unit, (across + 1) * unit, fill=False, edgecolor=FRAME, linewidth=2, zorder=3))
    drawing.text(0.4, 12.95, "as tokens", at="left", bold=True)
    drawing.shape(3.0, 12.95, 1, count, dim, at="left")
    drawing.text(7.6, 12.95, f"{count} vectors of {dim} numbers, each made by the same W", at="left", size=9)
    x, tile, before = 0.4, 1.56, -1
    for n in numbers:
        if n != before + 1:
            drawing.text(x + 0.4, 9.6, "…", size=14)
            drawing.text(x + 0.4, 11.9, "…", size=14)
            x += 1.0
        row, col = divmod(n, cols)
        drawing.picture(x, 9.1, tile, image[:, row * patch_size : (row + 1) * patch_size, col * patch_size : (col + 1) * patch_size])
        drawing.text(x + tile / 2, 8.85, str(n), size=8)
        drawing.arrow((x + tile / 2, 10.7), (x + tile / 2, 11.4))
        drawing.text(x + tile / 2 + 0.35, 10.98, "W", size=8)
        drawing.box(x + 0.2, 11.45, tile - 0.4, 0.95, "latent", str(n), size=9)
        x, before = x + step, n
    return drawing


def cuts(image: Tensor, sizes: Sequence[int]) -> Drawing:
    """One picture, uint8 (C, H, W), cut into patches of each of these sizes, at most three; numbered where a patch has room for it."""
    alt = f"One picture, cut into patches of {', '.join(map(str, sizes))} pixels a side: the larger the patch, the fewer there are, and the more of the picture each of them holds."
    side, height = 7.6, image.shape[-2]
    drawing = Drawing(0.4 + 8.2 * len(sizes), 1.2 + side * height / image.shape[-1], alt, photo=True)
    for n, size in enumerate(sizes):
        rows, cols = grid_of(height, image.shape[-1], size)
        left = 0.4 + n * 8.2
        drawing.text(left + side / 2, 0.45, f"P = {size}: {rows} × {cols} = {rows * cols} patches")
        drawing.picture(left, 0.9, side, cut_apart(image[None], size)[0])
        unit = side / (cols * (size + 2) - 2)
        for k in range(rows * cols if size * unit > 0.9 else 0):
            place = (left + (k % cols * (size + 2) + size / 2) * unit, 0.9 + (k // cols * (size + 2) + size / 2) * unit)
            drawing.text(*place, str(k), size=8, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.8})
    return drawing


def split_permute_merge(image: Tensor, patch_size: int) -> Drawing:
    """Patchify in three steps on one small picture of whole numbers, (H, W), with one colour for each of the axes r, p, s and q.

    Raises UserError when the patch does not divide a side, and for more than 16 numbers.
    """
    rows, cols = grid_of(*image.shape, patch_size)
    size, total = patch_size, image.numel()
    if total > 16:
        raise UserError(f"there is room for 16 numbers, not {total}: take a smaller picture")
    alt = (
        f"Patchify on a picture of {image.shape[0]}×{image.shape[1]} numbers. Split: the row of a number is r and p, its column s and q. "
        "Permute: the numbers are put into the order of r, s, p, q, so that those of one patch stand side by side. "
        f"Merge: each run of {size * size} numbers is one row of the list of {rows * cols} patches."
    )
    drawing = Drawing(25, 14.9, alt)
    index = {"r": rows, "p": size, "s": cols, "q": size}
    at = torch.cartesian_prod(*(torch.arange(n) for n in index.values()))  # (H·W, 4): r, p, s, q of each number, as they lie in memory
    values = image.flatten()

    drawing.text(0.4, 0.6, "the picture", at="left", bold=True)
    drawing.shape(3.5, 0.6, *image.shape, at="left")
    left, top, cell = 1.9, 2.9, 1.0

    def bar(axis, value, x, y, width, height):
        strong = value / max(1, index[axis] - 1)
        drawing.box(x, y, width, height, words=str(value), fill=shade(AXES[axis], strong), size=9, color="white" if strong > 0.5 and axis in "rs" else INK)

    for axis, along, span in (("r", 0.6, size), ("p", 1.15, 1)):
        drawing.text(along + 0.22, top - 0.3, axis, bold=True, color=AXES[axis])
        for n in range(image.shape[0] // span):
            bar(axis, n % index[axis], along, top + n * span * cell + n * span // size * 0.2, 0.45, span * cell)
    for axis, along, span in (("s", 1.45, size), ("q", 2.0, 1)):
        drawing.text(left - 0.3, along + 0.22, axis, bold=True, color=AXES[axis])
        for n in range(image.shape[1] // span):
            bar(axis, n % index[axis], left + n * span * cell + n * span // size * 0.2, along, span * cell, 0.45)
    for (r, p, s, q), value in zip(at.tolist(), values.tolist(), strict=True):
        drawing.box(left + (s * size + q) * cell + s * 0.2, top + (r * size + p) * cell + r * 0.2, cell, cell, "visible" if (r + s) % 2 else "plain", str(value))

    def line(y, name, axes, order):
        drawing.text(8.0, y, name, at="left", bold=True)
        x, tile = 8.6, 0.98
        for n, number in enumerate(order.tolist()):
            place = dict(zip(index, at[number].tolist(), strict=True))
            drawing.box(x + n * tile, y + 0.5, tile, 0.9, "visible" if (place["r"] + place["s"]) % 2 else "plain", str(values[number].item()))
            for k, axis in enumerate(axes):
                bar(axis, place[axis], x + n * tile, y + 1.5 + k * 0.48, tile, 0.48)
        for k, axis in enumerate(axes):
            drawing.text(x - 0.3, y + 1.74 + k * 0.48, axis, bold=True, color=AXES[axis])

    order = at[:, [0, 2, 1, 3]] @ torch.tensor([cols * size * size, size * size, size, 1])  # (H·W,): where each number goes
    line(0.6, "1  split", "rpsq", torch.arange(total))
    drawing.shape(10.8, 0.6, *index.values(), at="left")
    drawing.text(14.6, 0.6, "as the numbers lie in memory: row after row", at="left", size=9)
    drawing.path((left + 4.4, top + 2.1), (7.3, top + 2.1), (7.3, 1.55), (8.1, 1.55))
    drawing.arrow((16.4, 4.2), (16.4, 4.85))
    line(5.2, "2  permute", "rspq", order.argsort())
    drawing.shape(11.5, 5.2, rows, cols, size, size, at="left")
    drawing.text(17.1, 5.2, "which patch first, what is in it last", at="left", size=9)

    drawing.text(0.4, 9.95, "3  merge", at="left", bold=True)
    drawing.shape(3.0, 9.95, rows * cols, size * size, at="left")
    drawing.text(0.4, 10.75, "(r, s) become n = r · cols + s", at="left", size=9)
    drawing.text(0.4, 11.35, "(p, q) become one row of numbers", at="left", size=9)
    drawing.text(0.4, 12.55, "with C channels, c is one more axis", at="left", size=9)
    drawing.text(0.4, 13.15, "and comes last: (r, s, p, q, c)", at="left", size=9)
    drawing.path((16.4, 8.8), (16.4, 9.3), (13.9, 9.3), (13.9, 9.65))
    for n, row in enumerate(patchify(image[None, None].float(), size)[0].long()):
        r, s = divmod(n, cols)
        y = 9.75 + n * 0.98
        bar("r", r, 9.9, y, 0.5, 0.9)
        bar("s", s, 10.45, y, 0.5, 0.9)
        drawing.text(9.6, y + 0.45, f"patch {n}", at="right", size=9)
        for k, value in enumerate(row.tolist()):
            drawing.box(11.9 + k * 1.0, y, 1.0, 0.9, "visible" if (r + s) % 2 else "plain", str(value))
    low = 9.85 + rows * cols * 0.98
    for k, axis in enumerate("pq"):
        drawing.text(11.6, low + 0.24 + k * 0.48, axis, bold=True, color=AXES[axis])
        for n in range(size * size):
            bar(axis, divmod(n, size)[k], 11.9 + n, low + k * 0.48, 1.0, 0.48)
    return drawing


def layouts(patch: Tensor) -> Drawing:
    """The two orders of one patch of 2×2 pixels, uint8 (3, 2, 2): pixel by pixel, (p q c), and colour by colour, (c p q); and what
    comes of numbers that were written in the second and read in the first. Raises UserError for another shape."""
    if patch.shape != (3, 2, 2):
        raise UserError(f"this drawing takes one patch of 2×2 pixels, (3, 2, 2), not {tuple(patch.shape)}")
    alt = (
        "One patch of four coloured pixels, and its twelve numbers in two orders. In (p q c) the red, green and blue of a pixel stand side by side. "
        "In (c p q) first come all reds, then all greens, then all blues; read as if it were (p q c), each three of them make a grey or wrongly coloured pixel."
    )
    drawing = Drawing(25, 9.6, alt)
    drawing.picture(0.5, 1.3, 3.2, patch, "2×2 pixels")
    for k in range(4):
        drawing.text(0.5 + 0.8 + k % 2 * 1.6, 1.3 + 0.8 + k // 2 * 1.6, str(k), bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5})
    for n, (name, fill) in enumerate(CHANNELS.items()):
        y = 1.3 + n * 2.6
        drawing.text(5.9, y - 0.3, {"R": "red", "G": "green", "B": "blue"}[name], size=9)
        for k, value in enumerate(patch[n].flatten().tolist()):
            drawing.box(4.7 + k % 2 * 1.2, y + k // 2 * 0.95, 1.2, 0.95, words=str(value), fill=fill, size=9)
    wrong = patch.flatten().reshape(2, 2, 3).permute(2, 0, 1)  # written (c p q), read (p q c)
    for top, name, words, order in ((1.2, "(p q c)", "pixel by pixel: what this course and the official MAE use", "p q c"), (5.2, "(c p q)", "colour by colour: how a convolution stores its weights", "c p q")):
        drawing.text(8.2, top - 0.2, name, at="left", bold=True, code=True)
        drawing.text(11.0, top - 0.2, words, at="left", size=9)
        pixel_first = order == "p q c"
        numbers = (patch.permute(1, 2, 0) if pixel_first else patch).flatten().tolist()
        for n, value in enumerate(numbers):
            channel = n % 3 if pixel_first else n // 4
            drawing.box(8.2 + n * 1.05, top + 0.3, 1.05, 0.95, words=str(value), fill=list(CHANNELS.values())[channel], size=9)
        read = patch if pixel_first else wrong
        for k in range(4):
            drawing.picture(8.2 + k * 3.15 + 0.2, top + 1.5, 2.75, read[:, k // 2, k % 2].reshape(3, 1, 1).expand(3, 1, 4))
            drawing.text(8.2 + k * 3.15 + 1.575, top + 2.5, f"read as pixel {k}", size=8)
        drawing.picture(22.1, top + 0.1, 2.4, read)
        drawing.text(23.3, top - 0.2, "put back" if pixel_first else "mixed up", size=9)
    return drawing


def kernel_and_row(weight: Tensor, patch: Tensor, row: int) -> Drawing:
    """One stop of a convolution's window, and the same sum as one row of W times one patch, in whole numbers.

    weight: (D, C, P, P) of the convolution, whole numbers; patch: (C, P, P), what lies under the window; row: which of the D outputs.
    C is 3, and P·P·C at most 12: UserError for others.
    """
    dim, channels, size = weight.shape[:3]
    if channels != 3 or weight[0].numel() > 12:
        raise UserError(f"there is room for kernels of (3, 2, 2), not {tuple(weight.shape[1:])}")
    width = weight[0].numel()
    matrix, x = weight.permute(0, 2, 3, 1).flatten(1).long(), patch.permute(1, 2, 0).flatten().long()  # (D, P·P·C), (P·P·C,)
    total, fills = int((matrix[row] * x).sum()), list(CHANNELS.values())
    alt = (
        f"Above, a convolution: the kernel of output {row} lies on a patch, as three squares of numbers, one a channel; numbers that lie over each other are multiplied and "
        f"added to one number. Below, the matrix W with {dim} rows: its row {row} holds the same {width} numbers in the order (p q c), and times the patch as a list it gives the same number."
    )
    drawing = Drawing(25, 11.6, alt)

    def squares(left, name, tensor):
        drawing.text(left, 0.6, name, at="left", bold=True)
        for c, (channel, fill) in enumerate(CHANNELS.items()):
            for k, value in enumerate(tensor[c].flatten().long().tolist()):
                drawing.box(left + c * 2.5 + k % size * 1.05, 1.6 + k // size * 1.0, 1.05, 1.0, words=str(value), fill=fill)
            drawing.text(left + c * 2.5 + 1.05, 1.3, channel, size=9)

    squares(1.5, f"kernel of output {row}", weight[row])
    drawing.shape(6.6, 0.6, channels, size, size, at="left")
    drawing.text(9.9, 2.6, "×", size=16)
    squares(11.0, "the patch under it", patch)
    drawing.arrow((18.5, 2.6), (20.8, 2.6), "multiply, add")
    drawing.box(21.0, 2.1, 1.6, 1.0, "latent", str(total), bold=True)
    drawing.text(21.8, 1.75, f"output {row}", size=9)

    left, tile, top = 2.4, 1.2, 5.0
    drawing.arrow((4.0, 3.75), (4.0, 4.85))
    drawing.text(4.3, 4.25, "the same numbers, in the order (p q c)", at="left", size=9)
    drawing.text(left - 0.4, top + (dim - 1) * 0.8 / 2 + 0.4, "W", at="right", bold=True, size=12)
    drawing.shape(left + width * tile + 0.5, top + 0.4, dim, width, at="left")
    for d in range(dim):
        for n, value in enumerate(matrix[d].tolist()):
            drawing.box(left + n * tile, top + d * 0.8, tile, 0.8, "lit" if d == row else "plain", str(value), fill=fills[n % 3] if d == row else "", size=9, color=INK if d == row else "#999999")
    low = top + dim * 0.8 + 0.6
    for y, name, numbers in ((low, "patch", x.tolist()), (low + 1.3, "products", (matrix[row] * x).tolist())):
        drawing.text(left - 0.3, y + 0.4, name, at="right", size=9)
        for n, value in enumerate(numbers):
            drawing.box(left + n * tile, y, tile, 0.8, words=str(value), fill=fills[n % 3] if name == "patch" else "", size=9)
    drawing.text(left + width * tile + 1.6, low + 1.3 + 0.0, "sum", size=9)
    drawing.arrow((left + width * tile + 0.3, low + 1.7), (left + width * tile + 2.9, low + 1.7))
    drawing.box(left + width * tile + 3.1, low + 1.2, 1.6, 1.0, "latent", str(total), bold=True)
    return drawing


def alike(pixel: Tensor, neighbour: Tensor) -> Shown:
    """The brightness of pixels and of those beside them, (n,) each on the scale 0 to 255, as points, with the
    two principal components, each drawn two standard deviations long to either side."""
    points = torch.stack([pixel, neighbour], dim=1).float()  # (n, 2)
    centre = points.mean(0)
    directions = torch.linalg.svd(points - centre, full_matrices=False)[2]  # (2, 2), one a row
    variance = ((points - centre) @ directions.T).square().mean(0)  # (2,), along each
    figure = Figure(figsize=(5.6, 5.2), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.scatter(*points.T.numpy(), s=6, color=FLOOR, alpha=0.6, linewidths=0)
    for name, direction, along, colour in zip(("first", "second"), directions, variance, (SERIES[1], SERIES[0]), strict=True):
        ends = torch.stack([centre - 2 * along.sqrt() * direction, centre + 2 * along.sqrt() * direction])  # two standard deviations each way
        axes.plot(*ends.T.numpy(), color=colour, linewidth=2.5, label=f"{name} principal component: {along / variance.sum():.0%} of the variance")
    axes.set(xlabel="brightness of a pixel", ylabel="brightness of the pixel to its right", xlim=(-5, 260), ylim=(-5, 260), aspect="equal")
    axes.legend(fontsize=9, loc="upper left")
    tidy(axes)
    return Shown(figure, "Points: the brightness of a pixel against that of its right neighbour. They lie along the diagonal, which is the first principal component; the second, across it, is short.")
