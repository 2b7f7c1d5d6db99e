"""From what the encoder says to what is compared: decoders answer (encoded, mask, question) with named streams.

"patch" is (B, N, T), one row a patch, hidden or not; "cls" is (B, T). The question is the (B, N) set of patches that will
be scored; these decoders answer for all patches at once and need not look at it, a predictor such as I-JEPA's does.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.layers import Block, initialise
from minimim.masking.mask import Mask
from minimim.patches import resize_positions, sincos_positions, take
from minimim.vit import Encoded

Streams = dict[str, Tensor]


class TransformerDecoder(nn.Module):
    """The MAE decoder (arXiv 2111.06377): a mask token at every hidden place, positions of its own, a few blocks, and a
    linear map to the target.

    encoder_dim: width of the latents; target_dim: T; grid: (rows, cols) at home, others are interpolated to.
    """

    def __init__(self, encoder_dim, target_dim, grid, *, dim=512, depth=8, heads=16):
        super().__init__()
        self.home_grid = grid
        self.embed = nn.Linear(encoder_dim, dim)
        self.mask_token = nn.Parameter(torch.empty(1, 1, dim))
        positions = torch.cat([torch.zeros(1, dim), sincos_positions(dim, grid)])  # (1+N, D): row 0 is for CLS
        self.pos_embed = nn.Parameter(positions.unsqueeze(0), requires_grad=False)  # (1, 1+N, D)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pred = nn.Linear(dim, target_dim)
        self.apply(initialise)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents of the visible patches (or of all of them) → {"patch": (B, N, T)}."""
        x = self.embed(encoded.patches)  # (B, K, D')
        rows, cols = encoded.grid
        if x.shape[1] < rows * cols:
            x = self.restore(x, mask)  # (B, N, D')
        x = x + resize_positions(self.pos_embed[0, 1:], self.home_grid, encoded.grid)
        if encoded.cls is not None:
            cls = self.embed(encoded.cls.unsqueeze(1)) + self.pos_embed[:, :1]  # (B, 1, D')
            x = torch.cat([cls, x], dim=1)  # (B, 1+N, D')
        for block in self.blocks:
            x = block(x)
        x = self.pred(self.norm(x))  # (B, [1+] N, T)
        return {"patch": x if encoded.cls is None else x[:, 1:]}

    def restore(self, x: Tensor, mask: Mask) -> Tensor:
        """Mask tokens behind the visible ones, then every token back to its place: (B, K, D') → (B, N, D')."""
        batch, visible, _ = x.shape
        tokens = self.mask_token.to(x.dtype).expand(batch, mask.hidden.shape[1] - visible, -1)  # (B, N−K, D')
        return take(torch.cat([x, tokens], dim=1), mask.restore_ids)


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


class Together(nn.Module):
    """Several decoders side by side, each answering with its "patch" stream under its own name."""

    def __init__(self, **decoders: nn.Module):
        super().__init__()
        self.decoders = nn.ModuleDict(decoders)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents → {name: (B, N, T of that decoder)}."""
        return {name: decoder(encoded, mask, question)["patch"] for name, decoder in self.decoders.items()}
