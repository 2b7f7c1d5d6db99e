"""MAE's asymmetric design: what its encoder reads beside one that reads all places, its decoder with tokens as tiles, the same by hand
on a few numbers, and what becomes of squares and windows when tokens are left out."""

from collections.abc import Sequence

import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from minimim.data.views import denormalize
from minimim.errors import UserError
from minimim.masking import Mask, mask_by_noise
from minimim.methods import Method
from minimim.patches import grid_of, take, unpatchify
from minimim.show.charts import SERIES
from minimim.show.drawing import INK, Drawing
from minimim.show.pictures import fill_in

ALL, FEW = SERIES[1], SERIES[0]  # bars of the cost: an encoder on all places, and on the visible alone


def block_cost(tokens: int, dim: int) -> int:
    """How many numbers one transformer block multiplies for one image: 12·T·D² in its linear maps and 2·T²·D between pairs."""
    return 12 * tokens * dim**2 + 2 * tokens**2 * dim


def tiles(drawing: Drawing, x: float, y: float, side: float, grid: tuple[int, int], kinds: Sequence[str], words: Sequence = (), size: float = 6.5) -> None:
    """A grid of tiles, so many units wide, row by row, with what stands in them."""
    step = side / grid[1]
    for n, kind in enumerate(kinds):
        row, col = divmod(n, grid[1])
        drawing.box(x + col * step, y + row * step, step * 0.92, step * 0.92, kind, str(words[n]) if len(words) else "", size=size)


def visible_only(image: Tensor, hidden: Tensor, patch_size: int, *, dim: int, depth: int) -> Drawing:
    """An encoder that reads all places, with mask tokens where patches are hidden, above one that reads the visible patches alone.

    image: uint8 (C, H, W). hidden: (N,) bool. dim, depth: of both encoders, whose multiplications are counted without CLS.
    Raises UserError unless the visible patches fill rows of a square of tiles.
    """
    grid = rows, cols = grid_of(*image.shape[-2:], patch_size)
    count, kept = rows * cols, int((~hidden).sum())
    across = round(kept**0.5)
    if across * across != kept:
        raise UserError(f"{kept} visible patches do not fill a square of tiles: leave 49 or another square number visible")
    costs = [depth * block_cost(tokens, dim) for tokens in (count, kept)]
    alt = (
        f"Two encoders on one picture of {count} patches, {kept} of them visible. The upper one reads all {count} places, with a mask token at each hidden one. "
        f"The lower one reads the {kept} visible patches alone, and multiplies {costs[0] / costs[1]:.1f} times less."
    )
    drawing, side = Drawing(25, 11.3, alt, photo=True), 4.8
    small, step, top, low = side / cols * across, side / cols, 1.1, 8.0
    drawing.text(7.2, 0.5, "read all places, with mask tokens", at="left", bold=True)
    drawing.text(7.2, 7.4, "read the visible only (MAE)", at="left", bold=True)
    drawing.patches(0.4, 3.4, side, image, grid, hidden, gap=0.06)
    drawing.text(0.4 + side / 2, 3.0, f"{count} patches, {kept} visible")
    drawing.arrow((5.4, 4.6), (7.0, 3.9))
    for n in range(count):
        if hidden[n]:
            row, col = divmod(n, cols)
            drawing.box(7.2 + col * step, top + row * step, step * 0.9, step * 0.9, "mask token")
    drawing.patches(7.2, top, side, image, grid, left_out=hidden, gap=0.06)
    drawing.text(7.2 + side / 2, top + side + 0.35, f"{count} tokens")
    drawing.arrow((5.4, 7.0), (6.95, 9.1))
    seen = (~hidden).nonzero().flatten().tolist()
    for place, n in enumerate(seen):
        (row, col), (r, c) = divmod(n, cols), divmod(place, across)
        part = image[:, row * patch_size : (row + 1) * patch_size, col * patch_size : (col + 1) * patch_size]
        drawing.picture(7.2 + c * step, low + r * step, step * 0.9, part)
    drawing.text(7.2 + small / 2, low + small + 0.35, f"{kept} tokens")

    for y, tokens, height, wide in ((top, count, side, side), (low, kept, small, small)):
        out = 17.0
        drawing.arrow((7.4 + wide, y + height / 2), (13.3, y + height / 2))
        drawing.box(13.4, y + height / 2 - 0.9, 2.2, 1.8, "plain", f"{depth} blocks\nD = {dim}", size=9)
        drawing.arrow((15.7, y + height / 2), (out - 0.1, y + height / 2))
        tiles(drawing, out, y, wide, (tokens // round(tokens**0.5), round(tokens**0.5)), ["latent"] * tokens)
        drawing.shape(out + wide / 2, y + height + 0.35, 1, tokens, dim)
    drawing.text(23.65, 0.5, "multiplications", size=9)
    for cost, colour, y in zip(costs, (ALL, FEW), (top, low), strict=True):
        height = side * cost / costs[0]
        bottom = y + (side if colour == ALL else small)
        drawing.axes.add_patch(Rectangle((23.1, bottom - height), 1.1, height, facecolor=colour, edgecolor=INK, linewidth=1))
        drawing.text(23.65, bottom + 0.35, f"{cost / 1e9:.1f}·10⁹", size=9)
    return drawing


@torch.no_grad()
def decoder_tiles(method: Method, image: Tensor, *, noise: Tensor | None = None) -> Drawing:
    """What the decoder of MAE (arXiv 2111.06377) does with the latents of one picture, uint8 (C, H, W), its tokens as tiles.

    method: a trained one that predicts pixels from the visible patches alone. noise: (1, N), of the mask; by default a fixed one.
    Latents and places carry the numbers of their patches, mask tokens an m.
    """
    grid = rows, cols = method.encoder.grid(image[None])
    count, decoder = rows * cols, method.decoder
    noise = torch.rand(1, count, generator=torch.Generator().manual_seed(0)) if noise is None else noise
    done = fill_in(method, image[None], noise=noise)
    hidden, kept = done.mask[0], int((~done.mask).sum())
    order = mask_by_noise(noise, kept).order[0].tolist()
    width, target = decoder.mask_token.shape[-1], decoder.pred.out_features
    alt = (
        f"The decoder in six steps. The {kept} latents are made narrower, and {count - kept} mask tokens are put behind them. All are put back to their places in the grid. "
        "Each gets the position of its place. Blocks let the mask tokens read the latents. A linear map makes one patch of each token, and the hidden ones are used."
    )
    drawing, side, top, low = Drawing(25, 15.2, alt), 4.6, 1.1, 9.0
    half = top + side / 2
    drawing.patches(0.4, top, side, image, grid, hidden, gap=0.06)
    drawing.text(0.4 + side / 2, top - 0.4, f"visible: {kept} of {count}")
    drawing.arrow((5.1, half), (6.7, half), "encoder")
    step = side / cols
    tiles(drawing, 6.8, half - step * kept / 4 / 2, step * 4, (kept // 4, 4), ["latent"] * kept, order[:kept])
    drawing.text(6.8 + step * 2, top - 0.4, "1  latents")
    drawing.shape(6.8 + step * 2, top + side + 0.35, 1, kept, method.encoder.dim)
    drawing.arrow((9.2, half), (11.5, half), "embed, add m")
    tiles(drawing, 11.7, top, side, grid, ["latent"] * kept + ["mask token"] * (count - kept), [*order[:kept], *"m" * (count - kept)])
    drawing.text(11.7 + side / 2, top - 0.4, "2  mask tokens behind")
    drawing.shape(11.7 + side / 2, top + side + 0.35, 1, count, width)
    drawing.arrow((16.4, half), (19.0, half), "restore_ids")
    kinds = ["mask token" if there else "latent" for there in hidden.tolist()]
    tiles(drawing, 19.2, top, side, grid, kinds, ["m" if there else n for n, there in enumerate(hidden.tolist())])
    drawing.text(19.2 + side / 2, top - 0.4, "3  put back (unshuffle)")
    drawing.shape(19.2 + side / 2, top + side + 0.35, 1, count, width)

    drawing.path((19.2 + side / 2, top + side + 0.75), (19.2 + side / 2, 7.55), (0.4 + side / 2, 7.55), (0.4 + side / 2, low - 0.75))
    drawing.text(11.7, 7.15, "add the position of each place", size=9)
    half = low + side / 2
    tiles(drawing, 0.4, low, side, grid, kinds, range(count))
    drawing.text(0.4 + side / 2, low - 0.4, "4  each with its place", bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    drawing.shape(0.4 + side / 2, low + side + 0.35, 1, count, width)
    drawing.arrow((5.1, half), (6.6, half))
    drawing.box(6.7, half - 1.3, 3.0, 2.6, "plain", f"{len(decoder.blocks)} blocks\nLayerNorm\nlinear map", size=9)
    drawing.text(8.2, low - 0.4, "5  blocks")
    drawing.arrow((9.8, half), (11.5, half))
    every = fill_in_everywhere(method, image, noise)
    drawing.patches(11.7, low, side, every, grid, kind="prediction", gap=0.06)
    drawing.text(11.7 + side / 2, low - 0.4, "6  prediction, one a place")
    drawing.shape(11.7 + side / 2, low + side + 0.35, 1, count, target)
    drawing.arrow((16.4, half), (19.0, half), "keep hidden")
    drawing.patches(19.2, low, side, done.filled[0], grid, left_out=~hidden, kind="prediction", gap=0.06)
    drawing.text(19.2 + side / 2, low - 0.4, f"the {count - kept} that are scored")
    drawing.key(0.4, low + side + 1.0, "hidden", "latent", "mask token", "prediction", width=3.6)
    return drawing


@torch.no_grad()
def fill_in_everywhere(method: Method, image: Tensor, noise: Tensor) -> Tensor:
    """The prediction at all places of one picture, uint8 (C, H, W), the visible ones too."""
    prediction = method.eval()(image[None], noise=noise).prediction  # (1, N, T)
    return denormalize(unpatchify(prediction, method.encoder.patch_size, method.encoder.grid(image[None])))[0]


def put_back(latents: Tensor, mask_token: Tensor, order: Tensor, positions: Tensor) -> Drawing:
    """The decoder's way in, by hand: latents (K, D'), mask token (D',), order (N,) of the patches, positions (N, D').

    Four tables: mask tokens behind the latents, each row put back to its place, the positions, and the sum.
    Raises UserError for more than 8 patches.
    """
    (kept, dim), count = latents.shape, len(order)
    if count > 8:
        raise UserError(f"numbers of {count} patches do not fit the page: give at most 8")
    mask = Mask(~torch.isin(torch.arange(count), order[:kept])[None], order=order[None], visible=kept)
    behind = torch.cat([latents, mask_token.expand(count - kept, -1)])  # (N, D')
    back = take(behind[None], mask.restore_ids)[0]  # (N, D')
    hidden, ids = mask.hidden[0].tolist(), order.tolist()
    alt = (
        f"Four tables of {count} rows. First {kept} latents and then {count - kept} equal mask tokens; then the same rows, each at the place of its patch; "
        "then the positions; last, the sum, in which no two rows are alike."
    )
    cell = (1.15, 0.8)
    wide = dim * cell[0]
    gap = (25 - 1.2 - 4 * (wide + 1.1)) / 3
    drawing, top = Drawing(25, 2.9 + count * cell[1], alt), 1.4
    titles = ("1  mask tokens behind", "2  put back", "3  positions", "4  the sum")
    rows = [[f"patch {n}" if place < kept else "m" for place, n in enumerate(ids)], range(count), range(count), range(count)]
    kinds = ["latent"] * kept + ["mask token"] * (count - kept)
    placed = ["mask token" if there else "latent" for there in hidden]
    tables = ((behind, kinds), (back, placed), (positions, ["plain"] * count), (back + positions, placed))
    for number, ((values, looks), title, names) in enumerate(zip(tables, titles, rows, strict=True)):
        x = 0.9 + 1.1 + number * (wide + 1.1 + gap)
        drawing.text(x + wide / 2, top - 0.75, title)
        for n in range(count):
            drawing.numbers(x, top + n * cell[1], values[n : n + 1], kind=looks[n], cell=cell, digits=1, size=10)
            drawing.text(x - 0.2, top + (n + 0.5) * cell[1], str(names[n]), at="right", size=9)
        if number:
            sign = ("restore_ids", "+", "=")[number - 1]
            middle = x - 1.1 - gap / 2 + 0.1
            if number == 1:
                drawing.arrow((middle - 1.0, top + count * cell[1] / 2), (middle + 0.7, top + count * cell[1] / 2), sign)
            else:
                drawing.text(middle, top + count * cell[1] / 2, sign, size=16)
        drawing.shape(x + wide / 2, top + count * cell[1] + 0.45, count, dim)
    return drawing


def broken(image: Tensor, hidden: Tensor, patch_size: int, *, window: int) -> Drawing:
    """What becomes of squares of 2×2 patches, which a hierarchy merges, and of windows of so many patches a side, in which attention
    is taken, when hidden patches are left out. image: uint8 (C, H, W), hidden: (N,) bool.

    Raises UserError where squares or windows do not fill the grid.
    """
    grid = rows, cols = grid_of(*image.shape[-2:], patch_size)
    if any(side % 2 or side % window for side in grid):
        raise UserError(f"squares of 2 and windows of {window} do not fill a grid of {rows}×{cols} patches: choose a window that divides both")
    counts = {side: (~hidden).view(rows // side, side, cols // side, side).sum((1, 3)) for side in (2, window)}
    full, most = int((counts[2] == 4).sum()), counts[2].numel()
    alt = (
        f"The same {int((~hidden).sum())} visible patches twice. Left, squares of two by two patches are outlined, of which {full} of {most} are complete. "
        f"Right, windows of {window} by {window}, which hold different numbers of visible patches."
    )
    drawing, side, top = Drawing(23, 11.2, alt, photo=True), 9.2, 1.2
    for x, unit, title in ((0.6, 2, f"merging 2×2 neighbours: {full} of {most} squares are complete"), (12.6, window, f"attention in windows of {window}×{window}: tokens in each")):
        drawing.patches(x, top, side, image, grid, hidden, gap=0.08)
        drawing.text(x + side / 2, 0.6, title)
        step = (side + 0.08) / cols * unit
        for row in range(rows // unit):
            for col in range(cols // unit):
                drawing.axes.add_patch(Rectangle((x + col * step - 0.04, top + row * step - 0.04), step, step, fill=False, edgecolor=SERIES[1], linewidth=1.6, zorder=4))
                if unit == window:
                    halo = {"facecolor": "white", "edgecolor": INK, "pad": 3}
                    drawing.text(x + (col + 0.5) * step, top + (row + 0.5) * step, str(int(counts[unit][row, col])), size=14, bold=True, bbox=halo)
    return drawing
