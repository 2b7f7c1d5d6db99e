"""What a look finds."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from minimim.prompt import typed

GIB = 2**30
TOP = Path(__file__).resolve().parents[2]  # of the course, or where packages are installed
WINDOWS, MAC = os.name == "nt", sys.platform == "darwin"
CPU_ONLY = "https://download.pytorch.org/whl/cpu"  # where PyTorch without CUDA is


def install(*words: str) -> str:
    """The command that installs something in the versions that the course was tried with, as a piece of advice."""
    if not (TOP / "requirements.lock").is_file():  # minimim came as a wheel
        return "install minimim's wheel once more, with what the lessons need: " + typed(
            sys.executable, "-m", "pip", "install", "--force-reinstall", "PATH-OF-THE-WHEEL[lab]"
        )
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
