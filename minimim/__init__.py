"""minimim: Masked Image Modeling, step by step. A small library that is read as part of a course.

Each part is imported when it is first used: `minimim.data` imports minimim/data. So the command line can set how torch's threads
wait before it imports torch, which reads that setting only once (minimim/threads.py).
"""

from __future__ import annotations  # for minimim doctor, which tells a Python that is too old

from importlib import import_module
from importlib.util import find_spec

__version__ = "0.2.0"  # said here alone: pyproject.toml reads it

SHORT = {  # short name → the part of the library that has it
    "bundled": "checkpoint",
    "load": "train.state",
    "save": "train.state",
    "patchify": "patches",
    "unpatchify": "patches",
}
__all__ = ["bundled", "data", "evaluate", "load", "masking", "methods", "patchify", "save", "unpatchify"]


def __getattr__(name: str):
    """A part of the library, or what a short name stands for. Python calls this for a name that is not imported yet."""
    if name in SHORT:
        return getattr(import_module(f"minimim.{SHORT[name]}"), name)
    if find_spec(f"minimim.{name}"):
        return import_module(f"minimim.{name}")
    raise AttributeError(f"module 'minimim' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
