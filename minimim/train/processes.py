"""Joining the other processes of a run that torchrun started, and choosing the device to run on."""

import os

import torch
import torch.distributed as dist

from minimim.errors import UserError, unknown
from minimim.processes import together


def pick_device(name: str = "auto") -> torch.device:
    """The device by name; "auto" takes a CUDA GPU, else Apple's, else the CPU. Raises UserError when it is not there."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    kind = name.partition(":")[0]
    if kind not in there:
        raise unknown("device", name, [*there, "auto"])
    if not there[kind]:
        raise UserError(f"there is no {kind} device on this machine: use --device auto, or cpu")
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    return torch.device(name)


def join(device: torch.device) -> None:
    """Join the processes that torchrun started; does nothing in a process that was started alone."""
    if "RANK" not in os.environ or together():
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")


def leave() -> None:
    """Say goodbye to the other processes."""
    if together():
        dist.destroy_process_group()


def precision(name: str, device: torch.device) -> torch.dtype:
    """The type that matrix products run in: "auto" is bf16 on CUDA GPUs that have it, fp32 everywhere else.

    Raises UserError when bf16 is asked for on a GPU that lacks it.
    """
    able = device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False))
    if name == "bf16" and not able:
        raise UserError(f"this {device.type} device has no bf16: use --precision fp32")
    return torch.bfloat16 if name == "bf16" or (name == "auto" and device.type == "cuda" and able) else torch.float32
