"""The hole-filler: a linear prediction of hidden patches from their neighbours, the baseline for every method that predicts pixels.

It reads the four patches around a hidden one and the mean of the image's visible patches. A method whose error is lower uses more
than a linear map of these five.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.data.views import normalize
from minimim.errors import UserError
from minimim.patches import grid_of, patchify

SIDES = ((0, 1), (2, 1), (1, 0), (1, 2))  # up, down, left, right: where each begins in a grid with a border of one


def neighbours(patches: Tensor, mask: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The four patches around each patch, up, down, left, right, and which of them are there.

    patches (B, N, T), mask (B, N) bool → (B, N, 4, T), zeros where hidden or outside, and flags (B, N, 4) bool.
    """
    rows, cols = grid
    seen = F.pad((~mask).unflatten(1, grid), (1, 1, 1, 1))  # (B, rows+2, cols+2)
    shown = torch.where(mask.unsqueeze(-1), 0, patches).unflatten(1, grid)  # (B, rows, cols, T)
    shown = F.pad(shown, (0, 0, 1, 1, 1, 1))  # (B, rows+2, cols+2, T)
    around, there = (
        torch.stack([x[:, top : top + rows, left : left + cols] for top, left in SIDES], dim=3).flatten(1, 2)
        for x in (shown, seen)
    )
    return around, there  # (B, N, 4, T), (B, N, 4)


def visible_mean(patches: Tensor, mask: Tensor) -> Tensor:
    """The mean of each image's visible patches: (B, N, T), mask (B, N) bool → (B, 1, T)."""
    visible = (~mask).unsqueeze(-1).to(patches.dtype)  # (B, N, 1)
    return (patches * visible).sum(dim=1, keepdim=True) / visible.sum(dim=1, keepdim=True).clamp(min=1)


class HoleFiller:
    """A linear guess of each hidden patch from its four neighbours and the mean of the visible patches.

    guess = x̄ + [up | down | left | right | x̄ | 1] · W, where x̄ is the mean of the image's visible patches. A neighbour
    that is hidden or outside counts as zeros, and the four flags say which are absent: each of the 16 cases has a W.

    patch_size: P, the side of a patch in pixels. ridge: the L2 penalty on W, which draws the guess towards x̄; in a case
    that the fit never met, the guess is x̄.
    """

    def __init__(self, patch_size: int, ridge: float = 10.0):
        self.patch_size, self.ridge, self.weights = patch_size, ridge, None

    def fit(self, images: Tensor, masking, generator: torch.Generator | None = None) -> "HoleFiller":
        """Learn W by least squares, in closed form, from images (B, C, H, W) under one draw of their masks.

        images: uint8, or normalised floats. masking: the one under which `fill` will be used.
        """
        grid = grid_of(*images.shape[-2:], self.patch_size)
        patches = patchify(normalize(images), self.patch_size)  # (B, N, T)
        mask = masking({"image": images}, grid, generator=generator)[0].hidden  # (B, N)
        inputs, case = self.inputs(patches, mask, grid)
        wanted = patches - visible_mean(patches, mask)  # (B, N, T)
        weights = []
        for number in range(16):
            chosen = mask & (case == number)  # (B, N)
            x, y = inputs[chosen].double(), wanted[chosen].double()  # (n, 5T+1), (n, T)
            square = x.T @ x + self.ridge * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
            weights.append(torch.linalg.solve(square, x.T @ y))
        self.weights = torch.stack(weights).to(patches.dtype)  # (16, 5T+1, T)
        return self

    def fill(self, patches: Tensor, mask: Tensor, grid: tuple[int, int]) -> Tensor:
        """The patches with every hidden one guessed and every visible one left as it is: (B, N, T) → (B, N, T).

        patches: of normalised images; what is hidden in them is never read. mask: (B, N) bool, True = hidden.
        Raises UserError before `fit`, and for a mask that is not boolean.
        """
        if self.weights is None:
            raise UserError("this hole-filler has learnt nothing yet: call fit(images, masking) first")
        if mask.dtype != torch.bool:
            raise UserError(f"a mask is boolean, True = hidden; this one holds {mask.dtype}")
        inputs, case = self.inputs(patches, mask, grid)
        filled = torch.where(mask.unsqueeze(-1), visible_mean(patches, mask), patches)  # (B, N, T)
        for number, weight in enumerate(self.weights):
            chosen = mask & (case == number)  # (B, N)
            filled[chosen] += inputs[chosen] @ weight
        return filled

    def inputs(self, patches: Tensor, mask: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """What the linear map reads, (B, N, 5T+1), and each patch's case, (B, N), 0 (none is there) to 15 (all four are)."""
        around, there = neighbours(patches, mask, grid)
        mean = visible_mean(patches, mask).expand_as(patches)
        inputs = torch.cat([around.flatten(2), mean, torch.ones_like(mean[..., :1])], dim=2)  # (B, N, 5T+1)
        return inputs, there.long() @ torch.tensor([1, 2, 4, 8], device=there.device)
