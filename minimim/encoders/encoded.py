"""What an encoder answers, and what every encoder promises.

An encoder has `dim` (width of what it says), `depth` (its blocks), `patch_size` (pixels that one place of its output covers),
`home_grid` (rows, cols) of the images it was built for, `blocks` (all of them in one row, shallow to deep), and `norm`,
`pos_embed`, `mask_token` and `cls_token`, each of which may be None. It is called with (inputs, mask, want) and gives an
Encoded; `grid(inputs)` says how many places images have; `features(images, layer, pool)` is what every evaluation reads.
Of encoders in stages (Swin, ConvNet) all this is said of the last map; the layers have the width and the grid of their stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from minimim.errors import UserError, unknown

Streams = dict[str, Tensor]  # answers and targets by name: "patch" (B, N, T), "cls" (B, T), …


def layer_number(layer: int, depth: int) -> int:
    """A layer's number from 0, when −1 means the last. Raises UserError for a layer that is not there."""
    if not hasattr(layer, "__index__") or not -depth <= layer < depth:
        raise UserError(f"layer {layer} is not there: this encoder has {depth} blocks, 0 to {depth - 1}")
    return layer % depth


def asked_for(want: str | Sequence[str], depth: int) -> tuple[bool, int | None]:
    """What `want` asks an encoder for: whether for its layers, and for the attention map of which block, or of none.

    Raises UserError for a word that is not there, for a block that is not there, and for the maps of several blocks.
    """
    if not isinstance(want, str | Sequence | set):
        raise unknown("thing to want", want, ("layers", "attention", "attention:2"))
    words = {want} if isinstance(want, str) else set(want)
    maps = {word for word in words if word.partition(":")[0] == "attention"}
    for word in sorted(words - maps - {"layers"}):
        raise unknown("thing to want", word, ("layers", "attention", "attention:2"))
    if len(maps) > 1:
        raise UserError(f"one attention map at a time, not {' and '.join(sorted(maps))}: encode again for another block's")
    number = next(iter(maps)).removeprefix("attention").removeprefix(":") or "-1" if maps else None
    if number is not None and not number.removeprefix("-").isdecimal():
        raise UserError(f'attention is wanted of a block by its number, such as "attention:2", not of "{number}"')
    return "layers" in words, None if number is None else layer_number(int(number), depth)


@dataclass
class Encoded:
    """What an encoder says of a batch. patches: (B, K, D) of the visible, or (B, N, D) of all places; cls: (B, D);
    maps: (B, D_s, rows_s, cols_s) of each stage, shallow to deep, hierarchical encoders only; layers: the same after each block; attention: (B, heads, T, T)
    of one block; these two only when asked for with `want`. grid: (rows, cols) of all patches, hidden ones too."""

    patches: Tensor
    cls: Tensor | None = None
    maps: tuple[Tensor, ...] | None = None
    layers: list["Encoded"] | None = None
    attention: Tensor | None = None
    grid: tuple[int, int] | None = None

    def pooled(self, pool: str) -> Tensor:
        """One vector an image, (B, D): the "mean" of the patches, or the "cls" token; or the "patches" themselves, (B, N, D)."""
        if pool == "mean":
            return self.patches.mean(dim=1)
        if pool == "patches":
            return self.patches
        if pool != "cls":
            raise unknown("pooling", pool, ["mean", "cls", "patches"])
        if self.cls is None:
            raise UserError('this encoder has no CLS token: use pool="mean"')
        return self.cls
