"""Pixels as the target: each patch as it is, or normalised by its own mean and standard deviation."""

from torch import nn

from minimim.data.views import Inputs
from minimim.encoders.encoded import Streams
from minimim.patches import patchify


class Pixels(nn.Module):
    """The pixels of each patch, (B, N, P·P·C) in (p q c) order.

    normalize: whether to subtract each patch's mean and divide by its standard deviation, with the unbiased variance and 1e-6
    under the root, as in the official MAE (arXiv 2111.06377).
    """

    predicts = "pixels"

    def __init__(self, patch_size: int, normalize: bool = False):
        super().__init__()
        self.patch_size, self.normalize = patch_size, normalize

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, P·P·C)} from the normalised images of the content view."""
        patches = patchify(content["image"], self.patch_size)  # (B, N, P·P·C)
        if self.normalize:
            mean = patches.mean(dim=-1, keepdim=True)
            variance = patches.var(dim=-1, keepdim=True)  # unbiased
            patches = (patches - mean) / (variance + 1e-6).sqrt()
        return {"patch": patches}
