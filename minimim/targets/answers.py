"""The output of the teacher's head as the target, unchanged or normalised."""

import torch.nn.functional as F
from torch import nn

from minimim.encoders.encoded import Streams


class HeadAnswers(nn.Module):
    """The streams of the teacher's head for its whole view (ConMIM, arXiv 2205.09616; CMAE, 2207.13532).

    norm: whether a LayerNorm without weights is applied to each vector (SiameseIM, arXiv 2206.01204).
    """

    predicts = "features"

    def __init__(self, norm: bool = False):
        super().__init__()
        self.norm = norm

    def forward(self, content, teacher, mask=None, progress: float = 0.0) -> Streams:
        """The head's streams: "patch" (B, N, T), "cls" (B, T), or both."""
        if not self.norm:
            return teacher.streams
        return {name: F.layer_norm(x, x.shape[-1:]) for name, x in teacher.streams.items()}
