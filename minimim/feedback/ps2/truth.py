"""What is right in problem set 2, number by number: slow, without a gradient, and easy to believe."""

import math

import torch
from torch import Tensor


def mix(query: list, keys: list, values: list) -> list:
    """What one query takes from the values: the softmax of its products with the keys over √d."""
    scores = [sum(a * b for a, b in zip(query, key, strict=True)) / math.sqrt(len(query)) for key in keys]
    parts = [math.exp(score - max(scores)) for score in scores]
    return [sum(p * value[c] for p, value in zip(parts, values, strict=True)) / sum(parts) for c in range(len(query))]


def each_query(q: Tensor, mixture) -> Tensor:
    """mixture(b, h, t) → list of d numbers, for every query."""
    batch, heads, count, _ = q.shape
    rows = [[[mixture(b, h, t) for t in range(count)] for h in range(heads)] for b in range(batch)]
    return torch.tensor(rows, dtype=q.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, valid: Tensor) -> Tensor:
    """Each query looks at the valid keys of its sample and head; zeros where there is none."""

    def mixture(b, h, t):
        real = [s for s in range(k.shape[2]) if valid[b, s]]
        if not real:
            return [0.0] * q.shape[3]
        return mix(q[b, h, t].tolist(), k[b, h, real].tolist(), v[b, h, real].tolist())

    return each_query(q, mixture)


def shared_keys(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Head h looks at the keys of group h // (heads / groups)."""
    share = q.shape[1] // k.shape[1]
    return each_query(q, lambda b, h, t: mix(q[b, h, t].tolist(), k[b, h // share].tolist(), v[b, h // share].tolist()))


def windowed(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int], window: int) -> Tensor:
    """Each token looks at the tokens whose row and column lie in the same window as its own."""
    homes = [(n // grid[1] // window, n % grid[1] // window) for n in range(q.shape[2])]

    def mixture(b, h, t):
        near = [s for s, home in enumerate(homes) if home == homes[t]]
        return mix(q[b, h, t].tolist(), k[b, h, near].tolist(), v[b, h, near].tolist())

    return each_query(q, mixture)


def position(dim: int, *place: int) -> list:
    """One token's row of the table: for frame, row and column in turn, dim/6 sines and then dim/6 cosines."""
    rates = [10000 ** (-i / (dim // 6)) for i in range(dim // 6)]
    return [wave(number * rate) for number in place for wave in (math.sin, math.cos) for rate in rates]


def encode_visible(tokens: Tensor, positions: Tensor, hidden: Tensor, registers: Tensor) -> tuple[Tensor, Tensor]:
    """Registers, then each sample's visible tokens with their positions, then zeros."""
    longest, lead = max(int((~row).sum()) for row in hidden), registers.shape[1]
    x, valid = [], []
    for sample, row in zip(tokens.tolist(), hidden.tolist(), strict=True):
        stay = [
            [a + b for a, b in zip(token, position, strict=True)]
            for token, position, away in zip(sample, positions.tolist(), row, strict=True)
            if not away
        ]
        blank = longest - len(stay)
        x.append(registers[0].tolist() + stay + [[0.0] * tokens.shape[2]] * blank)
        valid.append([True] * (lead + len(stay)) + [False] * blank)
    return torch.tensor(x, dtype=tokens.dtype), torch.tensor(valid)
