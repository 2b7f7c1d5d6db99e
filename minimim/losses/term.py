"""One term of the training loss: what is compared with what, by which loss, and at which places."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minimim.errors import UserError, unknown
from minimim.losses.places import Loss
from minimim.masking.mask import Mask

PLACES = ("scored", "hidden", "visible", "all")
PAIRS = ("same", "other", "views", None)


@dataclass
class Term:
    """One term of the training loss.

    stream: the name of the prediction and of the target that are compared; "latent" (the encoder's patches), "latent_cls" and
    "latent_mean" stand for the encoder's own output. loss: a function or a Module, whose weights are then trained and saved. weight: a
    factor. on: the places over which the mean is taken: "scored" (the question to the decoder), "hidden", "visible", "all", or a
    function of the Mask that returns them, (B, N) bool.
    pair: which target is used: that of the "same" view, or of every "other" view. With "views" there is no target: the loss gets the
    predictions for all student views, (V, B, T), once in each step. With None the loss gets a prediction alone (uniformity, KoLeo). In
    these two cases on becomes "all", except for a function with None.
    against: the name of another stream; the target is then the error that this stream's term has just computed, detached.
    name: the name in the log, by default the stream.
    Raises UserError for an unknown pair or on, for a function as on with pair="views", and for a name that the log uses for the total.
    """

    stream: str
    loss: Loss
    weight: float = 1.0
    on: str | Callable[[Mask], Tensor] = "scored"
    pair: str | None = "same"
    against: str | None = None
    name: str | None = None

    def __post_init__(self):
        if self.pair not in PAIRS:
            raise unknown("pair of a term", str(self.pair), [*PAIRS[:3], "None"])
        if not callable(self.on) and self.on not in PLACES:
            raise unknown("place for a term to count", self.on, PLACES)
        if (self.name or self.stream) in ("loss", "grad_norm"):
            raise UserError(f'a term cannot be called "{self.name or self.stream}", as the log uses that name: give it another one')
        if self.pair == "views" and callable(self.on):
            raise UserError(f'the term on "{self.stream}" compares views, each with masks of its own: leave out its on, which reads a mask')
        if self.pair in ("views", None) and not callable(self.on):
            self.on = "all"  # there is no target, and so no question

    def where(self, errors: Tensor, mask: Mask, question: Tensor) -> Tensor:
        """The places over which the mean is taken, a bool tensor of the errors' shape, (B, N) or (B,). Raises UserError if `on` returns
        anything but a bool tensor, or the shapes differ."""
        if self.on == "all":
            return torch.ones(errors.shape, dtype=torch.bool, device=errors.device)
        places = self.places(mask, question)
        if not isinstance(places, Tensor) or places.dtype != torch.bool:
            raise UserError(
                f'on of the term on "{self.stream}" gives {type(places).__name__} where a bool tensor (B, N) is needed: '
                "return the places that count"
            )
        if places.shape != errors.shape:
            raise UserError(
                f'the term on "{self.stream}" makes errors of shape {tuple(errors.shape)}, and the places that count for it are '
                f'{tuple(places.shape)}: give it on="all" where there is one error an image, or a function of the mask'
            )
        return places

    def places(self, mask: Mask, question: Tensor) -> Tensor:
        """The places over which the mean is taken, (B, N) bool, if on is not "all"."""
        return self.on(mask) if callable(self.on) else {"scored": question, "hidden": mask.hidden, "visible": ~mask.hidden}[self.on]


def check_terms(terms: list[Term], target) -> None:
    """Raise UserError if there is no term, if one is `against` errors that no earlier term of its pair computes, or if one needs a target
    and there is none."""
    if not terms:
        raise UserError("a method needs one term or more: without any there is nothing to learn from")
    for index, term in enumerate(terms):
        earlier = [before.stream for before in terms[:index] if before.pair == term.pair]
        if term.against and term.against not in earlier:
            raise UserError(
                f'the term on "{term.stream}" is against the errors on "{term.against}", and the terms of its pair before it are on '
                f"{earlier}: put that term first"
            )
        if target is None and term.pair in ("same", "other") and not term.against:
            raise UserError(f'the term on "{term.stream}" compares with a target, and this method has none: give it one, or the term pair=None')


def module_of(loss: Loss) -> nn.Module | None:
    """The Module that a loss is, or that a `functools.partial` wraps; None for a function."""
    return next((part for part in (loss, getattr(loss, "func", None)) if isinstance(part, nn.Module)), None)


def loss_name(loss: Loss) -> str:
    """The name of a loss, or of the one that a `functools.partial` wraps."""
    return getattr(loss, "__name__", None) or getattr(getattr(loss, "func", None), "__name__", type(loss).__name__)
