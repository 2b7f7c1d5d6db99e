"""The folder of the course: room, permission, and a place that nothing else meddles with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from minimim.doctor.finding import GIB, WINDOWS, Finding

INSTALLED = 7 if sys.platform == "linux" else 3  # GiB of disk, with PyTorch's CUDA libraries on Linux
DOWNLOADED = 3 if sys.platform == "linux" else 1  # GiB that pip keeps in the folder for temporary files meanwhile
LONG = 90  # letters of a folder after which paths inside it may pass the 260 that Windows allows
SYNCHRONISED = {  # part of a folder's name, in small letters → whose it is
    "onedrive": "OneDrive", "dropbox": "Dropbox", "google drive": "Google Drive", "googledrive": "Google Drive",
    "my drive": "Google Drive", "icloud": "iCloud", "mobile documents": "iCloud", "nextcloud": "Nextcloud",
}  # fmt: skip


def free(place: str) -> float | None:
    """GiB of free disk, or None where that cannot be told."""
    try:
        return shutil.disk_usage(place).free / GIB
    except OSError:
        return None


def room_to_install() -> Finding | None:
    """Room for PyTorch and the rest."""
    gib = free(".")
    if gib is None:
        return None
    return Finding(
        gib > INSTALLED, f"free disk in this folder: {gib:.1f} GiB; the set-up takes up to {INSTALLED}",
        "free some, or put the course on another disk; the small PyTorch without CUDA takes about 1.5: make setup CPU=1", needed=gib < 1.5,
    )  # fmt: skip


def room_for_downloads() -> Finding | None:
    """Room where pip unpacks what it downloads, which is often a small disk of its own."""
    place = tempfile.gettempdir()
    gib = free(place)
    if gib is None or gib > DOWNLOADED:
        return None
    return Finding(
        False, f"free disk for temporary files ({place}): {gib:.1f} GiB; pip needs up to {DOWNLOADED} while it installs, and else says 'No space left on device'",
        "let it use this folder: mkdir tmp, then " + ("set TEMP=%CD%\\tmp, and set up again" if WINDOWS else 'TMPDIR="$PWD/tmp" make setup'), needed=False,
    )  # fmt: skip


def room() -> Finding | None:
    """Room for runs."""
    gib = free(".")
    if gib is None:
        return None
    advice = "free 1 GiB or more for runs and notebooks: a full disk loses what you save"
    return Finding(gib > 1, f"free disk in this folder: {gib:.1f} GiB", advice)


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
    """Whether a service copies this folder to the internet, which locks files while they are written and fills up with .venv."""
    here = Path.cwd()
    whose = next((SYNCHRONISED[word] for part in here.parts for word in SYNCHRONISED if word in part.lower()), None)
    if whose is None:
        return None
    return Finding(
        False, f"{here} is copied by {whose} while you work: files are locked now and then ('permission denied'), and some 20,000 small files are sent",
        f"move the course to a folder that {whose} leaves alone, such as " + ("C:\\minimim" if WINDOWS else "one in your home")
        + ", and set up again there", needed=False,
    )  # fmt: skip


def long_path() -> Finding | None:
    """Whether files inside .venv would have longer paths than Windows allows."""
    if not WINDOWS or len(str(Path.cwd())) <= LONG:
        return None
    return Finding(
        False, f"this folder's path has {len(str(Path.cwd()))} letters, and Windows allows 260 for the files in it ('No such file or directory' while pip installs)",
        "move the course to a short path, such as C:\\minimim", needed=False,
    )  # fmt: skip


def lessons() -> Finding | None:
    """Whether the course's own lessons were worked in, in place of the copy: git pull then refuses."""
    if not Path("notebooks").is_dir() or not Path(".git").exists():
        return None
    command = ["git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=no", "--", "notebooks", "exercises"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env={**os.environ, "LC_ALL": "C"})
    except (OSError, subprocess.SubprocessError):
        return None
    changed = [line[3:] for line in told.stdout.splitlines()]
    if told.returncode or not changed:
        return None
    return Finding(
        False, f"{changed[0]}" + (f" and {len(changed) - 1} more" if len(changed) > 1 else "") + " of the course itself were worked in, so git pull will refuse",
        "copy yours to work/, where minimim lab opens the lessons; then put the course's own back: git checkout notebooks exercises", needed=False,
    )  # fmt: skip
