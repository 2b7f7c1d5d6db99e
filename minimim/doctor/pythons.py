"""Which Python this is, whether PyTorch exists for it, and whether commands on the path belong to another one."""

from __future__ import annotations

import platform
import shutil
import struct
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from minimim.doctor.finding import WINDOWS, Finding, have, numbers
from minimim.prompt import typed

MAC = sys.platform == "darwin"
VERSIONS = (3, 11), (3, 14)  # from, to before
OLDEST_PIP = (21, 3)  # the first that installs a project like this one so that it can be edited
COMMANDS = ("jupyter", "minimim")


def version() -> Finding:
    """The interpreter's version."""
    low, high = VERSIONS
    fine = low <= sys.version_info[:2] < high
    how = "from python.org" if WINDOWS or MAC else "for instance by: sudo apt install python3.12 python3.12-venv"
    again = "py -3.12 -m venv .venv" if WINDOWS else "make PYTHON=python3.12"
    advice = f"minimim needs Python 3.11, 3.12 or 3.13. Install one beside yours, {how}; then set up again with it: {again}"
    return Finding(fine, f"Python {sys.version.split()[0]}, {sys.executable}", advice)


def build() -> Finding:
    """What this Python was built for: PyTorch exists for 64 bits, and on Macs for Apple's processors alone."""
    bits = struct.calcsize("P") * 8
    if bits != 64:
        return Finding(False, f"this Python has {bits} bits, and PyTorch exists for 64 alone", "install the 64-bit Python from python.org")
    if MAC and platform.machine() == "x86_64":
        return Finding(
            False, "this Python is for Macs with Intel processors, for which PyTorch is no longer made (2.2 was the last, and minimim needs 2.6)",
            "on a Mac with an Apple processor (M1 or later), remove .venv and set up again with the Python from python.org; on one with an Intel "
            "processor, nothing on macOS helps: use another computer, or Linux in a virtual machine",
        )  # fmt: skip
    return Finding(True, f"a Python for {platform.system()}, {platform.machine()}, {bits} bits")


def inside() -> bool:
    """Whether this Python is that of an environment, such as .venv or one of conda."""
    return sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir()


def system() -> Finding | None:
    """Whether this Python can make the environment into which the set-up installs. None where it can, or is that of one."""
    if inside() or (find_spec("ensurepip") and find_spec("venv")):
        return None
    name = "python{}.{}-venv".format(*sys.version_info)
    return Finding(False, "this Python lacks venv, which makes the folder .venv that all goes into", f"sudo apt install {name}; then begin again")


def managed() -> Finding | None:
    """Whether this Python belongs to the system, and nothing may be installed into it."""
    if inside() or not (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists():
        return None
    return Finding(
        False, "this Python belongs to the system, and pip refuses to install into it (externally-managed-environment)",
        "give the course a Python of its own: make setup in its folder; or python3 -m venv .venv, then source .venv/bin/activate, and install again",
        needed=False,
    )  # fmt: skip


def pip() -> Finding | None:
    """The installer: there, and new enough. None where .venv will have its own."""
    there = have("pip")
    if there is None:
        advice = typed(sys.executable, "-m", "ensurepip", "--upgrade")
        return Finding(False, "this Python has no pip, which installs everything else", advice) if inside() else None
    fine = numbers(there) >= OLDEST_PIP
    upgrade = typed(sys.executable, "-m", "pip", "install", "--upgrade", "pip")
    return Finding(fine, f"pip {there}" + ("" if fine else ", which is too old to install the course (21.3 is the first that can)"), upgrade, needed=inside())


def others() -> Finding:
    """Whether commands on the path are those of another Python: what is installed here is not there."""
    here = Path(sys.executable).parent
    found = {name: shutil.which(name) for name in COMMANDS}
    strange = {name: path for name, path in found.items() if path and Path(path).parent not in (here, here / "Scripts")}
    if not strange:
        return Finding(True, f"no second Python in the way ({', '.join(COMMANDS)} on the path are this one's, or not there)")
    places = " and ".join(f"`{name}` means {path}" for name, path in strange.items())
    return Finding(
        False, f"there are two Pythons: typed alone, {places}, which does not belong to {sys.executable}",
        "type " + typed(sys.executable, "-m", "minimim", "lab") + " to open the lessons with this one; or make this one the first: " + activation(), needed=False,
    )  # fmt: skip


def activation() -> str:
    """How to put this Python's commands first on the path."""
    here = Path(sys.executable).parent
    if (Path(sys.prefix) / "conda-meta").is_dir():
        return typed("conda", "activate", sys.prefix)
    return typed(here / "activate") if WINDOWS else "source " + typed(here / "activate")
