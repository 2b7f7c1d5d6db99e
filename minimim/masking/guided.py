"""Masks that look: a teacher, which has seen the whole image, says what is worth hiding."""

from torch import nn

from minimim.draws import uniform
from minimim.masking.mask import Mask, check_ratio, mask_by_noise, visible_count


class HardestMasking(nn.Module):
    """Hide what the teacher expects to be hardest, more and more of it (HPM, arXiv 2304.05919).

    Of the hidden patches, a part that grows from 0 to `hardest` over the run is the teacher's choice, the rest random:
    easy to hard. The guide's "difficulty" stream, (B, N, 1), is the teacher's forecast of the loss of each patch.
    """

    def __init__(self, ratio: float = 0.75, hardest: float = 0.5):
        super().__init__()
        check_ratio(ratio)
        self.ratio, self.hardest = ratio, hardest

    def forward(self, inputs, grid, guide, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, N) in [0, 1), for the random rest."""
        difficulty = guide.streams["difficulty"].squeeze(-1)  # (B, N)
        visible = visible_count(difficulty.shape[1], self.ratio)
        if noise is None:
            noise = uniform(*difficulty.shape, generator=generator, device=difficulty.device)
        chosen = int((difficulty.shape[1] - visible) * self.hardest * progress)
        rank = difficulty.argsort(dim=1, descending=True).argsort(dim=1)  # (B, N): 0 is the hardest
        return [mask_by_noise(noise + (rank < chosen), visible)]
