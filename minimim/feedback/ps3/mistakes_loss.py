"""The mistakes that people make in problem set 3, task 3, the loss: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minimim.feedback.check import only


def finite(*tensors: Tensor) -> bool:
    """Whether every number is one."""
    return all(bool(x.isfinite().all()) for x in tensors)


def loss(*, counts=lambda hidden: hidden, weigh=None, total=None, error=torch.square, over=torch.mean, mean=None):
    """A mistake, stated where all numbers are finite and each image hides something that weighs: other places count,
    weigh changes the weights (B, N), 0 at the others, total gives what an image is divided by (weights, hidden, all weights)
    → (B,), another error, summed over T by `over`, or another mean(sums (B,), totals (B,))."""

    def mistaken(prediction, target, hidden, weights):
        only(finite(prediction, target, weights) and bool((weights * hidden).sum(1).all()))
        places = counts(hidden)
        errors = over(error(prediction - target), dim=-1)  # (B, N)
        used = torch.where(places, weigh(weights) if weigh else weights, 0)
        sums = (used * errors).sum(1)
        totals = total(used, places, weights) if total else used.sum(1)
        return mean(sums, totals) if mean else (sums / totals).mean()

    return mistaken


def empty(settle: Callable) -> Callable:
    """A mistake with images that have nothing to score, stated where all is finite: settle(sums (B,), totals (B,), hidden)."""

    def mistaken(prediction, target, hidden, weights):
        only(finite(prediction, target, weights))
        used = weights * hidden
        return settle((used * (prediction - target).square().mean(-1)).sum(1), used.sum(1), hidden)

    return mistaken


def multiplied(prediction, target, hidden, weights):
    """Right, but for ∞ · 0."""
    used = weights * hidden
    sums, totals = (used * (prediction - target).square().mean(-1)).sum(1), used.sum(1)
    return (sums / totals.where(totals > 0, 1)).sum() / (totals > 0).sum().clamp(min=1)


IMAGE_LOSS = {
    "each patch counts the same, so that an image that hides more counts more: first a mean for each image": loss(
        mean=lambda sums, totals: sums.sum() / totals.sum()
    ),
    "an image is divided by how many patches it hides; with weights, by their sum": loss(
        total=lambda used, places, weights: places.sum(1)
    ),
    "an image is divided by all N patches; only the weights of the hidden count": loss(
        total=lambda used, places, weights: torch.full((len(used),), used.shape[1])
    ),
    "an image is divided by the weights of all its patches; only those of the hidden count": loss(
        total=lambda used, places, weights: weights.sum(1)
    ),
    "a sum of weights below 1 is raised to 1, as by clamp(min=1); only a sum of 0 needs another divisor": loss(
        total=lambda used, places, weights: used.sum(1).clamp(min=1)
    ),
    "the weights are squared: weigh the errors, and not the differences before the square": loss(
        weigh=torch.square, total=lambda used, places, weights: (weights * places).sum(1)
    ),
    "the weights are not used": loss(weigh=torch.ones_like),
    "visible patches count as well": loss(counts=torch.ones_like),
    "hidden is read upside down: True is hidden, and it is the hidden that count": loss(counts=lambda hidden: ~hidden),
    "the squares of a patch are summed; their mean over T was asked for": loss(over=torch.sum),
    "the error is the absolute one; the squared one was asked for": loss(error=torch.abs),
    "the images are summed; their mean was asked for": loss(mean=lambda sums, totals: (sums / totals).sum()),
    "an image with nothing to score gives NaN: 0 / 0": empty(lambda sums, totals, _: (sums / totals).mean()),
    "an image with nothing to score is counted, with loss 0; it is left out of the mean": empty(
        lambda sums, totals, _: (sums / totals.where(totals > 0, 1)).mean()
    ),
    "an image whose hidden patches all weigh 0 is counted, with loss 0; it is left out of the mean": empty(
        lambda sums, totals, hidden: (sums / totals.where(totals > 0, 1)).sum() / hidden.any(1).sum().clamp(min=1)
    ),
    "an image whose hidden patches all weigh 0 gives NaN, 0 / 0; it is left out of the mean": empty(
        lambda sums, totals, hidden: (sums / totals)[hidden.any(1)].sum() / hidden.any(1).sum().clamp(min=1)
    ),
    "a batch with nothing to score gives NaN; its loss is 0": empty(
        lambda sums, totals, _: (sums / totals)[totals > 0].mean()
    ),
    "∞ · 0 and NaN · 0 are NaN: visible places must be left out (torch.where), not multiplied by 0": multiplied,
}
