"""The output of an encoder, and the protocol of all encoders.

An encoder has `dim` (width of its output), `depth` (number of blocks), `patch_size` (side in pixels of the square that one place of
its output covers), `home_grid` (rows, cols) of the images it was built for, `blocks` (all of them in order, shallow to deep), and
`norm`, `pos_embed`, `mask_token` and `cls_token`, each of which may be None. It is called with (inputs, mask, want) and returns an
Encoded; `grid(inputs)` returns the (rows, cols) of images; every evaluation calls `features(images, layer, pool)`.
For encoders in stages (Swin, ConvNet) all this refers to the last map; the layers have the width and the grid of their stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from minimim.errors import UserError, unknown

Streams = dict[str, Tensor]  # predictions or targets by name: "patch" (B, N, T), "cls" (B, T), …


def layer_number(layer: int, depth: int) -> int:
    """A layer's number counted from 0; negative numbers count from the end, as −1 for the last. Raises UserError if there is no such layer."""
    if not hasattr(layer, "__index__") or not -depth <= layer < depth:
        raise UserError(f"layer {layer} is not there: this encoder has {depth} blocks, 0 to {depth - 1}")
    return layer % depth


def asked_for(want: str | Sequence[str], depth: int) -> tuple[bool, int | None]:
    """What `want` requests of an encoder: (whether its layers, the number of the block whose attention map is wanted or None).

    want: "layers", "attention" (of the last block), "attention:2" (of block 2), or several of these. Raises UserError for another word,
    for a block that does not exist, and for the maps of several blocks.
    """
    if not isinstance(want, (str, Sequence, set)):  # a tuple, because the compiler of torch 2.6 cannot follow a union
        raise unknown("thing to want", want, ("layers", "attention", "attention:2"))
    words = {want} if isinstance(want, str) else set(want)
    maps = {word for word in words if word.partition(":")[0] == "attention"}
    for word in sorted(words - maps - {"layers"}):
        raise unknown("thing to want", word, ("layers", "attention", "attention:2"))
    if len(maps) > 1:
        raise UserError(f"one attention map at a time, not {' and '.join(sorted(maps))}: encode again for another block's")
    number = next(iter(maps)).removeprefix("attention").removeprefix(":") or "-1" if maps else None
    if number is not None and not number.removeprefix("-").isdecimal():
        raise UserError(f'attention is requested of a block by its number, such as "attention:2", not of "{number}"')
    return "layers" in words, None if number is None else layer_number(int(number), depth)


@dataclass
class Encoded:
    """The output of an encoder for a batch.

    patches: latents (B, K, D) of the visible patches, or (B, N, D) of all. cls: (B, D), or None. maps: (B, D_s, rows_s, cols_s) of each
    stage, shallow to deep, for encoders in stages only. layers: an Encoded for each block; attention: attention weights (B, heads, T, T)
    of one block; both only if requested with `want`. grid: (rows, cols) of all patches, hidden ones included.
    """

    patches: Tensor
    cls: Tensor | None = None
    maps: tuple[Tensor, ...] | None = None
    layers: list["Encoded"] | None = None
    attention: Tensor | None = None
    grid: tuple[int, int] | None = None

    def pooled(self, pool: str) -> Tensor:
        """One vector for each image, (B, D): the "mean" of the patches, or the "cls" token; or the "patches" themselves, (B, N, D).

        Raises UserError for another pool, and for "cls" if there is no CLS token.
        """
        if pool == "mean":
            return self.patches.mean(dim=1)
        if pool == "patches":
            return self.patches
        if pool != "cls":
            raise unknown("pooling", pool, ["mean", "cls", "patches"])
        if self.cls is None:
            raise UserError('this encoder has no CLS token: use pool="mean"')
        return self.cls
