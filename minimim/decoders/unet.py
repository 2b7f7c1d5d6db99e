"""SparK's decoder: hidden cells of every map are filled, and a light U-Net goes from the coarsest map to pixels (arXiv 2301.03580)."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.encoders.stages import at_scale
from minimim.errors import UserError
from minimim.masking.mask import Mask
from minimim.norms import BatchNorm
from minimim.patches import patchify

NARROWEST = 8  # least number of features of a map


class UNetDecoder(nn.Module):
    """A U-Net decoder: fill the hidden cells of each of the encoder's maps, then upsample from the last map to pixels, adding each map.

    widths: of the encoder's maps, shallow to deep. patch_size: side in pixels of a cell of the last map; the U-Net has a block for each
    factor of 2 in it. channels: of the images. dim: width at the last map, halved by each block. norm: of the maps before they are
    filled, "layer", or "batch" over the visible cells.
    Differs: a map has at least 8 features, and an odd factor of patch_size (7 in 14) is left to the last linear map.
    """

    def __init__(self, widths, patch_size: int, channels: int = 3, *, dim: int = 768, norm: str = "layer"):
        super().__init__()
        self.patch_size = patch_size
        self.odd, climbs = patch_size, 0  # patch_size = odd · 2^climbs
        while self.odd % 2 == 0:
            self.odd, climbs = self.odd // 2, climbs + 1
        dims = [max(NARROWEST, dim // 2**climb) for climb in range(climbs + 1)]
        self.fill = nn.ModuleList(
            Densify(width, after, 1 if number == 0 else 3, norm)  # deep to shallow
            for number, (width, after) in enumerate(zip(reversed(widths), dims, strict=False))
        )
        self.climbs = nn.ModuleList(Climb(before, after) for before, after in itertools.pairwise(dims))
        self.pred = nn.Conv2d(dims[-1], channels * self.odd**2, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.trunc_normal_(self.pred.weight, std=0.02)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Maps (B, D_s, rows_s, cols_s) → {"patch": (B, N, P·P·C)} in (p q c) order, for all cells of the last map.

        Raises UserError for an encoder without maps.
        """
        if encoded.maps is None:
            raise UserError("a U-Net decoder reads the maps of an encoder in stages (Swin, ConvNet), and this encoder has none: choose another decoder")
        x = self.fill[0](encoded.maps[-1], encoded.grid, mask)  # (B, D, rows, cols)
        for number, climb in enumerate(self.climbs, start=1):
            x = climb(x)  # (B, D/2, 2·rows, 2·cols)
            if number < len(self.fill):
                x = x + self.fill[number](encoded.maps[-1 - number], encoded.grid, mask)
        x = F.pixel_shuffle(self.pred(x), self.odd)  # (B, C, H, W)
        return {"patch": patchify(x, self.patch_size)}


class Densify(nn.Module):
    """Normalise the visible cells of a map, put a learnt mask token at the hidden ones, and map to the decoder's width.

    side: of the convolution's kernel, 1 for the last map, 3 for the others; a 1×1 convolution between equal widths is left out.
    """

    def __init__(self, before: int, after: int, side: int, norm: str):
        super().__init__()
        self.norm = BatchNorm(before) if norm == "batch" else nn.LayerNorm(before, eps=1e-6)
        self.mask_token = nn.Parameter(torch.zeros(before))
        self.proj = nn.Identity() if side == 1 and before == after else nn.Conv2d(before, after, side, padding=side // 2)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, x: Tensor, grid: tuple[int, int], mask: Mask | None) -> Tensor:
        """(B, D_s, rows_s, cols_s) → (B, D, rows_s, cols_s)."""
        x, active = x.permute(0, 2, 3, 1), None  # (B, rows_s, cols_s, D_s)
        if mask is not None:
            active = at_scale(~mask.hidden, grid, x.shape[1] // grid[0])  # (B, rows_s, cols_s)
        x = self.norm(x, active) if isinstance(self.norm, BatchNorm) else self.norm(x)
        if active is not None:
            x = torch.where(active.unsqueeze(-1), x, self.mask_token.to(x.dtype))
        return self.proj(x.permute(0, 3, 1, 2))


class Climb(nn.Module):
    """A block of the U-Net: a transposed convolution doubles the map's sides, then two convolutions, the second to another width."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.up = nn.ConvTranspose2d(before, before, 4, stride=2, padding=1)
        self.conv1, self.norm1 = nn.Conv2d(before, before, 3, padding=1, bias=False), BatchNorm(before)
        self.conv2, self.norm2 = nn.Conv2d(before, after, 3, padding=1, bias=False), BatchNorm(after)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, rows, cols) → (B, D', 2·rows, 2·cols)."""
        x = F.relu6(features_first(self.norm1, self.conv1(self.up(x))))
        return features_first(self.norm2, self.conv2(x))


def features_first(norm: BatchNorm, x: Tensor) -> Tensor:
    """A batch norm over all cells of a map with features first: (B, D, rows, cols) → the same."""
    return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
