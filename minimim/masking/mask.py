"""The Mask: which patches are hidden, which are scored, and in which order the encoder reads the visible ones."""

from dataclasses import dataclass

import torch
from torch import Tensor

from minimim.errors import UserError


@dataclass
class Mask:
    """What is hidden in one student view.

    hidden: (B, N) bool, True = hidden.
    scored: for each question to the decoder, the patches that it asks for, (B, N) bool; by default one question, the hidden patches.
    inputs: {"image": corrupted pixels (B, C, H, W), …} if the masking changes pixels and not tokens; the encoder then sees all patches.
    penalty: a scalar that is added to the loss (by a learned masking, so that it hides neither nothing nor everything).
    order: (B, N) patch ids, visible ones first; by default the visible and then the hidden, each in reading order.
    visible: K, the number of visible patches in each sample, if the masking knows it; this avoids counting them on the device.
    dropped: (B, N) bool, a subset of hidden: the encoder drops only these, and reads mask tokens at the other hidden patches (MAGE).
    By default an encoder that drops hidden patches drops all of them. If dropped is given, order and visible refer to what is not dropped.
    spans: {stream: slice}, if one sequence holds the tokens of several modalities (MultiMAE).
    asked: for each question the number of patches that it asks for, if this is known and the same in all samples.
    Raises UserError if hidden is not boolean.
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
        """The patches that an encoder which drops patches does not read, (B, N) bool."""
        return self.hidden if self.dropped is None else self.dropped

    @property
    def visible_ids(self) -> Tensor:
        """Ids of the patches that such an encoder reads, (B, K). Raises UserError if samples keep different numbers of them."""
        if self.visible is None:
            self.visible = equal_count(~self.left_out, "an encoder that drops hidden patches", "visible")
        return self.order[:, : self.visible]

    @property
    def restore_ids(self) -> Tensor:
        """For each patch, its place in `order`, (B, N): gathering by these indices undoes the shuffle."""
        return self.order.argsort(dim=1)

    def asked_ids(self, question: Tensor) -> Tensor:
        """Ids of the patches that a question asks for, in reading order, (B, M): for a predictor that predicts only these.
        Raises UserError if the question asks for different numbers of patches in different samples."""
        known = next((n for asked, n in zip(self.scored, self.asked, strict=False) if asked is question), None)
        count = equal_count(question, "a predictor that answers only what is asked", "asked") if known is None else known
        return (~question).to(torch.uint8).argsort(dim=1, stable=True)[:, :count]


def equal_count(places: Tensor, who: str, what: str) -> int:
    """The number of True places, (B, N) bool, in each sample. Raises UserError if it differs between samples."""
    counts = places.sum(dim=1)  # (B,)
    if not torch.all(counts == counts[0]):
        told = f"{who} needs the same number of {what} patches in each sample; here it runs from {int(counts.min())} to {int(counts.max())}"
        raise UserError(told)
    return int(counts[0])


def mask_by_noise(noise: Tensor, visible: int) -> Mask:
    """Keep the `visible` patches of lowest noise in each sample: noise (B, N) → Mask, shuffled as in the official MAE (arXiv 2111.06377)."""
    order = noise.argsort(dim=1)  # (B, N)
    hidden = torch.ones_like(noise, dtype=torch.bool)
    hidden.scatter_(1, order[:, :visible], 0)  # 0 because torch.jit.trace cannot record False
    return Mask(hidden, order=order, visible=visible)


def visible_count(patches: int, ratio: float) -> int:
    """How many of N patches stay visible at a mask ratio: int(N · (1 − ratio)), rounded as in the official MAE.

    Raises UserError if the ratio is not between 0 and 1, or leaves nothing visible or nothing hidden.
    """
    check_ratio(ratio)
    visible = int(patches * (1 - ratio))
    if not 0 < visible < patches:
        what = "visible" if visible == 0 else "hidden"
        raise UserError(f"mask ratio {ratio} leaves nothing {what} among {patches} patches: choose one that is less close to 0 or 1")
    return visible


def check_ratio(ratio: float) -> None:
    """Raise UserError unless 0 < ratio < 1."""
    if not 0 < ratio < 1:
        raise UserError(f"the mask ratio is a fraction of the patches, between 0 and 1 (0.75 hides three in four), not {ratio}")
