"""The other processes of a run, if there are any: started by torchrun, joined by torch.distributed."""

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
    """The sum of a tensor over all processes; the tensor itself when there is one."""
    if together():
        x = x.clone()
        dist.all_reduce(x)
    return x
