"""What every benchmark shares: options, a clock that waits for the device, the machine in words, and the file that keeps results."""

import argparse
import json
import os
import platform
import re
import statistics
import sys
import time
from importlib import metadata
from pathlib import Path

import torch

from minimim.checkpoint import writing

RESULTS = Path(__file__).parent / "results"


def options(description: str, out: Path = RESULTS) -> argparse.ArgumentParser:
    """The options of a benchmark that is too small for a GPU."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", choices=["cpu"], default="cpu", help="it is too small for anything else")
    parser.add_argument("--out", type=Path, default=out, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="as little as possible, to see that it works")
    return parser


def seconds(work, device: str, times: int = 1) -> float:
    """Seconds of one call of `work`, the mean of several in a row, until the device has finished."""
    wait(device)
    began = time.perf_counter()
    for _ in range(times):
        work()
    wait(device)
    return (time.perf_counter() - began) / times


def quartiles(values: list[float]) -> dict[str, float]:
    """The median and the quartiles around it."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}


def wait(device: str) -> None:
    """Wait until the device has finished its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def kind(device: str) -> str:
    """A short name for file names: "cpu", or the GPU's."""
    return "cpu" if device == "cpu" else re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name().lower())


def machine(device: str) -> str:
    """The machine in plain words."""
    if device == "cuda":
        return f"one {torch.cuda.get_device_name()}, {torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB"
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    name = model[1] if model else platform.machine()
    return f"{os.cpu_count()} CPU cores, {name}, {torch.backends.cpu.get_cpu_capability()}"


def version(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def about(device: str, seed: int) -> dict:
    """How results are made: command, machine, threads, seed, versions."""
    packages = ("minimim", "torch", "timm", "transformers", "lightly")
    return {
        "command": f"python benchmarks/{Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}".strip(),
        "machine": machine(device),
        "threads": torch.get_num_threads(),
        "seed": seed,
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }


def write(name: str, device: str, seed: int, results: dict, out: Path) -> Path:
    """Keep results as JSON in out/name-<device kind>.json, with how they were made."""
    path = out / f"{name}-{kind(device)}.json"
    keep(path, json.dumps(about(device, seed) | results, indent=1) + "\n")
    print(f"written to {path}")
    return path


def keep(path: Path, text: str) -> None:
    """Write a file whole or not at all: what was there stays until then. Raises UserError where the disk refuses."""
    partial = path.with_name(f".{path.name}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text)
        os.replace(partial, path)
