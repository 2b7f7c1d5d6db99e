"""A mask for some of the student's views, and none for the others."""

from torch import nn

from minimim.masking.mask import Mask
from minimim.masking.nothing import NoMasking


class FirstViewsMasking(nn.Module):
    """Another masking for the first `count` student views, and the rest whole (MSN, arXiv 2204.07141: focal views are not masked)."""

    def __init__(self, masking: nn.Module, count: int = 1):
        super().__init__()
        self.masking, self.nothing, self.count = masking, NoMasking(), count
        self.want = getattr(masking, "want", ())

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """The masks of one view; all else is handed to the masking that it has."""
        masking = self.masking if view < self.count else self.nothing
        return masking(inputs, grid, guide, progress, noise, generator, view)
