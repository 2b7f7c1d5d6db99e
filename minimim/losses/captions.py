"""A contrastive loss with a text encoder: which caption of the batch belongs to which image."""

import math

import torch
from torch import Tensor, nn

from minimim.layers import Block, initialise
from minimim.losses.batch import info_nce

COLDEST = 100.0  # the largest factor on a cosine, CLIP's


class CaptionContrast(nn.Module):
    """Symmetric InfoNCE between images and captions, with a text encoder of its own and a learnt temperature (CLIP, arXiv 2103.00020).

    The mean of two cross-entropies: of identifying an image's caption among those of the whole batch, and a caption's image.
    dim: T, the width of the shared space. words: size of the vocabulary, id 0 (no word) included; length: most words in a caption.
    width, depth, heads: of the text encoder; with depth 0 a caption is the mean of its words' embeddings.

    Differs: each word attends to all words, and a caption is the mean of its words, where CLIP's text encoder is causal and its output
    is read at the last token; the vocabulary consists of the few words of the data's captions.
    """

    whole_batch = True

    def __init__(self, dim: int, *, words: int, length: int, width: int, depth: int, heads: int):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.positions = nn.Parameter(torch.empty(1, length, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.project = nn.Linear(width, dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.apply(initialise)
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.01)

    def read(self, captions: Tensor) -> Tensor:
        """Encode captions as vectors of the shared space: ids (B, L), 0 = no word → (B, T)."""
        there = (captions > 0).unsqueeze(-1)  # (B, L, 1)
        x = self.words(captions) + self.positions[:, : captions.shape[1]]  # (B, L, width)
        for block in self.blocks:
            x = block(x)
        mean = (self.norm(x) * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)  # (B, width)
        return self.project(mean)

    def forward(self, prediction: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
        """Image vectors (B, T) and the ids of their captions (B, L) → errors (B,)."""
        captions = self.read(target)  # (B, T)
        temperature = 1 / self.log_scale.exp().clamp(max=COLDEST)
        there = info_nce(prediction, captions, temperature=temperature)
        return (there + info_nce(captions, prediction, temperature=temperature)) / 2
