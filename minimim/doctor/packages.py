"""The libraries: there, new enough, made for each other, and working. What needs them is asked in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from minimim.doctor.finding import CPU_ONLY, INSTALL, TOP, Finding, install
from minimim.doctor.pythons import numbers

LEAST = {  # as pyproject.toml has it
    "torch": "2.6", "torchvision": "0.21", "numpy": "1.26", "einops": "0.8", "matplotlib": "3.8", "pillow": "10.2",
    "safetensors": "0.4.3", "tqdm": "4.66",
}  # fmt: skip
ILLEGAL = (-getattr(signal, "SIGILL", 4), 0xC000001D, 0xC000001D - 2**32)  # exit codes of a Python that the processor ended


def pair() -> str:
    """How to get a torch and a torchvision that fit together, of the kind that is there: with or without CUDA."""
    return install(*small(), "torch", "torchvision")


def again() -> str:
    """How to install everything once more."""
    first = install("--force-reinstall", *small(), "torch", "torchvision")
    return first if small() else install("--force-reinstall", "-e", ".[lab]")


def small() -> tuple:
    """What pip must be told where PyTorch without CUDA is installed, so that it is not exchanged for the large one."""
    return ("--no-deps", "--index-url", CPU_ONLY) if "+cpu" in (have("torch") or "") else ()


CAUSES = (  # part of an error as Python says it, as a pattern → what it means, what to do
    (r"numpy.*(not available|multiarray|ABI|dtype size)|_ARRAY_API", "numpy and the libraries that use it do not fit together", INSTALL),
    (r"torchvision::|torchvision.*undefined symbol|operator .* does not exist", "torchvision was made for another torch", pair),
    (r"DLL load failed|WinError (126|127|1114|193)", "Windows lacks the Visual C++ libraries that PyTorch needs",
     "install 'Microsoft Visual C++ Redistributable (x64)' from learn.microsoft.com, and start Windows again"),
    (r"incompatible architecture", "a library is made for the other kind of Mac", "remove .venv, and set up again with a Python from python.org"),
    (r"GLIBC(XX)?_", "this Linux is too old for PyTorch", "use Debian 11, Ubuntu 22.04 or newer, in a container for instance"),
    (r"No space left|Errno 28", "the disk is full", "free some GiB, and try again"),
    (r"cannot open shared object|image not found|Library not loaded|undefined symbol|invalid ELF|cannot import name|No module named",
     "some of its files are not there, perhaps because an installation was interrupted", again),
)  # fmt: skip


def have(name: str) -> str | None:
    """The version that is installed, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def installed() -> Finding:
    """Whether all is there, and new enough."""
    found = {name: have(name) for name in LEAST}
    missing = [name for name, there in found.items() if not there]
    old = [f"{name} {found[name]} (needed: {least})" for name, least in LEAST.items() if found[name] and numbers(found[name]) < numbers(least)]
    if not missing and not old:
        return Finding(True, ", ".join(f"{name} {there}" for name, there in found.items()))
    told = [f"not installed for this Python: {', '.join(missing)}"] if missing else []
    return Finding(False, "; ".join(told + ([f"too old: {', '.join(old)}"] if old else [])), INSTALL)


def matching() -> Finding | None:
    """Whether torchvision is the one that was made for this torch. None where one of the two is missing."""
    torch, vision = have("torch"), have("torchvision")
    if not torch or not vision:
        return None
    asked = next((match[1] for line in requires("torchvision") or () for match in [re.match(r"torch\s*\(?==\s*([\w.]+)", line)] if match), None)
    if asked is None or numbers(asked) == numbers(torch):
        return Finding(True, "torch and torchvision fit together")
    return Finding(False, f"torchvision {vision} was made for torch {asked}, and here is torch {torch}: together they fail", pair())


@lru_cache(maxsize=1)
def answers() -> tuple:
    """(what asked.py could say, its exit code, the end of what it complained of)."""
    path = os.pathsep.join([str(TOP), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "minimim.doctor.asked"], env={**os.environ, "PYTHONPATH": path},
            capture_output=True, text=True, errors="replace", timeout=600, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return {}, None, str(error)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"asked"')]
    return {line["asked"]: line for line in told}, done.returncode, done.stderr.strip()[-300:]


def ready() -> bool:
    """Whether there is something to ask: nothing is missing."""
    return all(have(name) for name in LEAST)


def working() -> Finding | None:
    """Whether the libraries can be imported. None while one is missing."""
    if not ready():
        return None
    told, code, complaint = answers()
    if broken := failed(told):
        return cause(broken["asked"], broken["error"])
    if code == 0:
        return Finding(True, "all of them work")
    if code in ILLEGAL:
        return Finding(
            False, "PyTorch was ended by the processor ('Illegal instruction'), which lacks instructions that PyTorch is built with",
            "if this is a virtual machine, give it the processor of its host (QEMU: -cpu host); else, use another computer",
        )  # fmt: skip
    return Finding(False, f"Python ended while it imported the libraries ({complaint or f'exit code {code}'})", again())


def failed(told: dict) -> dict | None:
    """The first library that could not be imported."""
    return next((line for name, line in told.items() if line.get("error") and name not in ("images", "device")), None)


def cause(name: str, error: str) -> Finding:
    """What an error at import means."""
    own = next((Path(f"{part}.py") for part in (name, "random", "types", "numbers", "copy") if Path(f"{part}.py").is_file()), None)
    if own:
        return Finding(False, f"{name} cannot be imported ({error})", f"{own.resolve()} has the name of a library and is taken for it: give it another name")
    for pattern, meaning, advice in CAUSES:
        if re.search(pattern, error, re.IGNORECASE):
            return Finding(False, f"{name} cannot be imported: {meaning} ({error})", advice if isinstance(advice, str) else advice())
    return Finding(False, f"{name} cannot be imported ({error})", again())


def images() -> Finding | None:
    """The bundled images, byte for byte. None where the libraries cannot say."""
    told = answers()[0].get("images") if ready() else None
    if told is None or failed(answers()[0]):
        return None
    fine = not told.get("error")
    return Finding(fine, f"bundled images: {told.get('value') or told['error']}", "clone the course again: a file is damaged, or not there")


def device() -> Finding | None:
    """What computes; a CPU is enough. None where torch cannot say."""
    told = answers()[0].get("device") if ready() else None
    if told is None or told.get("error"):
        return None
    if told["value"].startswith("CPU") and shutil.which("nvidia-smi"):
        return Finding(
            False, f"device: {told['value']}; there is an NVIDIA GPU, which this torch does not use",
            "every lesson but the last is made for a CPU; for the GPU, update its driver, or install a torch with CUDA (pytorch.org, 'Get started')",
            needed=False,
        )  # fmt: skip
    return Finding(True, f"device: {told['value']}")
