"""How a prediction is compared with its target: one error for each place, and which places count.

A loss takes (prediction, target, where) and gives errors, (B, N) for patches or (B,) for whole images. Most errors
depend on their own place alone; `ranking` compares the places of an image with each other, so it needs `where`, the
(B, N) places that are scored. The average over the scored places is taken in one spot, by the Method.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.masking.mask import Mask

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def l1(prediction: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean absolute error: (B, N, T) → (B, N). Its best guess for an uncertain patch is the median."""
    return (prediction - target).abs().mean(dim=-1)


def l2(prediction: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean squared error: (B, N, T) → (B, N). Its best guess for an uncertain patch is the mean."""
    return (prediction - target).square().mean(dim=-1)


def smooth_l1(prediction: Tensor, target: Tensor, where: Tensor | None = None, beta: float = 1.0) -> Tensor:
    """Squared below beta, absolute above, divided by beta below: (B, N, T) → (B, N)."""
    return F.smooth_l1_loss(prediction, target, reduction="none", beta=beta).mean(dim=-1)


def cross_entropy(prediction: Tensor, target: Tensor, where: Tensor | None = None, temperature: float = 1.0) -> Tensor:
    """Cross-entropy of scores (…, T) against probabilities (…, T), or against ids (…) of the right class: → (…)."""
    scores = (prediction / temperature).log_softmax(dim=-1)
    if target.dtype == torch.long:
        return -scores.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return -(target * scores).sum(dim=-1)


def ranking(prediction: Tensor, target: Tensor, where: Tensor) -> Tensor:
    """Is each scored patch predicted harder than each other one of its image? (HPM, arXiv 2304.05919)

    prediction: (B, N, 1) difficulties; target: (B, N) errors. For every pair of scored patches, the binary
    cross-entropy of sigmoid(pᵢ − pⱼ) against [tᵢ > tⱼ], averaged over j: → (B, N).
    """
    p = prediction.squeeze(-1)
    difference = p.unsqueeze(2) - p.unsqueeze(1)  # (B, N, N)
    harder = (target.unsqueeze(2) > target.unsqueeze(1)).to(difference.dtype)  # (B, N, N)
    errors = F.binary_cross_entropy_with_logits(difference, harder, reduction="none")
    pairs = where.unsqueeze(2) & where.unsqueeze(1) & ~torch.eye(p.shape[1], dtype=torch.bool, device=p.device)
    return torch.where(pairs, errors, 0).sum(dim=2) / pairs.sum(dim=2).clamp(min=1)


@dataclass
class Term:
    """One summand of the training loss.

    stream: which prediction, and which target, are compared. loss: by what. weight: how much it counts.
    on: the places that count: "scored" (the question that was asked), "hidden", "visible", "all", or a function of the
    Mask that gives them, (B, N) bool. pair: the target of the "same" view, or of every "other" view.
    against: when given, the target is the error that this other stream's term has just made, detached.
    """

    stream: str
    loss: Loss
    weight: float = 1.0
    on: str | Callable[[Mask], Tensor] = "scored"
    pair: str = "same"
    against: str | None = None

    def where(self, errors: Tensor, mask: Mask, question: Tensor) -> Tensor:
        """The places that count, a bool tensor of the errors' shape, (B, N) or (B,)."""
        if callable(self.on):
            return self.on(mask)
        everything = torch.ones(errors.shape, dtype=torch.bool, device=errors.device)
        return {"scored": question, "hidden": mask.hidden, "visible": ~mask.hidden, "all": everything}[self.on]
