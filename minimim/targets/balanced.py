"""Targets that assign the images of a batch evenly to all prototypes."""

import torch
from torch import nn

from minimim.encoders.encoded import Streams
from minimim.targets.clusters import sinkhorn


class BalancedPrototypes(nn.Module):
    """The teacher's soft assignment of each image to prototypes, sharpened and then balanced by Sinkhorn (MSN, arXiv 2204.07141).

    softmax(scores / temperature), then `iterations` of Sinkhorn, so that a batch uses all prototypes equally. The order matters:
    sharpening after Sinkhorn would make the assignment uneven again. temperature: MSN's 0.1 with a sharpening of 0.25 is 0.025.
    """

    predicts = "prototypes"
    whole_batch = True  # Sinkhorn looks at all images

    def __init__(self, temperature: float = 0.025, iterations: int = 3):
        super().__init__()
        self.temperature, self.iterations = temperature, iterations

    def forward(self, content, teacher, mask=None, progress: float = 0.0) -> Streams:
        """{"cls": (B, K)}, rows that sum to one, from the scores of the teacher's head."""
        scores = teacher.streams["cls"]
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        sharp = (scores / self.temperature).log_softmax(dim=-1)  # logarithms, because the smallest probabilities would become 0
        return {"cls": sinkhorn(sharp, 1.0, self.iterations)}
