"""Decoders for several modalities: one for each output that looks at all that was seen, or one for the whole row."""

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
    """All tokens of the row in the decoder's width: what was seen, and a mask token at each hidden place, each with its position and
    with a learnt vector that says of which stream it is.

    encoder_dim: width of the latents; dim: the decoder's; grid: of the image at home; streams: in the order of the row; length: words
    of a caption.
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
        """Latents (B, K, D) → all places, (B, T, D'), and CLS, (B, 1, D'). Raises UserError without a mask over several streams."""
        if mask is None or mask.spans is None:
            raise UserError("a decoder of several modalities is told by the mask where each of them is in the row: hide something with SharedBudget or EachRatio")
        x = self.embed(encoded.patches)  # (B, K, D')
        batch, visible, dim = x.shape
        tokens = self.mask_token.to(x.dtype).expand(batch, mask.hidden.shape[1] - visible, dim)  # (B, T−K, D')
        x = take(torch.cat([x, tokens], dim=1), mask.restore_ids)  # (B, T, D')
        picture = resize_positions(self.pos_embed[0], self.home_grid, encoded.grid)  # (N, D')
        places = [(self.line_embed if stream == "caption" else picture) + kind for stream, kind in zip(self.streams, self.kinds, strict=True)]
        return x + torch.cat(places), self.embed(encoded.cls.unsqueeze(1))


class OutputDecoder(nn.Module):
    """One modality from all of them (MultiMAE, arXiv 2204.01678): its tokens look once at everything that was seen, and then a few
    blocks work on them alone.

    stream: which modality; target_dim: T; the rest as `Row` has it. The look is not added to the tokens, it takes their place.
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
    """All modalities at once (M3AE, arXiv 2205.14204): an MAE's decoder over the whole row, with a last map for each stream.

    targets: {stream: T}, in the order of the row; the rest as `Row` has it.
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
