"""Losses that compare frequency by frequency."""

import torch
from torch import Tensor, nn

from minimim.masking.frequency import spectrum
from minimim.patches import grid_like, unpatchify


class SpectrumDistance(nn.Module):
    """The distance between the spectra of a predicted image and the target at each frequency (MFM, arXiv 2206.07706).

    The distance of two complex numbers, not squared: √(Δreal² + Δimaginary² + 1e-12), averaged over channels.
    patch_size: of the prediction's patches, in pixels; grid: (rows, cols) of an image of the usual size; other sizes must have the same
    aspect ratio.
    """

    def __init__(self, patch_size: int, grid: tuple[int, int]):
        super().__init__()
        self.patch_size, self.grid = patch_size, grid

    def forward(self, prediction: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
        """Predicted pixels (B, N, P·P·C), and the target's spectrum (B, H·W, 2C) → (B, H·W)."""
        images = unpatchify(prediction, self.patch_size, grid_like(self.grid, prediction.shape[1]))  # (B, C, H, W)
        predicted = spectrum(images).flatten(2).transpose(1, 2)  # (B, H·W, C), complex
        real, imaginary = target.chunk(2, dim=-1)  # (B, H·W, C) each
        squares = (predicted.real - real).square() + (predicted.imag - imaginary).square()
        return torch.sqrt(squares + 1e-12).mean(dim=-1)
