"""What breaks in the middle of a run: one sentence each, the last checkpoint kept, and the advice tried out."""

import os
import re
import signal

import pytest
import torch
import torch.distributed as dist
from helpers import raw
from test_train import Toy, run, settings

from minimim import checkpoint
from minimim.errors import UserError
from minimim.train import trouble
from minimim.train.loop import plan, steps_of

NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.19 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1.00 GB, max allowed: 9.07 GB)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:81] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    MemoryError(),
]
NO_WORKER = [
    "DataLoader worker (pid 4711) is killed by signal: Killed. ",
    "DataLoader worker (pid(s) 4711, 4712) exited unexpectedly",
    "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out of shared memory.",
    "Pin memory thread exited unexpectedly",
    "unable to write to file </torch_1_2_3>: No space left on device (28)",
    "unable to open shared memory object </torch_1_2_3> in read-write mode: Too many open files (24)",
    "Caught MemoryError in DataLoader worker process 1.\nOriginal Traceback (most recent call last):\n  File ...",
]
NO_OTHERS = [
    RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:3117"),
    RuntimeError("[../third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 1800000ms for recv"),
    RuntimeError("NCCL communicator was aborted on rank 1."),
    dist.DistBackendError("NCCL error in: ../torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:1970, remote process exited"),
    dist.DistNetworkError("The client socket has failed to connect to any network address"),
]


def raising(error, at=3):
    """A surprise: an error in the forward pass, after so many good ones."""

    def surprise(number, loss):
        if number == at:
            raise error
        return loss

    return surprise


def told(error, config=None, **more):
    """The one sentence in which a run ends that meets an error."""
    with pytest.raises(UserError) as caught:
        run(Toy(raising(error)), config or settings(save_every=0), **more)
    assert caught.value.__cause__ is error and "\n" not in str(caught.value)
    return str(caught.value)


# Memory


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: str(error)[:40])
def test_too_little_memory_is_told_and_what_it_advises_goes_on_from_the_last_checkpoint(error, tmp_path):
    text, path = told(error, out=tmp_path), tmp_path / "last.safetensors"
    assert "does not hold 8 images at once" in text and f"the last good checkpoint is {path}" in text
    assert text.endswith("with --accumulate 2 it is the same training with 4 at once, and --resume goes on")
    assert checkpoint.read(path)[1]["step"] == 3
    again, straight = Toy(), Toy()
    assert run(again, settings(accumulate=2), out=tmp_path, resume=True).finished
    run(straight, settings())
    torch.testing.assert_close(again.weight, straight.weight)


def test_before_the_first_checkpoint_there_is_nothing_to_go_on_from(tmp_path):
    for error in (NO_MEMORY[0], RuntimeError(NO_WORKER[0])):
        text = told(error, settings(save_every=1e9), out=tmp_path / type(error).__name__)
        assert "nothing was saved yet" in text and "--resume" not in text


def test_memory_that_really_is_not_there():
    def surprise(number, loss):
        return loss + torch.empty(10**15)[0]

    with pytest.raises(UserError, match="memory of cpu does not hold 8 images at once.* nothing was saved yet"):
        run(Toy(surprise))


@pytest.mark.parametrize("world", range(1, 6))
def test_the_advice_fits_and_makes_the_parts_smaller(world, monkeypatch):
    monkeypatch.setattr(trouble, "world", lambda: world)
    monkeypatch.setattr("minimim.train.loop.world", lambda: world)
    kinds = set()

    def fits(batch, parts):
        return batch % parts == 0 and batch // parts >= world

    def largest(batch, parts):  # images of the process that has most of them
        sizes = [0] * world
        for image in range(batch // parts):
            sizes[image % world] += 1
        return max(sizes)

    for batch in range(world, 26):
        for parts in (k for k in range(1, batch + 1) if fits(batch, k)):
            text = trouble.no_memory(settings(batch_size=batch, accumulate=parts), torch.device("cpu"), None)
            assert f"does not hold {largest(batch, parts)} image" in text
            better = [k for k in range(parts + 1, batch + 1) if fits(batch, k) and largest(batch, k) < largest(batch, parts)]
            kind, number = re.search(r"--(accumulate|batch-size|size) ?(\d*)", text).groups()
            kinds.add(kind)
            if kind == "accumulate":
                assert int(number) == better[0] and f"with {largest(batch, better[0])} at once" in text
            elif kind == "batch-size":
                assert not better and fits(int(number), parts) and largest(int(number), parts) < largest(batch, parts)
                assert steps_of(100, settings(batch_size=int(number), accumulate=parts))
            else:
                assert not better and largest(batch, parts) == 1
    assert kinds >= {"accumulate", "size"} and ("batch-size" in kinds) == (world > 1)


def test_a_gpu_says_how_much_is_in_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * 2**30, 80 * 2**30))
    text = trouble.no_memory(settings(), torch.device("cuda:1"), None)
    assert "memory of cuda:1 (78.0 of 80.0 GiB in use) does not hold 8 images" in text


# Loader workers


@pytest.mark.parametrize("says", NO_WORKER, ids=lambda text: text[:40])
def test_a_dead_loader_worker_is_told(says, tmp_path):
    text = told(RuntimeError(says), out=tmp_path)
    assert says.splitlines()[0].rstrip(" .") in text and "lower --workers, now 2, and go on with --resume" in text
    assert "the last good checkpoint is" in text and checkpoint.read(tmp_path)[1]["step"] == 3


class Deadly(torch.utils.data.Dataset):
    """Images that are read one by one, and one of them kills the process that reads it."""

    def __len__(self):
        return 16

    def __getitem__(self, index):
        if index == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return raw(1)[0]


def test_a_loader_worker_that_really_dies():
    with pytest.raises(UserError, match=r"has died \(DataLoader worker .*nothing was saved yet.*lower --workers, now 1$"):
        run(Toy(), settings(workers=1), Deadly())


# The other processes


@pytest.mark.parametrize("error", NO_OTHERS, ids=lambda error: str(error)[-40:])
def test_a_dead_process_of_the_run_is_told_and_only_a_run_of_several_can_have_one(error, tmp_path, monkeypatch):
    with pytest.raises(RuntimeError) as caught:
        run(Toy(raising(error)))
    assert caught.value is error
    monkeypatch.setattr(trouble, "together", lambda: True)
    assert "nothing was saved yet" in told(error) and "start it again" in told(error)
    text = told(error, out=tmp_path)
    assert text.startswith("another process of this run is gone") and f"checkpoint is {tmp_path}/last.safetensors" in text
    assert "--resume goes on" in text and "--max-restarts" in text


# Everything else


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, KeyboardInterrupt, UserError, OSError, SystemExit])
def test_every_other_error_stays_what_it_is(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(trouble, "together", lambda: True)
    error = kind("mat1 and mat2 shapes cannot be multiplied (4x3 and 2x3)")
    with pytest.raises(kind) as caught:
        run(Toy(raising(error)), settings(save_every=0), out=tmp_path)
    assert caught.value is error and checkpoint.read(tmp_path)[1]["step"] == 3


# What is told at the start


@pytest.mark.parametrize("world, batch, parts, cut", [
    (1, 64, 1, "64 images = 1 process × 1 part × 64"),
    (8, 4096, 4, "4096 images = 8 processes × 4 parts × 128"),
    (3, 14, 2, "14 images = 3 processes × 2 parts × 2 or 3"),
])  # fmt: skip
def test_the_plan_of_a_run_says_how_its_batch_is_cut_and_what_learning_rate_it_reaches(world, batch, parts, cut, monkeypatch):
    monkeypatch.setattr("minimim.train.loop.world", lambda: world)
    config = settings(epochs=10, batch_size=batch, accumulate=parts, lr=1.5e-4)
    steps = round(10 * 50_000 / batch)
    assert plan(50_000, config) == (
        f"50,000 images, {steps:,} steps of {cut}, lr 1.50e-04 × {batch}/256 = {1.5e-4 * batch / 256:.2e}"
    )
    with pytest.raises(UserError, match="more than the 10 images"):
        plan(10, config)
