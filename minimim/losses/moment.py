"""Agreement with a target, where the second moment of all targets takes the place of negative pairs (UniGrad, arXiv 2112.05141)."""

import torch
from torch import Tensor

from minimim.processes import summed


def unigrad(prediction: Tensor, target: Tensor, where: Tensor | None = None, spread: float = 0.02) -> Tensor:
    """Squared distance to the target plus the mean squared product with all targets: (B, N, T) twice → (B, N) (SiameseIM, arXiv
    2206.01204; UniGrad, 2112.05141).

    (‖p − t‖² + spread · pᵀ C p) / T, where C (T, T) is the mean of t tᵀ over all targets of the batch and of all processes. pᵀ C p is
    the mean of (pᵀ t)² over all targets, so it pushes the prediction away from every target; it is computed as (p C) · p, without
    forming all pairs of places. spread: the weight of this second part.
    """
    rows = target.flatten(0, -2)  # (rows, T)
    moment = summed(torch.cat([rows.T @ rows, torch.full_like(rows[:1], len(rows))]))  # (T + 1, T), the last row a count
    moment = moment[:-1] / moment[-1:]
    apart = (prediction @ moment * prediction).mean(dim=-1)  # (B, N)
    return (prediction - target).square().mean(dim=-1) + spread * apart


unigrad.whole_batch = True
