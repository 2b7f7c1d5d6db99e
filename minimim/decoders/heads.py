"""Heads: small maps on tokens that are there, for encoders that see all places, and for whole images."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.layers import initialise
from minimim.masking.mask import Mask


class LinearDecoder(nn.Module):
    """One linear map on every token, for encoders that see all places (SimMIM, BEiT, data2vec)."""

    def __init__(self, encoder_dim: int, target_dim: int):
        super().__init__()
        self.pred = nn.Linear(encoder_dim, target_dim)
        self.apply(initialise)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents (B, N, D) → {"patch": (B, N, T)}."""
        return {"patch": self.pred(encoded.patches)}


class PrototypeHead(nn.Module):
    """Scores against learnt prototypes, by one head for patches and CLS alike (DINO's head, shared as in iBOT,
    arXiv 2111.07832): a three-layer MLP to a bottleneck, unit length, dot products with unit prototypes.

    The official code can freeze the prototypes in the first epoch; here their length is fixed from the start instead.
    """

    def __init__(self, encoder_dim: int, *, prototypes=8192, hidden_dim=2048, bottleneck_dim=256):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(encoder_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, bottleneck_dim),
        )
        self.prototypes = nn.Parameter(torch.empty(prototypes, bottleneck_dim))
        for weight in [*(layer.weight for layer in self.mlp if isinstance(layer, nn.Linear)), self.prototypes]:
            nn.init.trunc_normal_(weight, std=0.02)
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)

    def score(self, x: Tensor) -> Tensor:
        """Cosine with every prototype, (…, D) → (…, prototypes)."""
        return F.linear(F.normalize(self.mlp(x), dim=-1), F.normalize(self.prototypes, dim=-1))

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents → {"patch": (B, N, prototypes), "cls": (B, prototypes)}."""
        return {"patch": self.score(encoded.patches), "cls": self.score(encoded.cls)}
