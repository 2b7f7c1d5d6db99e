"""How fast is a training step alone, and beside other programs, by how torch's threads wait for each other?

    python benchmarks/waiting.py              alone, and beside one and two busy processes; about a quarter of an hour
    python benchmarks/waiting.py --seconds 1  half as long
    python benchmarks/waiting.py --smoke      a turn each, to see that it works

MAE micro/4 on scenes, batch 64, in fp32 on two threads. For each setting one process stands ready, since the setting is read
when torch is imported; they take turns, and only one of them works at a time. A ratio to torch's own setting is taken within
a turn. The busy processes count as fast as they can, and never wait.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

SETTINGS = {  # name → what is set before torch is imported
    "torch's own": {},
    "count 0": {"GOMP_SPINCOUNT": "0"},
    "count 1,000": {"GOMP_SPINCOUNT": "1000"},
    "count 2,000": {"GOMP_SPINCOUNT": "2000"},  # as the command line has it
    "count 10,000": {"GOMP_SPINCOUNT": "10000"},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
BATCH = 64
COUNTING = "while True: pass"


def work() -> None:
    """The work of a process that stands ready: for each line that it reads, it trains for so many seconds and answers with its
    images a second."""
    import itertools

    import torch

    from minimim import data, methods
    from minimim.data.batches import batches
    from minimim.train.step import Stepper, adamw

    torch.manual_seed(0)
    method = methods.create("mae", image_size=32, patch_size=4, size="micro").train()
    stepper = Stepper(method, adamw(method, method.defaults), method.defaults, total=10**6)
    stream, steps = batches(data.load("scenes", count=1024), BATCH), itertools.count()
    print("ready", flush=True)
    for line in sys.stdin:
        began, done = time.perf_counter(), 0
        while done < 1 or time.perf_counter() - began < float(line):
            stepper(next(steps), [next(stream)])
            done += 1
        print(done * BATCH / (time.perf_counter() - began), flush=True)


def stand_ready(name: str, threads: int) -> subprocess.Popen:
    """Start a process with a setting, and wait until it has warmed up."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment = {**clean, "OMP_NUM_THREADS": str(threads), **SETTINGS[name]}
    process = subprocess.Popen(
        [sys.executable, __file__, "--work"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().strip() == "ready"
    ask(process, 0.5)
    return process


def ask(process: subprocess.Popen, seconds: float) -> float:
    """Images a second of one turn."""
    print(seconds, file=process.stdin, flush=True)
    return float(process.stdout.readline())


def turns(processes: dict, busy: int, count: int, seconds: float) -> dict[str, list[float]]:
    """Images a second of every turn, beside a number of busy processes."""
    others = [subprocess.Popen([sys.executable, "-c", COUNTING]) for _ in range(busy)]
    rates, order = {name: [] for name in processes}, deque(processes)
    try:
        for _ in range(count):
            for name in order:
                rates[name].append(ask(processes[name], seconds))
            order.rotate(-1)
    finally:
        for other in others:
            other.kill()
            other.wait()
    return rates


def summary(rates: list[float], first: list[float]) -> dict:
    """The median of a setting, and of its ratio to the first one within a turn, with the standard error of that median
    (1.25 standard errors of a mean)."""
    ratios = [mine / base for mine, base in zip(rates, first, strict=True)]
    spread = statistics.stdev(ratios) if len(ratios) > 1 else 0.0
    return {
        "images_per_second": statistics.median(rates),
        "to_torchs_own": statistics.median(ratios),
        "standard_error": 1.2533 * spread / math.sqrt(len(ratios)),
        "every_turn": [round(rate, 1) for rate in rates],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Time a training step by how torch's threads wait, alone and beside busy processes."
    )
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=2.0, help="of training, in each turn")
    parser.add_argument("--device", default="cpu", choices=["cpu"])
    parser.add_argument("--out", type=Path, default=None, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="a turn of one step each, of two settings")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work()
    from machine import RESULTS, write

    count, seconds = (1, 0.0) if args.smoke else (args.turns, args.seconds)
    chosen = ("torch's own", "count 2,000") if args.smoke else tuple(SETTINGS)
    processes, rows = {name: stand_ready(name, 1 if args.smoke else 2) for name in chosen}, []
    try:
        for busy in (0, 1, 2):
            rates = turns(processes, busy, count, seconds)
            print(f"\nbeside {busy} busy processes")
            for name, mine in rates.items():
                row = {"busy": busy, "setting": name, **summary(mine, rates["torch's own"])}
                rows.append(row)
                print(
                    f"  {name:13} {row['images_per_second']:6.1f} images/s, {row['to_torchs_own']:.3f} ± {row['standard_error']:.3f} of torch's own"
                )
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    about = {
        "turns": count,
        "seconds_a_turn": seconds,
        "batch": BATCH,
        "settings": {name: SETTINGS[name] for name in chosen},
        "measured": rows,
    }
    write("waiting", "cpu", 0, about, args.out or RESULTS)


if __name__ == "__main__":
    main()
