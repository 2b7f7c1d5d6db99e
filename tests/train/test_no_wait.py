"""A training step asks the device for work and never waits for an answer."""

import pytest
import torch
from every_method import SMALL, data
from helpers import build, generator, raw
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from minimim.config import TrainConfig
from minimim.data.batches import batches
from minimim.data.views import RandomViews
from minimim.methods import names
from minimim.train.step import Stepper, adamw

WAITING = {  # a number is read, a tensor is made from numbers, or a size depends on the values
    "_local_scalar_dense", "lift_fresh", "lift_fresh_copy", "is_nonzero", "equal", "allclose", "nonzero", "masked_select", "_unique",
    "_unique2", "unique_dim", "unique_consecutive", "repeat_interleave", "bincount",
}  # fmt: skip
READING = {"tolist", "numpy", "cpu", "item", "__bool__", "__int__", "__float__", "__index__"}


class Operations(TorchDispatchMode):
    """Notes what would make a GPU's owner wait, among the operations that run, on the way back too."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        looked_up = name in ("index", "index_put", "index_put_", "_unsafe_index") and len(args) > 1
        picked = looked_up and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        if picked or name in WAITING:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


class Readings(TorchFunctionMode):
    """Notes what on a CPU is no operation: that values are handed to Python."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in READING:
            self.seen.append(func.__name__)
        return func(*args, **(kwargs or {}))


def waits(work):
    """What of this work would wait."""
    with Readings() as readings, Operations() as operations:
        work()
    return readings.seen + operations.seen


def stepper(name, device="cpu", **config):
    """A Stepper of a small method."""
    config = TrainConfig(batch_size=4, **config)
    method = build(name, **SMALL.get(name, {})).to(device).train()
    method.prepare(data(), generator())
    return Stepper(method, adamw(method, config), config, 10)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", names())
def test_a_step_of_no_method_waits(name, precision):
    step = stepper(name, clip=1.0)
    (images,) = batches(data(), 4, stop=1, needs=step.method.needs)
    step.dtype = precision
    step(0, [images])  # the optimiser makes its state in the first one
    assert not waits(lambda: step(1, [images]))


def test_accumulated_parts_do_not_wait():
    step, images = stepper("mae", accumulate=2), raw()
    step(0, [images[:2], images[2:]])
    assert not waits(lambda: step(1, [images[:2], images[2:]]))


def test_views_without_a_crop_do_not_wait():
    views = RandomViews((16, 16), scale=None, jitter=0.4).train()
    for channels in (1, 3):
        views(raw(channels=channels))
        assert not waits(lambda channels=channels: views(raw(channels=channels)))


X = torch.tensor([2.0, 0.0, 2.0])


@pytest.mark.parametrize(
    "work",
    [
        lambda: torch.tensor([1.0]),
        lambda: X.new_tensor([1.0]),
        lambda: torch.as_tensor([1, 2]),
        lambda: X.sum().item(),
        lambda: int(X.sum()),
        lambda: float(X.sum()),
        lambda: bool(X.any()),
        lambda: [1] if X.any() else [],
        lambda: range(X.long()[0]),
        lambda: X.tolist(),
        lambda: X.numpy(),
        lambda: X.cpu(),
        lambda: X[X > 0],
        lambda: X.clone().__setitem__(X > 0, X[:2]),
        lambda: X.nonzero(),
        lambda: torch.where(X > 0),
        lambda: X.masked_select(X > 0),
        lambda: X.unique(),
        lambda: X.long().bincount(),
        lambda: torch.equal(X, X),
        lambda: torch.allclose(X, X),
        lambda: X.repeat_interleave(X.long()),
    ],
)
def test_the_watch_sees_what_waits(work):
    assert waits(work)


def test_the_watch_sees_the_way_back():
    x = torch.ones(2, requires_grad=True)
    x.register_hook(lambda grad: print(grad.sum().item()))
    assert waits(lambda: (x * x).sum().backward()) and not waits(lambda: (x.detach() * 2).sum())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("name", names())
def test_on_a_gpu_neither_step_nor_stream_waits(name, resident, monkeypatch):
    monkeypatch.setattr("minimim.data.batches.fits", lambda *_: resident)
    step = stepper(name, device="cuda", clip=1.0)
    stream = batches(data(), 4, device="cuda", needs=step.method.needs)
    for number in range(3):
        torch.cuda.set_sync_debug_mode("error" if number == 2 else "default")
        try:
            step(number, [next(stream)])
        finally:
            torch.cuda.set_sync_debug_mode("default")
