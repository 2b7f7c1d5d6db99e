"""The MAE's decoder: mask tokens at hidden places, and a few transformer blocks on all places."""

import torch
from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.layers import Block, initialise
from minimim.masking.mask import Mask
from minimim.patches import resize_positions, sincos_positions, take


class TransformerDecoder(nn.Module):
    """The MAE decoder (arXiv 2111.06377): a mask token at every hidden place, positions of its own, a few blocks, and a
    linear map to the target.

    encoder_dim: width of the latents; target_dim: T; grid: (rows, cols) for which positions are defined, interpolated for other grids.
    dim, depth, heads: width D', number of blocks, and heads of the decoder.
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
        """Append mask tokens to the visible ones, then move every token to its place: (B, K, D') → (B, N, D')."""
        batch, visible, _ = x.shape
        tokens = self.mask_token.to(x.dtype).expand(batch, mask.hidden.shape[1] - visible, -1)  # (B, N−K, D')
        return take(torch.cat([x, tokens], dim=1), mask.restore_ids)
