"""The Vision Transformer as an encoder (arXiv 2010.11929), in the two ways that masked image modeling uses it.

hidden="drop": the encoder reads the visible patches only (MAE, arXiv 2111.06377). hidden="token": it reads all places, with a learnt
mask token at the hidden ones (BEiT, 2106.08254; SimMIM, 2111.09886). Parameters have timm's names and the official MAE's initialisation.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from minimim.data.views import Inputs, as_inputs, normalize
from minimim.encoders.encoded import Encoded, asked_for, layer_number
from minimim.errors import UserError, unknown
from minimim.layers import Block, initialise
from minimim.masking.mask import Mask
from minimim.patches import PatchEmbed, grid_of, resize_positions, sincos_positions

SIZES = {  # dim, depth, heads
    "micro": (128, 4, 4),
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}


def size_of(size: str | tuple[int, int, int]) -> tuple[int, int, int]:
    """(dim, depth, heads) of a named size, or the three numbers themselves. Raises UserError for an unknown name, for anything but three
    whole numbers above 0, and for a number of heads that does not divide the width."""
    if isinstance(size, str) and size not in SIZES:
        raise unknown("size", size, SIZES)
    if not isinstance(size, str) and not (isinstance(size, list | tuple) and len(size) == 3):
        raise UserError(f"a size is a name ({', '.join(SIZES)}) or three numbers, (dim, depth, heads), not {size}")
    dim, depth, heads = SIZES[size] if isinstance(size, str) else size
    if not all(hasattr(number, "__index__") and number > 0 for number in (dim, depth, heads)):
        raise UserError(f"width, depth and heads of an encoder are whole numbers above 0, not {dim}, {depth} and {heads}")
    if dim % heads:
        raise UserError(f"a width of {dim} cannot be divided among {heads} heads: choose a number of heads that divides it")
    return dim, depth, heads


class ViT(nn.Module):
    """A Vision Transformer encoder.

    image_size: (H, W) or one side, in pixels; other sizes work too, with interpolated positions. size: a name in SIZES, or
    (dim, depth, heads). cls: whether there is a CLS token before the patches. hidden: "drop" or "token", see above. drop_path: the rate
    of the last block; it grows linearly from 0 at the first.
    Raises UserError if the patch size does not divide the image, or the size is unknown.
    """

    spec: dict | None = None  # of the method that it was made for, by `methods.create`
    normed = True  # whether the last norm is applied to the output; CMAE's teacher leaves it out

    def __init__(self, image_size=224, patch_size=16, size="base", *, channels=3, cls=True, hidden="drop", drop_path=0.0):
        super().__init__()
        self.dim, self.depth, self.heads = size_of(size)
        self.patch_size, self.hidden = patch_size, hidden
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.home_grid = grid_of(height, width, patch_size)
        self.patch_embed = PatchEmbed(patch_size, channels, self.dim)
        self.cls_token = nn.Parameter(torch.empty(1, 1, self.dim)) if cls else None
        self.mask_token = nn.Parameter(torch.empty(1, 1, self.dim)) if hidden == "token" else None
        rates = [drop_path * i / max(1, self.depth - 1) for i in range(self.depth)]
        self.blocks = nn.ModuleList(Block(self.dim, self.heads, rate) for rate in rates)
        self.norm = nn.LayerNorm(self.dim, eps=1e-6)
        positions = sincos_positions(self.dim, self.home_grid)  # (N, D)
        if cls:
            positions = torch.cat([torch.zeros(1, self.dim), positions])  # (1+N, D): the position of CLS is zero
        self.pos_embed = nn.Parameter(positions.unsqueeze(0), requires_grad=False)  # (1, 1+N, D)
        self.apply(initialise)
        for token in (self.cls_token, self.mask_token):
            if token is not None:
                nn.init.normal_(token, std=0.02)

    def grid(self, inputs: Tensor | Inputs) -> tuple[int, int]:
        """(rows, cols) of these images."""
        return grid_of(*as_inputs(inputs)["image"].shape[-2:], self.patch_size)

    def positions(self, grid: tuple[int, int]) -> tuple[Tensor | None, Tensor]:
        """The position embedding of CLS, (1, 1, D) or None, and of the patches of a grid, (1, N, D)."""
        lead = 0 if self.cls_token is None else 1
        patches = resize_positions(self.pos_embed[0, lead:], self.home_grid, grid).unsqueeze(0)
        return (self.pos_embed[:, :1] if lead else None), patches

    def embed(self, images: Tensor, mask: Mask | None) -> Tensor:
        """Images to the input of the first block: (B, C, H, W) → (B, [1+] K or N, D)."""
        cls_position, positions = self.positions(self.grid(images))
        if mask is not None and self.hidden == "drop":
            ids = mask.visible_ids  # (B, K)
            x = self.patch_embed(images, ids) + positions[0][ids]  # (B, K, D)
        else:
            x = self.patch_embed(images)  # (B, N, D)
            if mask is not None:
                x = torch.where(mask.hidden.unsqueeze(-1), self.mask_token.to(x.dtype), x)
            x = x + positions
        if self.cls_token is None:
            return x
        cls = (self.cls_token + cls_position).expand(x.shape[0], -1, -1)  # (B, 1, D)
        return torch.cat([cls.to(x.dtype), x], dim=1)

    def split(self, x: Tensor) -> Encoded:
        """Tokens (B, [1+] K, D), CLS first if there is one, as an Encoded."""
        return Encoded(x) if self.cls_token is None else Encoded(x[:, 1:], cls=x[:, 0])

    def said(self, x: Tensor) -> Encoded:
        """The output of a block, (B, [1+] K, D), through the last norm as an Encoded."""
        return self.split(self.norm(x) if self.normed else x)

    def forward(self, inputs: Tensor | Inputs, mask: Mask | None = None, want: str | Sequence[str] = ()) -> Encoded:
        """Encode images, raw or normalised, (B, C, H, W), with a mask or whole: patches (B, K or N, D), cls (B, D).

        want: one word or several. "layers" for the output of every block, through the last norm; "attention" for the attention weights of
        the last block, or "attention:2" for those of block 2, counted from 0. Raises UserError for other words.
        """
        images = normalize(as_inputs(inputs)["image"], self.patch_embed.proj.weight.dtype)
        return self.read(self.embed(images, mask), self.grid(images), want)

    def read(self, x: Tensor, grid: tuple[int, int], want: str | Sequence[str] = ()) -> Encoded:
        """Apply the blocks to the tokens (B, T, D) of images with this grid."""
        want_layers, number = asked_for(want, self.depth)
        layers, attention = [], None
        for index, block in enumerate(self.blocks):
            if index == number:
                attention = block.attn.weights(block.norm1(x))  # (B, heads, T, T)
            x = block(x)
            if want_layers:
                layers.append(self.said(x))
        encoded = layers[-1] if layers else self.said(x)
        return Encoded(encoded.patches, encoded.cls, layers=layers or None, attention=attention, grid=grid)

    def features(self, images: Tensor | Inputs, layer: int = -1, pool: str = "mean") -> Tensor:
        """One vector for each image, from one block's output through the last norm: (B, C, H, W) → (B, D), or (B, N, D) for
        pool="patches". Every evaluation uses this."""
        number = layer_number(layer, self.depth)
        if number == self.depth - 1:
            return self.forward(images).pooled(pool)
        return self.forward(images, want=("layers",)).layers[number].pooled(pool)
