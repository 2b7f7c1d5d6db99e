"""A classification head: the supervised branch beside a decoder of pixels."""

import torch.nn.functional as F
from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.layers import initialise
from minimim.masking.mask import Mask
from minimim.norms import BatchNorm


class LabelHead(nn.Module):
    """Scores of classes from the mean of the patches that the encoder read, without CLS (SupMAE, arXiv 2205.14540): a linear map to four
    times the width, batch norm over the images of all processes, ReLU, a linear map."""

    def __init__(self, encoder_dim: int, classes: int):
        super().__init__()
        self.fc1 = nn.Linear(encoder_dim, 4 * encoder_dim)
        self.norm = BatchNorm(4 * encoder_dim)
        self.fc2 = nn.Linear(4 * encoder_dim, classes)
        self.apply(initialise)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents (B, K, D) → {"label": (B, classes)}."""
        x = encoded.patches.mean(dim=1)  # (B, D)
        return {"label": self.fc2(F.relu(self.norm(self.fc1(x))))}
