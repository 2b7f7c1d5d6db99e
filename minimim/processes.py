"""The other processes of a run, if there are any: started by torchrun, joined by torch.distributed."""

import torch
import torch.distributed as dist
from torch import Tensor


def together() -> bool:
    """Whether this process runs with others."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if together() else 0


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if together() else 1


def summed(x: Tensor) -> Tensor:
    """The sum of a tensor over all processes, without gradient; the tensor itself when there is only one process."""
    if together():
        x = x.clone()
        dist.all_reduce(x)
    return x


def gathered(x: Tensor) -> Tensor:
    """The rows of all processes in the order of the processes, (b, …) → (B, …), with gradient.

    When every process computes a loss of the whole batch from these, and gradients are averaged over processes, the step is that of a
    single process. Processes may have different numbers of rows."""
    return Gather.apply(x) if together() else x


class Gather(torch.autograd.Function):
    """Forward, the rows of all processes; backward, the sum over all processes of the gradients of this process's rows."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        counts = summed(torch.nn.functional.one_hot(torch.tensor(rank(), device=x.device), world()) * len(x)).tolist()
        ctx.own = slice(sum(counts[: rank()]), sum(counts[: rank() + 1]))
        padded = x.new_zeros(max(counts), *x.shape[1:])  # all processes must send the same number of rows
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return summed(gradient)[ctx.own]
