"""A run that is killed at any moment and resumed ends where a run that was left alone ends, bit for bit."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from helpers import build, raw

from minimim.data import Images
from minimim.train import TrainConfig, checkpoint, settled, train

pytestmark = pytest.mark.slow

STEPS = 30
COMMON = {"epochs": 9, "batch_size": 12, "lr": 5e-3, "device": "cpu", "log_every": 1}
CASES = {  # options of the recipe, settings of the run
    "mae": ({}, TrainConfig(**COMMON, accumulate=2)),
    "ibot": ({"drop_path": 0.3, "prototypes": 64}, TrainConfig(**COMMON, clip=0.3)),
}


def go(name, out, resume=False, **changes):
    """One run of a case; it needs STEPS steps."""
    options, config = CASES[name]
    torch.set_num_threads(1)  # the number of threads decides a sum's order, and so its last bit
    data = Images(raw(40))
    return train(build(name, **options), data, settled(config, **changes), out=out, resume=resume, bar=False)


def go_and_be_killed(name, out, lines):
    """A run that saves by a quick clock, and is killed without warning soon after it has told so many steps."""
    metrics = Path(out) / "metrics.jsonl"

    def kill():
        while (
            not metrics.exists() or metrics.read_bytes().count(b"\n") < lines or not (Path(out) / checkpoint.NAME).exists()
        ):
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.05))  # in the middle of whatever comes
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    go(name, out, save_every=0.05)


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_run_that_is_killed_and_resumed_ends_bit_for_bit_as_one_that_was_not(tmp_path):
    moments = {name: random.Random().randrange(1, STEPS - 10) for name in CASES}
    children = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import test_resume; test_resume.go_and_be_killed('{name}', '{tmp_path / name}', {moment})",
            ],
            cwd=Path(__file__).parent,
        )
        for name, moment in moments.items()
    ]
    straight = {name: go(name, tmp_path / f"{name} straight") for name in CASES}
    assert [child.wait(timeout=120) for child in children] == [-signal.SIGKILL] * len(CASES)
    for name, moment in moments.items():
        saved = checkpoint.read(tmp_path / name)[1]["step"]
        told = f"{name}, killed after step {moment}, saved at {saved}"
        assert 0 < saved < STEPS, told
        result = go(name, tmp_path / name, resume=True)
        assert result.finished and result.steps == straight[name].steps == STEPS, told
        resumed, alone = (checkpoint.read(run.path)[0] for run in (result, straight[name]))
        assert resumed.keys() == alone.keys() and any(key.startswith("optimizer") for key in alone)
        for key, tensor in alone.items():
            assert torch.equal(resumed[key], tensor), f"{key}: {told}"
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(1, STEPS + 1)), told
        assert [line["loss"] for line in lines] == [line["loss"] for line in straight[name].history], told
