"""Agreement with a target, without negatives in sight: their second moment stands for all of them (arXiv 2112.05141)."""

import torch
from torch import Tensor

from minimim.processes import summed


def unigrad(prediction: Tensor, target: Tensor, where: Tensor | None = None, spread: float = 0.02) -> Tensor:
    """Squared distance to the target, and how much of the prediction lies where targets usually lie: (B, N, T) twice → (B, N)
    (SiameseIM, arXiv 2206.01204; UniGrad, 2112.05141).

    (‖p − t‖² + spread · pᵀ C p) / T, where C (T, T) is the mean of t tᵀ over all targets of the batch and of all processes. pᵀ C p is
    the mean of (pᵀ t)² over all targets, so it pushes the prediction away from every one of them; it is taken as (p C) · p, and
    no pair of places is ever formed. spread: the weight of it.
    """
    rows = target.flatten(0, -2)  # (rows, T)
    moment = summed(torch.cat([rows.T @ rows, torch.full_like(rows[:1], len(rows))]))  # (T + 1, T), the last row a count
    moment = moment[:-1] / moment[-1:]
    apart = (prediction @ moment * prediction).mean(dim=-1)  # (B, N)
    return (prediction - target).square().mean(dim=-1) + spread * apart


unigrad.whole_batch = True
