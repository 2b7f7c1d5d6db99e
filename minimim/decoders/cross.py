"""Predictors: decoders that predict only the patches that a question asks for.

In `CrossDecoder` a mask token for each of these patches attends to the encoder's latents (CrossMAE, arXiv 2401.14391; Latent MIM,
2407.15837; CAPI, 2502.08769). `Predictor` puts mask tokens and latents into one sequence with self-attention (I-JEPA, 2301.08243).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.errors import UserError
from minimim.layers import PLAIN_UP_TO, Attention, Block, Mlp, attention_map, initialise
from minimim.masking.mask import Mask
from minimim.patches import put, resize_positions, sincos_positions


class CrossAttention(nn.Module):
    """Multi-head attention of queries to a context of another width: softmax(q kᵀ / √d) v with d = D / heads."""

    def __init__(self, dim: int, context_dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(context_dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Queries (B, M, D), context (B, K, D_c) → (B, M, D)."""
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, M, d)
        k, v = self.kv(context).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, K, d) each
        if q.is_cpu and (k.shape[2] <= PLAIN_UP_TO or q.dtype == torch.bfloat16):
            mixed = attention_map(q, k) @ v  # (B, heads, M, d), as in `layers.Attention`
        else:
            mixed = F.scaled_dot_product_attention(q, k, v)  # (B, heads, M, d)
        return self.proj(mixed.transpose(1, 2).flatten(2))  # (B, M, D)


class CrossBlock(nn.Module):
    """A pre-norm block: optionally self-attention of the queries, then cross-attention to the context, then an MLP."""

    def __init__(self, dim: int, context_dim: int, heads: int, self_attention: bool = False):
        super().__init__()
        self.norm0 = nn.LayerNorm(dim, eps=1e-6) if self_attention else None
        self.attn = Attention(dim, heads) if self_attention else None
        self.norm1, self.norm_context = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(context_dim, eps=1e-6)
        self.cross = CrossAttention(dim, context_dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Queries (B, M, D), context (B, K, D_c) → (B, M, D)."""
        if self.attn is not None:
            x = x + self.attn(self.norm0(x))
        x = x + self.cross(self.norm1(x), self.norm_context(context))
        return x + self.mlp(self.norm2(x))


class Asked(nn.Module):
    """The common part of all predictors: a mask token, positions of the grid, and predictions that are written to their places.

    target_dim: T; grid: (rows, cols) at which positions are defined; dim: D', the predictor's width; depth: number of blocks; pred: the
    last map, by default a linear one. Raises UserError for a depth below 1.
    """

    def __init__(self, target_dim: int, grid, dim: int, depth: int, pred: nn.Module | None = None):
        super().__init__()
        if depth < 1:
            raise UserError(f"a predictor needs one block or more, or its mask tokens would see nothing, not {depth}")
        self.home_grid = grid
        self.mask_token = nn.Parameter(torch.empty(1, 1, dim))
        self.pos_embed = nn.Parameter(sincos_positions(dim, grid).unsqueeze(0), requires_grad=False)  # (1, N, D')
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pred = nn.Linear(dim, target_dim) if pred is None else pred
        nn.init.normal_(self.mask_token, std=0.02)

    def positions(self, encoded: Encoded) -> Tensor:
        """The positions of all patches, (N, D')."""
        return resize_positions(self.pos_embed[0], self.home_grid, encoded.grid)

    def ids(self, encoded: Encoded, mask: Mask | None, question: Tensor | None) -> tuple[Tensor, Tensor]:
        """Ids of the patches that the encoder saw, (B, K), and of those to predict, (B, M): without a question the mask's first one, without
        a mask all patches."""
        rows, cols = encoded.grid
        batch, seen, _ = encoded.patches.shape
        every = torch.arange(rows * cols, device=encoded.patches.device).expand(batch, -1)  # (B, N)
        if mask is None:
            return every, every
        question = mask.scored[0] if question is None else question
        return every if seen == rows * cols else mask.visible_ids, mask.asked_ids(question)

    def answer(self, x: Tensor, asked: Tensor, positions: Tensor) -> Streams:
        """Outputs (B, M, D') for the patches with ids asked (B, M) → {"patch": (B, N, T)}, zeros at all other patches."""
        return {"patch": put(self.pred(self.norm(x)), asked, len(positions))}


class CrossDecoder(Asked):
    """A decoder in which a mask token for each patch to predict attends to the encoder's latents (CrossMAE, arXiv 2401.14391).

    encoder_dim: width of the latents; target_dim: T; grid: (rows, cols) for which positions are defined, interpolated for other grids.
    The context is a linear map of the latents plus positions, CLS included.
    self_attention: whether the mask tokens also attend to each other; without it, each is predicted independently of the others.
    cues: add to each mask token a mean of the context, weighted by the similarity of the positions (Latent MIM, 2407.15837).
    before: a head on the latents, whose output is used instead of them; it is also returned as the stream "visible", (B, K, D). pred:
    a module in place of the linear map to the target. Raises UserError for a depth below 1.
    """

    def __init__(self, encoder_dim, target_dim, grid, *, dim=512, depth=8, heads=16, self_attention=False, cues=False,
                 before: nn.Module | None = None, pred: nn.Module | None = None):  # fmt: skip
        super().__init__(target_dim, grid, dim, depth, pred)
        self.embed = nn.Linear(encoder_dim, dim)
        self.cues = cues
        self.blocks = nn.ModuleList(CrossBlock(dim, dim, heads, self_attention) for _ in range(depth))
        self.apply(initialise)
        self.before = before  # after `initialise`, because it has its own initialisation

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents of the visible patches → {"patch": (B, N, T)}, zeros at the patches that were not asked for."""
        seen, asked = self.ids(encoded, mask, question)  # (B, K), (B, M)
        positions = self.positions(encoded)  # (N, D')
        patches, cls, more = encoded.patches, encoded.cls, {}
        if self.before is not None:
            latents = self.before(encoded)
            patches, cls, more = latents["patch"], latents.get("cls"), {"visible": latents["patch"]}
        context = self.embed(patches)  # (B, K, D')
        x = self.mask_token + positions[asked]  # (B, M, D')
        if self.cues:
            alike = (positions[asked] @ positions[seen].mT * positions.shape[1] ** -0.5).softmax(dim=-1)  # (B, M, K)
            x = x + alike.to(context.dtype) @ context
        context = context + positions[seen]
        if cls is not None:
            context = torch.cat([self.embed(cls.unsqueeze(1)), context], dim=1)  # (B, 1+K, D')
        for block in self.blocks:
            x = block(x, context)
        return self.answer(x, asked, positions) | more


class MixedCrossDecoder(Asked):
    """A `CrossDecoder` in which each block attends to its own weighted sum of the encoder's layers (CrossMAE, arXiv 2401.14391).

    layers: how many blocks the encoder has. The context has the encoder's width and no further positions, and includes CLS.
    Raises UserError for a depth below 1.
    Differs: the layers have been through the encoder's last norm. In the official code the encoder has no last norm, so raw outputs are
    mixed, and the input of the first block is mixed in, too.
    """

    want = ("layers",)

    def __init__(self, encoder_dim, target_dim, grid, layers, *, dim=512, depth=12, heads=16):
        super().__init__(target_dim, grid, dim, depth)
        self.mix = nn.Parameter(torch.empty(depth, layers))
        self.blocks = nn.ModuleList(CrossBlock(dim, encoder_dim, heads) for _ in range(depth))
        self.apply(initialise)
        nn.init.xavier_uniform_(self.mix)  # as the official code ends up with

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Layers of the visible patches → {"patch": (B, N, T)}, zeros at the patches that were not asked for. Raises UserError if the
        number of layers is not the one this was built for."""
        if len(encoded.layers or ()) != self.mix.shape[1]:
            raise UserError(f'this decoder mixes {self.mix.shape[1]} layers, and was given {len(encoded.layers or ())}: encode with want=("layers",)')
        _, asked = self.ids(encoded, mask, question)  # (B, M)
        layers = torch.stack([whole_row(layer) for layer in encoded.layers])  # (layers, B, [1+] K, D)
        contexts = torch.einsum("dl,lbkc->dbkc", self.mix, layers)  # (depth, B, [1+] K, D)
        positions = self.positions(encoded)  # (N, D')
        x = self.mask_token + positions[asked]  # (B, M, D')
        for block, context in zip(self.blocks, contexts, strict=True):
            x = block(x, context)
        return self.answer(x, asked, positions)


def whole_row(encoded: Encoded) -> Tensor:
    """All tokens in one sequence, CLS first if there is one: (B, [1+] K, D)."""
    return encoded.patches if encoded.cls is None else torch.cat([encoded.cls.unsqueeze(1), encoded.patches], dim=1)


class Predictor(Asked):
    """A narrow transformer on the latents and a mask token for each patch of one question (I-JEPA, arXiv 2301.08243).

    The mask tokens of a question attend to each other and to the context, but never to those of another question, because each question
    is a separate call. encoder_dim: width of the latents; target_dim: T; grid: (rows, cols) for which positions are defined,
    interpolated for other grids. Raises UserError for a depth below 1.
    """

    def __init__(self, encoder_dim, target_dim, grid, *, dim=384, depth=6, heads=12):
        super().__init__(target_dim, grid, dim, depth)
        self.embed = nn.Linear(encoder_dim, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.apply(initialise)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents of the visible patches → {"patch": (B, N, T)}, zeros at the patches that were not asked for."""
        seen, asked = self.ids(encoded, mask, question)  # (B, K), (B, M)
        positions = self.positions(encoded)  # (N, D')
        context = self.embed(encoded.patches) + positions[seen]  # (B, K, D')
        tokens = self.mask_token + positions[asked]  # (B, M, D')
        x = torch.cat([context, tokens.to(context.dtype)], dim=1)  # (B, K+M, D')
        for block in self.blocks:
            x = block(x)
        return self.answer(x[:, -asked.shape[1] :], asked, positions)
