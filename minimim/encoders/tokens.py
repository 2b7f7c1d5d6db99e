"""A ViT that reads discrete tokens instead of pixels (MAGE, Li et al., arXiv 2211.09117)."""

import torch
from torch import Tensor, nn

from minimim.encoders.encoded import Encoded
from minimim.encoders.vit import ViT
from minimim.masking.mask import Mask
from minimim.patches import take


class TokenEmbed(nn.Module):
    """A learnt vector for each of K tokens, instead of a patch embedding: ids (…) → (…, D)."""

    def __init__(self, codebook: int, dim: int):
        super().__init__()
        self.proj = nn.Embedding(codebook, dim)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (…) → (…, D)."""
        return self.proj(ids)


class TokenViT(ViT):
    """A ViT whose patches are first turned into tokens by a frozen tokenizer, which it owns.

    tokenizer: a module with `ids(images)` → (B, N) and `codebook`, the number of tokens; it is fitted in its `prepare`. Patches that a
    mask drops are not read; a learnt mask token replaces patches that it hides but does not drop. The vectors of tokens and positions
    are learnt, and their sum is normalised before the first block.
    """

    def __init__(self, image_size, patch_size, size, tokenizer: nn.Module, *, channels=3):
        super().__init__(image_size, patch_size, size, channels=channels)
        self.tokenizer = tokenizer.requires_grad_(False)
        self.patch_embed = TokenEmbed(tokenizer.codebook, self.dim)
        self.mask_token = nn.Parameter(torch.empty(1, 1, self.dim))
        self.pos_embed = nn.Parameter(torch.empty_like(self.pos_embed))  # (1, 1+N, D)
        self.embed_norm = nn.LayerNorm(self.dim, eps=1e-6)
        for learnt in (self.patch_embed.proj.weight, self.mask_token, self.pos_embed):
            nn.init.trunc_normal_(learnt, std=0.02)

    def requires_grad_(self, requires_grad: bool = True) -> "TokenViT":
        """Switch the gradient of all weights on or off, except for the tokenizer's, which stays off."""
        super().requires_grad_(requires_grad)
        self.tokenizer.requires_grad_(False)
        return self

    def embed(self, images: Tensor, mask: Mask | None) -> Tensor:
        """Normalised images to the input of the first block: (B, C, H, W) → (B, 1+K, D)."""
        return self.embed_ids(self.tokenizer.ids(images), mask, self.grid(images))

    def embed_ids(self, ids: Tensor, mask: Mask | None, grid: tuple[int, int]) -> Tensor:
        """Token ids to the input of the first block: ids (B, N) → (B, 1+K, D), CLS first. The ids at hidden places are not used."""
        cls_position, positions = self.positions(grid)
        x = self.patch_embed(ids)  # (B, N, D)
        if mask is not None:
            x = torch.where(mask.hidden.unsqueeze(-1), self.mask_token, x)
        x = x + positions
        if mask is not None:
            x = take(x, mask.visible_ids)  # (B, K, D)
        cls = (self.cls_token + cls_position).expand(x.shape[0], -1, -1)  # (B, 1, D)
        return self.embed_norm(torch.cat([cls, x], dim=1))

    def encode_ids(self, ids: Tensor, mask: Mask | None, grid: tuple[int, int]) -> Encoded:
        """Encode token ids, (B, N), as `forward` encodes images."""
        return self.read(self.embed_ids(ids, mask, grid), grid)
