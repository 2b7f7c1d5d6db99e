"""What is right in problem set 6, number by number: slow, and easy to believe."""

import math

import torch
from torch import Tensor


def hog(across: Tensor, down: Tensor, patch_size: int, cells: tuple[int, int], margin: int, bins: int) -> Tensor:
    """Cell by cell, each pixel in reach gives its vote to the two directions next to its own."""
    rows, cols = across.shape[1:]
    high, wide = patch_size // cells[0], patch_size // cells[1]
    batch = []
    for right, below in zip(across.tolist(), down.tolist(), strict=True):
        image = []
        for top in range(0, rows, patch_size):
            for left in range(0, cols, patch_size):
                numbers = []
                for y in range(top, top + patch_size, high):
                    for x in range(left, left + patch_size, wide):
                        reach = [
                            (r, c)
                            for r in range(y - margin, y + high + margin)
                            for c in range(x - margin, x + wide + margin)
                        ]
                        inside = [(r, c) for r, c in reach if 0 <= r < rows and 0 <= c < cols]
                        numbers += histogram([(right[r][c], below[r][c]) for r, c in inside], bins)
                length = math.sqrt(sum(x**2 for x in numbers))
                image.append([x / length if length else 0.0 for x in numbers])
        batch.append(image)
    return torch.tensor(batch, dtype=across.dtype)


def histogram(gradients: list[tuple[float, float]], bins: int) -> list[float]:
    """The votes of some pixels for each direction."""
    votes = [0.0] * bins
    for right, below in gradients:
        turn = math.degrees(math.atan2(below, right)) % 180 / (180 / bins)  # 0 = direction 0, 1 = direction 1, …
        low = math.floor(turn)
        votes[low % bins] += math.hypot(right, below) * (low + 1 - turn)
        votes[(low + 1) % bins] += math.hypot(right, below) * (turn - low)
    return votes


def revive(
    codes: Tensor, latents: Tensor, usage: Tensor, momentum: float, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One dead code after the other goes to the latent that is farthest from all that live by then."""
    table, points, used = codes.tolist(), latents.tolist(), usage.tolist()
    counts = [0] * len(table)
    for point in points:
        apart = [square(point, code) for code in table]
        counts[apart.index(min(apart))] += 1
    used = [momentum * u + (1 - momentum) * n for u, n in zip(used, counts, strict=True)]
    living = [k for k, u in enumerate(used) if u >= threshold]
    revived = [False] * len(table)
    fresh = sum(used[k] for k in living) / len(living)
    for k in range(len(table)):
        if k not in living:
            away = [min(square(point, table[n]) for n in living) for point in points]
            if max(away) > 0:
                table[k], used[k], revived[k] = points[away.index(max(away))], fresh, True
                living = [*living, k]
    return torch.tensor(table, dtype=codes.dtype), torch.tensor(used, dtype=usage.dtype), torch.tensor(revived)


def square(a: list[float], b: list[float]) -> float:
    """The squared distance of two points."""
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def inner_blocks(sizes: Tensor, corners: Tensor, grid: tuple[int, int], count: int) -> Tensor:
    """Patch by patch of one rectangle after the other, then the inner patches in reading order, until enough are hidden."""
    rows, cols = grid
    masks = torch.zeros(len(sizes), rows * cols, dtype=torch.bool)
    for mask, shapes, places in zip(masks, sizes.tolist(), corners.tolist(), strict=True):
        line = []
        for (high, wide), (u, v) in zip(shapes, places, strict=True):
            top, left = 1 + math.floor(u * (rows - 1 - high)), 1 + math.floor(v * (cols - 1 - wide))
            line += [(r, c) for r in range(top, top + high) for c in range(left, left + wide)]
        line += [(r, c) for r in range(1, rows - 1) for c in range(1, cols - 1)]
        for r, c in list(dict.fromkeys(line))[:count]:
            mask[r * cols + c] = True
    return masks


def hint_mask(importance: Tensor, patch_size: int, noise: Tensor, count: int, top: int, hint: int) -> tuple[Tensor, Tensor]:
    """Sorted lists of patches: the object, the hint in it, and the others that are hidden with what is left of the object."""
    rows, cols = (side // patch_size for side in importance.shape[1:])
    hidden, hints = torch.zeros(2, len(importance), rows * cols, dtype=torch.bool)
    for b, pixels in enumerate(importance.double().tolist()):
        means = []
        for n in range(rows * cols):
            y, x = n // cols * patch_size, n % cols * patch_size
            square = [pixels[r][c] for r in range(y, y + patch_size) for c in range(x, x + patch_size)]
            means.append(sum(square) / len(square))
        chance = noise[b].tolist()
        object_ = sorted(range(len(means)), key=lambda n: (-means[n], n))[:top]
        shown = sorted(object_, key=lambda n: chance[n])[:hint]
        others = sorted(set(range(len(means))) - set(object_), key=lambda n: chance[n])
        away = [n for n in object_ if n not in shown]
        hidden[b, [*away, *others[: count - len(away)]]] = True
        hints[b, shown] = True
    return hidden, hints


def targets_and_context(
    corners: Tensor, size: tuple[int, int], targets: int, context: Tensor, noise: Tensor, grid: tuple[int, int]
):
    """Sets of patches: a candidate is taken where it shares none with those before; the context is what is left of its block."""

    def block(top: int, left: int, high: int, wide: int) -> set[int]:
        return {r * grid[1] + c for r in range(top, top + high) for c in range(left, left + wide)}

    blocks = torch.zeros(len(corners), targets, grid[0] * grid[1], dtype=torch.bool)
    free = []
    for b, candidates in enumerate(corners.tolist()):
        taken: list[set[int]] = []
        for corner in candidates:
            one = block(*corner, *size)
            if len(taken) < targets and not any(one & other for other in taken):
                taken.append(one)
        for t, one in enumerate(taken):
            blocks[b, t, sorted(one)] = True
        free.append(block(*context[b].tolist()) - set().union(*taken))
    visible = torch.zeros(noise.shape, dtype=torch.bool)
    for b, patches in enumerate(free):
        kept = sorted(patches, key=lambda n: float(noise[b, n]))[: min(map(len, free))]
        visible[b, kept] = True
    return blocks, visible
