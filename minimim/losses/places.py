"""Losses that compare place by place and return one error for each.

A loss is called as (prediction, target, where) and returns errors, (B, N) for patches or (B,) for whole images. Most errors depend on
their own place alone; `ranking` compares the places of an image with each other, so it needs `where`, (B, N) bool, the places that are
scored. The mean over the scored places is taken by the Method, in one place for all losses.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def l1(prediction: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean absolute error: (B, N, T) twice → (B, N). It is minimised by predicting the median of the possible targets."""
    return (prediction - target).abs().mean(dim=-1)


def l2(prediction: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean squared error: (B, N, T) twice → (B, N). It is minimised by predicting the mean of the possible targets."""
    return (prediction - target).square().mean(dim=-1)


def smooth_l1(prediction: Tensor, target: Tensor, where: Tensor | None = None, beta: float = 1.0) -> Tensor:
    """Smooth L1 (Huber) error: d²/(2·beta) for a difference d below beta, |d| − beta/2 above, averaged: (B, N, T) twice → (B, N)."""
    return F.smooth_l1_loss(prediction, target, reduction="none", beta=beta).mean(dim=-1)


def cosine(prediction: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
    """Minus the cosine similarity of prediction and target, from −1 (same direction) to 1: (…, T) twice → (…) (EVA-01, arXiv 2211.07636).

    It does not depend on the lengths of the two. Its gradient is that of 1 − cosine, and half that of the squared distance of unit vectors.
    """
    return -F.cosine_similarity(prediction, target, dim=-1, eps=1e-6)


def cross_entropy(
    prediction: Tensor, target: Tensor, where: Tensor | None = None, temperature: float = 1.0, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of scores (…, T) with target probabilities (…, T), or with int64 ids of the true class (…): → (…).

    temperature: the scores are divided by it. smoothing: label smoothing for ids, the fraction of the target's probability that is
    distributed evenly over all classes (arXiv 1512.00567).
    """
    scores = (prediction / temperature).log_softmax(dim=-1)
    if target.dtype == torch.long:
        right = -scores.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        return (1 - smoothing) * right - smoothing * scores.mean(dim=-1) if smoothing else right
    return -(target * scores).sum(dim=-1)


def pixel_cross_entropy(prediction: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over the Q pixels of a patch, each with one of K classes: scores (B, N, Q·K), ids (B, N, Q) → (B, N)."""
    return cross_entropy(prediction.unflatten(-1, (target.shape[-1], -1)), target).mean(dim=-1)


def ranking(prediction: Tensor, target: Tensor, where: Tensor) -> Tensor:
    """A ranking loss of predicted difficulties against the order of true errors, for pairs of patches of an image (HPM, arXiv 2304.05919).

    prediction: difficulties (B, N, 1); target: errors (B, N); where: scored patches (B, N) bool. For every pair of scored patches, the
    binary cross-entropy of sigmoid(pᵢ − pⱼ) with [tᵢ > tⱼ], averaged over j: → (B, N).
    """
    p = prediction.squeeze(-1)
    difference = p.unsqueeze(2) - p.unsqueeze(1)  # (B, N, N)
    harder = (target.unsqueeze(2) > target.unsqueeze(1)).to(difference.dtype)  # (B, N, N)
    errors = F.binary_cross_entropy_with_logits(difference, harder, reduction="none")
    pairs = where.unsqueeze(2) & where.unsqueeze(1) & ~torch.eye(p.shape[1], dtype=torch.bool, device=p.device)
    return torch.where(pairs, errors, 0).sum(dim=2) / pairs.sum(dim=2).clamp(min=1)
