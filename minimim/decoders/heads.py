"""Heads: small networks on each token that the encoder returns, without mask tokens of their own."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.layers import initialise
from minimim.masking.mask import Mask


class LinearDecoder(nn.Module):
    """One linear map on every token, for encoders that read all places (SimMIM, arXiv 2111.09886; BEiT, 2106.08254; data2vec, 2202.03555)."""

    def __init__(self, encoder_dim: int, target_dim: int):
        super().__init__()
        self.pred = nn.Linear(encoder_dim, target_dim)
        self.apply(initialise)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents (B, N, D) → {"patch": (B, N, T)}."""
        return {"patch": self.pred(encoded.patches)}


class PrototypeHead(nn.Module):
    """Cosines with learnt prototypes, by the same head for patches and CLS (DINO's head, arXiv 2104.14294, shared as in iBOT, 2111.07832).

    A three-layer MLP to a bottleneck, whose output is scaled to unit length and multiplied with prototypes of unit length.
    Differs: the official code can freeze the prototypes in the first epoch; here their length is fixed from the start instead.
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


class TokenHead(nn.Module):
    """A three-layer MLP on every token, CLS and patches alike, with a LayerNorm after each layer and no biases (Latent MIM,
    arXiv 2407.15837). The loss compares its output; the features for evaluation are its input.
    """

    def __init__(self, encoder_dim: int, *, hidden_dim=4096):
        super().__init__()
        widths, layers = (encoder_dim, hidden_dim, hidden_dim, encoder_dim), []
        for index in range(3):
            layers += [nn.Linear(widths[index], widths[index + 1], bias=False), nn.LayerNorm(widths[index + 1], eps=1e-6)]
            layers += [nn.GELU()] if index < 2 else []
        self.mlp = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents → {"patch": (B, K, D), "cls": (B, D) where there is one}."""
        cls = {} if encoded.cls is None else {"cls": self.mlp(encoded.cls)}
        return {"patch": self.mlp(encoded.patches)} | cls


class ClusterHead(nn.Module):
    """Scores of clusters: the cosine of a token with each cluster's weights, times a learnt scale (CAPI, arXiv 2502.08769)."""

    def __init__(self, dim: int, clusters: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(clusters, dim))
        self.length = nn.Parameter(torch.ones(clusters))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → (…, clusters)."""
        return F.linear(F.normalize(x, dim=-1), F.normalize(self.weight, dim=-1)) * self.length
