"""Processor and memory."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from minimim.doctor.finding import GIB, WINDOWS, Finding

CPUINFO = Path("/proc/cpuinfo")
ANOTHER = "if this is a virtual machine, give it the processor of its host (QEMU: -cpu host) and start it again; else, use another computer"


def processor() -> Finding | None:
    """Whether the processor has the instructions that PyTorch is built with. None where that cannot be told, or is no question."""
    has = avx()
    if has is None:
        return None
    if has:
        return Finding(True, "a processor with AVX instructions")
    return Finding(False, "the processor shows no AVX instructions, so PyTorch may end with 'Illegal instruction'", ANOTHER, needed=False)


def avx() -> bool | None:
    """Whether an Intel or AMD processor has AVX; None where that is not known, and on other processors."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    if WINDOWS:
        import ctypes

        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(39))  # PF_AVX_INSTRUCTIONS_AVAILABLE
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    flags = next((line for line in lines if line.startswith("flags")), None)
    return None if flags is None else "avx" in flags.split()


def memory() -> Finding | None:
    """Main memory: the demo takes 2 GiB."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        try:
            import psutil  # comes with JupyterLab's kernel
        except ImportError:
            return None
        total = psutil.virtual_memory().total
    return Finding(total > 3.5 * GIB, f"memory: {total / GIB:.1f} GiB", "the course is made for 4 GiB: close other programs while you work", needed=False)
