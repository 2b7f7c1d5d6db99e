"""No mask, for methods whose encoder sees the whole image."""

import torch
from torch import nn

from minimim.masking.mask import Mask


class NoMasking(nn.Module):
    """Hide nothing (CLIP, SimCLR): every patch is visible, and none is scored."""

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch; nothing is random here."""
        image = next(iter(inputs.values()))
        patches = grid[0] * grid[1]
        return [Mask(torch.zeros(len(image), patches, dtype=torch.bool, device=image.device), visible=patches)]
