"""minimim doctor"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from minimim.prompt import typed

GIB = 2**30
PYTHONS = (3, 11), (3, 14)  # from, to before
INSTALL = f"in the folder of the course: {typed(sys.executable, '-m', 'pip', 'install', '-e', '.[lab]')}"
KERNEL = typed(sys.executable, "-m", "ipykernel", "install", "--sys-prefix")


@dataclass
class Finding:
    """What one check found. fine: whether all is as it should be; advice: what to do if not; needed: whether a learner
    cannot do without it."""

    fine: bool
    what: str
    advice: str = ""
    needed: bool = True


@dataclass
class Doctor:
    """Check whether this computer has what the course needs, and say what to do about what is missing. Exits with 1 when
    something needed is missing."""

    def run(self) -> int:
        """One line for each thing."""
        found = [look() for look in LOOKS]
        for finding in found:
            print(f"{'[ok]     ' if finding.fine else '[missing]'} {finding.what}")
            if not finding.fine:
                print(f"          {'do' if finding.needed else 'optional'}: {finding.advice}")
        missing = [f for f in found if f.needed and not f.fine]
        print("everything that is needed is there" if not missing else f"{len(missing)} needed thing(s) missing: see above")
        return 1 if missing else 0


def python() -> Finding:
    """The interpreter's version."""
    low, high = PYTHONS
    fine = low <= sys.version_info[:2] < high
    return Finding(fine, f"Python {sys.version.split()[0]}", "install Python 3.11, 3.12 or 3.13, and set up again with it")


def packages() -> Finding:
    """The libraries that minimim needs: installed, and importable."""
    names = ("torch", "torchvision", "numpy", "einops", "matplotlib", "pillow", "safetensors", "tqdm")
    try:
        have = ", ".join(f"{name} {version(name)}" for name in names)
        import torchvision  # noqa: F401 (fails when it does not match torch)
    except (PackageNotFoundError, ImportError, RuntimeError, OSError) as error:
        return Finding(False, f"libraries: {error}", INSTALL)
    return Finding(True, have)


def notebooks() -> Finding:
    """What opens the lessons."""
    missing = [name for name in ("jupyterlab", "ipywidgets") if find_spec(name) is None]
    if missing:
        return Finding(False, f"for the lessons: {', '.join(missing)}", INSTALL)
    return Finding(True, f"jupyterlab {version('jupyterlab')}, ipywidgets {version('ipywidgets')}")


def kernel() -> Finding:
    """Which Python Jupyter would start for a lesson: it must be this one."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        started = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except Exception as error:  # noqa: BLE001 (whatever the reason that there is no kernel)
        return Finding(False, f"a kernel named python3 ({error})", KERNEL)
    if Path(started).name == started:  # a bare "python": Jupyter replaces it by its own interpreter
        started = sys.executable
    same = os.path.realpath(started) == os.path.realpath(sys.executable) and Path(started).parent == Path(sys.executable).parent
    if not same:
        code = "import minimim, json; print(json.dumps(minimim.__version__))"
        try:
            answer = subprocess.run([started, "-c", code], capture_output=True, text=True, timeout=120, check=True)
            same = bool(json.loads(answer.stdout))
        except (OSError, subprocess.SubprocessError, ValueError):
            same = False
    return Finding(same, f"the kernel of Jupyter: {started}" + ("" if same else ", which has no minimim"), KERNEL)


def device() -> Finding:
    """What computes; a CPU is enough."""
    import torch

    if torch.cuda.is_available():
        return Finding(True, f"device: {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")
    if torch.backends.mps.is_available():
        return Finding(True, "device: Apple GPU (mps)")
    return Finding(True, f"device: CPU, {os.cpu_count()} cores; enough for every lesson but the last")


def memory() -> Finding:
    """Main memory: the demo takes 2 GiB."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        try:
            import psutil
        except ImportError:
            return Finding(True, "memory: unknown; 4 GiB are enough")
        total = psutil.virtual_memory().total
    return Finding(total > 3.5 * GIB, f"memory: {total / GIB:.1f} GiB", "4 GiB are needed: close other programs", needed=False)


def disk() -> Finding:
    """Room for runs."""
    free = shutil.disk_usage(".").free
    return Finding(free > 1 * GIB, f"free disk here: {free / GIB:.1f} GiB", "free at least 1 GiB for runs and checkpoints")


def writing() -> Finding:
    """Permission to write where runs go."""
    try:
        with tempfile.TemporaryDirectory(dir="."):
            return Finding(True, "permission to write in this folder")
    except OSError as error:
        return Finding(False, f"permission to write in this folder ({error})", "work in a folder of your own")


def images() -> Finding:
    """The bundled images, byte for byte."""
    from minimim.data.fashion import FILE, SHA256, arrays, digest
    from minimim.data.photos import FILE as PHOTOS
    from minimim.data.photos import SHA256 as PIXELS
    from minimim.data.photos import pixels

    try:
        whole = digest(arrays()) == SHA256 and digest({PHOTOS: pixels()}) == PIXELS
    except (OSError, ValueError) as error:
        return Finding(False, f"bundled images ({error})", "clone the course again: a file is not there, or cannot be read")
    return Finding(whole, f"bundled images: {FILE} and {PHOTOS}", "clone the course again: a file is damaged")


LOOKS: tuple[Callable[[], Finding], ...] = (
    python, packages, notebooks, kernel, device, memory, disk, writing, images
)  # fmt: skip
