"""Changes of colour, on whole batches and on their device: hue, grey, blur, solarise, and all of them as papers list them.

Images here are (B, C, H, W) in [0, 1], not yet normalised, and each has its own parameters. Random numbers are drawn only by
`Colour.draw`, from the generator that it is given.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from minimim.data.views import jitter
from minimim.draws import uniform

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green, blue (ITU-R BT.601)
SIDE = 224  # pixels of the images for which papers state the standard deviation of their blur


@dataclass(frozen=True)
class Colour:
    """How views change colour: the list that contrastive papers give (SimCLR, arXiv 2002.05709; BYOL, 2006.07733).

    jitter: strengths of brightness, contrast, saturation (factors in 1 ± strength) and hue (turns of the colour wheel, ± strength).
    jitter_chance, grey, blur, solarise: the probability of each, drawn separately. sigma: the blur's smallest and
    largest standard deviation, in pixels of an image 224 high; others are blurred in proportion.
    Differs from what the papers run: brightness, contrast, saturation, hue always in this order.
    """

    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    jitter_chance: float = 0.8
    grey: float = 0.2
    blur: float = 0.0
    solarise: float = 0.0
    sigma: tuple[float, float] = (0.1, 2.0)

    NUMBERS = 9  # random numbers for one image

    def draw(self, batch: int, generator: torch.Generator | None = None, device=None) -> Tensor:
        """Random numbers for a batch, (B, NUMBERS) in [0, 1)."""
        return uniform(batch, self.NUMBERS, generator=generator, device=device)

    def __call__(self, images: Tensor, noise: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] and numbers of `draw`, (B, NUMBERS), → (B, C, H, W) in [0, 1]."""
        factors, turn, chances, spread = noise.split([3, 1, 4, 1], dim=1)
        jittered, greyed, blurred, solarised = chances.unbind(1)  # (B,) each
        if any(self.jitter):
            strengths = zip(self.jitter, factors.unbind(1), strict=False)
            factors = torch.stack([0.5 + strength * (number - 0.5) for strength, number in strengths], dim=1)  # (B, 3)
            changed = hue(jitter(images, factors, 1.0), self.jitter[3] * (2 * turn.squeeze(1) - 1))
            images = torch.where(per_image(jittered < self.jitter_chance), changed, images)
        if self.grey:
            images = torch.where(per_image(greyed < self.grey), grey(images), images)
        if self.blur:
            sigma = (self.sigma[0] + (self.sigma[1] - self.sigma[0]) * spread.squeeze(1)) * images.shape[-2] / SIDE
            reach = math.ceil(3 * self.sigma[1] * images.shape[-2] / SIDE)
            images = torch.where(per_image(blurred < self.blur), blur(images, sigma, reach), images)
        if self.solarise:
            images = torch.where(per_image(solarised < self.solarise), solarise(images), images)
        return images


def per_image(x: Tensor) -> Tensor:
    """One value for each image, (B,), with axes to multiply images: (B, 1, 1, 1)."""
    return x.view(-1, 1, 1, 1)


def grey(images: Tensor) -> Tensor:
    """The brightness of each pixel in all channels: luminance for colour images, else the mean of the channels; (B, C, H, W) → the same shape."""
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True).expand_as(images)
    bright = sum(weight * channel for weight, channel in zip(LUMINANCE, images.unbind(1), strict=True))  # (B, H, W)
    return bright.unsqueeze(1).expand_as(images)


def hue(images: Tensor, turns: Tensor) -> Tensor:
    """Rotate each colour about the grey axis, by a fraction of a full turn for each image, (B,): (B, 3, H, W) → the same shape, in [0, 1].

    A rotation of red, green and blue in space, where torchvision moves the hue of HSV: a third of a turn makes red green in both.
    Images without three channels have no hue, and are returned unchanged.
    """
    if images.shape[1] != 3:
        return images
    angle = per_image(2 * math.pi * turns)
    mean = images.mean(dim=1, keepdim=True)
    across = (images.roll(1, dims=1) - images.roll(-1, dims=1)) / math.sqrt(3)  # perpendicular to grey and to the colour itself
    return (mean + (images - mean) * angle.cos() + across * angle.sin()).clamp(0, 1)


def blur(images: Tensor, sigma: Tensor, reach: int) -> Tensor:
    """Gaussian blur, with a standard deviation for each image, (B,) pixels: (B, C, H, W) → the same shape. Borders are repeated.

    reach: how many pixels to each side are averaged; three times the largest standard deviation is enough.
    """
    distance = torch.arange(-reach, reach + 1, device=images.device)
    weights = torch.exp(-(distance / sigma.clamp(min=1e-3).unsqueeze(1)).square() / 2)  # (B, 2·reach + 1)
    weights = (weights / weights.sum(dim=1, keepdim=True)).to(images.dtype)
    for dim in (-2, -1):
        size = images.shape[dim]
        padded = images.index_select(dim, torch.arange(-reach, size + reach, device=images.device).clamp(0, size - 1))
        # Sums of shifted images, not a convolution: under autocast that would be in half precision.
        images = sum(per_image(weight) * padded.narrow(dim, shift, size) for shift, weight in enumerate(weights.unbind(1)))
    return images


def solarise(images: Tensor, threshold: float = 0.5) -> Tensor:
    """Invert what is brighter than the threshold: (B, C, H, W) in [0, 1] → the same."""
    return torch.where(images >= threshold, 1 - images, images)
