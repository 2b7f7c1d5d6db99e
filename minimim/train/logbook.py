"""What a run reports while it goes on: a progress bar, metrics.jsonl, TensorBoard if that is installed, and the monitor."""

import json
import os
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import torch
from tqdm.auto import tqdm

from minimim.checkpoint import writing
from minimim.config import TrainConfig
from minimim.processes import rank, summed, world

METRICS = "metrics.jsonl"


class Logbook:
    """Collects metrics on the device, and reads them only every `log_every` steps. A context: closes what it opened.

    `waiting` in a line is the fraction of the time, 0 to 1, that the loop waited for images. A GPU works off a queue of operations, and
    waiting that the queue hides is counted, too: 0 is certain, and a large fraction only a hint that images come too slowly.
    """

    def __init__(self, out: Path | None, config: TrainConfig, total: int, start: int, images: int, *, monitor, bar: bool):
        self.out, self.config, self.total, self.images, self.monitor = out, config, total, images, monitor
        self.sums, self.steps, self.waited = {}, 0, 0.0
        self.since = time.monotonic()
        self.looked = start * config.batch_size / images // config.probe_every if config.probe_every else 0
        main = rank() == 0
        size = config.batch_size
        self.bar = tqdm(
            total=total * size, initial=start * size, unit="img", unit_scale=True, disable=not (bar and main), leave=True
        )
        self.file = self.board = None
        self.history = [line for line in read_metrics(out) if line["step"] <= start] if out is not None and start else []
        if out is not None and main:
            with writing(out / METRICS):
                out.mkdir(parents=True, exist_ok=True)
                partial = out / f".{METRICS}.partial"
                partial.write_text("".join(json.dumps(line) + "\n" for line in self.history))
                os.replace(partial, out / METRICS)
                self.file = (out / METRICS).open("a")
            self.board = open_board(out)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()
        for thing in filter(None, (self.file, self.board)):
            with suppress(OSError):  # every line was flushed when it was written
                thing.close()

    @contextmanager
    def waiting(self):
        """A context whose time counts as waiting for images."""
        began = time.monotonic()
        yield
        self.waited += time.monotonic() - began

    def note(self, step: int, metrics: dict, lr: float, method) -> None:
        """Add the metrics of a step; write a line every `log_every` steps, and after the last one."""
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.steps += 1
        self.bar.update(self.config.batch_size)
        epoch = step * self.config.batch_size / self.images
        if step % self.config.log_every == 0 or step == self.total:
            self.write(step, epoch, lr, method)
        if self.monitor and self.config.probe_every and epoch // self.config.probe_every > self.looked:
            self.looked = epoch // self.config.probe_every
            self.add({"step": step, "epoch": epoch, **self.look(method)})

    def write(self, step: int, epoch: float, lr: float, method) -> None:
        """One line: means over the steps since the last one and over the processes."""
        means = {name: float(summed(value) / world() / self.steps) for name, value in self.sums.items()}
        now = time.monotonic()
        speed, share = self.steps * self.config.batch_size / (now - self.since), self.waited / (now - self.since)
        share = float(summed(torch.tensor(share, device=self.sums["loss"].device)) / world())
        self.sums, self.steps, self.waited, self.since = {}, 0, 0.0, now
        self.bar.set_postfix(loss=f"{means['loss']:.4f}", waiting=f"{share:.0%}")
        told = {"lr": lr, "images_per_s": round(speed, 1), "waiting": round(share, 4)}
        self.add({"step": step, "epoch": round(epoch, 4), **means, **told})

    def add(self, line: dict) -> None:
        """Keep a line, write it to the file, and add it to TensorBoard."""
        self.history.append(line)
        if self.file:
            with writing(self.out / METRICS):
                print(json.dumps(line), file=self.file, flush=True)
        if self.board:
            try:
                for name, value in line.items():
                    if name != "step":
                        self.board.add_scalar(name, value, line["step"])
            except OSError as error:
                self.board = without_board(error)

    def look(self, method) -> dict:
        """What the monitor measures of the method now, on the first process."""
        if rank() != 0:
            return {}
        began = time.monotonic()
        seen = self.monitor(method)
        self.since += time.monotonic() - began  # looking is not training
        return seen


def read_metrics(out) -> list[dict]:
    """The lines of a run's metrics.jsonl; an incomplete last line of a killed run is left out."""
    path = Path(out) / METRICS
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


def open_board(out: Path):
    """A TensorBoard writer, or None where TensorBoard is not installed or cannot write."""
    try:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(out / "tensorboard")
    except ImportError:
        return None
    except OSError as error:
        return without_board(error)


def without_board(error: OSError) -> None:
    """Warn that TensorBoard gets no more curves. That is no reason to end a run, because metrics.jsonl has the numbers."""
    warnings.warn(f"TensorBoard cannot write ({error}): the run goes on without it", stacklevel=2)
