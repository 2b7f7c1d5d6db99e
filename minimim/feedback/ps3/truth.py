"""What is right in problem set 3, number by number: slow, and easy to believe."""

import math
import statistics

import torch
from torch import Tensor, nn


def restore(latents: Tensor, ids: Tensor, valid: Tensor, mask_token: Tensor, positions: Tensor) -> Tensor:
    """For each place: the latent that belongs there, else the mask token; plus the position."""
    rows = []
    for b in range(len(latents)):
        here = {int(ids[b, k]): latents[b, k].tolist() for k in range(latents.shape[1]) if valid[b, k]}
        tokens = [here.get(n, mask_token[0, 0].tolist()) for n in range(len(positions))]
        rows.append([[a + p for a, p in zip(token, positions[n].tolist(), strict=True)] for n, token in enumerate(tokens)])
    return torch.tensor(rows, dtype=latents.dtype)


def window_target(patches: Tensor, hidden: Tensor, grid: tuple[int, int], window: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each patch: mean and spread of the numbers that its window shows, or else its image."""
    homes = [(n // grid[1] // window, n % grid[1] // window) for n in range(patches.shape[1])]
    targets, means, spreads = [], [], []
    for image, away in zip(patches.tolist(), hidden.tolist(), strict=True):
        shown = [n for n in range(len(homes)) if not away[n]]
        for n, home in enumerate(homes):
            near = [m for m in shown if homes[m] == home] or shown
            numbers = [x for m in near for x in image[m]]
            means.append(statistics.fmean(numbers))
            spreads.append(math.sqrt(statistics.variance(numbers) + 1e-6))  # statistics.variance divides by n − 1
            targets.append([(x - means[-1]) / spreads[-1] for x in image[n]])
    one = (*patches.shape[:2], 1)
    return tuple(
        torch.tensor(numbers, dtype=patches.dtype).view(shape)
        for numbers, shape in ((targets, patches.shape), (means, one), (spreads, one))
    )


def image_loss(prediction: Tensor, target: Tensor, hidden: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of an image's hidden patches, then the mean over the images that have one."""
    losses = []
    for b in range(len(hidden)):
        away = [n for n in range(hidden.shape[1]) if hidden[b, n]]
        total = sum(float(weights[b, n]) for n in away)
        if total > 0:
            errors = {n: statistics.fmean(((prediction[b, n] - target[b, n]) ** 2).tolist()) for n in away}
            losses.append(sum(float(weights[b, n]) * errors[n] for n in away) / total)
    return torch.tensor(statistics.fmean(losses) if losses else 0.0, dtype=prediction.dtype)


def plan(model: nn.Module, total: int, warmup: int, fall: int, peak: float, decay: float) -> tuple[Tensor, Tensor]:
    """A step's rate by the stretch that it lies in; a parameter decays if it is the weight of a map."""
    climbing = [peak * (s + 1) / warmup for s in range(warmup)]
    falling = [peak * left / fall for left in range(fall, 0, -1)]
    rates = climbing + [peak] * (total - warmup - fall) + falling
    maps = [module.weight for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    decays = [decay if any(p is weight for weight in maps) else 0.0 for p in model.parameters() if p.requires_grad]
    return torch.tensor(rates), torch.tensor(decays)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, batches: list, rates: list, max_norm: float):
    """Whole batches, patch by patch, and plain SGD or AdamW by hand: its average of gradients, of their squares, and how many."""
    learning = [(p, group) for group in optimizer.param_groups for p in group["params"]]
    memory = [(torch.zeros_like(p), torch.zeros_like(p), 0) for p, _ in learning]
    losses, norms = [], []
    for parts, rate in zip(batches, rates, strict=True):
        errors = []
        for patches, target, hidden in parts:
            prediction = model(patches, hidden)
            errors += [(prediction[b, n] - target[b, n]).square().mean() for b, n in hidden.nonzero().tolist()]
        loss = sum(errors) / len(errors)  # ()
        slopes = torch.autograd.grad(loss, [p for p, _ in learning])
        norm = sum((slope**2).sum() for slope in slopes).sqrt()
        losses.append(loss.detach())
        norms.append(norm)
        if losses[-1].isfinite() and norm.isfinite():
            with torch.no_grad():
                for n, (p, group) in enumerate(learning):
                    slope = slopes[n] * min(1.0, max_norm / float(norm))
                    if isinstance(optimizer, torch.optim.SGD):
                        p.sub_(rate * slope)
                        continue
                    memory[n] = adamw(p, slope, *memory[n], rate, group["betas"], group["eps"], group["weight_decay"])
    return torch.stack(losses), torch.stack(norms)


def adamw(p: Tensor, slope: Tensor, mean: Tensor, square: Tensor, count: int, rate: float, betas, eps: float, decay: float):
    """One step of AdamW on one parameter, in place; returns what it remembers. arXiv 1711.05101"""
    count += 1
    mean = betas[0] * mean + (1 - betas[0]) * slope
    square = betas[1] * square + (1 - betas[1]) * slope**2
    p.mul_(1 - rate * decay)
    p.sub_(rate * (mean / (1 - betas[0] ** count)) / ((square / (1 - betas[1] ** count)).sqrt() + eps))
    return mean, square, count
