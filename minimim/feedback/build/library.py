"""The library's parts under the names and signatures of the build notebook: what stands in for a cell that is still empty."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from minimim.layers import Attention, Block, attention_map, initialise
from minimim.masking.mask import mask_by_noise
from minimim.patches import patchify, sincos_positions, take, unpatchify
from minimim.train.schedule import cosine

__all__ = ["Block", "Decoder", "MultiHeadAttention", "ViT", "attention", "encode_visible", "mae_loss", "patchify", "positions", "random_mask"]
__all__ += ["restore", "training_step", "unpatchify"]

positions = sincos_positions


class Masked(NamedTuple):
    """What `random_mask` returns."""

    visible_ids: Tensor
    restore_ids: Tensor
    hidden: Tensor


def random_mask(noise: Tensor, keep: int) -> Masked:
    """Noise (B, N) → visible_ids (B, K), restore_ids (B, N), hidden (B, N) bool."""
    mask = mask_by_noise(noise, keep)
    return Masked(mask.visible_ids, mask.restore_ids, mask.hidden)


def restore(visible: Tensor, filler: Tensor, restore_ids: Tensor) -> Tensor:
    """Tokens (B, K, D) and a filler (1, 1, D) for the rest → (B, N, D), each at its place."""
    batch, count, _ = visible.shape
    fillers = filler.expand(batch, restore_ids.shape[1] - count, -1)  # (B, N−K, D)
    return take(torch.cat([visible, fillers], dim=1), restore_ids)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ / √d) v: (…, T, d) → (…, T, d)."""
    return attention_map(q, k) @ v


class MultiHeadAttention(Attention):
    """Attention in several heads: (B, T, D) → (B, T, D)."""


class ViT(nn.Module):
    """The library's ViT without a CLS token, its patch embedding kept as a linear map: (B, 3, H, W) → (B, N, D)."""

    def __init__(self, image_size: int, patch_size: int, dim: int, depth: int, heads: int):
        super().__init__()
        self.patch_size = patch_size
        self.patch_embed = nn.Linear(patch_size * patch_size * 3, dim)
        table = sincos_positions(dim, (image_size // patch_size, image_size // patch_size))  # (N, D)
        self.pos_embed = nn.Parameter(table.unsqueeze(0), requires_grad=False)  # (1, N, D)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images → what the encoder says of each patch."""
        everywhere = torch.arange(self.pos_embed.shape[1]).expand(len(images), -1)  # (B, N)
        return encode_visible(self, images, everywhere)


def encode_visible(vit: nn.Module, images: Tensor, visible_ids: Tensor) -> Tensor:
    """What a ViT says of some patches that sees no others: (B, 3, H, W), ids (B, K) → (B, K, D)."""
    x = vit.patch_embed(take(patchify(images, vit.patch_size), visible_ids))  # (B, K, D)
    x = x + vit.pos_embed[0][visible_ids]
    for block in vit.blocks:
        x = block(x)
    return vit.norm(x)


class Decoder(nn.Module):
    """The library's decoder without a CLS token: latents (B, K, D), restore_ids (B, N) → (B, N, T)."""

    def __init__(self, encoder_dim: int, target_dim: int, grid: tuple[int, int], dim: int, depth: int, heads: int):
        super().__init__()
        self.embed = nn.Linear(encoder_dim, dim)
        self.mask_token = nn.Parameter(torch.empty(1, 1, dim))
        self.pos_embed = nn.Parameter(sincos_positions(dim, grid).unsqueeze(0), requires_grad=False)  # (1, N, D')
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pred = nn.Linear(dim, target_dim)
        self.apply(initialise)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, latents: Tensor, restore_ids: Tensor) -> Tensor:
        """A prediction for every patch, visible ones too."""
        x = restore(self.embed(latents), self.mask_token, restore_ids) + self.pos_embed  # (B, N, D')
        for block in self.blocks:
            x = block(x)
        return self.pred(self.norm(x))


def mae_loss(prediction: Tensor, patches: Tensor, hidden: Tensor) -> Tensor:
    """Mean squared error on the hidden patches, each brought to mean 0 and variance 1: (B, N, T) twice, (B, N) bool → ()."""
    mean, variance = patches.mean(dim=-1, keepdim=True), patches.var(dim=-1, keepdim=True)  # (B, N, 1), unbiased
    target = (patches - mean) / (variance + 1e-6).sqrt()
    return (prediction - target).square().mean(dim=-1)[hidden].mean()


def training_step(model: nn.Module, optimizer, images: Tensor, step: int, steps: int, lr: float, warmup: int) -> Tensor:
    """One step of a run at its learning rate; returns the loss before it, ()."""
    for group in optimizer.param_groups:
        group["lr"] = lr * cosine(step, steps, warmup)
    loss = model(images)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()
