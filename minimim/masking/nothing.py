"""No mask, for methods that show their encoder the whole image."""

import torch
from torch import nn

from minimim.masking.mask import Mask


class NoMasking(nn.Module):
    """Hide nothing (CLIP, SimCLR): every patch is visible, and no patch is asked for."""

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch, without a draw."""
        image = next(iter(inputs.values()))
        patches = grid[0] * grid[1]
        return [Mask(torch.zeros(len(image), patches, dtype=torch.bool, device=image.device), visible=patches)]
