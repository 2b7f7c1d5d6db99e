"""The transformer block that encoders and decoders share, with timm's names, so that weights can be exchanged.

x = x + attention(norm(x)); x = x + mlp(norm(x)): the pre-norm block of ViT (Dosovitskiy et al., arXiv 2010.11929).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PLAIN_UP_TO = 32  # tokens: on a CPU the fused kernel is slower than the plain products there (benchmarks/attention.py)


class Attention(nn.Module):
    """Multi-head self-attention, softmax(q kᵀ / √d) v with d = D / heads (Vaswani et al., arXiv 1706.03762).

    It takes the faster of two ways, whose results differ by rounding alone: torch's fused kernel, which never forms the (T, T) map;
    or the plain products, on a CPU for up to PLAIN_UP_TO tokens, and in bf16 for any number of them.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        q, k, v = self.split(x)
        if q.is_cpu and (q.shape[2] <= PLAIN_UP_TO or q.dtype == torch.bfloat16):
            mixed = attention_map(q, k) @ v  # (B, heads, T, d)
        else:
            mixed = F.scaled_dot_product_attention(q, k, v)  # (B, heads, T, d)
        return self.proj(mixed.transpose(1, 2).flatten(2))  # (B, T, D)

    def weights(self, x: Tensor) -> Tensor:
        """The attention map itself, which the fused path never forms: (B, T, D) → (B, heads, T, T), rows sum to 1."""
        q, k, _ = self.split(x)
        return attention_map(q, k)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (B, heads, T, d) each."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, heads, d)
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)


def attention_map(q: Tensor, k: Tensor) -> Tensor:
    """The attention weights softmax(q kᵀ / √d), whose rows sum to 1: (B, heads, T, d) twice → (B, heads, T, T)."""
    return (q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)).softmax(dim=-1)


class Mlp(nn.Module):
    """Two linear maps with a GELU between, four times as wide inside."""

    def __init__(self, dim: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        return self.fc2(F.gelu(self.fc1(x)))


class DropPath(nn.Module):
    """In training, leave out a branch for a random part of the samples and scale up the rest (arXiv 1603.09382)."""

    def __init__(self, rate: float = 0.0):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, …) → (B, …), whole samples set to zero."""
        if not self.training or self.rate == 0.0:
            return x
        kept = torch.rand(x.shape[0], *[1] * (x.dim() - 1), device=x.device) >= self.rate  # (B, 1, 1)
        return x * kept / (1 - self.rate)


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, dim: int, heads: int, drop_path: float = 0.0):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def initialise(module: nn.Module) -> None:
    """Initialise one module as the official MAE does, for `module.apply`: Xavier-uniform linear maps (a patch embedding counts as one), zero
    biases; norms keep torch's initial ones and zeros."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight.flatten(1))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
