"""What a look finds."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from minimim.prompt import typed

GIB = 2**30
WINDOWS, MAC = os.name == "nt", sys.platform == "darwin"
CPU_ONLY = "https://download.pytorch.org/whl/cpu"  # where PyTorch without CUDA is


def install(*words: str) -> str:
    """The command that installs something in the versions that the course was tried with, as a piece of advice."""
    return "in the folder of the course: " + typed(sys.executable, "-m", "pip", "install", "-c", "requirements.lock", *words)


INSTALL = install("-e", ".[lab]")


@dataclass
class Finding:
    """What one look found. fine: whether all is as it should be; what: in a line; advice: what to do if not; needed: whether the course
    cannot do without it."""

    fine: bool
    what: str
    advice: str = ""
    needed: bool = True
