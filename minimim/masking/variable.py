"""Masks of which only a part is left out: another ratio in each batch, the same number of tokens to read (MAGE, arXiv 2211.09117)."""

import torch
from torch import Tensor, nn

from minimim.draws import for_all, uniform
from minimim.errors import UserError
from minimim.masking.mask import Mask, check_ratio, visible_count


class VariableMasking(nn.Module):
    """Hide a random part of the patches, a part that is drawn once for each batch; always leave out the same number of them.

    mean, spread: of the normal that the ratio is drawn from, cut off below `dropped` and above 1. dropped: the part of the patches
    that is never fed, all of them hidden; at the other hidden ones the encoder reads mask tokens. So it learns at every ratio up to
    nothing visible, which it needs to make pictures, and costs what half of the patches cost.
    Raises UserError for parts that are not between 0 and 1, and for a spread that is not above 0.
    """

    def __init__(self, mean: float = 0.55, spread: float = 0.25, dropped: float = 0.5):
        super().__init__()
        for part in (mean, dropped):
            check_ratio(part)
        if spread <= 0:
            raise UserError(f"the ratios of batches are spread by a number above 0, not {spread}: 0.25 is the paper's")
        self.mean, self.spread, self.dropped = mean, spread, dropped

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, 1+N) in [0, 1), of which the first number of the first row says the ratio; drawn from
        the generator when not given."""
        image = next(iter(inputs.values()))
        patches = grid[0] * grid[1]
        if noise is None:
            chance = for_all(1, generator=generator, device=image.device)  # (1,)
            noise = uniform(image.shape[0], patches, generator=generator, device=image.device)  # (B, N)
        else:
            chance, noise = noise[0, :1], noise[:, 1:]
        order = noise.argsort(dim=1)  # (B, N): the visible come first, then mask tokens, then what is left out
        rank = order.argsort(dim=1)  # (B, N)
        read = visible_count(patches, self.dropped)
        count = (self.ratio(chance) * patches).ceil().clamp(min=patches - read)  # (1,): a tensor, so that nobody waits for it
        return [Mask(rank >= patches - count, dropped=rank >= read, order=order, visible=read)]

    def ratio(self, chance: Tensor) -> Tensor:
        """The ratio below which a draw of the truncated normal lies with this chance, both in [0, 1]."""
        bounds = torch.full_like(chance, (self.dropped - self.mean) / self.spread), torch.full_like(chance, (1 - self.mean) / self.spread)
        low, high = (torch.special.ndtr(bound) for bound in bounds)
        drawn = self.mean + self.spread * torch.special.ndtri(low + (high - low) * chance)
        return drawn.clamp(self.dropped, 1)
