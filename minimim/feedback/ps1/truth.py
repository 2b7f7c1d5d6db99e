"""What is right in problem set 1, by plain loops: slow, and nowhere near how it would be written for use."""

import torch
from torch import Tensor


def tubelets(video: Tensor, patch_size: int, frames: int) -> Tensor:
    """(B, T, C, H, W) → (B, N, t·P·P·C)."""
    batch, time, channels, height, width = video.shape
    rows = []
    for b in range(batch):
        for t in range(0, time, frames):
            for y in range(0, height, patch_size):
                for x in range(0, width, patch_size):
                    for dt in range(frames):
                        for p in range(patch_size):
                            for q in range(patch_size):
                                for c in range(channels):
                                    rows.append(video[b, t + dt, c, y + p, x + q])
    return torch.stack(rows).reshape(batch, -1, frames * patch_size**2 * channels)


def patches_with_border(images: Tensor, patch_size: int) -> tuple[Tensor, Tensor]:
    """(B, C, H, W) → patches (B, N, P·P·C), real (B, N, P·P) bool."""
    batch, channels, height, width = images.shape
    values, real = [], []
    for b in range(batch):
        for y in range(0, height, patch_size):
            for x in range(0, width, patch_size):
                for row in range(y, y + patch_size):
                    for col in range(x, x + patch_size):
                        inside = row < height and col < width
                        real.append(inside)
                        for c in range(channels):
                            values.append(images[b, c, row, col] if inside else images.new_zeros(()))
    patches = torch.stack(values).reshape(batch, -1, patch_size**2 * channels)
    return patches, torch.tensor(real).reshape(batch, -1, patch_size**2)


def mask_per_row(noise: Tensor, visible: int) -> Tensor:
    """(B, rows, cols) → (B, rows·cols) bool."""
    hidden = []
    for grid in noise.tolist():
        sample = []
        for row in grid:
            for value in row:
                sample.append(sum(other < value for other in row) >= visible)
        hidden.append(sample)
    return torch.tensor(hidden)


def restore_ragged(tokens: Tensor, hidden: Tensor, mask_token: Tensor) -> Tensor:
    """tokens (B, Kmax, D), hidden (B, N), mask_token (D,) → (B, N, D)."""
    samples = []
    for b, sample in enumerate(hidden.tolist()):
        used, places = 0, []
        for is_hidden in sample:
            if is_hidden:
                places.append(mask_token)
            else:
                places.append(tokens[b, used])
                used += 1
        samples.append(torch.stack(places))
    return torch.stack(samples)


def two_views(noise: Tensor, overlap: int) -> tuple[Tensor, Tensor]:
    """(B, N) → two of (B, N) bool."""
    first, second = [], []
    for sample in noise.tolist():
        keep = len(sample) // 4
        ranks = [sum(other < value for other in sample) for value in sample]
        first.append([not 0 <= rank < keep for rank in ranks])
        second.append([not keep - overlap <= rank < 2 * keep - overlap for rank in ranks])
    return torch.tensor(first), torch.tensor(second)
