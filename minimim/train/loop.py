"""The training loop. It knows no method by name: prepare; (forward, backward) × accumulation; clip; step; after_step.

Everything that a run draws follows from (seed, step), and its batches are addressed by step: a run that is killed and
resumed ends with the weights of one that was not, and several processes compute what one does.
"""

import itertools
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch.nn.parallel import DistributedDataParallel

from minimim.config import TrainConfig
from minimim.data.batches import batches
from minimim.draws import mix
from minimim.errors import UserError
from minimim.methods import Method
from minimim.processes import rank, together, world
from minimim.train import checkpoint
from minimim.train.interrupt import Interrupt
from minimim.train.logbook import Logbook
from minimim.train.processes import pick_device, precision
from minimim.train.state import load_state, save_state
from minimim.train.step import Stepper, adamw, learning_rate

CHECK_EVERY = 20  # steps between looks at what the device has flagged: each look waits for the device


class NotFinite(UserError):
    """A step's loss was not finite; nothing was learnt from it, and the run was stopped."""


@dataclass
class Run:
    """What came of a run. history: one dict a line of metrics.jsonl; steps: how many are behind us, of total; seconds:
    of this call alone; path: the last checkpoint; finished: False after Ctrl-C."""

    history: list[dict]
    steps: int
    total: int
    seconds: float
    path: Path | None
    finished: bool


def train(method: Method, data, config: TrainConfig | None = None, *, out=None, resume=False, monitor=None, bar=True) -> Run:
    """Train a method on images; the method is changed in place.

    data: minimim.data Images or files. config: by default the method's own. out: a folder for checkpoints and
    metrics.jsonl; without it nothing is written. resume: go on from the checkpoint in `out`. monitor: a
    function of the method that gives numbers to watch every `probe_every` epochs, such as `evaluate.monitor(train, test)`.
    Ctrl-C ends the step at hand, saves, and returns. Raises UserError for what cannot be, NotFinite when a loss is.
    """
    config = config or method.defaults
    device = pick_device(config.device)
    total = steps_of(len(data), config)
    out = Path(out) if out is not None else None
    method.to(device).train()
    optimizer = adamw(method, config)
    start, about = 0, {"config": asdict(config), "total": total, "images": len(data), "spec": method.spec}
    if resume:
        start = load_state(out, method, optimizer, about)
    elif out is not None and os.path.exists(out / checkpoint.NAME):
        raise UserError(f"{out} already holds a run: go on with it by --resume, or choose another --out")
    else:
        method.prepare(data, torch.Generator().manual_seed(mix(config.seed, 0)))

    if config.compile:
        compile_parts(method)
    model = DistributedDataParallel(method) if together() else method
    stepper = Stepper(method, optimizer, config, total, model=model, dtype=precision(config.precision, device))
    stream = batches(
        data,
        config.batch_size // config.accumulate,
        seed=config.seed,
        start=start * config.accumulate,
        stop=total * config.accumulate,
        device=device,
        rank=rank(),
        world=world(),
        workers=config.workers,
    )
    book = Logbook(out, config, total, start, len(data), monitor=monitor, bar=bar)
    save = Saver(out, method, optimizer, about, stepper, config.save_every)
    began, step = time.monotonic(), start
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), Interrupt() as interrupt, book:
        for step in range(start, total):
            parts = list(itertools.islice(stream, config.accumulate))
            metrics = stepper(step, parts)
            book.note(step + 1, metrics, learning_rate(config, step, total), method)
            looked = (step + 1) % CHECK_EVERY == 0 or step + 1 == total
            if looked:
                save.refuse_not_finite()
            if interrupt.asked(now=looked):
                break
            if save.due():
                save(step + 1)
        done = step + 1 if total > start else start
        save(done)
    return Run(book.history, done, total, time.monotonic() - began, save.path, finished=done == total)


def steps_of(images: int, config: TrainConfig) -> int:
    """Optimiser steps in a run. Raises UserError when batch, images, parts and processes do not fit together."""
    if config.batch_size % config.accumulate or config.batch_size // config.accumulate < world():
        raise UserError(
            f"a batch of {config.batch_size} cannot be cut into {config.accumulate} equal parts for {world()} processes: "
            "choose a batch_size that is a multiple of accumulate, and large enough"
        )
    if config.batch_size > images:
        raise UserError(f"a batch of {config.batch_size} is more than the {images} images there are: choose a smaller one")
    return max(1, round(config.epochs * images / config.batch_size))


def compile_parts(method: Method) -> None:
    """torch.compile what costs: every encoder and decoder, the teacher's too."""
    for holder in filter(None, (method, method.teacher)):
        for part in filter(None, (holder.encoder, holder.decoder)):
            part.compile()


class Saver:
    """Writes checkpoints, by the clock and when told, but never one that follows a step that was not finite."""

    def __init__(self, out: Path | None, method, optimizer, about: dict, stepper: Stepper, every: float):
        self.out, self.method, self.optimizer, self.about = out, method, optimizer, about
        self.stepper, self.every, self.last = stepper, every, time.monotonic()
        self.path = out / checkpoint.NAME if out is not None else None

    def due(self) -> bool:
        """Whether it is time for the next one. After a bad step it never is: the next look, on every process, ends the run."""
        late = self.path is not None and rank() == 0 and time.monotonic() - self.last > self.every
        return late and int(self.stepper.first_bad) < 0

    def __call__(self, step: int) -> None:
        """Save the run as it stands after `step` steps."""
        self.refuse_not_finite()
        if self.path is not None and rank() == 0:
            save_state(self.path, self.method, self.optimizer, {**self.about, "step": step})
            self.last = time.monotonic()

    def refuse_not_finite(self) -> None:
        """Raise NotFinite when a step was skipped: say which, at what learning rate, and what is still good."""
        step = int(self.stepper.first_bad)
        if step < 0:
            return
        rate = learning_rate(self.stepper.config, step, self.stepper.total)
        saved = self.path and os.path.exists(self.path)
        good = f"the last good checkpoint is {self.path}" if saved else "nothing was saved yet"
        raise NotFinite(
            f"the loss or gradient of step {step + 1} is not finite, at learning rate {rate:.2e}, so the run was stopped "
            f"and {good}: try a lower --lr, a longer --warmup or --clip 1"
        )


def settled(config: TrainConfig, **changes) -> TrainConfig:
    """The config with every change that is not None."""
    return replace(config, **{name: value for name, value in changes.items() if value is not None})
