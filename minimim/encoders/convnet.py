"""Convolutional encoders that skip hidden cells (SparK, Tian et al., arXiv 2301.03580): a ConvNeXt (Liu et al., arXiv 2201.03545)
and a ResNet (He et al., arXiv 1512.03385).

A dense convolution would carry visible content into hidden cells, and the mask would shrink from layer to layer. A sparse convolution
computes visible cells only; here it is emulated by a dense one, after which the hidden cells are set to zero. Norms use the visible
cells alone. The mask is passed from block to block; without a mask the encoder is an ordinary dense one.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.images import check_pixels
from minimim.data.views import Inputs, as_inputs, normalize
from minimim.encoders.encoded import Encoded
from minimim.encoders.stages import Staged, at_scale, shown
from minimim.errors import UserError, unknown
from minimim.layers import DropPath, Mlp, initialise
from minimim.masking.mask import Mask
from minimim.norms import BatchNorm

CONVNEXTS = {  # first width, blocks of each of four stages; micro is ours, the others are the paper's
    "micro": (64, (2, 2, 2, 2)),
    "tiny": (96, (3, 3, 9, 3)),
    "small": (96, (3, 3, 27, 3)),
    "base": (128, (3, 3, 27, 3)),
    "large": (192, (3, 3, 27, 3)),
}
RESNETS = {  # tiny is ResNet-18, small is ResNet-34; micro, base and large are ours
    "micro": (64, (1, 1, 1, 1)),
    "tiny": (64, (2, 2, 2, 2)),
    "small": (64, (3, 4, 6, 3)),
    "base": (128, (3, 4, 6, 3)),
    "large": (192, (3, 4, 6, 3)),
}


class ConvNet(Staged):
    """A ConvNeXt-like or ResNet-like encoder in which hidden cells are zero on every map and do not influence visible ones.

    kind: "convnext" or "resnet" (basic blocks; its `norm` is None, because its last block ends in one). image_size: (H, W) or one side,
    in pixels; other sizes work too. patch_size: the side in pixels of a cell of the last map, which is the unit that is hidden; 32 gives
    the four stages of the papers (stages.py). size: micro, tiny, small, base or large. drop_path: the rate of the last block; it grows
    linearly from 0 at the first.
    Differs: halving the map is part of the block that follows; layer scale starts at 1, not 1e-6, and the standard deviation of initial
    weights depends on the size of their layer instead of 0.02, which suits widths of several hundred, whereas the branches of narrow
    blocks would start close to zero and stay there; the last norm is applied to each cell, not after the mean; the ResNet's stem is one
    convolution with the fine patch as its stride, without max-pooling, and its halving shortcut is a 2×2 convolution, not a 1×1 that
    skips three cells in four.
    Raises UserError for an unknown kind or size.
    """

    def __init__(self, image_size=224, patch_size=32, size="base", *, channels=3, kind="convnext", drop_path=0.0):
        if kind not in ("convnext", "resnet"):
            raise unknown("kind of convnet", kind, ("convnext", "resnet"))
        super().__init__(image_size, patch_size, size, CONVNEXTS if kind == "convnext" else RESNETS)
        self.kind, self.channels = kind, channels
        make = ConvNeXtBlock if kind == "convnext" else ResNetBlock
        wide = self.fine if kind == "convnext" else 2 * self.fine - 1  # side in pixels of the first convolution's kernel
        self.stem = Convolution(channels, self.widths[0], wide, self.fine)
        self.stem_norm = CellNorm(self.widths[0]) if kind == "convnext" else BatchNorm(self.widths[0])
        self.blocks = nn.ModuleList()
        for index, stage in enumerate(self.stage_of):
            rate = drop_path * index / max(1, self.depth - 1)
            self.blocks.append(make(self.widths[stage], halves=self.starts(index), drop_path=rate))
        self.norm = CellNorm(self.dim) if kind == "convnext" else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                begin(module, kind)

    def embed(self, images: Tensor, active: Tensor | None) -> Tensor:
        """Images to fine cells: (B, C, H, W), active (B, rows, cols) → (B, rows, cols, D_0)."""
        check_pixels(images, self.stem.conv.weight.dtype)
        if images.dim() != 4 or images.shape[1] != self.channels:
            raise UserError(f"this encoder takes images (B, {self.channels}, H, W), and these are {tuple(images.shape)}: give images of that shape")
        rows, cols = self.grid(images)
        pixels = None if active is None else at_scale(active.flatten(1), (rows * self.scale(0), cols * self.scale(0)), self.fine)
        x = self.stem_norm(self.stem(shown(images.permute(0, 2, 3, 1), pixels), active), active)
        return x if self.kind == "convnext" else F.relu(x)

    def forward(self, inputs: Tensor | Inputs, mask: Mask | None = None, want: str | Sequence[str] = ()) -> Encoded:
        """Encode images, raw or normalised, (B, C, H, W), with a mask or whole. patches: (B, N, D) of all cells of the last map, zeros
        where hidden; maps: the output of each stage, only the last one normalised, zeros where hidden.

        want: "layers" for the output of every block, each with the width and the grid of its stage. Raises UserError for "attention".
        """
        layers, kept = self.wants_layers(want), {}
        images = normalize(as_inputs(inputs)["image"], self.stem.conv.weight.dtype)
        grid = self.grid(images)
        active = None if mask is None else [at_scale(~mask.hidden, grid, 2**halvings) for halvings in reversed(range(len(self.widths)))]
        x = self.embed(images, active and active[0])
        for index, block in enumerate(self.blocks):
            x = block(x, active and active[self.stage_of[index]])  # (B, rows, cols, D), halved and widened where a stage begins
            if self.kept(index, layers):
                kept[index] = x
        return self.answer(kept, grid, layers, active and active[-1])


class Convolution(nn.Module):
    """A convolution on maps with features last, after which hidden cells are zero again."""

    def __init__(self, before: int, after: int, side: int, stride: int = 1, *, groups: int = 1, bias: bool = True):
        super().__init__()
        padding = 0 if side == stride else side // 2  # separate patches, or windows centred on each cell
        self.conv = nn.Conv2d(before, after, side, stride, padding, groups=groups, bias=bias)

    def forward(self, x: Tensor, active: Tensor | None) -> Tensor:
        """(B, rows, cols, C), active (B, rows/stride, cols/stride) bool or None → (B, rows/stride, cols/stride, D)."""
        return shown(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), active)


class CellNorm(nn.LayerNorm):
    """LayerNorm of each visible cell."""

    def __init__(self, dim: int):
        super().__init__(dim, eps=1e-6)

    def forward(self, x: Tensor, active: Tensor | None = None) -> Tensor:
        """(B, rows, cols, D) → the same, zeros where hidden."""
        return shown(super().forward(x), active)


class ConvNeXtBlock(nn.Module):
    """A depthwise 7×7 convolution, a norm, an MLP, and a scale for each feature; the first block of a stage halves the map before that."""

    def __init__(self, dim: int, *, halves: bool, drop_path: float = 0.0):
        super().__init__()
        self.halve = nn.ModuleList([CellNorm(dim // 2), Convolution(dim // 2, dim, 2, 2)]) if halves else None
        self.mix = Convolution(dim, dim, 7, groups=dim)
        self.norm = CellNorm(dim)
        self.mlp = Mlp(dim)
        self.gamma = nn.Parameter(torch.ones(dim))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, active: Tensor | None) -> Tensor:
        """(B, rows, cols, D) → the same; or (B, 2·rows, 2·cols, D/2) → (B, rows, cols, D). active: (B, rows, cols) bool, or None."""
        if self.halve is not None:
            norm, convolution = self.halve
            x = convolution(norm(x), active)  # the four cells that become one are all visible or all hidden: the norm needs no mask
        branch = self.gamma * self.mlp(self.norm(self.mix(x, active), active))
        return x + self.drop_path(shown(branch, active))


class ResNetBlock(nn.Module):
    """Two 3×3 convolutions with batch norms and ReLU, and a shortcut; in the first block of a stage both halve the map."""

    def __init__(self, dim: int, *, halves: bool, drop_path: float = 0.0):
        super().__init__()
        before, stride = (dim // 2, 2) if halves else (dim, 1)
        self.conv1, self.norm1 = Convolution(before, dim, 3, stride, bias=False), BatchNorm(dim)
        self.conv2, self.norm2 = Convolution(dim, dim, 3, bias=False), BatchNorm(dim)
        self.shortcut = nn.ModuleList([Convolution(before, dim, 2, 2, bias=False), BatchNorm(dim)]) if halves else None
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, active: Tensor | None) -> Tensor:
        """(B, rows, cols, D) → the same; or (B, 2·rows, 2·cols, D/2) → (B, rows, cols, D). active: (B, rows, cols) bool, or None."""
        branch = F.relu(self.norm1(self.conv1(x, active), active))
        branch = self.norm2(self.conv2(branch, active), active)
        if self.shortcut is not None:
            convolution, norm = self.shortcut
            x = norm(convolution(x, active), active)
        return F.relu(x + self.drop_path(branch))


def begin(layer: nn.Conv2d | nn.Linear, kind: str) -> None:
    """Initialise a layer in place. ConvNeXt: Xavier-uniform as a ViT, and depthwise convolutions so that their output has the standard
    deviation of their input; ResNet: He's initialisation for ReLU; biases zero."""
    if kind == "convnext":
        initialise(layer)
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
        return
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
