"""MAGE's decoder: the CLS feature stands at hidden patches, and tokens are scored against the encoder's token embeddings."""

import torch
from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.layers import Block, initialise
from minimim.masking.mask import Mask
from minimim.patches import resize_positions, take


class TokenDecoder(nn.Module):
    """Scores of all K tokens at every place (MAGE, arXiv 2211.09117).

    At every hidden place, whether the encoder read a mask token there or dropped it, the decoder's input is the encoder's CLS feature,
    which differs between images, unlike a learnt mask token. The score of a token is the dot product of the decoder's output with the
    encoder's embedding of that token, detached, plus a bias.
    dim: width of the encoder and of the decoder. embedding: the encoder's nn.Embedding of K tokens, which the encoder owns. grid: (rows,
    cols) for which positions are defined, interpolated for other grids.
    """

    def __init__(self, dim: int, embedding: nn.Embedding, grid, *, depth=8, heads=16):
        super().__init__()
        self.home_grid, self.embedding = grid, [embedding]  # in a list: neither saved nor trained twice
        self.embed = nn.Linear(dim, dim)
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + grid[0] * grid[1], dim))  # row 0 is for CLS
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pred = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.LayerNorm(dim, eps=1e-6))
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))  # (K,)
        self.apply(initialise)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents (B, n, D) of the patches that the encoder read, and CLS → {"patch": (B, N, K)}."""
        x, cls = self.embed(encoded.patches), self.embed(encoded.cls).unsqueeze(1)  # (B, n, D), (B, 1, D)
        if mask is not None:
            x = self.restore(x, cls, mask)  # (B, N, D)
        positions = torch.cat([self.pos_embed[0, :1], resize_positions(self.pos_embed[0, 1:], self.home_grid, encoded.grid)])  # (1+N, D)
        x = torch.cat([cls, x], dim=1) + positions  # (B, 1+N, D)
        for block in self.blocks:
            x = block(x)
        x = self.pred(self.norm(x[:, 1:]))  # (B, N, D)
        return {"patch": x @ self.embedding[0].weight.detach().T + self.bias}

    def restore(self, x: Tensor, cls: Tensor, mask: Mask) -> Tensor:
        """Latents at their places, and the CLS feature at all hidden places: (B, n, D), (B, 1, D) → (B, N, D)."""
        left_out = mask.hidden.shape[1] - x.shape[1]
        x = take(torch.cat([x, cls.expand(-1, left_out, -1)], dim=1), mask.restore_ids)  # (B, N, D)
        return torch.where(mask.hidden.unsqueeze(-1), cls, x)
