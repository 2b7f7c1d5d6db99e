"""Joining the other processes of a run that torchrun started, and choosing the device to run on."""

import os
import warnings

import torch
import torch.distributed as dist

from minimim.errors import UserError, unknown
from minimim.processes import summed, together, world


def pick_device(name: str = "auto") -> torch.device:
    """The device by name; "auto" takes a CUDA GPU, or else Apple's, or else the CPU; each process of torchrun has a GPU of its own.

    Raises UserError when there is no such device.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    kind = name.partition(":")[0]
    if kind not in there:
        raise unknown("device", name, [*there, "auto"])
    if not there[kind]:
        raise UserError(f"there is no {kind} device on this machine: use --device auto, or cpu")
    count, own = torch.cuda.device_count(), name == "cuda" and "LOCAL_RANK" in os.environ
    device = torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if own else name)
    if kind == "cuda" and device.index is not None and device.index >= count:
        many = f"torchrun started more processes here than there are GPUs: use --nproc-per-node={count}, or --device cpu"
        raise UserError(many if own else f"there is no {name}: this machine has {count} GPUs, counted from cuda:0")
    return device


def join(device: torch.device) -> None:
    """Join the processes that torchrun started; does nothing in a process that was started alone."""
    if "RANK" not in os.environ or together():
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    from torch.distributed.rendezvous import rendezvous

    store, number, count = next(rendezvous("env://"))
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        # A restarted run may not meet at the addresses of its former life, which are still in torchrun's store
        # (pytorch issue 135712). On several machines only torchrun can help: see docs/scale.md.
        store = dist.PrefixStore(f"life {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", store=store, rank=number, world_size=count)


def leave() -> None:
    """Leave the process group after a run that ended well; with nccl this may wait for all processes. After an error the end of the
    process is enough, and does not wait."""
    if together():
        dist.destroy_process_group()


def restarted(device: torch.device) -> bool:
    """Whether torchrun has started the run again because one of its processes died. The count of restarts is each machine's
    own, so the processes ask one another, and all get the same answer."""
    count = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    return bool(summed(torch.tensor(count, device=device)) > 0)


def refuse_different_starts(start: int, out, device: torch.device) -> None:
    """Raise UserError unless every process begins at the same step: they read one checkpoint, or none."""
    if int(summed(torch.tensor(start, device=device))) != start * world():
        raise UserError(f"the processes of this run find different checkpoints in {out}: --out must be one folder that all of them see")


def precision(name: str, device: torch.device) -> torch.dtype:
    """The type that matrix products run in: "auto" is bf16 on CUDA GPUs that have it, fp32 everywhere else.

    Raises UserError when bf16 is asked for on a device that lacks it, and warns on a CPU that is slow in it.
    """
    able = device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False))
    if name == "bf16" and not able:
        raise UserError(f"this {device.type} device has no bf16: use --precision fp32, or auto, which takes fp32 here")
    if name == "bf16" and slow_bf16(device):
        warnings.warn("this CPU has no AVX512 and emulates bf16 many times more slowly: use --precision fp32", stacklevel=2)
    return torch.bfloat16 if name == "bf16" or (name == "auto" and device.type == "cuda" and able) else torch.float32


def slow_bf16(device) -> bool:
    """Whether a device is a CPU that emulates bf16: with AVX2 alone it took 14 times as long as fp32, and with AVX512 less time than fp32."""
    return torch.device(device).type == "cpu" and torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2")
