"""minimim: Masked Image Modeling, step by step. A small library that is read as part of a course."""

__version__ = "0.1.0"

from minimim import data, evaluate, masking, methods
from minimim.bundled import bundled
from minimim.patches import patchify, unpatchify
from minimim.train.state import load, save

__all__ = ["bundled", "data", "evaluate", "load", "masking", "methods", "patchify", "save", "unpatchify"]
