"""Random draws that come out the same on one process and on many.

A training step draws for its whole global batch, and each process keeps its own rows. Every function of the library
that draws takes a `generator`; the training loop hands over a `StepGenerator`, which also knows those rows.
"""

import torch
from torch import Tensor


class StepGenerator(torch.Generator):
    """A `torch.Generator` for one step, seeded by (seed, step), that knows which rows of the batch belong to this process.

    total: rows of the global batch; rows: the slice of them that this process works on. A draw with a row for each sample,
    such as `uniform`, is made for the global batch and then cut to these rows.
    """

    def __new__(cls, device="cpu", **_):
        return super().__new__(cls, device=device)

    def __init__(self, device="cpu", *, seed: int, step: int, rows: slice, total: int):
        self.rows, self.total = rows, total
        self.manual_seed(mix(seed, step))


def mix(*numbers: int) -> int:
    """One 63-bit seed from several whole numbers: similar numbers give unrelated seeds (the splitmix64 finaliser)."""
    state = 0
    for number in numbers:
        state = (state + int(number) + 0x9E3779B97F4A7C15) % 2**64
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % 2**64
        state ^= state >> 31
    return state >> 1


def uniform(batch: int, *shape: int, generator: torch.Generator | None = None, device=None) -> Tensor:
    """Uniform numbers in [0, 1), (batch, *shape), float32: one row a sample, this process's rows of the global batch."""
    if not isinstance(generator, StepGenerator):
        return torch.rand(batch, *shape, generator=generator, device=device)
    return torch.rand(generator.total, *shape, generator=generator, device=device)[generator.rows]


def for_all(*shape: int, generator: torch.Generator | None = None, device=None) -> Tensor:
    """Uniform numbers that the whole global batch shares, such as one block size a batch: the same on every process."""
    return torch.rand(*shape, generator=generator, device=device)
