"""The libraries: there, new enough, made for each other, and working. What needs them is asked in a process of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import requires

from minimim.doctor.computer import ANOTHER
from minimim.doctor.finding import INSTALL, Finding, have, install, numbers

LEAST = {  # as pyproject.toml has it
    "torch": "2.6", "torchvision": "0.21", "numpy": "1.26", "einops": "0.8", "matplotlib": "3.8", "pillow": "10.2",
    "safetensors": "0.4.3", "tqdm": "4.66",
}  # fmt: skip
ILLEGAL = (-getattr(signal, "SIGILL", 4), 0xC000001D, 0xC000001D - 2**32)  # exit codes of a Python that the processor ended
CPU_ONLY = ("--no-deps", "--index-url", "https://download.pytorch.org/whl/cpu")  # where PyTorch without CUDA is


def pair(*more: str) -> str:
    """How to get a torch and a torchvision that fit together, of the kind that is there: with or without CUDA."""
    return install(*more, *(CPU_ONLY if "+cpu" in (have("torch") or "") else ()), "torch", "torchvision")


def again(name: str) -> str:
    """How to install a library, and what it needs, once more."""
    return pair("--force-reinstall") if name.startswith("torch") else install("--force-reinstall", {"PIL": "pillow"}.get(name, name))


def installed() -> Finding:
    """Whether all is there, and new enough."""
    found = {name: have(name) for name in LEAST}
    missing = [name for name, there in found.items() if not there]
    old = [f"{name} {found[name]} (needed: {least})" for name, least in LEAST.items() if found[name] and numbers(found[name]) < numbers(least)]
    if not missing and not old:
        return Finding(True, ", ".join(f"{name} {there}" for name, there in found.items()))
    told = [f"not installed for this Python: {', '.join(missing)}"] if missing else []
    return Finding(False, "; ".join(told + ([f"too old: {', '.join(old)}"] if old else [])), INSTALL)


def ready() -> bool:
    """Whether nothing is missing."""
    return all(have(name) for name in LEAST)


def matching() -> Finding | None:
    """Whether torchvision is the one that was made for this torch. None where one of the two is missing."""
    torch, vision = have("torch"), have("torchvision")
    if not torch or not vision:
        return None
    wanted = (re.match(r"torch\s*\(?==\s*([\w.]+)", line) for line in requires("torchvision") or ())
    asked = next((match[1] for match in wanted if match), None)
    if asked is None or numbers(asked) == numbers(torch):
        return Finding(True, "torch and torchvision fit together")
    return Finding(False, f"torchvision {vision} was made for torch {asked}, and here is torch {torch}: together they fail", pair())


@lru_cache(maxsize=1)
def answers() -> tuple:
    """(what asked.py says of each thing, its exit code, the end of what it complained of); nothing while a library is missing."""
    if not ready():
        return {}, None, ""
    command = [sys.executable, "-W", "ignore", "-m", "minimim.doctor.asked"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        return {}, None, str(error)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"asked"')]
    return {line["asked"]: line for line in told}, done.returncode, done.stderr.strip()[-300:]


def working() -> Finding | None:
    """Whether the libraries can be imported. None while one is missing."""
    if not ready():
        return None
    told, code, complaint = answers()
    broken = next((line for name, line in told.items() if "error" in line and name != "images" and name != "device"), None)
    if broken:
        return cause(broken["asked"], broken["error"])
    if code == 0:
        return Finding(True, "all of them work")
    if code in ILLEGAL:
        return Finding(False, "PyTorch was ended by the processor ('Illegal instruction'), which lacks instructions that PyTorch is built with", ANOTHER)
    return Finding(False, f"Python ended while it imported the libraries ({complaint or f'exit code {code}'})", again("torch"))


def cause(name: str, error: str) -> Finding:
    """What an error at import means."""
    causes = (  # part of an error as Python says it, as a pattern → what it means, what to do
        (r"numpy.*(not available|multiarray|ABI|dtype size)|_ARRAY_API", "numpy and the libraries that use it do not fit together", INSTALL),
        (r"torchvision::|torchvision.*undefined symbol|operator .* does not exist", "torchvision was made for another torch", pair()),
        (r"DLL load failed|WinError (126|127|1114|193)", "Windows lacks the Visual C++ libraries that PyTorch needs",
         "install 'Microsoft Visual C++ Redistributable (x64)' from learn.microsoft.com, and start Windows again"),
        (r"", "perhaps some of its files are not there, because an installation was interrupted", again(name)),
    )  # fmt: skip
    meaning, advice = next(rest for pattern, *rest in causes if re.search(pattern, error, re.IGNORECASE))
    return Finding(False, f"{name} cannot be imported: {meaning} ({error})", advice)


def images() -> Finding | None:
    """The bundled images, byte for byte. None where nothing can be said of them."""
    told = answers()[0].get("images")
    if told is None:
        return None
    fine = "value" in told
    return Finding(fine, f"bundled images: {told['value' if fine else 'error']}", "get the course again, by git clone or as a wheel: a file is damaged, or not there")


def device() -> Finding | None:
    """What computes; a CPU is enough. None where torch cannot say."""
    told = answers()[0].get("device", {})
    return Finding(True, f"device: {told['value']}") if "value" in told else None
