"""What a checkpoint of a run holds, and how a run or a method is restored from it."""

import hashlib
import os
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from minimim import checkpoint
from minimim.config import TrainConfig
from minimim.errors import UserError
from minimim.methods import Method, create
from minimim.prompt import typed

FREE = {  # may change on resume
    "device", "workers", "save_every", "max_minutes", "log_every", "tensorboard", "probe_every", "compile", "accumulate",
}  # fmt: skip


def save_state(path: Path, method: Method, optimizer, about: dict) -> None:
    """Write model, optimiser, seed and step; schedule, random draws and the position in the data follow from (seed, step)."""
    tensors = {f"method.{name}": tensor for name, tensor in method.state_dict().items()}
    tensors |= checkpoint.pack("optimizer", optimizer.state_dict())
    versions = {"minimim": version("minimim"), "torch": torch.__version__}
    checkpoint.write(path, tensors, {"kind": "run", "versions": versions, **about})


def load_state(out: Path | None, method: Method, optimizer, about: dict) -> dict:
    """Restore method and optimiser of a stopped run, and return its description: `step` is the number of steps that are done.

    Raises UserError when there is no run, or when it is of another method, on other data or with other settings.
    """
    if out is None:
        raise UserError("to resume a run, say which: give the folder that it was written to as --out")
    tensors, then = checkpoint.read(out)
    if then.get("kind") != "run":
        raise UserError(f"{out} holds weights only, nothing to resume: load them with minimim.load")
    same_run(out, then, about)
    load_method(method, tensors, out)
    state = optimizer.state_dict()
    state["state"] = checkpoint.unpack("optimizer", tensors)
    optimizer.load_state_dict(state)
    return then


def same_run(out: Path, then: dict, now: dict) -> None:
    """Raise UserError at the first difference between the saved run and this one that is not allowed. For a pretraining that should be
    longer or on other data, the message names the way: a new run, from the weights of this one."""
    name = (now["spec"] or {}).get("name")
    way = f"; for a longer or another training begin a new run from its weights, {typed('--from', out)}, with another --out" if name else ""
    if then["images"] != now["images"]:
        raise UserError(f"the run in {out} was on {then['images']} images, not {now['images']}: give it the same data{way}")
    if not alike(then.get("data"), now["data"]):
        raise UserError(f"the run in {out} was on other images, or on other labels: give it the same data{way}")
    other = difference(decisive(then), decisive(now))
    if other:
        name, was, asked = other
        raise UserError(f"the run in {out} was begun with {name}={was}, not {asked}: resume it with the same options{way}")


def decisive(about: dict) -> dict:
    """What identifies a run: its method, and the settings that may not change on resume."""
    config = about.get("config", {})
    return plain({"method": about["spec"], **{f.name: config.get(f.name) for f in fields(TrainConfig) if f.name not in FREE}})


def digest(data) -> dict | None:
    """What identifies a set of images: a hash of its labels, and the brightness of 16 images, 0 to 255, or a hash of all file names
    without their common beginning, so that a folder may be moved. None for a set of another kind."""
    if hasattr(data, "images"):
        some = data.images[[i * len(data) // 16 for i in range(16)]]
        what = {"brightness": some.flatten(1).float().mean(dim=1).tolist()}
    elif hasattr(data, "files"):
        names = [os.fspath(file) for file in data.files]
        shared = len(os.path.commonprefix(names))
        what = {"names": hashed(os.fsencode("\n".join(name[shared:] for name in names)))}
    else:
        return None
    return {"labels": None if data.labels is None else hashed(data.labels.cpu().numpy().tobytes()), **what}


def hashed(content: bytes) -> str:
    """The first characters of a hash."""
    return hashlib.sha256(content).hexdigest()[:16]


def alike(then: dict | None, now: dict | None) -> bool:
    """Whether two digests may be of the same data. Machines differ a little in decoding, so half a grey level is allowed."""
    if then is None or now is None:
        return True
    was, found = ({**one, "brightness": None} for one in (then, now))
    return was == found and all(abs(a - b) < 0.5 for a, b in zip(then.get("brightness", ()), now.get("brightness", ()), strict=True))


def difference(was, now, name: str = ""):
    """The first place in which two JSON values differ, as (name, was, now); None where there is none."""
    if isinstance(was, dict) and isinstance(now, dict):
        found = (difference(was.get(key, "its default"), now.get(key, "its default"), key) for key in {**was, **now})
        return next(filter(None, found), None)
    return (name, was, now) if was != now else None


def plain(value):
    """A value as JSON returns it: tuples become lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def load_method(method: Method, tensors: dict[str, Tensor], path) -> None:
    """Load a checkpoint's tensors into a method. Raises UserError when names or shapes differ."""
    saved = {name.removeprefix("method."): t for name, t in tensors.items() if name.startswith("method.")}
    own = method.state_dict()
    for name in [*own, *saved]:
        if name not in own or name not in saved or own[name].shape != saved[name].shape:
            have, need = (tuple(d[name].shape) if name in d else "nothing" for d in (saved, own))
            raise UserError(
                f"the checkpoint {path} is of another method or shape: it has {have} for {name}, this one needs {need}"
            )
    method.load_state_dict(saved)


def save(path, method: Method, *, half: bool = False, **about) -> None:
    """Write a method's weights alone, with how it was made and any notes about it that are JSON-able.

    half: in fp16, which halves the file; `load` gives fp32 again, rounded to 11 bits.
    """
    tensors = {f"method.{name}": t.half() if half and t.is_floating_point() else t for name, t in method.state_dict().items()}
    checkpoint.write(path, tensors, {"kind": "weights", "spec": method.spec, **about})


def load(path) -> Method:
    """A trained method, in eval mode, from a run's folder or a checkpoint's file. Its `.encoder` is what most people want.

    Raises UserError when there is none, when it is damaged, or when it was made by hand and not by `methods.create`.
    """
    tensors, about = checkpoint.read(path)
    if not about.get("spec"):
        raise UserError(f"{path} holds a method that was put together by hand: build it again and use load_method")
    if "name" not in about["spec"]:
        raise UserError(f"{path} holds a classifier, not a pretrained method: minimim.evaluate.load_classifier opens what was fine-tuned")
    method = create(**about["spec"])
    load_method(method, tensors, path)
    return method.eval()
