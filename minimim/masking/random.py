"""Masks that do not depend on the image: random patches (MAE, arXiv 2111.06377), random units larger than a patch (SimMIM,
arXiv 2111.09886), and a regular grid."""

import torch
from torch import Tensor, nn

from minimim.draws import uniform
from minimim.errors import UserError
from minimim.masking.mask import Mask, check_ratio, mask_by_noise, visible_count


class RandomMasking(nn.Module):
    """Hide random patches, different ones in each sample but always the same number.

    ratio: the fraction of the patches that is hidden. unit: the side, in patches, of the squares that are hidden together (SimMIM hides
    squares of 32×32 pixels for every patch size). With unit=1 this is the official MAE's rule: sort noise, keep the lowest.
    Raises UserError for a ratio that is not between 0 and 1.
    """

    def __init__(self, ratio: float = 0.75, unit: int = 1):
        super().__init__()
        check_ratio(ratio)
        self.ratio, self.unit = ratio, unit

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, N/unit²), the lowest stay visible; drawn from the generator if not given.

        Raises UserError if the unit does not divide the grid, the ratio leaves nothing visible or hidden, or noise has another shape.
        """
        image = next(iter(inputs.values()))
        rows, cols = grid
        if rows % self.unit or cols % self.unit:
            raise UserError(
                f"a grid of {rows}×{cols} patches cannot be hidden in units of {self.unit}×{self.unit} patches: "
                "choose a unit that divides it"
            )
        rows, cols = rows // self.unit, cols // self.unit
        visible = visible_count(rows * cols, self.ratio)
        if noise is None:
            noise = uniform(image.shape[0], rows * cols, generator=generator, device=image.device)  # (B, units)
        if noise.shape != (image.shape[0], rows * cols):
            raise UserError(f"noise must be one number for each unit, of shape {(image.shape[0], rows * cols)}, not {tuple(noise.shape)}")
        mask = mask_by_noise(noise, visible)
        if self.unit == 1:
            return [mask]
        units = mask.hidden.view(-1, rows, cols)
        hidden = units.repeat_interleave(self.unit, 1).repeat_interleave(self.unit, 2).flatten(1)  # (B, N)
        return [Mask(hidden, visible=visible * self.unit**2)]


class GridMasking(nn.Module):
    """Keep one patch in every square of step×step patches, at a place drawn for each sample, so that the ratio is 1 − 1/step².

    Raises UserError for a step below 2.
    """

    def __init__(self, step: int = 2):
        super().__init__()
        if step < 2:
            raise UserError(f"a grid mask keeps one patch in each square of step×step, so step must be 2 or more, not {step}")
        self.step = step

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, 2) in [0, 1), the row and column inside the squares that stay visible.

        Raises UserError if the step does not divide the grid.
        """
        image = next(iter(inputs.values()))
        rows, cols = grid
        if rows % self.step or cols % self.step:
            raise UserError(f"a grid of {rows}×{cols} patches cannot be cut into squares of {self.step}×{self.step}: choose a step that divides both")
        if noise is None:
            noise = uniform(image.shape[0], 2, generator=generator, device=image.device)
        place = (noise * self.step).long()  # (B, 2)
        row = torch.arange(rows, device=image.device) % self.step == place[:, :1]  # (B, rows)
        col = torch.arange(cols, device=image.device) % self.step == place[:, 1:]  # (B, cols)
        kept: Tensor = row.unsqueeze(2) & col.unsqueeze(1)  # (B, rows, cols)
        return [Mask(~kept.flatten(1), visible=rows * cols // self.step**2)]
