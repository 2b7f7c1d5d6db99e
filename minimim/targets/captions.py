"""The caption of an image as the target."""

from torch import nn

from minimim.data.views import Inputs
from minimim.encoders.encoded import Streams


class Captions(nn.Module):
    """The words of each image's caption, ids (B, L) int64, 0 = no word; the loss contains their encoder (CLIP, arXiv 2103.00020)."""

    predicts = "captions"

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """{"image": (B, L)}."""
        return {"image": content["caption"]}
