"""Right answers to the build notebook, written in other ways than its solutions: classes by task."""

import torch
import torch.nn.functional as F
from right_build import (
    attention_by_exp,
    patchify_by_reshape,
    patchify_by_unfold,
    positions_by_loop,
    positions_by_numpy,
    positions_by_repeat,
    restore_by_where,
)
from torch import nn


class HeadsByChunk(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.h = heads
        self.qkv, self.proj = nn.Linear(dim, dim * 3), nn.Linear(dim, dim)

    def forward(self, x):
        b, t, dim = x.shape
        q, k, v = (y.view(b, t, self.h, dim // self.h).transpose(1, 2) for y in self.qkv(x).chunk(3, dim=-1))
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, dim))


class HeadsByLoop(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.d = dim // num_heads
        self.proj = nn.Linear(dim, dim)
        self.qkv = nn.Linear(dim, 3 * dim)

    def forward(self, x):
        q, k, v = self.qkv(x).split(x.shape[-1], dim=-1)
        parts = zip(q.split(self.d, -1), k.split(self.d, -1), v.split(self.d, -1), strict=True)
        return self.proj(torch.cat([attention_by_exp(*part) for part in parts], dim=-1))


class OwnMlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class BlockInOneLine(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(dim, eps=1e-6) for _ in range(2))
        self.attn, self.mlp = HeadsByChunk(dim, heads), OwnMlp(dim)

    def forward(self, x):
        y = x + self.attn(self.norm1(x))
        return y + self.mlp(self.norm2(y))


class BlockWithAModuleDict(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.attn = HeadsByLoop(dim, heads)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(dim, 4 * dim), "fc2": nn.Linear(4 * dim, dim)})
        self.norm1, self.norm2 = nn.LayerNorm(dim, 1e-6), nn.LayerNorm(dim, 1e-6)

    def forward(self, tokens):
        x = tokens.clone()
        x += self.attn(self.norm1(tokens))
        hidden = F.gelu(self.mlp["fc1"](self.norm2(x)))
        return torch.add(x, self.mlp["fc2"](hidden))


class ViTBySequential(nn.Module):
    def __init__(self, image_size, patch_size, dim, depth, heads):
        super().__init__()
        self.patch_size, grid = patch_size, (image_size // patch_size,) * 2
        self.patch_embed = nn.Linear(3 * patch_size**2, dim)
        self.register_buffer("pos_embed", positions_by_loop(dim, grid).unsqueeze(0))
        self.blocks = nn.Sequential(*(BlockInOneLine(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, images):
        return self.norm(self.blocks(self.patch_embed(patchify_by_reshape(images, self.patch_size)) + self.pos_embed))


class ViTWithAPlainTable(nn.Module):
    def __init__(self, image_size, patch_size, dim, depth, heads):
        super().__init__()
        self.patch_size = patch_size
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            self.blocks.append(BlockWithAModuleDict(dim, heads))
        self.pos_embed = positions_by_repeat(dim, (image_size // patch_size, image_size // patch_size))[None]
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.patch_embed = nn.Linear(patch_size * patch_size * 3, dim)

    def forward(self, x):
        tokens = self.patch_embed(patchify_by_unfold(x, self.patch_size))
        tokens = tokens + self.pos_embed
        for n in range(len(self.blocks)):
            tokens = self.blocks[n](tokens)
        return self.norm(tokens)


class DecoderBySequential(nn.Module):
    def __init__(self, encoder_dim, target_dim, grid, dim, depth, heads):
        super().__init__()
        self.embed, self.pred = nn.Linear(encoder_dim, dim), nn.Linear(dim, target_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        nn.init.normal_(self.mask_token, std=0.02)
        self.register_buffer("pos_embed", positions_by_numpy(dim, grid)[None], persistent=False)
        self.blocks = nn.Sequential(*[BlockInOneLine(dim, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, latents, restore_ids):
        x = restore_by_where(self.embed(latents), self.mask_token, restore_ids)
        return self.pred(self.norm(self.blocks(x + self.pos_embed)))


class DecoderByHand(nn.Module):
    def __init__(self, width_in, width_out, grid, dim, depth, heads):
        super().__init__()
        self.mask_token = nn.Parameter(torch.randn(1, 1, dim) / 50)
        self.embed = nn.Linear(width_in, dim)
        self.pos_embed = nn.Parameter(positions_by_repeat(dim, grid).unsqueeze(0), requires_grad=False)
        self.blocks = nn.ModuleList(BlockWithAModuleDict(dim, heads) for _ in range(depth))
        self.norm, self.pred = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, width_out)

    def forward(self, x, ids):
        x = self.embed(x)
        order = ids.argsort(1)[:, : x.shape[1], None]
        full = self.mask_token.repeat(len(x), ids.shape[1], 1).scatter(1, order.expand_as(x), x) + self.pos_embed
        for block in self.blocks:
            full = block(full)
        return self.pred(self.norm(full))


RIGHT_CLASSES = {
    "build.6": [HeadsByChunk, HeadsByLoop],
    "build.7": [BlockInOneLine, BlockWithAModuleDict],
    "build.9": [ViTBySequential, ViTWithAPlainTable],
    "build.11": [DecoderBySequential, DecoderByHand],
}
