"""Every result of the capstone, piece by piece: for a GPU that is at hand only for a while, and for a CPU.

    python benchmarks/capstone.py                works for ten minutes at most; the same command goes on, until all is done
    python benchmarks/capstone.py --list         what there is to do, and what is done
    python benchmarks/capstone.py --check        only look whether this machine can do it, as every call does first
    python benchmarks/capstone.py --only cifar10-cpu --minutes 0    one job, to its end
    python benchmarks/capstone.py --table        all results as markdown
    python benchmarks/capstone.py --keep         copy the small checkpoints and their cards to benchmarks/checkpoints/
    python benchmarks/capstone.py --smoke        all of it on a few small scenes, on the CPU, in half a minute

jobs.py says what the jobs are. What is under way lies in runs/capstone/; a stage that is done is written to results/ at once.
A job that is in the results, under the settings that it has now, is not done again. Ctrl-C saves, too.
"""

import argparse
import platform
import shutil
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import report
import torch
from jobs import Job, changed, here, jobs
from machine import RESULTS, kind, machine, version
from stages import Clock, begin

from minimim import data, methods
from minimim.cli import printable
from minimim.errors import UserError, unknown
from minimim.train.processes import pick_device, precision
from minimim.train.step import Stepper, adamw

LR = 8e-3  # of the ten steps


def check(wanted: list[Job], device: str, folder: Path) -> None:
    """Look whether this machine can do it, a line for each thing. Raises UserError when it cannot."""
    print(f"minimim {version('minimim')}, torch {torch.__version__}, Python {platform.python_version()}")
    print(f"device: {machine(device)}")
    for name in sorted({job.base.data for job in wanted}):
        print(f"data: {name} is {'here' if here(name) else 'not on this machine'}")
    told = []
    for name in (name for name in methods.names() if name in {job.base.method for job in wanted}):
        before, after = ten_steps(name, device)
        told.append(f"{name} {before:.3f} to {after:.3f}")
        if not after < before:
            raise UserError(
                f"ten steps of {name} on {device} took its loss from {before:.4f} to {after:.4f}, not down: run `make test` here first"
            )
    print(f"loss in ten steps: {', '.join(told)}")
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / 2**30
    print(f"disk: {free:.1f} GiB free in {folder}", flush=True)
    if free < 1:
        raise UserError(f"there is {free:.1f} GiB free in {folder}, and runs need 1: free some, or choose another --runs")


def ten_steps(name: str, device: str) -> tuple[float, float]:
    """A recipe's loss before and after ten steps on one batch, under the same draws."""
    torch.manual_seed(0)
    method = methods.create(name, image_size=16).to(device).train()
    config = replace(method.defaults, batch_size=32, lr=LR, warmup=0.0)
    stepper = Stepper(method, adamw(method, config), config, total=100, dtype=precision("auto", torch.device(device)))
    batch = data.load("scenes", count=32, image_size=16).images.to(device)
    losses = [float(stepper(0, [batch])["loss"]) for _ in range(11)]
    return losses[0], losses[-1]


def able_to_compile(wanted: list[Job], device: str) -> list[Job]:
    """The jobs as they are, or without torch.compile where it does not work: it needs a C compiler on the machine."""
    if not any(job.base.train.compile and not job.why_not(device) for job in wanted):
        return wanted
    try:
        torch.compile(torch.sin)(torch.ones(8, device=device))
    except Exception as error:  # noqa: BLE001 (there are many ways in which it can fail)
        print(f"torch.compile does not work here, so all runs go without it ({type(error).__name__})")
        return [replace(job, base=changed(job.base, compile=False)) for job in wanted]
    return wanted


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description="Every result of the capstone, piece by piece.")
    parser.add_argument("--minutes", type=float, default=10, help="longest time to work; 0 goes on to the end")
    parser.add_argument("--only", default="", help="one job by its name, or questions")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="the questions take all of them, the other jobs the first"
    )
    parser.add_argument("--runs", type=Path, help="folder for what is under way (runs/capstone)")
    parser.add_argument("--out", type=Path, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one seed")
    for name, text in {
        "list": "say what is done",
        "check": "look only",
        "table": "results as markdown",
        "keep": "copy checkpoints",
    }.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    args = parser.parse_args()
    if args.smoke:
        args.seeds = args.seeds[:1]
    args.runs = args.runs or Path("runs", "capstone-smoke" if args.smoke else "capstone")
    args.out = args.out or (args.runs / "results" if args.smoke else RESULTS)
    return args


def main() -> int:
    """0 when nothing is left to do here, 1 when a job broke, 130 when there is more."""
    printable()
    args = options()
    everything = jobs(args.seeds, args.smoke)
    wanted = [job for job in everything if args.only in ("", job.name) or (args.only == "questions" and job.at)]
    if not wanted:
        raise unknown("job", args.only, ["questions", *(job.name for job in everything)])
    cpu = args.smoke or (args.device == "auto" and not torch.cuda.is_available())
    device = pick_device("cpu" if cpu else args.device).type
    if args.table:
        print(report.table(wanted, args.out))
    elif args.list:
        print(report.listing(wanted, args.runs, args.out, device, kind(device)))
    elif args.keep:
        print(report.copy_small(wanted, args.runs, args.out.parent / "checkpoints"))
    else:
        clock = Clock(args.minutes)
        check(wanted, device, args.runs)
        wanted = able_to_compile(wanted, device)
        return 0 if args.check else go(wanted, args, device, clock)
    return 0


def go(wanted: list[Job], args: argparse.Namespace, device: str, clock: Clock) -> int:
    """Do what can be done here, one job after the other. A job that fails does not stop the others."""
    broken, skipped = [], {}
    for job in wanted:
        reason = job.why_not(device)
        if reason:
            skipped.setdefault(reason, []).append("the questions" if job.at else job.name)
            continue
        try:
            if not begin(job, args.runs, args.out, device, clock).go():
                print(f"stopped at {job.name}: the same command goes on from there")
                return 130
        except UserError as error:
            print(f"{job.name}: {error}", flush=True)
            broken.append(job.name)
        except Exception:  # noqa: BLE001
            traceback.print_exc()
            broken.append(job.name)
    for reason, names in skipped.items():
        print(f"skipped {', '.join(dict.fromkeys(names))}: {reason}")
    print(f"broke: {', '.join(broken)}" if broken else "all that can be done here is done")
    return int(bool(broken))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
