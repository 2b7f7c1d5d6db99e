"""Handcrafted features as the target: histograms of oriented gradients."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.views import Inputs
from minimim.encoders.encoded import Streams
from minimim.errors import UserError
from minimim.patches import patchify


class HOG(nn.Module):
    """Histograms of oriented gradients (HOG) of each patch, (B, N, C·bins·cells²), computed as in MaskFeat's code (arXiv 2112.09133).

    For each channel of the network's input: Sobel gradients with reflected borders; each pixel votes for one of `bins` directions over
    180° (a gradient and its opposite share a bin) with the length of its gradient; votes are summed over a cell; and the histogram of
    each cell and channel is scaled to length 1. A cell without gradients is all zeros.
    cells: the number of cells along the side of a patch. The paper has 8-pixel cells in 16-pixel patches, which is 2. This is the default
    for patches of 8 pixels and more; a smaller patch is one cell, because the four votes of 2×2 pixels are too few for a histogram.
    Unlike in Dalal and Triggs' HOG, a vote is not divided between bins or cells, and blocks of cells are not normalised together.
    Raises UserError if cells does not divide the patch.
    """

    predicts = "hog"

    def __init__(self, patch_size: int, *, bins: int = 9, cells: int | None = None):
        super().__init__()
        cells = cells or (2 if patch_size >= 8 else 1)
        if patch_size % cells:
            raise UserError(
                f"a patch of {patch_size} pixels cannot be cut into {cells}×{cells} cells for its histograms: "
                "choose a patch size that is a multiple of the cells along its side"
            )
        self.patch_size, self.bins, self.cells = patch_size, bins, cells

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, C·bins·cells²)} from the normalised images of the content view, ordered channel, bin, row, column."""
        across, down = sobel(content["image"])  # (B, C, H, W) each
        votes = (across.square() + down.square()).sqrt()
        turn = torch.atan2(across, down) / torch.pi * self.bins  # from −bins to bins
        bin_of = turn.floor().remainder(self.bins)  # (B, C, H, W)
        cell = self.patch_size // self.cells
        histograms = torch.stack(
            [F.avg_pool2d(torch.where(bin_of == b, votes, 0), cell) * cell**2 for b in range(self.bins)], dim=2
        )  # (B, C, bins, H/cell, W/cell)
        histograms = F.normalize(histograms, dim=2, eps=1e-12).flatten(1, 2)  # (B, C·bins, H/cell, W/cell)
        patches = patchify(histograms, self.cells)  # (B, N, cells·cells·C·bins)
        return {"patch": patches.unflatten(-1, (self.cells**2, -1)).transpose(-1, -2).flatten(-2)}  # (B, N, C·bins·cells²)


def sobel(images: Tensor) -> tuple[Tensor, Tensor]:
    """Horizontal and vertical gradients by Sobel's filters, with reflected borders: (B, C, H, W) → two of the same shape.

    Computed as sums of shifted images, because autocast would run a convolution in half precision.
    """
    x = F.pad(images, (1, 1, 1, 1), mode="reflect")  # (B, C, H+2, W+2)
    smooth_down = x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]  # (B, C, H, W+2)
    smooth_across = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]  # (B, C, H+2, W)
    return smooth_down[..., 2:] - smooth_down[..., :-2], smooth_across[..., 2:, :] - smooth_across[..., :-2, :]
