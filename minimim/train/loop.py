"""The training loop. It knows no method by name: prepare; (forward, backward) × accumulation; clip; step; after_step.

Everything that a run draws follows from (seed, step), and its batches are addressed by step: a run that is killed and
resumed ends with the weights of one that was not, and several processes compute what one does.
"""

import itertools
import os
import signal
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch.nn.parallel import DistributedDataParallel

from minimim import checkpoint
from minimim.config import TrainConfig
from minimim.data.batches import batches
from minimim.data.images import check_batch
from minimim.draws import mix
from minimim.errors import UserError
from minimim.methods import Method
from minimim.processes import rank, together, world
from minimim.train.board import refuse_board
from minimim.train.interrupt import Interrupt
from minimim.train.logbook import Logbook
from minimim.train.processes import pick_device, precision, refuse_different_starts, restarted
from minimim.train.state import digest, load_state, save_state
from minimim.train.step import Stepper, adamw, learning_rate
from minimim.train.trouble import explained, kept

CHECK_EVERY = 20  # steps between checks for a loss that is not finite: each check waits for the device


class NotFinite(UserError):
    """A step's loss was not finite; nothing was learnt from it, and the run was stopped."""


@dataclass
class Run:
    """The result of a run. history: one dict for each line of metrics.jsonl, as `Logbook` explains; steps: how many of total are done;
    seconds: of this call alone; path: the last checkpoint; finished: False after Ctrl-C and when the time limit was reached;
    by_hand: whether this process received Ctrl-C."""

    history: list[dict]
    steps: int
    total: int
    seconds: float
    path: Path | None
    finished: bool
    by_hand: bool = False


def train(
    method: Method, data, config: TrainConfig | None = None, *, out=None, resume=False, monitor=None, pictures=None, bar=True, note: dict | None = None
) -> Run:
    """Train a method on images; the method is changed in place.

    data: minimim.data Images or files. config: by default the method's own. out: a folder for checkpoints and
    metrics.jsonl; without it nothing is written. resume: go on from the checkpoint in `out`. monitor: a
    function of the method that gives numbers to watch every `probe_every` epochs, such as `evaluate.monitor(train, test)`. pictures: a function
    of the method that gives TensorBoard a picture, such as `show.filling(images)`. note: more to write about the run into the
    checkpoint, JSON-able.
    After Ctrl-C the current step is finished, and the run is saved and returned. A run that torchrun has restarted goes on by itself.
    Raises UserError for impossible settings and for what breaks during the run, NotFinite when a loss is not finite.
    """
    config = config or method.defaults
    if hasattr(data, "images"):
        check_batch(data.images)
    device = pick_device(config.device)
    total = steps_of(len(data), config)
    out = Path(out) if out is not None else None
    method.to(device).train()
    refuse_parts(method, config)
    if config.tensorboard:
        refuse_board(out)
    about = {"config": asdict(config), "total": total, "images": len(data), "data": digest(data), "spec": method.spec, **(note or {})}
    path = out / checkpoint.NAME if out is not None else None
    there = path is not None and os.path.exists(path)
    again = restarted(device) and there or resume
    if there and not again:
        raise UserError(f"{out} already holds a run: go on with it by --resume, or choose another --out")
    if not again:
        method.prepare(data, torch.Generator().manual_seed(mix(config.seed, 0)))
    optimizer = method.optimizer(config) if hasattr(method, "optimizer") else adamw(method, config)
    then = load_state(out, method, optimizer, about) if again else {}
    start = then.get("step", 0)
    refuse_different_starts(start, out, device)

    if config.compile:
        compile_parts(method)
    # a mask token has no gradient in a step in which nothing is hidden; DDP must look for such weights, or it would wait for them
    model = DistributedDataParallel(method, find_unused_parameters=True) if together() else method
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
        needs=getattr(method, "needs", ()),
    )
    book = Logbook(out, config, total, start, len(data), monitor=monitor, bar=bar, unwritten=then.get("unwritten"), pictures=pictures)
    save = Saver(path, method, optimizer, about, stepper, book, config.save_every)
    began, done = time.monotonic(), start
    own_draws = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with explained(config, device, path, whole_batch=bool(getattr(method, "whole_batch", ()))), own_draws, Interrupt(config.max_minutes) as interrupt, book:
        for step in range(start, total):
            with book.waiting():
                parts = list(itertools.islice(stream, config.accumulate))
            metrics = stepper(step, parts)
            done = step + 1
            book.note(done, metrics, learning_rate(config, step, total), method)
            looked = done % CHECK_EVERY == 0 or done == total
            if looked:
                save.refuse_not_finite()
            if interrupt.asked(now=looked):
                break
            if save.due():
                save(done)
        if done > start:
            save(done)
    by_hand = interrupt.pressed == signal.SIGINT
    return Run(book.history, done, total, time.monotonic() - began, path, finished=done == total, by_hand=by_hand)


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


def refuse_parts(method: Method, config: TrainConfig) -> None:
    """Raise UserError where dividing a batch into parts would silently be a different training."""
    looks = getattr(method, "whole_batch", ())
    if config.accumulate > 1 and looks:
        raise UserError(
            f"{', '.join(looks)} of this method look{'s' * (len(looks) == 1)} at all images of a batch at once, so cutting the batch into {config.accumulate} parts "
            "would be another training: set accumulate to 1, and choose a smaller batch_size or more processes"
        )


def plan(images: int, config: TrainConfig) -> str:
    """What a run will do, in one line: its steps, its batch, and the learning rate that it reaches.

    >>> plan(50_000, TrainConfig(epochs=400, batch_size=4096, accumulate=2))
    '50,000 images, 4,883 steps of 4096 images = 1 process × 2 parts × 2048, lr 1.50e-04 × 4096/256 = 2.40e-03'
    """
    steps, size, parts = steps_of(images, config), config.batch_size, config.accumulate
    few, many = size // parts // world(), -(-size // parts // world())
    cut = f"{world()} process{'es' * (world() > 1)} × {parts} part{'s' * (parts > 1)} × {few}" + f" or {many}" * (many > few)
    rate = f"lr {config.lr:.2e} × {size}/256 = {config.lr * size / 256:.2e}"
    return f"{images:,} images, {steps:,} steps of {size} images = {cut}, {rate}"


def compile_parts(method: Method) -> None:
    """torch.compile every encoder and decoder, those of the teacher, too."""
    for holder in filter(None, (method, method.teacher)):
        for part in filter(None, (holder.encoder, holder.decoder)):
            part.compile()


class Saver:
    """Writes checkpoints at intervals and on request, but never after a step that was not finite."""

    def __init__(self, path: Path | None, method, optimizer, about: dict, stepper: Stepper, book: Logbook, every: float):
        self.path, self.method, self.optimizer, self.about, self.book = path, method, optimizer, about, book
        self.stepper, self.every, self.last = stepper, every, time.monotonic()

    def due(self) -> bool:
        """Whether it is time for the next one. After a bad step it never is, because the next check, on every process, ends the run."""
        late = self.path is not None and rank() == 0 and time.monotonic() - self.last > self.every
        return late and int(self.stepper.first_bad) < 0

    def __call__(self, step: int) -> None:
        """Save the run after `step` steps."""
        self.refuse_not_finite()
        if self.path is not None and rank() == 0:
            save_state(self.path, self.method, self.optimizer, {**self.about, "step": step, "unwritten": self.book.unwritten()})
            self.last = time.monotonic()

    def refuse_not_finite(self) -> None:
        """Raise NotFinite when a step was skipped: say which, at what learning rate, and what is still good."""
        step = int(self.stepper.first_bad)
        if step < 0:
            return
        rate = learning_rate(self.stepper.config, step, self.stepper.total)
        raise NotFinite(
            f"the loss or gradient of step {step + 1} is not finite, at learning rate {rate:.2e}, so the run was stopped "
            f"and {kept(self.path)}: try a lower --lr, a longer --warmup or --clip 1"
        )


def settled(config: TrainConfig, **changes) -> TrainConfig:
    """The config with every change that is not None."""
    return replace(config, **{name: value for name, value in changes.items() if value is not None})
