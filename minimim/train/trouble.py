"""What can fail in the middle of a run, reported in one sentence: what happened, what is still good, and what to do."""

import os
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist

from minimim.config import TrainConfig
from minimim.errors import UserError
from minimim.processes import together, world

# Words in the messages of torch, where the class of an error does not identify it.
WORKER = ("DataLoader worker", "Pin memory thread", "shared memory object", "unable to write to file </torch")
MEMORY = ("out of memory", "DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED")
OTHERS = ("Connection closed by peer", "Connection reset by peer", "gloo", "NCCL")


@contextmanager
def explained(config: TrainConfig, device: torch.device, path: Path | None, *, whole_batch=False):
    """A context in which lack of memory, a dead loader worker and a dead process of the run become a UserError; every other error
    stays as it is. path: the checkpoint of the run."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = sentence(error, config, device, path, whole_batch)
        if text is None:
            raise
        raise UserError(text) from error


def sentence(error: Exception, config: TrainConfig, device: torch.device, path: Path | None, whole_batch=False) -> str | None:
    """The sentence for an error; None if it is not one of these."""
    text = str(error)
    if says(text, WORKER):
        return no_worker(text, config, path)
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or says(text, MEMORY):
        return no_memory(config, device, path, whole_batch)
    if together() and (isinstance(error, dist.DistError) or says(text, OTHERS)):
        return no_others(path)
    return None


def says(text: str, words: tuple[str, ...]) -> bool:
    """Whether a text has any of the words in it."""
    return any(word in text for word in words)


def kept(path: Path | None) -> str:
    """What is left of a run that failed."""
    return f"the last good checkpoint is {path}" if saved(path) else "nothing was saved yet"


def saved(path: Path | None) -> bool:
    """Whether there is a checkpoint to go on from."""
    return path is not None and os.path.exists(path)


def no_memory(config: TrainConfig, device: torch.device, path: Path | None, whole_batch=False) -> str:
    """Advise dividing the batch into more parts, which changes nothing else about the training; if that is impossible, or the method
    needs the whole batch at once, a smaller batch."""
    batch, parts, used = config.batch_size, config.accumulate, ""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        used = f" ({(total - free) / 2**30:.1f} of {total / 2**30:.1f} GiB in use)"

    def at_once(parts: int) -> int:
        return -(-batch // parts // world())  # images of a process in one part, rounded up

    now = at_once(parts)
    more = None if whole_batch else next((k for k in range(parts + 1, batch // world() + 1) if batch % k == 0 and at_once(k) < now), None)
    if more:
        advice = f"with --accumulate {more} it is the same training with {at_once(more)} at once"
        advice += ", and --resume goes on" if saved(path) else ""
    elif now > 1:
        advice = f"start anew with --batch-size {now // 2 * parts * world()}, for which the learning rate scales itself"
    else:
        advice = "start anew with a smaller --size or --image-size"
    return (
        f"the memory of {device}{used} does not hold {now} image{'s' * (now > 1)} at once, as a batch of {batch} in {parts} "
        f"part{'s' * (parts > 1)} on {world()} process{'es' * (world() > 1)} asks, and {kept(path)}: {advice}"
    )


def no_worker(text: str, config: TrainConfig, path: Path | None) -> str:
    """Most often the system killed it because it used too much memory, or a container has too little shared memory."""
    what = text.splitlines()[0].rstrip(" .")
    return (
        f"a process that reads images has died ({what}), and {kept(path)}: most often there is too little memory or shared memory, "
        f"so lower --workers, now {config.workers}" + (", and go on with --resume" if saved(path) else "")
    )


def no_others(path: Path | None) -> str:
    """The process that reports is not the one that failed."""
    advice = "the same command with --resume goes on" if saved(path) else "start it again"
    return (
        f"another process of this run is gone, and {kept(path)}: its own message stands above or in its log; {advice}, and "
        "torchrun with --max-restarts 3 does so by itself"
    )
