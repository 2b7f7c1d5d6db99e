"""The folder of the course: room, permission, and a place that nothing else meddles with."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from minimim.doctor.finding import GIB, WINDOWS, Finding

INSTALLED, DOWNLOADED = (6, 3) if sys.platform == "linux" else (2, 1)  # GiB of disk, and of files meanwhile; CUDA's libraries come on Linux
SYNCHRONISED = {  # part of a folder's name, in small letters → whose it is
    "onedrive": "OneDrive", "dropbox": "Dropbox", "google drive": "Google Drive", "googledrive": "Google Drive",
    "my drive": "Google Drive", "icloud": "iCloud", "mobile documents": "iCloud", "nextcloud": "Nextcloud",
}  # fmt: skip


def free(place: str) -> float:
    """GiB of free disk."""
    return shutil.disk_usage(place).free / GIB


def room_to_install() -> Finding:
    """Room for PyTorch and the rest."""
    gib = free(".")
    return Finding(
        gib > INSTALLED, f"free disk in this folder: {gib:.1f} GiB; the set-up takes up to {INSTALLED}",
        "free some, or put the course on another disk; the small PyTorch without CUDA takes about 1.5: make setup CPU=1", needed=gib < 1.5,
    )  # fmt: skip


def room_for_downloads() -> Finding | None:
    """Room where pip keeps what it downloads until it is installed, which is often a small disk of its own."""
    try:
        place = tempfile.gettempdir()
        gib = free(place)
    except FileNotFoundError:  # Python found none where it can write
        place, gib = "none", 0
    if gib > DOWNLOADED:
        return None
    return Finding(
        False, f"free disk for temporary files ({place}): {gib:.1f} GiB; pip needs up to {DOWNLOADED} while it installs, and else says 'No space left on device'",
        "let it use this folder: mkdir tmp, then " + ("set TEMP=%CD%\\tmp, and set up again" if WINDOWS else 'TMPDIR="$PWD/tmp" make setup'), needed=False,
    )  # fmt: skip


def room() -> Finding:
    """Room for runs."""
    gib = free(".")
    return Finding(gib > 1, f"free disk in this folder: {gib:.1f} GiB", "free 1 GiB or more for runs and notebooks: a full disk loses what you save")


def writing() -> Finding:
    """Permission to write in this folder."""
    try:
        with tempfile.TemporaryDirectory(dir="."):
            return Finding(True, "permission to write in this folder")
    except OSError as error:
        return Finding(
            False, f"nothing can be written in {Path.cwd()} ({error.strerror or error})",
            "copy the course to a folder of your own, such as one in your home, and begin again there; do not use sudo",
        )  # fmt: skip


def synchronised() -> Finding | None:
    """Whether a service copies this folder to the internet, which locks files while they are written, and fills up with .venv."""
    here = Path.cwd()
    whose = next((SYNCHRONISED[word] for part in here.parts for word in SYNCHRONISED if word in part.lower()), None)
    if whose is None:
        return None
    return Finding(
        False, f"{here} is copied by {whose} while you work: files are locked now and then ('permission denied'), and all that is installed is sent",
        f"move the course to a folder that {whose} leaves alone, such as " + ("C:\\minimim" if WINDOWS else "one in your home")
        + ", and set up again there", needed=False,
    )  # fmt: skip
