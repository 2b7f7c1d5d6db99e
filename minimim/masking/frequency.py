"""Masks on the spectrum: low or high frequencies are removed from an image, and the encoder sees every patch (MFM, arXiv 2206.07706)."""

import torch
from torch import Tensor, nn

from minimim.data.views import normalize, statistics
from minimim.draws import uniform
from minimim.errors import UserError
from minimim.masking.mask import Mask

SIDE = 224  # side in pixels of the image to which a radius refers


class FrequencyMasking(nn.Module):
    """Keep the low frequencies of a sample, or the high ones, and remove the others (MFM, arXiv 2206.07706).

    radius: of the disc of low frequencies around frequency zero, for an image of 224×224 pixels; for other sizes it is scaled.
    chance: the probability that a sample keeps the low frequencies (MFM: one half; 0.3 for its ResNet-50).

    Pixels are brought back to [0, 1], filtered, clamped to [0, 1] and normalised again, in this order. The clamp is part of the task:
    an image of high frequencies alone has zero mean, so the clamp removes its negative half. All patches count as hidden, because none
    is left unchanged; the places that are scored are the removed frequencies, (B, H·W), row by row, with frequency zero in the middle.
    Raises UserError for a chance that is not from 0 to 1, and for a radius that is not above 0.
    """

    uneven = True  # a sample that keeps the low frequencies has sixty times as many to predict as one that keeps the high ones

    def __init__(self, radius: float = 16.0, chance: float = 0.5):
        super().__init__()
        if not 0 <= chance <= 1:
            raise UserError(f"the chance to keep the low frequencies must be from 0 to 1 (one half in the paper), not {chance}")
        if not radius > 0:
            raise UserError(f"the radius of the low frequencies must be above 0, in frequencies of a {SIDE}×{SIDE} image (16 in the paper), not {radius}")
        self.radius, self.chance = radius, chance

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch, with the filtered images as its inputs. noise: (B, 1) in [0, 1); below `chance` a sample keeps the low ones.

        Raises UserError if the disc contains all frequencies.
        """
        image = inputs["image"]
        if noise is None:
            noise = uniform(image.shape[0], 1, generator=generator, device=image.device)
        low = disc(*image.shape[-2:], self.radius, image.device)  # (H, W)
        kept = low == (noise < self.chance).unsqueeze(-1)  # (B, H, W)
        hidden = torch.ones(image.shape[0], grid[0] * grid[1], dtype=torch.bool, device=image.device)
        return [Mask(hidden, scored=(~kept.flatten(1),), inputs=inputs | {"image": filtered(image, kept)}, visible=0)]


def disc(height: int, width: int, radius: float, device=None) -> Tensor:
    """Which frequencies of an image are low, (H, W) bool, with frequency zero in the middle: those closer to zero than the radius, which
    refers to a 224×224 image. Raises UserError for a radius that leaves no high ones."""
    rows = (torch.arange(height, device=device) - height // 2) * (SIDE / height)  # (H,), in frequencies of 224 pixels
    cols = (torch.arange(width, device=device) - width // 2) * (SIDE / width)  # (W,)
    if radius**2 > 2 * (SIDE / 2) ** 2:
        raise UserError(f"a disc of radius {radius} holds all frequencies of an image: choose one of less than {SIDE // 2}")
    return rows.square().unsqueeze(1) + cols.square() < radius**2


def spectrum(images: Tensor) -> Tensor:
    """The spectrum of each channel, frequency zero in the middle: (B, C, H, W) → the same shape, complex, in fp32 at least.

    Scaled (`norm="ortho"`) so that its squared magnitudes sum to the same as the squared pixels.
    """
    images = images.to(torch.promote_types(images.dtype, torch.float32))
    return torch.fft.fftshift(torch.fft.fft2(images, norm="ortho"), dim=(-2, -1))


def filtered(images: Tensor, kept: Tensor) -> Tensor:
    """Normalised images (B, C, H, W) with only the frequencies `kept` (B, H, W) bool, their pixels clamped to [0, 1] and normalised again."""
    images = normalize(images)
    mean, std = statistics(images)
    pixels = images * std + mean  # in [0, 1]
    left = torch.fft.ifftshift(spectrum(pixels) * kept.unsqueeze(1), dim=(-2, -1))  # (B, C, H, W)
    return ((torch.fft.ifft2(left, norm="ortho").real.clamp(0, 1) - mean) / std).to(images.dtype)
