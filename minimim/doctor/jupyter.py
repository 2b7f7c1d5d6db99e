"""What opens the lessons, and which Python runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from minimim.doctor.finding import INSTALL, Finding, have
from minimim.prompt import typed

NEEDED = ("jupyterlab", "ipywidgets")
KERNEL = typed(sys.executable, "-m", "ipykernel", "install", "--sys-prefix")


def notebooks() -> Finding:
    """What opens the lessons."""
    there = {name: have(name) for name in NEEDED}
    missing = [name for name in NEEDED if not there[name]]
    if missing:
        return Finding(False, f"not installed for this Python, and needed to open the lessons: {', '.join(missing)}", INSTALL)
    return Finding(True, ", ".join(f"{name} {version}" for name, version in there.items()))


def kernel() -> Finding | None:
    """Which Python Jupyter would start for a lesson: it must be this one. None while Jupyter is missing."""
    if not have("jupyter_client") or not have("ipykernel"):
        return None
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        started = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except Exception as error:  # noqa: BLE001 (whatever the reason that there is no kernel)
        return Finding(False, f"Jupyter has no kernel named python3, in which lessons run ({error})", KERNEL)
    if Path(started).name == started:  # a bare "python": Jupyter replaces it by its own interpreter
        started = sys.executable
    if started != sys.executable and not has_minimim(started):
        return Finding(
            False, f"lessons would run with another Python, {started}, which has no minimim (ModuleNotFoundError in the first cell)",
            KERNEL + "; then, in the lesson, Kernel → Change Kernel → Python 3",
        )  # fmt: skip
    return Finding(True, f"lessons run with {started}")


def has_minimim(python: str) -> bool:
    """Whether another Python can import minimim, wherever it is started."""
    try:
        return subprocess.run([python, "-c", "import minimim.doctor"], capture_output=True, timeout=120, check=False, cwd=os.path.abspath(os.sep)).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
