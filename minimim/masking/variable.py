"""Masks with a ratio that changes from batch to batch, while the encoder always reads the same number of tokens (MAGE, arXiv 2211.09117)."""

import torch
from torch import Tensor, nn

from minimim.draws import for_all, uniform
from minimim.errors import UserError
from minimim.masking.mask import Mask, check_ratio, visible_count


class VariableMasking(nn.Module):
    """Hide random patches with a ratio that is drawn once for each batch, and always drop the same number of them.

    mean, spread: mean and standard deviation of the normal distribution that the ratio is drawn from, truncated to [dropped, 1].
    dropped: the fraction of the patches that the encoder never reads; all of these are hidden. At the other hidden patches it reads mask
    tokens. So the method is trained at every ratio up to 1, which it needs to generate images, and with dropped=0.5 the encoder reads
    only half of the patches. Raises UserError for a mean or dropped that is not between 0 and 1, and a spread that is not above 0.
    """

    def __init__(self, mean: float = 0.55, spread: float = 0.25, dropped: float = 0.5):
        super().__init__()
        for part in (mean, dropped):
            check_ratio(part)
        if spread <= 0:
            raise UserError(f"the standard deviation of the mask ratio must be a number above 0, not {spread}: 0.25 is the paper's")
        self.mean, self.spread, self.dropped = mean, spread, dropped

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, 1+N) in [0, 1), where the first number of the first row decides the ratio; drawn from the
        generator if not given."""
        image = next(iter(inputs.values()))
        patches = grid[0] * grid[1]
        if noise is None:
            chance = for_all(1, generator=generator, device=image.device)  # (1,)
            noise = uniform(image.shape[0], patches, generator=generator, device=image.device)  # (B, N)
        else:
            chance, noise = noise[0, :1], noise[:, 1:]
        order = noise.argsort(dim=1)  # (B, N): visible patches first, then those with mask tokens, then the dropped ones
        rank = order.argsort(dim=1)  # (B, N)
        read = visible_count(patches, self.dropped)
        count = (self.ratio(chance) * patches).ceil().clamp(min=patches - read)  # (1,): stays a tensor, so that the CPU does not wait for the GPU
        return [Mask(rank >= patches - count, dropped=rank >= read, order=order, visible=read)]

    def ratio(self, chance: Tensor) -> Tensor:
        """The quantile of the truncated normal distribution for a probability: chance (1,) in [0, 1] → ratio (1,)."""
        bounds = torch.full_like(chance, (self.dropped - self.mean) / self.spread), torch.full_like(chance, (1 - self.mean) / self.spread)
        low, high = (torch.special.ndtr(bound) for bound in bounds)
        drawn = self.mean + self.spread * torch.special.ndtri(low + (high - low) * chance)
        return drawn.clamp(self.dropped, 1)
