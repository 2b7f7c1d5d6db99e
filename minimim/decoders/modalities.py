"""Decoders for several modalities: one for each modality that attends to the visible tokens of all, or one for the whole sequence."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from minimim.decoders.cross import CrossAttention
from minimim.encoders.encoded import Encoded, Streams
from minimim.encoders.modalities import line_positions
from minimim.errors import UserError
from minimim.layers import Block, Mlp, initialise
from minimim.masking.mask import Mask
from minimim.patches import resize_positions, sincos_positions, take


class Row(nn.Module):
    """The whole sequence in the decoder's width: latents at visible places and a mask token at each hidden one, plus the position and a
    learnt vector that identifies the stream.

    encoder_dim: width of the latents; dim: D', the decoder's width; grid: (rows, cols) for which positions are defined; streams: in the
    order of the sequence; length: words in a caption.
    """

    def __init__(self, encoder_dim: int, dim: int, grid: tuple[int, int], streams: Sequence[str], length: int = 16):
        super().__init__()
        self.home_grid, self.streams = grid, tuple(streams)
        self.embed = nn.Linear(encoder_dim, dim)
        self.mask_token = nn.Parameter(torch.empty(1, 1, dim))
        self.kinds = nn.Parameter(torch.empty(len(self.streams), dim))
        self.pos_embed = nn.Parameter(sincos_positions(dim, grid).unsqueeze(0), requires_grad=False)  # (1, N, D')
        self.line_embed = nn.Parameter(line_positions(dim, length), requires_grad=False) if "caption" in self.streams else None  # (L, D')
        self.apply(initialise)
        for token in (self.mask_token, self.kinds):
            nn.init.normal_(token, std=0.02)

    def forward(self, encoded: Encoded, mask: Mask | None) -> tuple[Tensor, Tensor]:
        """Latents (B, K, D) → all places, (B, T, D'), and CLS, (B, 1, D'). Raises UserError if there is no mask over several streams."""
        if mask is None or mask.spans is None:
            raise UserError("a decoder of several modalities needs a mask with the spans of each: use SharedBudget or EachRatio as the masking")
        x = self.embed(encoded.patches)  # (B, K, D')
        batch, visible, dim = x.shape
        tokens = self.mask_token.to(x.dtype).expand(batch, mask.hidden.shape[1] - visible, dim)  # (B, T−K, D')
        x = take(torch.cat([x, tokens], dim=1), mask.restore_ids)  # (B, T, D')
        picture = resize_positions(self.pos_embed[0], self.home_grid, encoded.grid)  # (N, D')
        places = [(self.line_embed if stream == "caption" else picture) + kind for stream, kind in zip(self.streams, self.kinds, strict=True)]
        return x + torch.cat(places), self.embed(encoded.cls.unsqueeze(1))


class OutputDecoder(nn.Module):
    """A decoder of one modality from the visible tokens of all (MultiMAE, arXiv 2204.01678): the tokens of this modality attend once to
    all visible tokens, followed by a few blocks of self-attention among them.

    stream: which modality; target_dim: T; the other arguments as in `Row`. The result of the cross-attention replaces the tokens: there
    is no residual connection around it, as in the official code.
    Differs: the global token has no position of its own; there is a LayerNorm before the last map.
    """

    def __init__(self, encoder_dim, target_dim, grid, stream: str, streams: Sequence[str], *, dim=256, depth=2, heads=8):
        super().__init__()
        self.stream = stream
        self.query_norm, self.context_norm = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.cross = CrossAttention(dim, dim, heads)
        self.mlp_norm, self.mlp = nn.LayerNorm(dim, eps=1e-6), Mlp(dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm, self.pred = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, target_dim)
        self.apply(initialise)
        self.row = Row(encoder_dim, dim, grid, streams)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents of the visible tokens → {"patch": (B, N of this stream, T)}."""
        x, cls = self.row(encoded, mask)  # (B, T, D'), (B, 1, D')
        seen = torch.cat([cls, take(x, mask.visible_ids)], dim=1)  # (B, 1+K, D')
        x = self.cross(self.query_norm(x[:, mask.spans[self.stream]]), self.context_norm(seen))  # (B, N, D')
        x = x + self.mlp(self.mlp_norm(x))
        for block in self.blocks:
            x = block(x)
        return {"patch": self.pred(self.norm(x))}


class RowDecoder(nn.Module):
    """A decoder of all modalities (M3AE, arXiv 2205.14204): an MAE's decoder on the whole sequence, with a linear map for each stream.

    targets: {stream: T}, in the order of the sequence; the other arguments as in `Row`.
    """

    def __init__(self, encoder_dim, targets: dict[str, int], grid, *, length=16, dim=512, depth=8, heads=16):
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.preds = nn.ModuleDict({stream: nn.Linear(dim, width) for stream, width in targets.items()})
        self.apply(initialise)
        self.row = Row(encoder_dim, dim, grid, tuple(targets), length)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents of the visible tokens → {stream: (B, N or L, T)}."""
        x, cls = self.row(encoded, mask)
        x = torch.cat([cls, x], dim=1)  # (B, 1+T, D')
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)[:, 1:]  # (B, T, D')
        return {stream: pred(x[:, mask.spans[stream]]) for stream, pred in self.preds.items()}
