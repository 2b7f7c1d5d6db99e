"""Losses of predicted latents of one image: each is told from the others, and all are kept as alike as they should be (Latent MIM,
arXiv 2407.15837)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.losses.batch import patch_nce
from minimim.processes import gathered


def standardised(prediction: Tensor, where: Tensor) -> Tensor:
    """Take out, of each feature, its mean over the scored places of an image, and divide by its spread over them (unbiased, and
    1e-4 more): (B, N, T), where (B, N) → (B, N, T). What all places have in common is then no answer."""
    scored = where.unsqueeze(-1)  # (B, N, 1)
    count = scored.sum(dim=1, keepdim=True)  # (B, 1, 1)
    mean = torch.where(scored, prediction, 0).sum(dim=1, keepdim=True) / count.clamp(min=1)  # (B, 1, T)
    around = torch.where(scored, prediction - mean, 0)  # (B, N, T)
    variance = around.square().sum(dim=1, keepdim=True) / (count - 1).clamp(min=1)  # (B, 1, T)
    return around / ((variance + 1e-12).sqrt() + 1e-4)  # the root of 0 has no gradient


def patch_discrimination(prediction: Tensor, target: Tensor, where: Tensor, temperature: float = 0.2) -> Tensor:
    """Which of the scored places is this prediction about? (B, N, T) twice, where (B, N) → (B, N).

    Predictions are standardised over the scored places, targets are not; both are of unit length; the cross-entropy of finding
    one's own target among those of the image's scored places is taken times 2 · temperature.
    """
    return 2 * temperature * patch_nce(standardised(prediction, where), target, where, temperature, among="scored")


class SimilarityGoal(nn.Module):
    """Keep the mean cosine of an image's tokens, themselves with themselves too, near a goal that falls over the run.

    goal: (first, last), along half a cosine. scored: whether only the scored places count, or all tokens there are.
    The mean is over the images of all processes, and the error, a scalar, its squared distance from the goal.
    """

    whole_batch = True

    def __init__(self, goal=(0.75, 0.25), scored: bool = True):
        super().__init__()
        self.first, self.last, self.scored = *goal, scored
        self.register_buffer("goal", torch.tensor(float(self.first)))

    def forward(self, tokens: Tensor, target: None = None, where: Tensor | None = None) -> Tensor:
        """Tokens (B, K, D) → a scalar."""
        unit = F.normalize(tokens, dim=-1)
        if self.scored:
            unit, count = unit * where.unsqueeze(-1), where.sum(dim=1)  # (B, N, D), (B,)
        else:
            count = unit.shape[1]
        mean = unit.sum(dim=1).square().sum(dim=-1) / count**2  # (B,): of all pairs, for a sum of products is a product of sums
        return (gathered(mean).mean() - self.goal).square()

    def after_step(self, progress: float) -> None:
        """Move the goal."""
        self.goal.fill_(self.last + (self.first - self.last) * (1 + math.cos(math.pi * progress)) / 2)
