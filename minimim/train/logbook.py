"""What a run reports while it goes on: a progress bar, metrics.jsonl, TensorBoard where it is asked for, and the monitor."""

import json
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import torch
from tqdm.auto import tqdm

from minimim.checkpoint import writing
from minimim.config import TrainConfig
from minimim.processes import rank, summed, world
from minimim.train.board import Board

METRICS = "metrics.jsonl"


class Logbook:
    """Collects metrics on the device, and reads them only every `log_every` steps. A context: closes what it opened.

    `waiting` in a line is the fraction of the time, 0 to 1, that the loop waited for images. A GPU works off a queue of operations, and
    waiting that the queue hides is counted, too: 0 is certain, and a large fraction only a hint that images come too slowly.

    unwritten: what the checkpoint of a resumed run says of the steps since its last line, so that the next line is about them, too.
    pictures: as `Board` has it.
    """

    def __init__(self, out: Path | None, config: TrainConfig, total: int, start: int, images: int, *, monitor, bar: bool, unwritten=None, pictures=None):
        self.out, self.config, self.total, self.images, self.monitor = out, config, total, images, monitor
        then = unwritten or {"sums": {}, "steps": 0, "waited": 0.0, "seconds": 0.0}
        self.sums, self.steps, self.waited = dict(then["sums"]), then["steps"], then["waited"]
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
            self.board = Board(out, start, total, self.history, pictures) if config.tensorboard else None
        self.since = time.monotonic() - then["seconds"]

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
        if self.board and self.board.due(step):
            with self.not_training():
                self.board.paint(step, method)

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
            self.board.add(line)

    def look(self, method) -> dict:
        """What the monitor measures of the method now, on the first process."""
        if rank() != 0:
            return {}
        with self.not_training():
            return self.monitor(method)

    @contextmanager
    def not_training(self):
        """A context whose time counts neither as training nor as waiting."""
        began = time.monotonic()
        yield
        self.since += time.monotonic() - began

    def unwritten(self) -> dict | None:
        """What the next line has to know of the steps since the last one, JSON-able, for the checkpoint; None where there are none. Of
        several processes, the first one's share stands for all where they differ, which the loss and the gradient's norm never do."""
        sums = {name: float(value) for name, value in self.sums.items()}
        return {"sums": sums, "steps": self.steps, "waited": self.waited, "seconds": time.monotonic() - self.since} if self.steps else None


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
