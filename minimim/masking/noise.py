"""Masks from coloured noise: random, but neighbouring patches tend to be hidden together, or apart (ColorMAE, arXiv 2407.13036)."""

import math

import torch
from torch import Tensor, nn

from minimim.draws import uniform
from minimim.errors import UserError, unknown
from minimim.masking.mask import Mask, check_ratio, mask_by_noise, visible_count

COLOURS = ("red", "green", "blue", "purple")


class ColourMasking(nn.Module):
    """Hide the patches where filtered noise is highest, the same number in each sample (ColorMAE, arXiv 2407.13036).

    colour: "red" keeps the low frequencies of white noise, so that large areas are hidden or visible together; "blue" keeps the high
    ones, so that the visible patches are distributed evenly; "green" those between; "purple" is red + blue.
    ratio: the fraction of the patches that is hidden. widths: standard deviations, in patches, of the two Gaussian blurs that separate
    the bands, the narrow and the wide one. Raises UserError for an unknown colour, a ratio that is not between 0 and 1, or widths that
    do not increase.

    A blur of width s halves the amplitude of waves with a period of 5.3·s patches. With 1 and 2, green consists of periods from 5 to 11
    patches, so of spots of 3 to 5 patches: these are harder to fill in from their neighbours than single patches, and several fit into
    a grid of 8×8 or 14×14. Red + green + blue is the white noise itself. The paper does not state its widths.

    Differs: the official code reads patterns from a file; all images of a batch share one crop and one flip of it, and the image at
    place i of any batch gets pattern i. Here noise is drawn for each sample of each batch.
    """

    def __init__(self, colour: str = "green", ratio: float = 0.75, widths: tuple[float, float] = (1.0, 2.0)):
        super().__init__()
        check_ratio(ratio)
        if colour not in COLOURS:
            raise unknown("colour of noise", colour, COLOURS)
        if not 0 < widths[0] < widths[1]:
            raise UserError(f"widths must be two numbers above 0, the narrow blur first, not {widths}")
        self.colour, self.ratio, self.widths = colour, ratio, tuple(widths)
        self.margin = math.ceil(3 * widths[1])  # patches around the image, so that the blur does not depend on an edge

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, rows + 2·margin, cols + 2·margin), white; drawn from the generator if not given."""
        image = next(iter(inputs.values()))
        shape = [side + 2 * self.margin for side in grid]
        if noise is None:
            noise = uniform(image.shape[0], *shape, generator=generator, device=image.device)
        return [mask_by_noise(self.coloured(noise).flatten(1), visible_count(grid[0] * grid[1], self.ratio))]

    def coloured(self, white: Tensor) -> Tensor:
        """White noise filtered to the band of this colour: (B, rows + 2·margin, cols + 2·margin) → (B, rows, cols)."""
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
    """The weights of a Gaussian blur, (2·margin + 1,), with sum 1; width: the standard deviation in patches."""
    bell = torch.exp(-0.5 * (torch.arange(-margin, margin + 1, device=device) / width).square())
    return bell / bell.sum()


def blurred(noise: Tensor, bell: Tensor) -> Tensor:
    """Noise (B, rows + 2·margin, cols + 2·margin) blurred along both axes with the weights bell (2·margin + 1,): → (B, rows, cols)."""
    for side in (1, 2):
        noise = (noise.unfold(side, len(bell), 1) * bell).sum(dim=-1)
    return noise
