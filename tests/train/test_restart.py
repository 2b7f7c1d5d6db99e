"""A run whose process is killed and that torchrun starts again: nothing is lost, nothing is done twice.

Started by torchrun with a folder, this file is the run.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import build, raw
from safetensors.torch import load_file
from test_train import Toy, run, settings

from minimim.data import Images
from minimim.errors import UserError
from minimim.processes import rank
from minimim.train import TrainConfig, checkpoint, loop, processes, train
from minimim.train.processes import join, leave

STEPS = 12
RUNS = {  # name → the life and the step in which its second process is killed, seconds between checkpoints
    "straight": (None, None, 1e9),
    "early": (0, 3, 1e9),  # before its first checkpoint
    "late": (1, 6, 0),
}


def main(out):
    """Every run, one after the other. In each life of the processes, one of them is cut short."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # from torchrun, which may come before the survivor has said what it saw
    join(torch.device("cpu"))
    for name, (life, step, every) in RUNS.items():
        method, seen = build("ibot", drop_path=0.3, prototypes=64), []

        def die(*_, seen=seen, deadly=(life, step)):
            seen.append(0)
            if (int(os.environ["TORCHELASTIC_RESTART_COUNT"]), len(seen)) == deadly and rank() == 1:
                os.kill(os.getpid(), signal.SIGKILL)

        method.register_forward_hook(die)
        config = TrainConfig(epochs=STEPS * 7 / 21, batch_size=7, lr=5e-3, device="cpu", log_every=1, save_every=every)
        result = train(method, Images(raw(21)), config, out=out / name, bar=False)
        with open(out / f"log {rank()}", "a") as log:
            print(name, result.finished, result.steps, len(result.history), "after", len(seen), file=log)
    leave()


def torchrun(*arguments, restarts=0):
    """What torchrun says, and its exit code, with two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    process = subprocess.Popen(
        [*command, f"--max-restarts={restarts}", *map(str, arguments)],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        return process.communicate(timeout=240)[0], process.returncode
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder of runs that were killed twice, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("restart")
    said, code = torchrun(__file__, folder, restarts=2)
    (folder / "said").write_text(said)
    assert code == 0, said
    return folder


@pytest.mark.slow
def test_each_life_does_only_what_is_left(out):
    lives = [
        ["straight True 12 12 after 12"],
        ["straight True 12 12 after 0", "early True 12 12 after 12"],
        ["straight True 12 12 after 0", "early True 12 12 after 0", "late True 12 12 after 7"],
    ]
    for number in range(2):
        assert (out / f"log {number}").read_text().splitlines() == [line for life in lives for line in life]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["early", "late"])
def test_a_killed_run_ends_bit_for_bit_as_one_that_was_left_alone_and_tells_each_step_once(name, out):
    ended, alone = (load_file(out / which / checkpoint.NAME) for which in (name, "straight"))
    assert ended.keys() == alone.keys() and any(key.startswith("optimizer") for key in alone)
    for key, tensor in alone.items():
        assert torch.equal(ended[key], tensor), key
    lines, expected = (
        [json.loads(line) for line in (out / which / "metrics.jsonl").read_text().splitlines()] for which in (name, "straight")
    )
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    for line, other in zip(lines, expected, strict=True):
        assert all(line[key] == other[key] for key in line if key not in ("images_per_s", "waiting"))


@pytest.mark.slow
def test_the_process_that_was_left_says_that_the_other_is_gone(out):
    said = (out / "said").read_text()
    assert f"the last good checkpoint is {out}/late/last.safetensors" in said and "another process of this run is gone" in said


@pytest.mark.slow
def test_the_command_line_takes_every_process_and_speaks_once(tmp_path):
    command = ["-m", "minimim", "pretrain", "--data", "fashion", "--image-size", "16", "--patch-size", "4", "--epochs", "0.01"]
    said, code = torchrun(*command, "--batch-size", "7", "--device", "cpu", "--out", tmp_path)
    assert code == 0, said
    assert said.count("steps of 7 images = 2 processes × 1 part × 3 or 4, lr") == 1
    assert said.count("the encoder is in") == 1 and said.count("7 steps, ") == 1


class OneByOne(torch.utils.data.Dataset):
    """Images that loader workers read."""

    def __len__(self):
        return 16

    def __getitem__(self, index):
        return raw(16)[index]


def told_with_its_workers(number, out):
    """A run whose whole process group, loader workers included, gets a signal: as from a terminal or a cluster."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def press(count, loss):
        if count == 3:
            subprocess.run(["kill", f"-{number}", "--", f"-{os.getpgrp()}"], start_new_session=True, check=True)
            time.sleep(0.5)
        return loss

    toy = Toy(press)
    result = run(toy, settings(workers=2), OneByOne(), out=out)
    assert (result.steps, result.finished) == (4, False)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_a_run_and_its_loader_workers_stops_it_saved(number, tmp_path):
    told = f"import test_restart; test_restart.told_with_its_workers({int(number)}, '{tmp_path}')"
    subprocess.run(
        [sys.executable, "-c", told], cwd=Path(__file__).parent, start_new_session=True, timeout=120, check=True
    )
    assert checkpoint.read(tmp_path)[1]["step"] == 4


# In one process


@pytest.mark.parametrize("count, saved", [("0", False), ("1", False), ("2", True)])
def test_only_a_restarted_run_goes_on_by_itself(count, saved, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
    if saved:
        first = Toy(lambda number, loss: os.kill(os.getpid(), signal.SIGINT) or loss if number == 3 else loss)
        assert run(first, out=tmp_path).steps == 4
    toy, straight = Toy(), Toy()
    assert run(toy, out=tmp_path).finished and len(toy.losses) == (6 if saved else 10)
    run(straight)
    assert torch.equal(toy.weight, straight.weight)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    with pytest.raises(UserError, match="already holds a run"):
        run(Toy(), out=tmp_path)


def test_a_restarted_run_with_other_options_is_refused(tmp_path, monkeypatch):
    run(Toy(), out=tmp_path)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with pytest.raises(UserError, match="begun with lr"):
        run(Toy(), settings(lr=0.25), out=tmp_path)


def test_a_run_is_restarted_on_every_machine_or_on_none(monkeypatch):
    monkeypatch.setattr(processes, "summed", lambda count: count + 1)  # another machine's count of restarts is 1
    assert processes.restarted(torch.device("cpu"))


def test_processes_that_find_different_checkpoints_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "world", lambda: 2)
    for own, other in ((0, 0), (40, 40), (0, 40), (40, 0)):
        monkeypatch.setattr(processes, "summed", lambda start, other=other: start + other)
        if own == other:
            processes.refuse_different_starts(own, tmp_path, torch.device("cpu"))
        else:
            with pytest.raises(UserError, match=f"different checkpoints in {tmp_path}.* one folder"):
                processes.refuse_different_starts(own, tmp_path, torch.device("cpu"))


def test_every_run_asks_whether_the_others_begin_where_it_does(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(loop, "refuse_different_starts", lambda start, out, device: asked.append((start, out, device.type)))
    run(Toy(), out=tmp_path)
    run(Toy(), out=tmp_path, resume=True)
    assert asked == [(0, tmp_path, "cpu"), (10, tmp_path, "cpu")]


def test_a_finished_run_is_not_written_again(tmp_path, monkeypatch):
    run(Toy(), out=tmp_path)
    monkeypatch.setattr(checkpoint, "write", None)
    assert run(Toy(), out=tmp_path, resume=True).finished


if __name__ == "__main__":
    main(Path(sys.argv[1]))
