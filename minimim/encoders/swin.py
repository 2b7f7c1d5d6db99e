"""A Swin Transformer as an encoder (Liu et al., arXiv 2103.14030): attention inside windows, which are shifted in every second block, and
maps that are halved from stage to stage. SimMIM (arXiv 2111.09886) pretrains it with mask tokens at hidden places."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.views import Inputs, as_inputs, normalize
from minimim.encoders.encoded import Encoded
from minimim.encoders.stages import Staged, at_scale
from minimim.layers import DropPath, Mlp, initialise
from minimim.masking.mask import Mask
from minimim.patches import PatchEmbed

SIZES = {  # first width, blocks of each of four stages; heads are 32 wide. micro is ours, the others are the paper's
    "micro": (64, (2, 2, 2, 2)),
    "tiny": (96, (2, 2, 6, 2)),
    "small": (96, (2, 2, 18, 2)),
    "base": (128, (2, 2, 18, 2)),
    "large": (192, (2, 2, 18, 2)),
}
WINDOWS = {"micro": 4}  # cells along a window; the others have the paper's 7
HEAD = 32


class Swin(Staged):
    """A Swin-like encoder that reads all places, with a learnt mask token at the hidden ones.

    image_size: (H, W) or one side, in pixels; other sizes work too. patch_size: the side in pixels of a place of the last map, the unit
    that is hidden; the fine patches that are embedded are 2 to 8 times smaller (stages.py): patch_size=32 is the paper's Swin, with
    fine patches of 4 and four stages. size: micro, tiny, small, base or large. window: largest side of a window in cells.
    drop_path: the rate of the last block; it grows linearly from 0 at the first.
    Raises UserError for an unknown size, an odd patch_size, and one that does not divide the image.
    Differs: the size of a window depends on the map (`fitting`), where the paper's is always 7; the merging of patches is part of the
    block that follows, so that `blocks` contains the whole encoder.
    """

    def __init__(self, image_size=224, patch_size=32, size="base", *, channels=3, window=None, drop_path=0.0):
        super().__init__(image_size, patch_size, size, SIZES)
        self.window = window or WINDOWS.get(size, 7)
        self.patch_embed = PatchEmbed(self.fine, channels, self.widths[0])
        self.patch_norm = nn.LayerNorm(self.widths[0])
        self.mask_token = nn.Parameter(torch.empty(1, 1, self.widths[0]))
        self.blocks = nn.ModuleList()
        for index, stage in enumerate(self.stage_of):
            place = index if stage == 0 else index - self.ends[stage - 1] - 1  # in its stage: every second block is shifted
            rate = drop_path * index / max(1, self.depth - 1)
            self.blocks.append(SwinBlock(self.widths[stage], self.window, place % 2 == 1, merges=self.starts(index), drop_path=rate))
        self.norm = nn.LayerNorm(self.dim)
        self.apply(initialise)
        nn.init.normal_(self.mask_token, std=0.02)
        for block in self.blocks:
            nn.init.trunc_normal_(block.attn.table, std=0.02)

    def embed(self, images: Tensor, mask: Mask | None) -> Tensor:
        """Images to a map of fine tokens, with mask tokens at hidden places: (B, C, H, W) → (B, rows, cols, D_0)."""
        rows, cols = (side * self.scale(0) for side in self.grid(images))
        x = self.patch_norm(self.patch_embed(images)).unflatten(1, (rows, cols))  # (B, rows, cols, D_0)
        if mask is None:
            return x
        hidden = at_scale(mask.hidden, self.grid(images), self.scale(0))  # (B, rows, cols)
        return torch.where(hidden.unsqueeze(-1), self.mask_token.to(x.dtype), x)

    def forward(self, inputs: Tensor | Inputs, mask: Mask | None = None, want: str | Sequence[str] = ()) -> Encoded:
        """Encode images, raw or normalised, (B, C, H, W), with a mask or whole. patches: (B, N, D) of all places of the last map.

        want: "layers" for the output of every block, each with the width and the grid of its stage. Raises UserError for "attention".
        """
        layers, kept = self.wants_layers(want), {}
        images = normalize(as_inputs(inputs)["image"], self.patch_embed.proj.weight.dtype)
        x = self.embed(images, mask)
        for index, block in enumerate(self.blocks):
            x = block(x)  # (B, rows, cols, D), halved and widened where a stage begins
            if self.kept(index, layers):
                kept[index] = x
        return self.answer(kept, self.grid(images), layers)


class SwinBlock(nn.Module):
    """A pre-norm block with attention inside windows; the first block of a stage merges patches before that."""

    def __init__(self, dim: int, window: int, shifted: bool, *, merges: bool, drop_path: float = 0.0):
        super().__init__()
        self.merge = PatchMerging(dim) if merges else None
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window, shifted)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, rows, cols, D) → the same; or (B, rows, cols, D/2) → (B, rows/2, cols/2, D)."""
        if self.merge is not None:
            x = self.merge(x)
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchMerging(nn.Module):
    """Four neighbours become one, twice as wide: they are laid end to end, normed, and mapped linearly."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(2 * dim)
        self.reduction = nn.Linear(2 * dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, rows, cols, D/2) → (B, rows/2, cols/2, D)."""
        rows, cols = x.shape[1] // 2, x.shape[2] // 2
        x = x.unflatten(2, (cols, 2)).unflatten(1, (rows, 2))  # (B, rows/2, 2, cols/2, 2, D/2)
        x = x.permute(0, 1, 3, 4, 2, 5).flatten(3)  # (B, rows/2, cols/2, 2D): column by column, as the official code has it
        return self.reduction(self.norm(x))


class WindowAttention(nn.Module):
    """Multi-head attention inside windows of a map, with a learnt bias for every step between two cells.

    window: largest side of a window; a smaller one uses the middle of the same table of biases. shifted: whether the windows are
    moved by half their side, round the edges of the map; cells that are no neighbours then do not see each other.
    """

    def __init__(self, dim: int, window: int, shifted: bool):
        super().__init__()
        self.window, self.shifted, self.heads = window, shifted, dim // HEAD
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        # ((2W−1)²·heads,): one-dimensional, so that it gets no weight decay, as in Swin's code
        self.table = nn.Parameter(torch.zeros((2 * window - 1) ** 2 * self.heads))

    def forward(self, x: Tensor) -> Tensor:
        """(B, rows, cols, D) → the same."""
        sides = tuple(int(side) for side in x.shape[1:3])  # whole numbers, for torch.jit.trace too
        windows = tuple(fitting(side, self.window) for side in sides)
        padding = [-side % window for side, window in zip(sides, windows, strict=True)]
        # If one window covers the map there is nothing to shift.
        shifts = [window // 2 * (self.shifted and window < side) for side, window in zip(sides, windows, strict=True)]
        x = F.pad(x, (0, 0, 0, padding[1], 0, padding[0])).roll([-shift for shift in shifts], dims=(1, 2))
        padded = tuple(side + more for side, more in zip(sides, padding, strict=True))
        bias = self.bias(windows)  # (heads, T, T)
        if any(padding) or any(shifts):
            region = regions(sides, padded, shifts, x.device)  # (1, rows', cols', 1)
            region = split(region, windows).squeeze(-1)  # (1, n, T)
            apart = region.unsqueeze(2) != region.unsqueeze(3)  # (1, n, T, T)
            bias = bias.masked_fill(apart.unsqueeze(2), -torch.inf)  # (1, n, heads, T, T)
        q, k, v = self.qkv(split(x, windows)).unflatten(-1, (3, self.heads, HEAD)).permute(3, 0, 1, 4, 2, 5).unbind(0)  # (B, n, heads, T, d)
        x = ((q * HEAD**-0.5 @ k.transpose(-2, -1) + bias).softmax(dim=-1) @ v).transpose(2, 3).flatten(3)  # (B, n, T, D)
        x = joined(self.proj(x), windows, padded).roll(shifts, dims=(1, 2))  # (B, rows', cols', D)
        return x[:, : sides[0], : sides[1]]

    def bias(self, windows: tuple[int, int]) -> Tensor:
        """The relative position bias, which is added to the products of queries and keys of a window: (heads, T, T)."""
        row, col = (torch.arange(side, device=self.table.device) for side in windows)
        down, across = (at.view(-1, 1) - at for at in (row, col))  # (h, h), (w, w): steps from key to query
        width = 2 * self.window - 1
        place = (down + self.window - 1).view(len(row), 1, len(row), 1) * width + (across + self.window - 1).view(1, len(col), 1, len(col))
        place = place.flatten(2).flatten(0, 1)  # (T, T)
        return F.embedding(place, self.table.view(-1, self.heads)).permute(2, 0, 1)


def fitting(side: int, largest: int) -> int:
    """The window's side for a map's side: the whole side if it is at most `largest`, else the side from largest/2 to largest that pads least.

    A map of 56, 28, 14 or 7 cells takes 7, as in Swin at 224 pixels; one of 48, 24, 12 or 6 takes 6, as in SimMIM at 192.
    """
    if side <= largest:
        return side
    best = largest
    for window in range(largest - 1, (largest + 1) // 2 - 1, -1):  # a loop, which every torch.compile can follow
        best = window if -side % window < -side % best else best
    return best


def regions(sides: tuple[int, int], padded: tuple[int, int], shifts: list[int], device) -> Tensor:
    """A region number for each cell of a padded and shifted map, (1, rows', cols', 1): within a window, only cells with the same number
    are neighbours on the map, and attend to each other; cells shifted round an edge and padding have other numbers."""
    parts = []
    for side, length, shift in zip(sides, padded, shifts, strict=True):
        at = (torch.arange(length, device=device) + shift) % length  # where the cell was before the shift
        parts.append((at < shift) + 2 * (at >= side))  # (length,)
    return (parts[0].view(-1, 1) * 4 + parts[1]).view(1, *padded, 1)


def split(x: Tensor, windows: tuple[int, int]) -> Tensor:
    """Cut a map into windows: (B, rows, cols, D) → (B, n, T, D), n windows of T cells, both in reading order."""
    high, wide = windows
    x = x.reshape(x.shape[0], x.shape[1] // high, high, x.shape[2] // wide, wide, x.shape[3])
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def joined(x: Tensor, windows: tuple[int, int], padded: tuple[int, int]) -> Tensor:
    """The inverse of `split`: (B, n, T, D) → (B, rows, cols, D)."""
    (high, wide), (rows, cols) = windows, padded
    x = x.reshape(x.shape[0], rows // high, cols // wide, high, wide, x.shape[3])
    return x.transpose(2, 3).reshape(x.shape[0], rows, cols, x.shape[-1])
