"""minimim: Masked Image Modeling, step by step. A small library that is read as part of a course.

Every part is imported when it is first asked for: `minimim.data` reads minimim/data, and nothing else does. So the command
line can say how torch's threads shall wait before torch, which reads this once, is imported (minimim/threads.py).
"""

from importlib import import_module
from importlib.util import find_spec

__version__ = "0.1.0"

SHORT = {  # what most people use, and the part that has it
    "bundled": "checkpoint",
    "load": "train.state",
    "save": "train.state",
    "patchify": "patches",
    "unpatchify": "patches",
}
__all__ = ["bundled", "data", "evaluate", "load", "masking", "methods", "patchify", "save", "unpatchify"]


def __getattr__(name: str):
    """A part of the library, or one of the short names. Python asks here for what is not imported yet."""
    if name in SHORT:
        return getattr(import_module(f"minimim.{SHORT[name]}"), name)
    if find_spec(f"minimim.{name}"):
        return import_module(f"minimim.{name}")
    raise AttributeError(f"module 'minimim' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
