"""Which Python this is, whether PyTorch exists for it, and whether commands on the path belong to another one."""

from __future__ import annotations

import os
import platform
import shutil
import struct
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from importlib.util import find_spec
from pathlib import Path

from minimim.doctor.finding import MAC, WINDOWS, Finding
from minimim.prompt import typed

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
    """What this Python was built for: PyTorch exists for 64 bits, for Macs with Apple's processors, and for Linux with GNU's C library."""
    bits = struct.calcsize("P") * 8
    if bits != 64:
        return Finding(False, f"this Python has {bits} bits, and PyTorch exists for 64 alone", "install the 64-bit Python from python.org")
    if MAC and platform.machine() == "x86_64":
        if translated():
            return Finding(
                False, "this Python was made for Macs with Intel processors, and PyTorch is no longer made for those. Your Mac has a newer one",
                "install Python from python.org, which runs on both kinds; remove .venv, and set up again",
            )  # fmt: skip
        return Finding(
            False, "a Mac with an Intel processor: PyTorch is no longer made for it (2.2 was the last), and minimim needs 2.6",
            "nothing that is installed on macOS helps; use another computer, or Linux inside this Mac (Docker or a virtual machine)",
        )  # fmt: skip
    if sys.platform == "linux" and "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")):
        return Finding(False, "a Linux with the C library musl (Alpine), for which PyTorch is not made", "use Debian or Ubuntu, for instance")
    return Finding(True, f"a Python for {platform.system()}, {platform.machine()}, {bits} bits")


def translated() -> bool:
    """Whether macOS runs this Python by translating it, on an Apple processor."""
    try:
        told = subprocess.run(["sysctl", "-n", "sysctl.proc_translated"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return told.stdout.strip() == "1"


def system() -> Finding | None:
    """Whether this Python can make an environment of its own, into which the set-up installs."""
    if inside():
        return None
    if find_spec("ensurepip") is None or find_spec("venv") is None:
        name = "python{}.{}-venv".format(*sys.version_info)
        return Finding(False, "this Python lacks venv, which makes the folder .venv that all goes into", f"sudo apt install {name}; then begin again")
    return Finding(True, "venv, which makes the folder .venv that all goes into")


def inside() -> bool:
    """Whether this Python is that of an environment, such as .venv or one of conda."""
    return sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir()


def managed() -> Finding | None:
    """Whether this Python belongs to the system, and nothing may be installed into it."""
    if not inside() and (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists():
        return Finding(
            False, "this Python belongs to the system, and pip refuses to install into it (externally-managed-environment)",
            "give the course a Python of its own, in its folder: make setup (without make: " + own_python() + ")", needed=False,
        )  # fmt: skip
    return None


def pip() -> Finding | None:
    """The installer: there, and new enough. make setup takes another one, that of .venv."""
    try:
        have = version_of("pip")
    except PackageNotFoundError:
        if not inside():
            return None  # .venv will have its own
        return Finding(False, "this Python has no pip, which installs everything else", typed(sys.executable, "-m", "ensurepip", "--upgrade"))
    fine = numbers(have) >= OLDEST_PIP
    upgrade = typed(sys.executable, "-m", "pip", "install", "--upgrade", "pip")
    return Finding(fine, f"pip {have}" + ("" if fine else ", which is too old to install the course (21.3 is the first that can)"), upgrade, needed=inside())


def own_python() -> str:
    """How to make an environment without make."""
    if WINDOWS:
        return r"py -3.12 -m venv .venv, then .venv\Scripts\python -m pip install -c requirements.lock -e .[lab]"
    return "python3 -m venv .venv, then .venv/bin/python -m pip install -c requirements.lock -e '.[lab]'"


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
    if os.environ.get("CONDA_DEFAULT_ENV") or (Path(sys.prefix) / "conda-meta").is_dir():
        return f"conda activate {sys.prefix}"
    return str(here / "activate") if WINDOWS else "source " + typed(here / "activate")


def numbers(version: str) -> tuple:
    """The first numbers of a version: "2.14.1+cpu" → (2, 14, 1)."""
    parts = []
    for part in version.split("+")[0].split("."):
        if not part.isdigit():
            break
        parts.append(int(part))
    return tuple(parts)
