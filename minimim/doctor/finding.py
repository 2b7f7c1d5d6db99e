"""What a look finds, and what several looks use."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from minimim.prompt import typed

GIB = 2**30
WINDOWS = os.name == "nt"
CLONED = (Path(__file__).resolve().parents[2] / "requirements.lock").is_file()  # else minimim came as a wheel, which has no lock file


def install(*words: str) -> str:
    """The command that installs something, as a piece of advice; in the versions that the course was tried with, where they are known."""
    command = (sys.executable, "-m", "pip", "install")
    return "in the folder of the course: " + typed(*command, "-c", "requirements.lock", *words) if CLONED else typed(*command, *words)


INSTALL = install("-e", ".[lab]") if CLONED else install("minimim[lab]")  # pip adds what is missing to the minimim that is there


@dataclass
class Finding:
    """What one look found. fine: whether all is as it should be; what: in a line; advice: what to do if not; needed: whether the course
    cannot do without it."""

    fine: bool
    what: str
    advice: str = ""
    needed: bool = True


def have(name: str) -> str | None:
    """The version of a package that is installed, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def numbers(version: str) -> tuple:
    """The first numbers of a version: "2.14.1+cpu" → (2, 14, 1)."""
    parts = []
    for part in version.split("+")[0].split("."):
        if not part.isdigit():
            break
        parts.append(int(part))
    return tuple(parts)
