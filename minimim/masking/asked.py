"""Masks that hide more than they ask: what is neither seen nor asked costs nothing (CrossMAE, arXiv 2401.14391)."""

from minimim.errors import UserError
from minimim.masking.mask import Mask
from minimim.masking.random import RandomMasking


class PartlyAskedMasking(RandomMasking):
    """Hide a random part of the patches, and ask for a random part of those.

    ratio: the part of all patches that is hidden. asked: the part of all patches that is asked, at most the ratio (CrossMAE hides 0.75
    and asks 0.25). As in the official code, what is left out is rounded down: int(N · (ratio − asked)).
    Raises UserError for parts that cannot be.
    """

    def __init__(self, ratio: float = 0.75, asked: float = 0.25):
        super().__init__(ratio)
        if not 0 < asked <= ratio:
            raise UserError(f"what is asked is a part of the patches above 0, and at most the {ratio} that are hidden, not {asked}")
        self.asked = asked

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, N); the lowest stay visible, and the next are asked."""
        (mask,) = super().forward(inputs, grid, guide, progress, noise, generator, view)
        patches = mask.hidden.shape[1]
        asked = max(1, patches - mask.visible - int(patches * (self.ratio - self.asked) + 1e-9))
        rank = mask.restore_ids  # (B, N): 0 is the first visible one
        question = (rank >= mask.visible) & (rank < mask.visible + asked)  # (B, N)
        return [Mask(mask.hidden, scored=(question,), order=mask.order, visible=mask.visible, asked=(asked,))]
