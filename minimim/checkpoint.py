"""Checkpoints: one safetensors file, with a JSON description of its tensors in the header.

A checkpoint is written atomically: the new file takes the old one's place only when it is complete, so a crash, a full disk or a
power cut leaves a whole file behind.
"""

import errno
import json
import os
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from minimim.errors import UserError, unknown

NAME = "last.safetensors"
CHECKPOINTS = ("mae-scenes",)  # shipped with the library, made by scripts/build_checkpoint.py


def write(path: str | os.PathLike, tensors: dict[str, Tensor], about: dict) -> None:
    """Save tensors and a JSON-able description under a name, replacing what was there only once the new file is whole.

    Raises UserError when the file cannot be written or the disk is full; the old file is then still there.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = apart({name: t.detach().to("cpu").contiguous() for name, t in tensors.items()})
        save_file(tensors, partial, metadata={"minimim": json.dumps(about)})
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)


def apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, with a copy of each one that shares its memory with an earlier one: safetensors refuses shared memory."""
    seen, found = set(), {}
    for name, t in tensors.items():
        place = t.untyped_storage().data_ptr()
        found[name] = t.clone() if place in seen and t.numel() else t
        seen.add(place)
    return found


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Save bytes under a name, as `write` saves tensors: whole, or not at all. Raises UserError as `write` does."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)


@contextmanager
def writing(path: Path):
    """A context for writing a file, in which an error of the disk becomes a UserError, and the unfinished file is removed."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            path.with_name(f".{path.name}.partial").unlink()
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        kept = f"; the last {path} is untouched" if os.path.isfile(path) else ""
        reason = "the disk is full" if full else str(error)
        raise UserError(f"cannot write {path}: {reason}{kept}; free some space or choose another --out") from error


def read(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict]:
    """Tensors and description of a checkpoint, from its file or its run's folder.

    Raises UserError when there is no such file, when it is damaged, or when minimim did not write it.
    """
    with opened(path) as (file, about):
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118


def description(path: str | os.PathLike) -> dict:
    """The description of a checkpoint alone; the tensors stay on the disk. Raises UserError as `read` does."""
    with opened(path) as (_, about):
        return about


@contextmanager
def opened(path: str | os.PathLike):
    """A context with a checkpoint's open file and its description. Raises UserError as `read` does."""
    path = find(path)
    try:
        with safe_open(path, framework="pt") as file:
            about = (file.metadata() or {}).get("minimim")
            if about is None:
                raise UserError(
                    f"{path} was not written by minimim: give foreign weights as --weights, or read them with minimim.interop.load_file"
                )
            yield file, json.loads(about)
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is not a whole checkpoint ({error}): it is damaged, or another kind of file (give foreign weights as --weights)") from error


def ours(path: str | os.PathLike) -> bool:
    """Whether a path is a folder, or a whole checkpoint that minimim wrote: anything else may be foreign weights."""
    if os.path.isdir(path):
        return True
    try:
        with safe_open(path, framework="pt") as file:
            return "minimim" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def find(path: str | os.PathLike) -> Path:
    """The checkpoint's file, from itself or from its folder. Raises UserError when there is none."""
    path = Path(path)
    file = path / NAME if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"there is no checkpoint at {path}: give a run's folder or a .safetensors file")
    return file


def pack(prefix: str, state: dict) -> dict[str, Tensor]:
    """An optimiser's state as flat tensors: {prefix.number.name: tensor}."""
    return {f"{prefix}.{n}.{name}": torch.as_tensor(x) for n, slot in state["state"].items() for name, x in slot.items()}


def unpack(prefix: str, tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The inverse of `pack`: {number: {name: tensor}}."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith(f"{prefix}."):
            _, number, name = key.split(".")
            state.setdefault(int(number), {})[name] = tensor
    return state


def bundled(name: str) -> Path:
    """The path of a bundled checkpoint, for `minimim.load`. Raises UserError for an unknown name."""
    if name not in CHECKPOINTS:
        raise unknown("bundled checkpoint", name, CHECKPOINTS)
    return Path(str(files("minimim") / "assets" / f"{name}.safetensors"))
