"""The endless stream of training batches, addressed by step.

The shuffled epochs are joined end to end, and batch number s is the s-th stretch of the result. It may straddle two epochs, and
no sample is ever left over. So a resumed run sees what the killed run would have seen, and several processes together see what
one process sees alone.
"""

import os
import signal
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, tee

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from minimim.data.beside import beside
from minimim.data.images import Images, check_set
from minimim.data.views import Inputs
from minimim.draws import mix

PIECE = 512  # images that one reading process fetches at once; a larger batch is divided among them


@lru_cache(maxsize=4)
def shuffled(n: int, seed: int, epoch: int) -> Tensor:
    """The order of one epoch, (n,)."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(mix(seed, epoch)))


def positions(step: int, batch_size: int, n: int, seed: int) -> Tensor:
    """Which samples make up global batch number `step`: (batch_size,)."""
    place, end, pieces = step * batch_size, (step + 1) * batch_size, []
    while place < end:
        epoch, start = divmod(place, n)
        pieces.append(shuffled(n, seed, epoch)[start : start + end - place])
        place += len(pieces[-1])
    return torch.cat(pieces)


def rows(batch_size: int, rank: int, world: int) -> slice:
    """The rows of a global batch that belong to a process; their number may differ by one between processes."""
    return slice(batch_size * rank // world, batch_size * (rank + 1) // world)


def batches(
    data, batch_size: int, *, seed=0, start=0, stop=None, device="cpu", rank=0, world=1, workers=0, needs=()
) -> Iterator[Tensor | Inputs]:
    """This process's images of the batches number `start` to `stop`, uint8 (b, C, H, W) on the device.

    data: Images, which are moved to the device once when they fit there, or OnDisk, which `workers` processes read.
    needs: what else is needed of each image (`beside` has the names): the batches are then {"image": images, "label": (b,), …}.
    Images may also be normalised floats. Raises UserError for other images, and for what the set does not have.
    """
    if hasattr(data, "images"):
        check_set(data.images)
    more = {"seed": seed, "start": start, "stop": stop, "device": torch.device(device), "rank": rank, "world": world}
    images = stream(data, batch_size, **more, workers=workers)
    if not needs:
        return images
    streams = [images, *(stream(known(data, name), batch_size, **more, workers=workers) for name in needs)]
    return (dict(zip(("image", *needs), parts, strict=True)) for parts in zip(*streams, strict=False))


def known(data, name: str):
    """What is known of each image under a name, in the shape that `stream` takes."""
    rows = beside(data, name)
    return Images(rows) if isinstance(rows, Tensor) else rows


def stream(data, batch_size: int, *, seed, start, stop, device: torch.device, rank, world, workers=0) -> Iterator[Tensor]:
    """This process's rows of the batches number `start` to `stop`, of images or of anything else that Images can hold."""
    own = rows(batch_size, rank, world)
    steps = range(start, 2**62 if stop is None else stop)
    wanted = (positions(step, batch_size, len(data), seed)[own] for step in steps)
    if hasattr(data, "images"):
        if fits(data.images, device):
            images = data.images.to(device)
            return (images[sent(ids, device)] for ids in wanted)
        return (sent(data.images[ids], device) for ids in wanted)
    return on_the_way(data, (ids.tolist() for ids in wanted), device, workers)


def in_order(data, batch_size: int, device="cpu", workers: int | None = None) -> Iterator[Tensor]:
    """All images once, in their order, for evaluation: uint8 (b, C, H, W) on the device. workers: processes that read
    images on disk, by default one a core, at most 16."""
    device = torch.device(device)
    if hasattr(data, "images"):
        check_set(data.images)
        return (sent(images, device) for images in data.images.split(batch_size))
    ids, workers = range(len(data)), min(16, os.cpu_count() or 1) if workers is None else workers
    return on_the_way(data, (ids[i : i + batch_size] for i in range(0, len(data), batch_size)), device, workers)


def on_the_way(data, wanted, device: torch.device, workers: int) -> Iterator[Tensor]:
    """Images that are read by worker processes while the device computes. wanted: lists of their places, one a batch."""
    wanted, told = tee(wanted)
    loader = DataLoader(
        data,
        batch_sampler=(ids[i : i + PIECE] for ids in wanted for i in range(0, len(ids), PIECE)),
        num_workers=workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=patient,
        generator=torch.Generator(),  # the loader's own draws must not touch the global ones
    )
    pieces = (images.to(device, non_blocking=True) for images in loader)
    return (torch.cat(list(islice(pieces, -(-len(ids) // PIECE)))) for ids in told)


def patient(_worker: int) -> None:
    """A reading process leaves Ctrl-C, and the polite kill that a cluster sends to all, to its parent, which ends with the step."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def sent(x: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device, without waiting for a GPU: only from pinned memory does a copy wait for its turn alone."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" and x.is_cpu else x.to(device)


def read(data, ids: Tensor) -> Tensor:
    """The images, or the maps on disk, at these places, (k,) → uint8 (k, C, H, W) or (k, H, W)."""
    return data.images[ids] if hasattr(data, "images") else torch.stack([data[i] for i in ids.tolist()])


def fits(images: Tensor, device: torch.device) -> bool:
    """Whether the images may live on the device: they take at most a third of what is free on a GPU."""
    if device.type != "cuda":
        return True
    return images.nbytes < torch.cuda.mem_get_info(device)[0] / 3
