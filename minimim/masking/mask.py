"""The Mask: what is hidden, what is scored, and in which order the encoder reads what is left."""

from dataclasses import dataclass

import torch
from torch import Tensor

from minimim.errors import UserError


@dataclass
class Mask:
    """What one student view hides. True = hidden, in every tensor here.

    hidden: (B, N) bool.
    scored: one (B, N) bool for each question that the decoder is asked; by default one question, the hidden patches.
    inputs: the corrupted pixels, when the masking works on pixels and not on tokens; the encoder then sees all of them.
    penalty: a scalar that is added to the loss (a learned masking keeps itself honest with it).
    order: (B, N) patch ids, visible ones first; by default the visible and then the hidden, each in reading order.
    visible: K, how many patches each sample keeps, where the masking knows it; saves a look at the data.
    """

    hidden: Tensor
    scored: tuple[Tensor, ...] = ()
    inputs: dict[str, Tensor] | None = None
    penalty: Tensor | None = None
    order: Tensor | None = None
    visible: int | None = None

    def __post_init__(self):
        if self.hidden.dtype != torch.bool:
            raise UserError(f"a mask is boolean, True = hidden; this one holds {self.hidden.dtype}")
        self.scored = self.scored or (self.hidden,)
        if self.order is None:
            self.order = self.hidden.to(torch.uint8).argsort(dim=1, stable=True)  # (B, N)

    @property
    def visible_ids(self) -> Tensor:
        """Patch ids of the visible patches, (B, K). Raises UserError when samples keep different numbers of them."""
        if self.visible is None:
            counts = (~self.hidden).sum(dim=1)  # (B,)
            if not torch.all(counts == counts[0]):
                raise UserError(
                    "an encoder that drops hidden patches needs the same number of visible patches in each sample; "
                    f"here it runs from {int(counts.min())} to {int(counts.max())}"
                )
            self.visible = int(counts[0])
        return self.order[:, : self.visible]

    @property
    def restore_ids(self) -> Tensor:
        """For each patch, its place in `order`, (B, N): taking these undoes the shuffle."""
        return self.order.argsort(dim=1)


def mask_by_noise(noise: Tensor, visible: int) -> Mask:
    """Keep the `visible` patches of lowest noise in each sample: noise (B, N) → Mask, shuffled as the official MAE does."""
    order = noise.argsort(dim=1)  # (B, N)
    hidden = torch.ones_like(noise, dtype=torch.bool)
    hidden.scatter_(1, order[:, :visible], 0)  # 0, not False, which torch.jit.trace cannot write down
    return Mask(hidden, order=order, visible=visible)


def visible_count(patches: int, ratio: float) -> int:
    """How many of N patches stay visible at a mask ratio: int(N · (1 − ratio)), the official MAE's rounding.

    Raises UserError when the ratio is not between 0 and 1, or leaves nothing visible or nothing hidden.
    """
    check_ratio(ratio)
    visible = int(patches * (1 - ratio))
    if not 0 < visible < patches:
        what = "visible" if visible == 0 else "hidden"
        raise UserError(f"mask ratio {ratio} leaves nothing {what} among {patches} patches: choose a milder one")
    return visible


def check_ratio(ratio: float) -> None:
    """Raise UserError unless 0 < ratio < 1."""
    if not 0 < ratio < 1:
        raise UserError(f"the mask ratio is a part of the patches, between 0 and 1 (0.75 hides three in four), not {ratio}")
