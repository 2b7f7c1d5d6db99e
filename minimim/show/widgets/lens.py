"""Attention lens: point at a patch, and see where each head of a trained encoder looks from there."""

import torch
from torch import Tensor

import minimim
from minimim import data
from minimim.show.drawings.attention import weight_colours, weighted
from minimim.show.pictures import as_pixels
from minimim.show.widgets.live import BOARD, Live, Seen, board, cursor, slider, widgets
from minimim.show.widgets.paper import LINE, Paper

SIDE, SMALL, BAR = 320, 160, 12  # pixels of the picture that is pointed at, of a head's map, and of the bar of weights
LIMIT = 0.24  # the weight that is fully orange, as in the still picture of lesson 03


def attention_lens(encoder=None, images: Tensor | None = None) -> Live:
    """From the patch that is pointed at, by mouse or by two sliders, where each head of a block attends.

    encoder: a ViT, by default that of the bundled MAE. images: uint8 (n, C, H, W) of its size, by default 16 scenes.
    The maps of all blocks are computed when the lens is made, so that a move only looks them up.
    """
    encoder = encoder or minimim.load(minimim.bundled("mae-scenes")).encoder.eval()
    images = data.load("scenes", "test", count=16).images if images is None else images
    grid, blocks = encoder.home_grid, range(len(encoder.blocks))
    patches = grid[0] * grid[1]
    with torch.no_grad():  # (n, heads, N, N) for each block, among patches: what stands before them, as CLS does, is left out
        maps = [encoder(images, want=f"attention:{n}").attention[..., -patches:, -patches:].half() for n in blocks]
    pixels = as_pixels(images)  # (n, H, W, 3)
    which = slider("picture", min(3, len(images) - 1), 0, len(images) - 1)
    block = widgets.ToggleButtons(options=list(blocks), description="block", style={"button_width": "3em"})
    row, col = cursor(grid, 3, 3)

    def look() -> Seen:
        return seen(pixels[which.value], maps[block.value][which.value][:, row.value * grid[1] + col.value].float(), grid, (row.value, col.value), which.value, block.value)

    live = Live(look, [[which, block], [row, col]], board(grid, SIDE, lambda r, c: live.move({row: r, col: c})))
    return live


def seen(pixels: Tensor, weights: Tensor, grid: tuple[int, int], place: tuple[int, int], number: int, block: int) -> Seen:
    """The picture (H, W, 3) with the patch that asks, and the map of each head: weights (heads, N)."""
    (rows, cols), (row, col) = grid, place
    across = -(-len(weights) // 2)
    left, step = SIDE + 3 * BOARD, SMALL + BOARD
    end = left + across * step
    paper = Paper(end + BAR + 56, max(SIDE, 2 * SMALL + LINE) + LINE + BOARD)
    paper.picture(BOARD, LINE, SIDE, pixels.permute(2, 0, 1), f"picture {number}: the patch that asks")
    paper.frame(BOARD + col * SIDE // cols, LINE + row * SIDE // rows, SIDE // cols, SIDE // rows)
    near = ((torch.arange(rows).unsqueeze(1) - row).abs() <= 1) & ((torch.arange(cols) - col).abs() <= 1)  # (rows, cols)
    told = []
    for head, each in enumerate(weights):
        x, y = left + head % across * step, LINE + head // across * (SMALL + LINE)
        paper.picture(x, y, SMALL, weighted(pixels, each, grid, LIMIT).round().to(torch.uint8).permute(2, 0, 1), f"block {block}, head {head}")
        paper.frame(x + col * SMALL // cols, y + row * SMALL // rows, SMALL // cols, SMALL // rows)
        most, around = int(each.argmax()), float(each[near.flatten()].sum() / each.sum())
        told.append(f"head {head}: most to row {most // cols}, column {most % cols} ({float(each[most]):.2f}), {around:.0%} to the 3×3 around itself")
    for n, colour in enumerate(weight_colours(SIDE)):  # the bar of weights, beside both rows
        paper.pen.line((end, LINE + SIDE - 1 - n, end + BAR, LINE + SIDE - 1 - n), fill=tuple(map(round, colour)))
    for words, y in ((f"≥ {LIMIT}", LINE + 7), (f"{LIMIT / 2}", LINE + SIDE // 2), ("0", LINE + SIDE - 7)):
        paper.words(end + BAR + 5, y, words, at="left", size=12)
    paper.words(end + BAR // 2 + 12, LINE // 2, "weight", size=12)
    alt = f"Picture {number} with the patch in row {row}, column {col} framed in blue, and over the same picture in grey the attention of the {len(weights)} heads of block {block}. {'; '.join(told)}."
    return Seen(paper, alt, "; ".join(told))
