"""The features of a frozen teacher, which sees the whole image, as the target."""

import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.views import Inputs
from minimim.encoders.encoded import Streams
from minimim.patches import grid_of


class FrozenFeatures(nn.Module):
    """The last patch tokens of a frozen teacher for the whole image, without a further norm (EVA, arXiv 2211.07636).

    If the teacher has a head the tokens go through it, as EVA's target is CLIP's projected tokens. patch_size: the student's, in pixels.
    The features of a teacher with another grid are interpolated to the student's grid.
    """

    predicts = "features"

    def __init__(self, patch_size: int):
        super().__init__()
        self.patch_size = patch_size

    def forward(self, content: Inputs, teacher, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, T)}, one row for each of the student's N patches."""
        tokens = teacher.encoded.patches if teacher.teacher.decoder is None else teacher.streams["patch"]  # (B, N', T)
        return {"patch": on_grid(tokens, teacher.encoded.grid, grid_of(*content["image"].shape[-2:], self.patch_size))}


def on_grid(tokens: Tensor, grid: tuple[int, int], other: tuple[int, int]) -> Tensor:
    """Tokens of one grid on another one: averaged if the new grid is coarser, else interpolated bilinearly: (B, rows·cols, T) →
    (B, rows'·cols', T)."""
    if tuple(grid) == tuple(other):
        return tokens
    plane = tokens.float().transpose(1, 2).unflatten(2, grid)  # (B, T, rows, cols)
    fewer = other[0] <= grid[0] and other[1] <= grid[1]
    plane = F.interpolate(plane, other, mode="area") if fewer else F.interpolate(plane, other, mode="bilinear", align_corners=False)
    return plane.flatten(2).transpose(1, 2)
