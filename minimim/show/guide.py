"""What a trained MAE tells an informed mask about whole pictures: what it attends to, and where it guesses badly."""

from types import SimpleNamespace

import torch
from torch import Tensor

from minimim.data.views import normalize
from minimim.masking import Mask, RandomMasking
from minimim.methods import Method
from minimim.patches import patchify


def patch_errors(method: Method, images: Tensor, mask: Mask) -> Tensor:
    """The mean squared error of an MAE's guess at each patch: images (B, C, H, W), uint8 → (B, N), in normalised pixels."""
    size = method.encoder.patch_size
    guess = method.decoder(method.encoder(images, mask), mask)["patch"]  # (B, N, P·P·C)
    return (guess - patchify(normalize(images), size)).square().mean(dim=2)


def guide_for(method: Method, images: Tensor, looks: int = 8, ratio: float = 0.75) -> SimpleNamespace:
    """A guide for masks: `encoded.attention`, (B, heads, T, T), of the last block on whole pictures, and the stream "difficulty", (B, N, 1):
    the error at each patch, averaged over those of `looks` random masks that hide it (0 where none does). images: uint8 (B, C, H, W)."""
    grid, dice = method.encoder.grid(images), torch.Generator().manual_seed(0)
    off, times = 0, 0
    for _ in range(looks):
        (mask,) = RandomMasking(ratio)({"image": images}, grid, generator=dice)
        off, times = off + patch_errors(method, images, mask) * mask.hidden, times + mask.hidden  # (B, N) both
    streams = {"difficulty": (off / times.clamp(min=1)).unsqueeze(-1)}  # (B, N, 1)
    return SimpleNamespace(encoded=method.encoder(images, want=("attention",)), streams=streams)
