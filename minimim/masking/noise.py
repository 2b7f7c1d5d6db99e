"""Masks from coloured noise: as random as MAE's, but neighbouring patches are hidden together, or apart (ColorMAE, arXiv 2407.13036)."""

import math

import torch
from torch import Tensor, nn

from minimim.draws import uniform
from minimim.errors import UserError, unknown
from minimim.masking.mask import Mask, check_ratio, mask_by_noise, visible_count

COLOURS = ("red", "green", "blue", "purple")


class ColourMasking(nn.Module):
    """Hide where filtered noise is high, each sample its own pattern, always the same number (ColorMAE, arXiv 2407.13036).

    colour: "red" keeps the low frequencies of white noise, so that large areas are hidden or visible as one; "blue" the high ones, so
    that what is visible is spread evenly; "green" those between; "purple" all but those, red + blue.
    widths: standard deviations, in patches, of the two Gaussian blurs that part the bands, the narrow and the wide one.

    A blur of width s halves the amplitude of waves of 5.3·s patches. With 1 and 2, green is made of waves of 5 to 11 patches, spots of
    3 to 5: larger than a patch, which neighbours would give away, and several in an image of 8×8 or 14×14 patches. Red + green + blue
    is the white noise itself. The paper does not print its widths.

    Differs: the official code reads patterns from a file; all images of a batch share one crop and one flip of it, and the image at
    place i of any batch has pattern i. Here each sample of each batch has noise of its own.
    """

    def __init__(self, colour: str = "green", ratio: float = 0.75, widths: tuple[float, float] = (1.0, 2.0)):
        super().__init__()
        check_ratio(ratio)
        if colour not in COLOURS:
            raise unknown("colour of noise", colour, COLOURS)
        if not 0 < widths[0] < widths[1]:
            raise UserError(f"widths are two numbers above 0, the narrow blur first, not {widths}")
        self.colour, self.ratio, self.widths = colour, ratio, tuple(widths)
        self.margin = math.ceil(3 * widths[1])  # patches around the image, so that the noise has no edge to know of

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, rows + 2·margin, cols + 2·margin), white, of any spread; drawn from the generator when not given."""
        image = next(iter(inputs.values()))
        shape = [side + 2 * self.margin for side in grid]
        if noise is None:
            noise = uniform(image.shape[0], *shape, generator=generator, device=image.device)
        return [mask_by_noise(self.coloured(noise).flatten(1), visible_count(grid[0] * grid[1], self.ratio))]

    def coloured(self, white: Tensor) -> Tensor:
        """The band of white noise that has this colour: (B, rows + 2·margin, cols + 2·margin) → (B, rows, cols)."""
        narrow, wide = (gaussian(width, self.margin, white.device) for width in self.widths)  # (2·margin + 1,) each
        low, middle = blurred(white, wide), blurred(white, narrow)  # (B, rows, cols)
        white = white[:, self.margin : -self.margin, self.margin : -self.margin]  # (B, rows, cols)
        if self.colour == "red":
            return low
        if self.colour == "green":
            return middle - low
        if self.colour == "blue":
            return white - middle
        return low + white - middle


def gaussian(width: float, margin: int, device=None) -> Tensor:
    """A bell of a standard deviation, (2·margin + 1,), that sums to 1."""
    bell = torch.exp(-0.5 * (torch.arange(-margin, margin + 1, device=device) / width).square())
    return bell / bell.sum()


def blurred(noise: Tensor, bell: Tensor) -> Tensor:
    """Noise (B, rows + 2·margin, cols + 2·margin) averaged with a bell (2·margin + 1,) along both sides: → (B, rows, cols)."""
    for side in (1, 2):
        noise = (noise.unfold(side, len(bell), 1) * bell).sum(dim=-1)
    return noise
