"""A ViT that reads several modalities of one scene as one sequence: image, depth, segmentation, caption."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from minimim.data.views import Inputs, as_inputs, normalize
from minimim.encoders.encoded import Encoded
from minimim.encoders.vit import ViT
from minimim.errors import unknown
from minimim.layers import initialise
from minimim.masking.mask import Mask
from minimim.patches import PatchEmbed, take


class ModalityViT(ViT):
    """A ViT that reads the patches of the image and then the tokens of other streams (MultiMAE, arXiv 2204.01678; M3AE, 2205.14204).

    streams: "image" first, then any of "depth", "segmentation" and "caption", in the same order as in the masking. classes: number of
    classes of the segmentation, the background included; words: size of the vocabulary; length: words in a caption.
    Each stream has an embedding of its own, whose bias identifies the stream; image, depth and segmentation share the positions of the
    grid. A stream that is not given is left out, so `features` needs the image alone. The mask is over the whole sequence.
    Raises UserError for an unknown stream.
    """

    def __init__(self, image_size, patch_size, size, *, streams: Sequence[str], channels=3, classes=11, words=2, length=16):
        super().__init__(image_size, patch_size, size, channels=channels)
        self.streams = tuple(streams)
        make = {
            "depth": lambda: PatchEmbed(patch_size, 1, self.dim),
            "segmentation": lambda: ClassEmbed(patch_size, classes, self.dim),
            "caption": lambda: WordEmbed(words, length, self.dim),
        }
        for stream in self.streams[1:]:
            if stream not in make:
                raise unknown("stream", stream, make)
        self.adapters = nn.ModuleDict({stream: make[stream]() for stream in self.streams[1:]})
        self.adapters.apply(initialise)

    def forward(self, inputs: Tensor | Inputs, mask: Mask | None = None, want: str | Sequence[str] = ()) -> Encoded:
        """Encode the streams that are given, as `ViT.forward` does an image. patches: (B, K, D) of the visible tokens of all streams."""
        inputs, dtype = as_inputs(inputs), self.patch_embed.proj.weight.dtype
        image = normalize(inputs["image"], dtype)
        grid = self.grid(image)
        x = [self.embed(image, None)]  # (B, 1+N, D), CLS first
        for stream, adapter in self.adapters.items():
            if stream in inputs:
                tokens = adapter(normalize(inputs[stream], dtype) if stream == "depth" else inputs[stream])  # (B, N or L, D)
                x.append(tokens if stream == "caption" else tokens + self.positions(grid)[1])
        x = torch.cat(x, dim=1)  # (B, 1+T, D)
        if mask is not None:
            x = torch.cat([x[:, :1], take(x[:, 1:], mask.visible_ids)], dim=1)  # (B, 1+K, D)
        return self.read(x, grid, want)


class ClassEmbed(nn.Module):
    """Embed a segmentation map as tokens: a learnt vector for the class of each pixel, and a linear map on patches of these.

    For large patches only every second, third … pixel is read, so that about 4×4 pixels of each patch are used (MultiMAE, arXiv
    2204.01678: every fourth pixel of 16×16).
    """

    def __init__(self, patch_size: int, classes: int, dim: int):
        super().__init__()
        width = 64 if dim >= 384 else 16  # 64 as in the paper
        self.step = step_of(patch_size)
        self.vectors = nn.Embedding(classes, width)
        self.patches = PatchEmbed(patch_size // self.step, width, dim)

    def forward(self, maps: Tensor) -> Tensor:
        """Classes (B, H, W) → (B, N, D)."""
        return self.patches(self.vectors(coarse(maps, self.step).long()).permute(0, 3, 1, 2))


def step_of(patch_size: int) -> int:
    """The step in pixels at which a segmentation map is read: the largest divisor of the patch size that leaves four pixels a side or more."""
    return max(step for step in range(1, max(1, patch_size // 4) + 1) if patch_size % step == 0)


def coarse(maps: Tensor, step: int) -> Tensor:
    """The pixel in the middle of each square of step × step: (B, H, W) → (B, H/step, W/step)."""
    return maps[:, step // 2 :: step, step // 2 :: step]


class WordEmbed(nn.Module):
    """Embed the words of a caption as tokens: a learnt vector for each id (0 = no word has one, too), a bias that identifies the stream,
    and sine-cosine positions along the sentence, (1, L, D)."""

    def __init__(self, words: int, length: int, dim: int):
        super().__init__()
        self.vectors = nn.Embedding(words, dim)  # standard deviation 1, as in M3AE's code
        self.bias = nn.Parameter(torch.zeros(dim))
        self.pos_embed = nn.Parameter(line_positions(dim, length).unsqueeze(0), requires_grad=False)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, L) → (B, L, D)."""
        return self.vectors(ids) + self.bias + self.pos_embed


def line_positions(dim: int, length: int) -> Tensor:
    """Sine-cosine positions along a line, (L, D): [sin(i·w) | cos(i·w)], w_k = 10000^(−k / (D/2))."""
    rates = 10000.0 ** (-torch.arange(dim // 2, dtype=torch.float64) / (dim // 2))  # (D/2,)
    angles = torch.arange(length, dtype=torch.float64).unsqueeze(1) * rates  # (L, D/2)
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()
