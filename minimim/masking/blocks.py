"""Masks for predictors: one visible block (CAPI, arXiv 2502.08769), and several blocks to predict (I-JEPA, arXiv 2301.08243).

Both keep the same number of patches visible in every sample of every batch, and ask for the same number, so that shapes never change.
"""

import math
from functools import cache

import torch
from torch import Tensor, nn

from minimim.draws import for_all, uniform
from minimim.errors import UserError
from minimim.masking.mask import Mask, check_ratio, visible_count

LAYOUTS = 4  # layouts of the blocks that are drawn for each sample: the first that leaves enough patches visible is used
TRIED = 1000  # layouts that are drawn once to estimate how many patches nearly all of them leave visible


class InverseBlockMasking(nn.Module):
    """Keep one rectangle of patches and hide all around it (CAPI, arXiv 2502.08769, after data2vec 2.0, arXiv 2212.07525).

    ratio: the fraction of the patches that is hidden. asked: the fraction of the hidden patches that is predicted, at least one patch,
    drawn for each sample; 1 asks for all. aspect: the ratio of height to width lies between aspect and 1/aspect.

    The rectangle is the smallest that holds the number of visible patches; its last patches in reading order are trimmed to reach that
    number exactly. It is shifted cyclically (as torch.roll does) to a random place, so that every patch is visible equally often.
    Raises UserError for a ratio that is not between 0 and 1, and for asked or aspect not above 0 and at most 1.
    """

    def __init__(self, ratio: float = 0.65, asked: float = 0.05, aspect: float = 0.5):
        super().__init__()
        check_ratio(ratio)
        if not (0 < asked <= 1 and 0 < aspect <= 1):
            raise UserError(f"asked and aspect must be above 0 and at most 1, not {asked} and {aspect}")
        self.ratio, self.asked, self.aspect = ratio, asked, aspect

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, 3 + N) in [0, 1): three numbers for the block's shape and place, then one for each patch, which
        decides which hidden patches are asked for."""
        image = next(iter(inputs.values()))
        patches = grid[0] * grid[1]
        visible = visible_count(patches, self.ratio)
        if noise is None:
            noise = uniform(image.shape[0], 3 + patches, generator=generator, device=image.device)
        hidden = ~self.block(noise[:, :3], grid, visible)  # (B, N)
        asked = max(1, int((patches - visible) * self.asked))
        rank = (noise[:, 3:] + ~hidden).argsort(dim=1).argsort(dim=1)  # (B, N): the hidden first, in random order
        return [Mask(hidden, scored=(rank < asked,), visible=visible, asked=(asked,))]

    def block(self, draw: Tensor, grid: tuple[int, int], count: int) -> Tensor:
        """A cyclically shifted rectangle of exactly `count` patches in each sample: draw (B, 3) → (B, N) bool."""
        rows, cols = grid
        narrowest, widest = math.log(count / cols**2), math.log(rows**2 / count)  # otherwise it would not fit into the grid
        low, high = (min(max(bound, narrowest), widest) for bound in (math.log(self.aspect), -math.log(self.aspect)))
        aspect = torch.exp(low + (high - low) * draw[:, 0]).view(-1, 1, 1)  # (B, 1, 1)
        height = ((count * aspect).sqrt() - 1e-4).ceil().clamp(1, rows)
        width = ((count / aspect).sqrt() - 1e-4).ceil().clamp(1, cols)
        row = (torch.arange(rows, device=draw.device) + (draw[:, 1:2] * rows).floor()) % rows  # (B, rows)
        col = (torch.arange(cols, device=draw.device) + (draw[:, 2:3] * cols).floor()) % cols  # (B, cols)
        return block_from(row, col, height, width, count)


class MultiBlockMasking(nn.Module):
    """Show one large block, the context, minus several target blocks, each a question of its own (I-JEPA, arXiv 2301.08243).

    targets: how many blocks are predicted. target_scale: (low, high), their area as a fraction of the image; the mean of the two is used.
    target_aspect: (low, high), their ratio of height to width relative to the grid's, drawn once for the whole batch. context_scale:
    (low, high), the area of the context, also drawn once for the batch. Places are drawn for each sample. Raises UserError for scales
    that are not two fractions in increasing order, for no targets, and for an aspect that is not above 0.

    Differs from the official code, so that shapes never change. The official code draws the area of the targets together with their
    aspect, and cuts the contexts of a batch to the smallest one. Here a target always has the same number of patches, trimmed in its
    last row, and a context has the number that 49 of 50 layouts leave: 57 of 196 patches, where the smallest of 128 has 63 on average.
    A layout that leaves fewer is drawn again, and surplus patches are dropped at random, not from the bottom. The official corners never
    reach the last row and column, so its context is always the upper left part of the image, and the last row and column are never
    predicted; here blocks may touch every edge.
    """

    def __init__(self, targets=4, target_scale=(0.15, 0.2), target_aspect=(0.75, 1.5), context_scale=(0.85, 1.0)):
        super().__init__()
        for scale in (target_scale, context_scale):
            if not 0 < scale[0] <= scale[1] <= 1:
                raise UserError(f"a scale is two fractions of the image's area, the smaller first, above 0 and at most 1, not {scale}")
        if not (targets >= 1 and 0 < target_aspect[0] <= target_aspect[1]):
            raise UserError(f"targets must be 1 or more, and their aspect two numbers above 0, the smaller first, not {targets} and {target_aspect}")
        self.targets, self.target_scale = targets, tuple(target_scale)
        self.target_aspect, self.context_scale = tuple(target_aspect), tuple(context_scale)

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch, with a question for each target block. noise: (B, 4 + 2·LAYOUTS·targets + N) in [0, 1); the first two
        numbers of the first sample decide the sizes of the blocks in the whole batch.

        Raises UserError if the blocks leave no patch of the grid visible.
        """
        image = next(iter(inputs.values()))
        choices = (self.targets, self.target_scale, self.target_aspect, self.context_scale)
        visible, asked = counts(tuple(grid), *choices)
        if noise is None:
            width = 2 + 2 * LAYOUTS * self.targets + grid[0] * grid[1]
            sizes = for_all(1, 2, generator=generator, device=image.device)
            places = uniform(image.shape[0], width, generator=generator, device=image.device)
        else:
            sizes, places = noise[:1, :2], noise[:, 2:]
        blocks, context = layouts(sizes, places, grid, *choices)  # (B, LAYOUTS, targets, N), (B, N)
        free = context.unsqueeze(1) & ~blocks.any(dim=2)  # (B, LAYOUTS, N)
        enough = free.sum(dim=2) >= visible  # (B, LAYOUTS); always true of the last layout
        first = enough.to(torch.uint8).argmax(dim=1).view(-1, 1, 1)  # (B, 1, 1)
        free = free.gather(1, first.expand(-1, 1, free.shape[2])).squeeze(1)  # (B, N)
        blocks = blocks.gather(1, first.unsqueeze(3).expand(-1, 1, *blocks.shape[2:])).squeeze(1)  # (B, targets, N)
        ties = places[:, -free.shape[1] :]
        rank = (ties + ~free).argsort(dim=1).argsort(dim=1)  # (B, N): the patches that may be visible come first, in random order
        return [Mask(rank >= visible, scored=blocks.unbind(1), visible=visible, asked=(asked,) * self.targets)]


def block_from(row: Tensor, col: Tensor, height, width, count) -> Tensor:
    """The first `count` patches, in reading order, of rectangles: row (…, rows) and col (…, cols), counted from the rectangle's upper
    left corner, height and width (…, 1, 1) → (…, N) bool."""
    row, col = row.unsqueeze(-1), col.unsqueeze(-2)
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)  # (…, rows, cols)
    return (inside & (row * width + col < count)).flatten(-2)


def placed(corner: Tensor, height: Tensor, width: Tensor, grid: tuple[int, int], count: int) -> Tensor:
    """Blocks of `count` patches, placed so that they fit into the grid: corner (B, …, 2) in [0, 1), 0 at the upper or left edge; height
    and width (B or 1,) → (B, …, N) bool."""
    height, width = (side.view(-1, *[1] * (corner.dim() - 2)) for side in (height, width))  # (B or 1, 1, …)
    from_top = [
        torch.arange(sides, device=corner.device) - (corner[..., axis] * (sides - side + 1)).floor().unsqueeze(-1)
        for axis, (sides, side) in enumerate(zip(grid, (height, width), strict=True))
    ]  # (B, …, rows), (B, …, cols)
    return block_from(*from_top, height[..., None, None], width[..., None, None], count)


def target_size(draw: Tensor, grid: tuple[int, int], count: int, aspect: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Height and width of the smallest rectangle that holds `count` patches, for random numbers that decide its aspect: (n,) → two (n,)."""
    rows, cols = grid
    ratio = (aspect[0] + (aspect[1] - aspect[0]) * draw) * rows / cols
    height = (count * ratio).sqrt().round().clamp(math.ceil(count / cols), rows)
    return height, (count / height).ceil()


def context_size(draw: Tensor, grid: tuple[int, int], scale: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Height and width of a block with the grid's aspect, for random numbers that decide its area: (n,) → two (n,)."""
    rows, cols = grid
    area = ((scale[0] + (scale[1] - scale[0]) * draw) * rows * cols).floor()
    return (area * rows / cols).sqrt().round().clamp(1, rows), (area * cols / rows).sqrt().round().clamp(1, cols)


def layouts(sizes, places, grid, targets, target_scale, target_aspect, context_scale) -> tuple[Tensor, Tensor]:
    """Target blocks (B, LAYOUTS, targets, N) and context blocks (B, N), both bool, from random numbers in [0, 1): sizes (B or 1, 2) and
    places (B, 2·LAYOUTS·targets + 2 + …). In the last layout all targets of a sample coincide, which leaves most patches visible."""
    corners = places[:, : 2 * LAYOUTS * targets].unflatten(1, (LAYOUTS, targets, 2))  # (B, LAYOUTS, targets, 2)
    corners = torch.cat([corners[:, :-1], corners[:, -1:, :1].expand(-1, 1, targets, 2)], dim=1)
    asked = target_count(grid, target_scale)
    blocks = placed(corners, *target_size(sizes[:, 0], grid, asked, target_aspect), grid, asked)
    corner = places[:, 2 * LAYOUTS * targets :][:, :2]  # (B, 2)
    return blocks, placed(corner, *context_size(sizes[:, 1], grid, context_scale), grid, grid[0] * grid[1])


def target_count(grid: tuple[int, int], scale: tuple[float, float]) -> int:
    """How many patches of a grid a target block has."""
    return max(1, int(grid[0] * grid[1] * sum(scale) / 2))


@cache
def counts(grid, targets, target_scale, target_aspect, context_scale) -> tuple[int, int]:
    """How many patches the context shows and a target block has, in every draw. Raises UserError if nothing can stay visible."""
    smallest = torch.mul(*context_size(torch.linspace(0, 1, TRIED, device="cpu"), grid, context_scale)).min()
    asked = target_count(grid, target_scale)
    certain = int(smallest) - asked  # in the last layout
    if certain < 1:
        raise UserError(
            f"target blocks of {asked} patches leave nothing to show of {grid[0]}×{grid[1]} patches: choose smaller targets or a finer grid"
        )
    noise = torch.rand(TRIED, 4 + 2 * LAYOUTS * targets, generator=torch.Generator("cpu").manual_seed(0), device="cpu")
    blocks, context = layouts(noise[:, :2], noise[:, 2:], grid, targets, target_scale, target_aspect, context_scale)
    left = (context & ~blocks[:, 0].any(dim=1)).sum(dim=1).sort().values  # (TRIED,)
    return max(1, min(certain, int(left[TRIED // 50]))), asked
