"""Losses on the predicted latents of an image: each place is identified among the others, and their mean similarity is controlled
(Latent MIM, arXiv 2407.15837)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.losses.batch import patch_nce
from minimim.processes import gathered


def standardised(prediction: Tensor, where: Tensor) -> Tensor:
    """Subtract from each feature its mean over the scored places of an image, and divide by its standard deviation over them (unbiased,
    plus 1e-4): (B, N, T), where (B, N) bool → (B, N, T). This removes what the places have in common."""
    scored = where.unsqueeze(-1)  # (B, N, 1)
    count = scored.sum(dim=1, keepdim=True)  # (B, 1, 1)
    mean = torch.where(scored, prediction, 0).sum(dim=1, keepdim=True) / count.clamp(min=1)  # (B, 1, T)
    around = torch.where(scored, prediction - mean, 0)  # (B, N, T)
    variance = around.square().sum(dim=1, keepdim=True) / (count - 1).clamp(min=1)  # (B, 1, T)
    return around / ((variance + 1e-12).sqrt() + 1e-4)  # 1e-12, because the gradient of the root is infinite at 0


def patch_discrimination(prediction: Tensor, target: Tensor, where: Tensor, temperature: float = 0.2) -> Tensor:
    """InfoNCE among the scored places of an image, times 2 · temperature: (B, N, T) twice, where (B, N) bool → (B, N) (Latent MIM).

    Predictions are standardised over the scored places, targets are not; both are scaled to unit length.
    """
    return 2 * temperature * patch_nce(standardised(prediction, where), target, where, temperature, among="scored")


class SimilarityGoal(nn.Module):
    """Keep the mean cosine between the tokens of an image close to a goal that falls over the run (Latent MIM, arXiv 2407.15837).

    goal: (first, last), falling along half a cosine. scored: whether only the scored places are used, or all tokens.
    The mean is over all pairs of tokens, each token with itself included, and over the images of all processes; the error, a scalar, is
    its squared difference from the goal.
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
        mean = unit.sum(dim=1).square().sum(dim=-1) / count**2  # (B,): mean over all pairs, as the sum of all products is a product of sums
        return (gathered(mean).mean() - self.goal).square()

    def after_step(self, progress: float) -> None:
        """Set the goal for the fraction of the run that is over, 0 to 1."""
        self.goal.fill_(self.last + (self.first - self.last) * (1 + math.cos(math.pi * progress)) / 2)
