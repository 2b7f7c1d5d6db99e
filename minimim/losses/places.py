"""Losses that compare place by place: one error for each.

A loss takes (prediction, target, where) and gives errors, (B, N) for patches or (B,) for whole images. Most errors
depend on their own place alone; `ranking` compares the places of an image with each other, so it needs `where`, the
(B, N) places that are scored. The average over the scored places is taken in one spot, by the Method.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

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


def cosine(prediction: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
    """Minus the cosine of the angle between answer and target, from −1, alike, to 1: (…, T) → (…) (EVA-01, arXiv 2211.07636).

    The length of neither counts. Its gradient is that of 1 − cosine, and half that of the squared distance of unit vectors.
    """
    return -F.cosine_similarity(prediction, target, dim=-1, eps=1e-6)


def cross_entropy(
    prediction: Tensor, target: Tensor, where: Tensor | None = None, temperature: float = 1.0, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of scores (…, T) against probabilities (…, T), or against ids (…) of the right class: → (…).

    smoothing: the part of an id's probability that is shared out evenly among all classes (arXiv 1512.00567).
    """
    scores = (prediction / temperature).log_softmax(dim=-1)
    if target.dtype == torch.long:
        right = -scores.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        return (1 - smoothing) * right - smoothing * scores.mean(dim=-1) if smoothing else right
    return -(target * scores).sum(dim=-1)


def pixel_cross_entropy(prediction: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of the pixels of a patch, each of a class of its own: scores (B, N, Q·K), ids (B, N, Q) → (B, N)."""
    return cross_entropy(prediction.unflatten(-1, (target.shape[-1], -1)), target).mean(dim=-1)


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
