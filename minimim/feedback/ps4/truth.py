"""What is right in problem set 4, number by number: slow, and easy to believe."""

from collections.abc import Callable

import torch
from torch import Tensor

from minimim import checkpoint
from minimim.feedback import sabotaged
from minimim.feedback.ps4 import methods


def mean(numbers: list) -> float:
    return sum(numbers) / len(numbers)


def paired(scores: Tensor, garment: Tensor) -> tuple[Tensor, Tensor]:
    """For each encoder, image by image against encoder 0; what is left over is added up garment by garment before it is squared."""
    rows, names = scores.tolist(), garment.tolist()
    gains, errors = [], []
    for row in rows:
        apart = [mine - base for mine, base in zip(row, rows[0], strict=True)]
        gain, sums = mean(apart), dict.fromkeys(names, 0.0)
        for name, number in zip(names, apart, strict=True):
            sums[name] += number - gain
        gains.append(gain)
        errors.append(sum(total**2 for total in sums.values()) ** 0.5 / len(names))
    return torch.tensor(gains, dtype=scores.dtype), torch.tensor(errors, dtype=scores.dtype)


def few_labels(labels: Tensor, noise: Tensor, per_class: int) -> Tensor:
    """Draw by draw, class by class: all images of the class, sorted by their noise, and the first of them."""
    draws = []
    for row in noise.tolist():
        draw = []
        for kind in sorted(set(labels.tolist())):
            members = [number for number, label in enumerate(labels.tolist()) if label == kind]
            draw.append(sorted(members, key=lambda number: row[number])[:per_class])
        draws.append(draw)
    return torch.tensor(draws)


def choose(right: Tensor, fold: Tensor, tested: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The layer of the best mean over folds; the same choice made without each fold and tried on it; one look at test."""
    names, rows = sorted(set(fold.tolist())), right.tolist()
    table = [[mean([x for x, name in zip(row, fold.tolist(), strict=True) if name == f]) for f in names] for row in rows]

    def best(left_out: int | None = None) -> int:
        over = [mean([x for f, x in enumerate(row) if f != left_out]) for row in table]
        return max(range(len(over)), key=lambda layer: (over[layer], -layer))

    nested = mean([table[best(f)][f] for f in range(len(names))])
    layer = best()
    numbers = nested, mean(tested[layer].tolist())
    return torch.tensor(layer), *(torch.tensor(x, dtype=right.dtype) for x in numbers)


def leaks(predict: Callable, images: Tensor, hidden: Tensor, patch_size: int, noise: Tensor, tolerance: float) -> Tensor:
    """Pixel by pixel: the hidden ones get the noise, the others stay; then number by number, did a prediction move?"""
    other, (_, _, height, width) = images.clone(), images.shape
    for b in range(len(images)):
        for y in range(height):
            for x in range(width):
                if hidden[b, y // patch_size * (width // patch_size) + x // patch_size]:
                    other[b, :, y, x] = noise[b, :, y, x]
    before, after = (predict(x.clone(), hidden.clone()).flatten(1).tolist() for x in (images, other))
    moved = [any(abs(a - b) > tolerance for a, b in zip(*rows, strict=True)) for rows in zip(before, after, strict=True)]
    return torch.tensor(mean(moved), dtype=images.dtype)


def symptoms(method, images: Tensor, noise: Tensor) -> Tensor:
    """What was built in: ids not restored, features that nobody trained, post-norm."""
    return torch.tensor(methods.built_in(method))


def verdicts() -> dict[str, str]:
    """As the files say."""
    return {name: checkpoint.read(sabotaged.path(name))[1]["fault"] for name in sabotaged.NAMES}
