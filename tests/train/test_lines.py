"""Each step of a run is told in one line of metrics.jsonl, and in one only, however often the run is killed and resumed."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import build, raw
from tensor_board import curves_of, read_back
from test_train import run, settings

from minimim.data import Images
from minimim.train import checkpoint, logbook, settled
from minimim.train.interrupt import Interrupt
from minimim.train.loop import Saver

CLOCKS = ("images_per_s", "waiting")
CONFIG = settings(epochs=4, log_every=6, lr=5e-3)  # 20 steps: lines at 6, 12, 18 and 20


def numbers(out):
    """What the lines in the file say, but for how fast it went."""
    lines = [json.loads(line) for line in (out / logbook.METRICS).read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in CLOCKS} for line in lines]


def go(out, config=CONFIG, **more):
    return run(build("mae"), config, Images(raw(40)), out=out, **more)


def be_killed(out, at, resume):
    """A run that saves after every third step, and is killed at the start of step `at`."""
    torch.set_num_threads(1)

    def die_or_save(self):
        if self.book.steps and self.book.bar.n // 8 >= at:
            os.kill(os.getpid(), signal.SIGKILL)
        return (self.book.bar.n // 8) % 3 == 2

    logbook.tqdm = Counter
    Saver.due = die_or_save
    go(Path(out), settled(CONFIG, tensorboard=True), resume=resume)


class Counter:
    """A progress bar that only counts."""

    def __init__(self, initial, **_):
        self.n = initial

    def update(self, n):
        self.n += n

    def set_postfix(self, **_):
        pass

    def close(self):
        pass


@pytest.mark.slow
def test_a_run_that_is_killed_twice_tells_each_step_once_with_the_numbers_of_one_that_was_not(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        go(tmp_path / "straight")
        out, saved = tmp_path / "killed", []
        for at, resume in ((7, False), (16, True)):
            child = subprocess.run(
                [sys.executable, "-c", f"import test_lines; test_lines.be_killed({str(out)!r}, {at}, {resume})"],
                cwd=Path(__file__).parent, timeout=240, check=False,
            )  # fmt: skip
            assert child.returncode == -signal.SIGKILL
            saved.append((checkpoint.description(out)["step"], [line["step"] for line in numbers(out)]))
            assert read_back(out)[0]["loss"][-1][0] == saved[-1][1][-1]  # the last point was not lost either
        assert saved == [(5, [6]), (14, [6, 12])]  # the first line was lost with its step and told again
        go(out, settled(CONFIG, tensorboard=True), resume=True)
    finally:
        torch.set_num_threads(threads)
    assert numbers(out) == numbers(tmp_path / "straight") and [line["step"] for line in numbers(out)] == [6, 12, 18, 20]
    assert read_back(out)[0] == curves_of(logbook.read_metrics(out))


def test_only_the_first_of_several_processes_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(logbook, "rank", lambda: 1)
    with logbook.Logbook(tmp_path, settled(CONFIG, tensorboard=True), 20, 0, 40, monitor=None, bar=False) as book:
        for step in range(1, 21):
            book.note(step, {"loss": torch.tensor(2.0)}, 0.1, None)
    assert [line["step"] for line in book.history] == [6, 12, 18, 20] and not list(tmp_path.iterdir())


def test_a_line_counts_the_time_of_all_its_steps(monkeypatch):
    clock = itertools.count(100.0, 2.0)  # once when the run goes on, and once for the line
    monkeypatch.setattr(logbook, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    then = {"sums": {"loss": 3.0}, "steps": 3, "waited": 7.5, "seconds": 10.0}
    book = logbook.Logbook(None, CONFIG, 20, 3, 40, monitor=None, bar=False, unwritten=then)
    for step in (4, 5, 6):
        book.note(step, {"loss": torch.tensor(2.0)}, 0.1, None)
    (line,) = book.history
    assert line["loss"] == 1.5 and line["step"] == 6 and line["images_per_s"] == 6 * 8 / 12 and line["waiting"] == 7.5 / 12
    assert book.unwritten() is None  # so that a finished run's checkpoint says nothing of clocks


def test_a_checkpoint_from_before_this_was_noted_is_resumed(tmp_path, monkeypatch):
    with monkeypatch.context() as stopping:
        stopping.setattr(Interrupt, "asked", lambda self, now: True)
        stopping.setattr(logbook.Logbook, "unwritten", lambda self: None)
        go(tmp_path)
    assert go(tmp_path, resume=True).finished and [line["step"] for line in numbers(tmp_path)] == [6, 12, 18, 20]
