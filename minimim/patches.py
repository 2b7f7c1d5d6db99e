"""Images to patches and back, patch embedding, and position embeddings.

A patch is a P×P square of the image, read row by row, its channels last: the `(p q c)` layout of the official MAE
(He et al., arXiv 2111.06377). Positions are the official MAE's fixed 2-D sine-cosine table: the first half of a row of the
table encodes the patch's column, the second half its row. Other codebases order both differently, so do not mix them with these.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from minimim.data.images import check_pixels
from minimim.errors import UserError


def grid_of(height: int, width: int, patch_size: int) -> tuple[int, int]:
    """(rows, cols) of patches in an image of height × width pixels. Raises UserError if the patch size does not divide both sides."""
    if height % patch_size or width % patch_size:
        raise UserError(
            f"an image of {height}×{width} pixels cannot be cut into patches of {patch_size}: "
            "choose a patch size that divides both sides, or another image size"
        )
    return height // patch_size, width // patch_size


def grid_like(home: tuple[int, int], patches: int) -> tuple[int, int]:
    """(rows, cols) of an image with this many patches and the same aspect ratio as an image whose grid is `home`."""
    cols = max(1, round((patches * home[1] / home[0]) ** 0.5))
    return patches // cols, cols


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Cut images into patches: (B, C, H, W) → (B, N, P·P·C), patches row by row, pixels in (p q c) order.

    Raises UserError if the patch size does not divide both sides.
    """
    grid_of(*images.shape[-2:], patch_size)
    return rearrange(images, "b c (r p) (s q) -> b (r s) (p q c)", p=patch_size, q=patch_size)


def unpatchify(patches: Tensor, patch_size: int, grid: tuple[int, int]) -> Tensor:
    """Put patches together again, the exact inverse of `patchify`: (B, N, P·P·C) → (B, C, H, W).

    grid: (rows, cols), with rows · cols = N. Raises UserError if the patches do not fill the grid.
    """
    rows, cols = grid
    if patches.shape[1] != rows * cols or patches.shape[2] % patch_size**2:
        raise UserError(
            f"patches of shape {tuple(patches.shape)} do not fill a {rows}×{cols} grid of {patch_size}×{patch_size} "
            "pixel patches: N must be rows · cols, and the last size a multiple of the patch area"
        )
    return rearrange(patches, "b (r s) (p q c) -> b c (r p) (s q)", r=rows, s=cols, p=patch_size, q=patch_size)


def take(tokens: Tensor, ids: Tensor) -> Tensor:
    """Select the tokens at the given places, different ones in each sample: (B, N, D), ids (B, K) → (B, K, D)."""
    return tokens.gather(1, ids.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def put(tokens: Tensor, ids: Tensor, patches: int) -> Tensor:
    """Write tokens to the given places of each sample, with zeros elsewhere: (B, K, D), ids (B, K) → (B, N, D), N = patches."""
    empty = tokens.new_zeros(tokens.shape[0], patches, tokens.shape[-1])  # (B, N, D)
    return empty.scatter(1, ids.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]), tokens)


class PatchEmbed(nn.Module):
    """A linear map on patches, stored as the weights of a convolution with stride P, the layout that all codebases share.

    Only the patches in `ids` are embedded, so a masked autoencoder spends no computation on hidden patches.
    """

    def __init__(self, patch_size: int, channels: int, dim: int):
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(channels, dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Tensor, ids: Tensor | None = None) -> Tensor:
        """Normalised images (B, C, H, W) → tokens (B, N, D), or (B, K, D) for the patches ids (B, K).

        Raises UserError for images whose precision, shape or number of channels is not the one this was built for.
        """
        check_pixels(images, self.proj.weight.dtype)
        if images.dim() != 4:
            raise UserError(f"images are (B, C, H, W), and these are {tuple(images.shape)}: one image is images[None]")
        channels = self.proj.in_channels
        if images.shape[1] != channels:
            raise UserError(f"images have {images.shape[1]} channels, but this encoder was built for {channels}")
        patches = patchify(images, self.patch_size)  # (B, N, P·P·C)
        if ids is not None:
            patches = take(patches, ids)  # (B, K, P·P·C)
        weight = self.proj.weight.permute(0, 2, 3, 1).flatten(1)  # (D, C, P, P) → (D, P·P·C)
        return F.linear(patches, weight, self.proj.bias)  # (B, N or K, D)


def sincos_positions(dim: int, grid: tuple[int, int]) -> Tensor:
    """Fixed 2-D sine-cosine positions in the official MAE's layout: (N, D), float32, rows in reading order.

    Each row is [sin(col·w) | cos(col·w) | sin(row·w) | cos(row·w)] with w_i = 10000^(-i / (D/4)): the column comes
    first, as in the official code. Raises UserError if dim is not a multiple of 4.
    """
    if dim % 4:
        raise UserError(f"2-D sine-cosine positions need a width that is a multiple of 4, not {dim}")
    rates = 10000.0 ** (-torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))  # (D/4,)
    row, col = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in grid), indexing="ij")
    angles = [place.reshape(-1, 1) * rates for place in (col, row)]  # two of (N, D/4)
    return torch.cat([wave(a) for a in angles for wave in (torch.sin, torch.cos)], dim=1).float()  # (N, D)


def resize_positions(positions: Tensor, grid: tuple[int, int], new_grid: tuple[int, int]) -> Tensor:
    """Positions (N, D) of one grid, interpolated (bicubic) to another: (N', D). If the grids are equal, they are returned unchanged."""
    if tuple(grid) == tuple(new_grid):
        return positions
    table = rearrange(positions, "(r s) d -> 1 d r s", r=grid[0])  # (1, D, rows, cols)
    table = F.interpolate(table.float(), size=new_grid, mode="bicubic", align_corners=False, antialias=True)
    return rearrange(table, "1 d r s -> (r s) d").to(positions.dtype)  # (N', D)
