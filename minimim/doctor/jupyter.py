"""What opens the lessons, and which Python runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from minimim.doctor.finding import INSTALL, Finding
from minimim.prompt import typed

NEEDED = ("jupyterlab", "ipywidgets")
KERNEL = typed(sys.executable, "-m", "ipykernel", "install", "--sys-prefix")


def notebooks() -> Finding:
    """What opens the lessons."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return Finding(False, f"not installed for this Python, and needed to open the lessons: {', '.join(missing)}", INSTALL)
    return Finding(True, ", ".join(f"{name} {told(name)}" for name in NEEDED))


def told(name: str) -> str:
    """The version of a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "of no known version"


def kernel() -> Finding | None:
    """Which Python Jupyter would start for a lesson: it must be this one. None while Jupyter is missing."""
    if any(find_spec(name) is None for name in ("jupyter_client", "ipykernel")):
        return None
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        started = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except Exception as error:  # noqa: BLE001 (whatever the reason that there is no kernel)
        return Finding(False, f"Jupyter has no kernel named python3, in which lessons run ({error})", KERNEL)
    if Path(started).name == started:  # a bare "python": Jupyter replaces it by its own interpreter
        started = sys.executable
    same = os.path.realpath(started) == os.path.realpath(sys.executable) and Path(started).parent == Path(sys.executable).parent
    if not same:
        try:
            done = subprocess.run([started, "-c", "import minimim.doctor"], capture_output=True, timeout=120, check=False, cwd=Path(started).anchor)
            same = done.returncode == 0
        except (OSError, subprocess.SubprocessError):
            same = False
    if same:
        return Finding(True, f"lessons run with {started}")
    return Finding(
        False, f"lessons would run with another Python, {started}, which has no minimim (ModuleNotFoundError in the first cell)",
        KERNEL + "; then, in the lesson, Kernel → Change Kernel → Python 3",
    )  # fmt: skip
