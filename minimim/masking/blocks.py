"""Masks for predictors: one visible block (CAPI, arXiv 2502.08769), and several blocks to predict (I-JEPA, arXiv 2301.08243).

Both keep the same number of patches in every sample of every batch, and ask for the same number, so that no shape ever changes.
"""

import math
from functools import cache

import torch
from torch import Tensor, nn

from minimim.draws import for_all, uniform
from minimim.errors import UserError
from minimim.masking.mask import Mask, check_ratio, visible_count

LAYOUTS = 4  # places drawn for the blocks of each sample: the first that leaves enough to see is taken
TRIED = 1000  # layouts that are tried to find out how much nearly all of them leave


class InverseBlockMasking(nn.Module):
    """Keep one rectangle of patches and hide all around it (CAPI, arXiv 2502.08769, after data2vec 2.0, arXiv 2212.07525).

    ratio: the part that is hidden. asked: the part of the hidden patches that the question asks, at least one, drawn for each
    sample; 1 asks all. aspect: the flattest rectangle, height to width, from aspect to 1/aspect.

    The rectangle is as small as can hold the count, its last places in reading order are trimmed to reach it exactly, and it is
    rolled over the edges to a random place, so that every patch is equally often visible. Raises UserError for parts that cannot be.
    """

    def __init__(self, ratio: float = 0.65, asked: float = 0.05, aspect: float = 0.5):
        super().__init__()
        check_ratio(ratio)
        if not (0 < asked <= 1 and 0 < aspect <= 1):
            raise UserError(f"asked and aspect are above 0 and at most 1, not {asked} and {aspect}")
        self.ratio, self.asked, self.aspect = ratio, asked, aspect

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, 3 + N) in [0, 1), for shape and place, and for what is asked."""
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
        """A rolled rectangle of exactly `count` patches in each sample: draw (B, 3) → (B, N) bool."""
        rows, cols = grid
        narrowest, widest = math.log(count / cols**2), math.log(rows**2 / count)  # else it would not fit into the grid
        low, high = (min(max(bound, narrowest), widest) for bound in (math.log(self.aspect), -math.log(self.aspect)))
        aspect = torch.exp(low + (high - low) * draw[:, 0]).view(-1, 1, 1)  # (B, 1, 1)
        height = ((count * aspect).sqrt() - 1e-4).ceil().clamp(1, rows)
        width = ((count / aspect).sqrt() - 1e-4).ceil().clamp(1, cols)
        row = (torch.arange(rows, device=draw.device) + (draw[:, 1:2] * rows).floor()) % rows  # (B, rows)
        col = (torch.arange(cols, device=draw.device) + (draw[:, 2:3] * cols).floor()) % cols  # (B, cols)
        return block_from(row, col, height, width, count)


class MultiBlockMasking(nn.Module):
    """Show one large block without the blocks that are to be predicted, each a question of its own (I-JEPA, arXiv 2301.08243).

    targets: how many blocks are asked. target_scale: their area, as a part of the image: the middle of the two is taken.
    target_aspect: their height to width, relative to the grid's, one draw for the whole batch. context_scale: the area of the block
    that is shown, drawn for the batch too. Places are drawn for each sample. Raises UserError for parts that cannot be.

    Differs from the official code in what keeps every shape the same for ever. It draws the area of the targets with their aspect, and
    cuts a batch to its smallest context; here a target has the same count always, trimmed in its last row, and a context keeps what 49
    of 50 layouts have, 57 of 196 patches, where the smallest of 128 is 63 on average. The fiftieth is drawn again, and what is too much
    is dropped at random, not from the bottom. Its corners never reach the last row and column, so that the context is always the upper
    left part of the image and the last row and column are never asked; here they are drawn to the edge.
    """

    def __init__(self, targets=4, target_scale=(0.15, 0.2), target_aspect=(0.75, 1.5), context_scale=(0.85, 1.0)):
        super().__init__()
        for scale in (target_scale, context_scale):
            if not 0 < scale[0] <= scale[1] <= 1:
                raise UserError(f"a scale is two parts of the image, the smaller first, above 0 and at most 1, not {scale}")
        if not (targets >= 1 and 0 < target_aspect[0] <= target_aspect[1]):
            raise UserError(f"targets are 1 or more, and their aspect two numbers above 0, not {targets} and {target_aspect}")
        self.targets, self.target_scale = targets, tuple(target_scale)
        self.target_aspect, self.context_scale = tuple(target_aspect), tuple(context_scale)

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch, with a question for each target block. noise: (B, 4 + 2·LAYOUTS·targets + N) in [0, 1); its first two
        numbers, of the first sample, are the sizes of all.

        Raises UserError for a grid that has no room for the blocks and something beside them.
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
        enough = free.sum(dim=2) >= visible  # (B, LAYOUTS); of the last layout always
        first = enough.to(torch.uint8).argmax(dim=1).view(-1, 1, 1)  # (B, 1, 1)
        free = free.gather(1, first.expand(-1, 1, free.shape[2])).squeeze(1)  # (B, N)
        blocks = blocks.gather(1, first.unsqueeze(3).expand(-1, 1, *blocks.shape[2:])).squeeze(1)  # (B, targets, N)
        ties = places[:, -free.shape[1] :]
        rank = (ties + ~free).argsort(dim=1).argsort(dim=1)  # (B, N): what may be shown first, in random order
        return [Mask(rank >= visible, scored=blocks.unbind(1), visible=visible, asked=(asked,) * self.targets)]


def block_from(row: Tensor, col: Tensor, height, width, count) -> Tensor:
    """The first `count` places, in reading order, of rectangles: row (…, rows) and col (…, cols) count from their upper left
    corners, height and width (…, 1, 1) → (…, N) bool."""
    row, col = row.unsqueeze(-1), col.unsqueeze(-2)
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)  # (…, rows, cols)
    return (inside & (row * width + col < count)).flatten(-2)


def placed(corner: Tensor, height: Tensor, width: Tensor, grid: tuple[int, int], count: int) -> Tensor:
    """Blocks at corners (B, …, 2) in [0, 1), anywhere in the grid where they fit; height, width (B or 1,): → (B, …, N) bool."""
    height, width = (side.view(-1, *[1] * (corner.dim() - 2)) for side in (height, width))  # (B or 1, 1, …)
    from_top = [
        torch.arange(sides, device=corner.device) - (corner[..., axis] * (sides - side + 1)).floor().unsqueeze(-1)
        for axis, (sides, side) in enumerate(zip(grid, (height, width), strict=True))
    ]  # (B, …, rows), (B, …, cols)
    return block_from(*from_top, height[..., None, None], width[..., None, None], count)


def target_size(draw: Tensor, grid: tuple[int, int], count: int, aspect: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Height and width of the smallest rectangle that holds `count` patches, of an aspect that is drawn: (n,) → two of (n,)."""
    rows, cols = grid
    ratio = (aspect[0] + (aspect[1] - aspect[0]) * draw) * rows / cols
    height = (count * ratio).sqrt().round().clamp(math.ceil(count / cols), rows)
    return height, (count / height).ceil()


def context_size(draw: Tensor, grid: tuple[int, int], scale: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Height and width of a block of the grid's own aspect and a part of its area that is drawn: (n,) → two of (n,)."""
    rows, cols = grid
    area = ((scale[0] + (scale[1] - scale[0]) * draw) * rows * cols).floor()
    return (area * rows / cols).sqrt().round().clamp(1, rows), (area * cols / rows).sqrt().round().clamp(1, cols)


def layouts(sizes, places, grid, targets, target_scale, target_aspect, context_scale) -> tuple[Tensor, Tensor]:
    """Target blocks (B, LAYOUTS, targets, N) and context blocks (B, N), both bool, of draws in [0, 1): sizes (B or 1, 2), and
    places (B, 2·LAYOUTS·targets + 2 + …). In the last layout all targets of a sample lie at one place, which leaves the most."""
    corners = places[:, : 2 * LAYOUTS * targets].unflatten(1, (LAYOUTS, targets, 2))  # (B, LAYOUTS, targets, 2)
    corners = torch.cat([corners[:, :-1], corners[:, -1:, :1].expand(-1, 1, targets, 2)], dim=1)
    asked = target_count(grid, target_scale)
    blocks = placed(corners, *target_size(sizes[:, 0], grid, asked, target_aspect), grid, asked)
    corner = places[:, 2 * LAYOUTS * targets :][:, :2]  # (B, 2)
    return blocks, placed(corner, *context_size(sizes[:, 1], grid, context_scale), grid, grid[0] * grid[1])


def target_count(grid: tuple[int, int], scale: tuple[float, float]) -> int:
    """How many patches of a grid a target asks for."""
    return max(1, int(grid[0] * grid[1] * sum(scale) / 2))


@cache
def counts(grid, targets, target_scale, target_aspect, context_scale) -> tuple[int, int]:
    """How many patches of a grid a context shows and a target asks for, whatever is drawn. Raises UserError where there is no room."""
    smallest = torch.mul(*context_size(torch.linspace(0, 1, TRIED, device="cpu"), grid, context_scale)).min()
    asked = target_count(grid, target_scale)
    certain = int(smallest) - asked  # in the last layout
    if certain < 1:
        raise UserError(
            f"blocks of {asked} patches leave nothing to show of {grid[0]}×{grid[1]} patches: choose smaller targets or a finer grid"
        )
    noise = torch.rand(TRIED, 4 + 2 * LAYOUTS * targets, generator=torch.Generator("cpu").manual_seed(0), device="cpu")
    blocks, context = layouts(noise[:, :2], noise[:, 2:], grid, targets, target_scale, target_aspect, context_scale)
    left = (context & ~blocks[:, 0].any(dim=1)).sum(dim=1).sort().values  # (TRIED,)
    return max(1, min(certain, int(left[TRIED // 50]))), asked
