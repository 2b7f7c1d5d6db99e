"""Masks of which only some hidden patches are predicted, so that the others cost no computation (CrossMAE, arXiv 2401.14391)."""

from minimim.errors import UserError
from minimim.masking.mask import Mask
from minimim.masking.random import RandomMasking


class PartlyAskedMasking(RandomMasking):
    """Hide random patches, and ask the decoder to predict a random subset of them.

    ratio: the fraction of all patches that is hidden. asked: the fraction of all patches that is predicted, at most the ratio (CrossMAE
    hides 0.75 and predicts 0.25). As in the official code, the number of hidden patches that are not predicted is rounded down:
    int(N · (ratio − asked)). Raises UserError for a ratio that is not between 0 and 1, or an asked that is not between 0 and the ratio.
    """

    def __init__(self, ratio: float = 0.75, asked: float = 0.25):
        super().__init__(ratio)
        if not 0 < asked <= ratio:
            raise UserError(f"asked is the fraction of the patches that is predicted, above 0 and at most the {ratio} that are hidden, not {asked}")
        self.asked = asked

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, N); the patches of lowest noise stay visible, and the next ones are asked for."""
        (mask,) = super().forward(inputs, grid, guide, progress, noise, generator, view)
        patches = mask.hidden.shape[1]
        asked = max(1, patches - mask.visible - int(patches * (self.ratio - self.asked) + 1e-9))
        rank = mask.restore_ids  # (B, N): 0 is the first visible patch
        question = (rank >= mask.visible) & (rank < mask.visible + asked)  # (B, N)
        return [Mask(mask.hidden, scored=(question,), order=mask.order, visible=mask.visible, asked=(asked,))]
