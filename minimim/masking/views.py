"""Masks for the first student views, and none for the others."""

from torch import nn

from minimim.masking.mask import Mask
from minimim.masking.nothing import NoMasking


class FirstViewsMasking(nn.Module):
    """Mask the first `count` student views with another masking, and leave the rest whole (MSN, arXiv 2204.07141: no masks on focal views)."""

    def __init__(self, masking: nn.Module, count: int = 1):
        super().__init__()
        self.masking, self.nothing, self.count = masking, NoMasking(), count
        self.want = getattr(masking, "want", ())

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """The masks of one view; all arguments are passed on."""
        masking = self.masking if view < self.count else self.nothing
        return masking(inputs, grid, guide, progress, noise, generator, view)
