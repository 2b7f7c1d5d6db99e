"""What only the libraries themselves can say: python -m minimim.doctor.asked, in a process of its own, since importing a broken torch
can end Python. Prints a line of JSON for each question, {"asked": name, "value": …} or {"asked": name, "error": …}."""

from __future__ import annotations

import json
import os
from importlib import import_module


def say(name: str, question) -> bool:
    """Ask one question, whatever comes of it. Returns whether there was an answer."""
    try:
        told = {"asked": name, "value": question()}
    except BaseException as error:  # noqa: BLE001 (whatever a broken library does)
        told = {"asked": name, "error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
    print(json.dumps(told), flush=True)
    return "value" in told


def imported(name: str):
    """A question: can it be imported?"""
    return lambda: bool(import_module(name))


def bridge() -> str:
    """Whether torch and numpy were made for each other."""
    import torch

    return str(torch.ones(2).numpy().sum())


def device() -> str:
    """What computes."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    if torch.backends.mps.is_available():
        return "Apple GPU (mps)"
    return f"CPU, {os.cpu_count()} cores; enough for every lesson but the last"


def images() -> str:
    """The names of the bundled images. Raises ValueError where one is damaged."""
    fashion, photos = import_module("minimim.data.fashion"), import_module("minimim.data.photos")
    if fashion.digest(fashion.arrays()) != fashion.SHA256:
        raise ValueError(f"{fashion.FILE} is damaged")
    if fashion.digest({photos.FILE: photos.pixels()}) != photos.SHA256:
        raise ValueError(f"{photos.FILE} is damaged")
    return f"{fashion.FILE} and {photos.FILE}"


def main() -> None:
    """Ask whether each library works; where all do, ask the rest."""
    first, others = ("numpy", "torch"), ("torchvision", "einops", "matplotlib", "PIL", "safetensors", "tqdm")
    questions = [*((name, imported(name)) for name in first), ("torch with numpy", bridge), *((name, imported(name)) for name in others)]
    if all(say(name, question) for name, question in questions):
        say("device", device)
        say("images", images)


if __name__ == "__main__":
    main()
