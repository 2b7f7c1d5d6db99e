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
    dropped: (B, N) bool inside hidden: only these are left out, and mask tokens stand at the other hidden ones (MAGE).
    By default an encoder that leaves out what is hidden leaves out all of it. order and visible then count what is not dropped.
    spans: {stream: slice}, where one row holds the patches of several modalities (MultiMAE).
    asked: for each question how many patches it asks, where that is the same in all samples and known.
    """

    hidden: Tensor
    scored: tuple[Tensor, ...] = ()
    inputs: dict[str, Tensor] | None = None
    penalty: Tensor | None = None
    order: Tensor | None = None
    visible: int | None = None
    dropped: Tensor | None = None
    spans: dict[str, slice] | None = None
    asked: tuple[int | None, ...] = ()

    def __post_init__(self):
        if self.hidden.dtype != torch.bool:
            raise UserError(f"a mask is boolean, True = hidden; this one holds {self.hidden.dtype}")
        if not self.asked and not self.scored and self.visible is not None and self.dropped is None:
            self.asked = (self.hidden.shape[1] - self.visible,)
        self.scored = self.scored or (self.hidden,)
        if self.order is None:
            self.order = self.left_out.to(torch.uint8).argsort(dim=1, stable=True)  # (B, N)

    @property
    def left_out(self) -> Tensor:
        """What an encoder that drops patches never reads, (B, N) bool."""
        return self.hidden if self.dropped is None else self.dropped

    @property
    def visible_ids(self) -> Tensor:
        """Patch ids of what such an encoder reads, (B, K). Raises UserError when samples keep different numbers of them."""
        if self.visible is None:
            self.visible = equal_count(~self.left_out, "an encoder that drops hidden patches", "visible")
        return self.order[:, : self.visible]

    @property
    def restore_ids(self) -> Tensor:
        """For each patch, its place in `order`, (B, N): taking these undoes the shuffle."""
        return self.order.argsort(dim=1)

    def asked_ids(self, question: Tensor) -> Tensor:
        """Patch ids of what one of its questions asks, in reading order, (B, M): for a predictor that answers nothing else.
        Raises UserError when samples are asked different numbers of patches."""
        known = next((n for asked, n in zip(self.scored, self.asked, strict=False) if asked is question), None)
        count = equal_count(question, "a predictor that answers only what is asked", "asked") if known is None else known
        return (~question).to(torch.uint8).argsort(dim=1, stable=True)[:, :count]


def equal_count(places: Tensor, who: str, what: str) -> int:
    """How many places, (B, N) bool, each sample has. Raises UserError when they differ."""
    counts = places.sum(dim=1)  # (B,)
    if not torch.all(counts == counts[0]):
        told = f"{who} needs the same number of {what} patches in each sample; here it runs from {int(counts.min())} to {int(counts.max())}"
        raise UserError(told)
    return int(counts[0])


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
