"""What is right in problem set 0, by plain loops."""

import torch
from torch import Tensor


def standardise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """images (B, C, H, W), mean (B, C), std (C,) → (B, C, H, W)."""
    planes = [[(image[c] - mean[b, c]) / std[c] for c in range(len(std))] for b, image in enumerate(images)]
    return torch.stack([torch.stack(of_one) for of_one in planes])


def pick_channels(images: Tensor, ids: Tensor) -> Tensor:
    """images (B, C, H, W), ids (B, K) → (B, K, H, W)."""
    return torch.stack([torch.stack([images[b, i] for i in row]) for b, row in enumerate(ids.tolist())])


def places(times: Tensor) -> Tensor:
    """(B, N) → (B, N): 1 for the smallest of its row, and so on."""
    return torch.tensor([[1 + sum(other < mine for other in row) for mine in row] for row in times.tolist()])


def gated(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """x (B, D), weight (D, D), bias (D,) → (B, D), and how many numbers are learnt."""
    rows = []
    for sample in x:
        gates = [1 / (1 + torch.exp(-(sum(w * v for w, v in zip(row, sample, strict=True)) + b)))
                 for row, b in zip(weight, bias, strict=True)]  # fmt: skip
        rows.append(torch.stack([v * g for v, g in zip(sample, gates, strict=True)]))
    return torch.stack(rows), torch.tensor(weight.numel() + bias.numel())


def descend(f, x: Tensor, rate: float, steps: int) -> Tensor:
    """x (N,) after some steps downhill; slopes by small differences, in float64."""
    here, small = x.double(), 1e-5
    for _ in range(steps):
        slopes = [(f(here + move) - f(here - move)) / (2 * small) for move in small * torch.eye(len(x), dtype=torch.float64)]
        here = here - rate * torch.stack(slopes)
    return here.to(x.dtype)


def contact_sheet(images: Tensor, rows: int) -> Tensor:
    """images (N, C, H, W) → (C, rows·H, cols·W)."""
    count, channels, height, width = images.shape
    cols = count // rows
    sheet = images.new_zeros(channels, rows * height, cols * width)
    for n in range(count):
        top, left = n // cols * height, n % cols * width
        sheet[:, top : top + height, left : left + width] = images[n]
    return sheet
