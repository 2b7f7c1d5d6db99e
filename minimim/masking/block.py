"""Block-wise masks: rectangles of random size and shape until enough is hidden (BEiT, arXiv 2106.08254)."""

import math

import torch
from torch import Tensor, nn

from minimim.draws import uniform
from minimim.masking.mask import Mask, check_ratio, visible_count

RECTANGLES = 32  # drawn at once for each sample; far more than are needed


class BlockMasking(nn.Module):
    """Hide random rectangles until the ratio is reached, then trim the last one to the exact count.

    ratio: the fraction of the patches that is hidden, the same in each sample; or (low, high), drawn for each sample (iBOT).
    chance: the probability that a sample is masked; the others hide nothing (iBOT, arXiv 2111.07832: one half).
    smallest: patches in the smallest rectangle, by default 16 of 196 as in BEiT, in proportion for other grids.
    aspect: the ratio of height to width lies between aspect and 1/aspect (BEiT: 0.3).
    Raises UserError for a ratio that is not between 0 and 1.

    BEiT draws one rectangle after another in a Python loop and may end a few patches short; here all are drawn at once, and every
    sample hides the exact number.
    """

    def __init__(self, ratio: float | tuple[float, float] = 0.4, chance=1.0, smallest: int | None = None, aspect=0.3):
        super().__init__()
        for bound in ratio if isinstance(ratio, tuple) else (ratio,):
            check_ratio(bound)
        self.ratio, self.chance, self.smallest, self.aspect = ratio, chance, smallest, aspect

    @property
    def uneven(self) -> bool:
        """Whether samples hide different numbers of patches."""
        return isinstance(self.ratio, tuple) or self.chance < 1

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, 4·RECTANGLES + N + 2) in [0, 1); drawn from the generator when not given."""
        image = next(iter(inputs.values()))
        patches = grid[0] * grid[1]
        if noise is None:
            width = 4 * RECTANGLES + patches + 2
            noise = uniform(image.shape[0], width, generator=generator, device=image.device)
        shapes, ties, choice = noise.split([4 * RECTANGLES, patches, 2], dim=1)
        count, visible = self.counts(patches, choice)
        reached = self.first_cover(shapes.unflatten(1, (RECTANGLES, 4)), grid)  # (B, N)
        rank = (reached + ties).argsort(dim=1).argsort(dim=1)  # (B, N): earlier rectangles first, ties at random
        return [Mask(rank < count, visible=visible)]

    def counts(self, patches: int, choice: Tensor) -> tuple[Tensor, int | None]:
        """How many patches each sample hides, (B, 1), and how many stay visible if that is the same in all samples, else None."""
        chosen = choice[:, 1:] < self.chance  # (B, 1)
        if not isinstance(self.ratio, tuple):
            visible = visible_count(patches, self.ratio)
            return chosen * (patches - visible), visible if self.chance >= 1 else None
        low, high = self.ratio
        ratio = low + (high - low) * choice[:, :1]  # (B, 1)
        return chosen * (ratio * patches).long().clamp(1, patches - 1), None

    def first_cover(self, draw: Tensor, grid: tuple[int, int]) -> Tensor:
        """For each patch, the index of the first rectangle that covers it, R if none does: draw (B, R, 4) in [0, 1) → (B, N)."""
        rows, cols = grid
        patches = rows * cols
        smallest = self.smallest or max(1, round(patches * 16 / 196))
        largest = max(smallest, patches // 3)  # one rectangle alone must not hide everything
        area = smallest + (largest - smallest) * draw[..., 0]  # (B, R)
        aspect = torch.exp((2 * draw[..., 1] - 1) * math.log(1 / self.aspect))  # (B, R), in [aspect, 1/aspect]
        height = (area * aspect).sqrt().round().clamp(1, rows)
        width = (area / aspect).sqrt().round().clamp(1, cols)
        top = (draw[..., 2] * (rows - height + 1)).floor()
        left = (draw[..., 3] * (cols - width + 1)).floor()
        row, col = (torch.arange(n, device=draw.device) for n in grid)
        in_row = (row >= top.unsqueeze(-1)) & (row < (top + height).unsqueeze(-1))  # (B, R, rows)
        in_col = (col >= left.unsqueeze(-1)) & (col < (left + width).unsqueeze(-1))  # (B, R, cols)
        covered = (in_row.unsqueeze(-1) & in_col.unsqueeze(-2)).flatten(2)  # (B, R, N)
        number = torch.arange(RECTANGLES, device=draw.device).view(1, -1, 1)
        return torch.where(covered, number, RECTANGLES).amin(dim=1)  # (B, N)
