"""The spectrum of the image as the target."""

import torch
from torch import Tensor, nn

from minimim.data.views import Inputs
from minimim.encoders.encoded import Streams
from minimim.masking.frequency import spectrum


class Spectrum(nn.Module):
    """The spectrum of the clean image, (B, H·W, 2C): one place for each frequency, row by row with frequency zero in the middle, holding
    the real parts of all channels and then the imaginary parts (MFM, arXiv 2206.07706)."""

    predicts = "spectrum"

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, H·W, 2C)} from the normalised images of the content view."""
        return {"patch": by_frequency(spectrum(content["image"]))}


def by_frequency(x: Tensor) -> Tensor:
    """A complex spectrum as rows of real numbers: (B, C, H, W) → (B, H·W, 2C)."""
    return torch.cat([x.real, x.imag], dim=1).flatten(2).transpose(1, 2)
