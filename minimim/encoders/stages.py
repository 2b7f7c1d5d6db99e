"""The common part of encoders in stages, whose maps become smaller and wider from stage to stage (Swin, ConvNeXt, ResNet).

The image is first cut into fine patches; every stage after the first halves both sides of its map and doubles the width. The unit
that is hidden is one place of the last map, so that every place of every map is either fully visible or fully hidden.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.views import Inputs, as_inputs
from minimim.encoders.encoded import Encoded, asked_for, layer_number
from minimim.errors import UserError, unknown
from minimim.patches import grid_of

FINEST = 4  # side in pixels of the first patch of Swin and ConvNeXt; only patch_size=4 gives a finer one


def fine_patch(patch_size: int) -> tuple[int, int]:
    """(side of a fine patch in pixels, number of stages) for an encoder whose last map has one place for patch_size×patch_size pixels.

    The fine patch is half of patch_size, and is halved again while it stays 4 pixels or more, for at most four stages: 32 gives (4, 4),
    as in the papers; 16 gives (4, 3), 8 gives (4, 2) and 4 gives (2, 2), for small images. Raises UserError for an odd patch_size.
    """
    if patch_size % 2:
        raise UserError(f"an encoder in stages halves its map, so its patch_size must be even, not {patch_size}: 4, 8, 16 and 32 are usual")
    fine, stages = patch_size // 2, 2
    while stages < 4 and fine % 2 == 0 and fine // 2 >= FINEST:
        fine, stages = fine // 2, stages + 1
    return fine, stages


def at_scale(places: Tensor, grid: tuple[int, int], times: int) -> Tensor:
    """Values at the places of the last map, (B, N), repeated on a map that is `times` as fine: (B, rows·times, cols·times)."""
    rows, cols = grid
    spread = places.view(-1, rows, 1, cols, 1).expand(-1, rows, times, cols, times)
    return spread.reshape(-1, rows * times, cols * times)


def shown(x: Tensor, active: Tensor | None) -> Tensor:
    """A map with zeros at hidden places: (B, rows, cols, D), active (B, rows, cols) bool, True = visible, or None → the same shape."""
    return x if active is None else x.masked_fill(~active.unsqueeze(-1), 0)


class Staged(nn.Module):
    """The part of the encoder protocol that all encoders in stages share.

    patch_size: the side in pixels of a place of the last map, the unit that is hidden and scored. sizes: {name: (first width, blocks of
    the four stages)}; with three stages the last of these is left out, with two the first as well, so that the deepest stage remains.
    Attributes: widths: of each stage's map; stage_of: the stage of each block, from 0; ends: the last block of each stage.
    Raises UserError for an unknown size, an odd patch_size, and one that does not divide the image.
    """

    spec: dict | None = None  # of the method that it was made for, by `methods.create`

    def __init__(self, image_size, patch_size: int, size: str, sizes: dict):
        super().__init__()
        if not isinstance(size, str) or size not in sizes:
            raise unknown(f"size of a {type(self).__name__}", size, sizes)
        self.patch_size = patch_size
        self.fine, stages = fine_patch(patch_size)
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.home_grid = grid_of(height, width, patch_size)
        first, blocks = sizes[size]
        blocks = blocks if stages == 4 else blocks[3 - stages : 3]
        self.widths = [first * 2**stage for stage in range(stages)]
        self.stage_of = [stage for stage in range(stages) for _ in range(blocks[stage])]
        self.ends = [sum(blocks[: stage + 1]) - 1 for stage in range(stages)]
        self.dim, self.depth = self.widths[-1], len(self.stage_of)
        self.norm = self.pos_embed = self.mask_token = self.cls_token = None

    def starts(self, index: int) -> bool:
        """Whether a block is the first of a stage after the first one, and so begins by halving the map."""
        return index - 1 in self.ends

    def grid(self, inputs: Tensor | Inputs) -> tuple[int, int]:
        """(rows, cols) of the last map of these images."""
        return grid_of(*as_inputs(inputs)["image"].shape[-2:], self.patch_size)

    def scale(self, index: int) -> int:
        """How many times finer than the last map a block's map is, along a side."""
        return 2 ** (len(self.widths) - 1 - self.stage_of[index])

    def wants_layers(self, want: str | Sequence[str]) -> bool:
        """Whether the layers are requested. Raises UserError for an attention map, which an encoder in stages does not have."""
        layers, number = asked_for(want, self.depth)
        if number is not None:
            raise UserError(f'a {type(self).__name__} has no attention map over all places: ask a ViT for "attention", or choose a part that needs none')
        return layers

    def kept(self, index: int, layers: bool) -> bool:
        """Whether a block's output is returned."""
        return layers or index in self.ends

    def normed(self, x: Tensor, index: int, active: Tensor | None) -> Tensor:
        """A block's output, (B, rows, cols, D), normalised: in the last stage by the encoder's last norm, in others by one without weights."""
        if self.norm is None:
            return x
        if self.stage_of[index] < len(self.widths) - 1:
            return F.layer_norm(x, x.shape[-1:], eps=1e-6)  # zeros stay zeros
        return shown(self.norm(x), active)

    def answer(self, outputs: dict[int, Tensor], grid: tuple[int, int], layers: bool, active: Tensor | None = None) -> Encoded:
        """An Encoded from the outputs that were kept, {block: (B, rows, cols, D)}. The patches are the last map, normalised.
        active: the visible cells of the last map, (B, rows, cols) bool, if hidden cells should be zero."""
        last = self.normed(outputs[self.depth - 1], self.depth - 1, active)  # (B, rows, cols, D)
        maps = [outputs[end] for end in self.ends[:-1]] + [last]
        every = [last if index == self.depth - 1 else self.normed(x, index, active) for index, x in outputs.items()] if layers else []
        return Encoded(
            last.flatten(1, 2),  # (B, N, D)
            maps=tuple(x.permute(0, 3, 1, 2) for x in maps),  # (B, D_s, rows_s, cols_s)
            layers=[Encoded(x.flatten(1, 2), grid=tuple(x.shape[1:3])) for x in every] or None,
            grid=grid,
        )

    def features(self, images: Tensor | Inputs, layer: int = -1, pool: str = "mean") -> Tensor:
        """One vector for each image, from one block: (B, C, H, W) → (B, D), or (B, N, D) for pool="patches". For a block of an earlier
        stage these have that stage's width and places, D_s and N_s."""
        number = layer_number(layer, self.depth)
        if number == self.depth - 1:
            return self.forward(images).pooled(pool)
        return self.forward(images, want=("layers",)).layers[number].pooled(pool)
