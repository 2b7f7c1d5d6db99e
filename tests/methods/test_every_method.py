"""What every method of the registry promises: it takes a step, is saved and loaded, killed and resumed, and cut into parts."""

import re

import pytest
import torch
from every_method import NAMES, data, settings, small
from helpers import generator

import minimim
from minimim import checkpoint
from minimim.errors import UserError
from minimim.methods import RECIPES, SECTIONS
from minimim.methods.frozen import Frozen
from minimim.train import train


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_it_says_where_it_comes_from(name):
    build = RECIPES[name]
    assert build.section in SECTIONS and build.paper
    text = " ".join(build.__doc__.split())
    assert build.paper in text, "the docstring names the paper"
    assert build.paper[:4].isdigit() == bool(re.fullmatch(r"\d{4}\.\d{4,5}", build.paper))
    assert "Differs:" in text, "the docstring says what differs from the paper"


def test_a_step_moves_every_weight_of_the_encoder_that_can_learn_and_the_loss_is_finite(name):
    method = small(name)
    start = {n: p.detach().clone() for n, p in method.encoder.named_parameters() if p.requires_grad}
    run = train(method, data(), settings(method, steps=3), bar=False)
    assert all(torch.tensor([v for v in line.values() if isinstance(v, float)]).isfinite().all() for line in run.history)
    still = [n for n, p in method.encoder.named_parameters() if p.requires_grad and torch.equal(p, start[n])]
    allowed = {"mask_token"}  # where a few images happen to hide nothing
    assert len(start) > 10 and set(still) <= allowed, still


def test_a_run_that_is_killed_and_resumed_ends_bit_for_bit_as_one_that_was_not(name, tmp_path):
    class Killed(Exception):
        pass

    straight, first, second = small(name), small(name), small(name, seed=7)  # the second begins elsewhere
    train(straight, data(), settings(straight, steps=4), bar=False)
    calls = []

    def kill(*_):
        calls.append(1)
        if len(calls) == 3:
            raise Killed

    first.register_forward_hook(kill)
    with pytest.raises(Killed):
        train(first, data(), settings(first, steps=4, save_every=0), out=tmp_path, bar=False)
    assert checkpoint.read(tmp_path)[1]["step"] == 2
    train(second, data(), settings(second, steps=4, save_every=0), out=tmp_path, resume=True, bar=False)
    resumed, expected = second.state_dict(), straight.state_dict()
    assert resumed.keys() == expected.keys()
    different = [key for key, value in expected.items() if not torch.equal(resumed[key], value)]
    assert not different


def test_what_is_saved_computes_the_same_when_it_is_loaded(name, tmp_path):
    method = small(name)
    train(method, data(), settings(method, steps=1), bar=False)
    minimim.save(tmp_path / "weights.safetensors", method)
    torch.manual_seed(3)
    again = minimim.load(tmp_path / "weights.safetensors")
    images = data().images[:4]
    assert torch.equal(method.eval().encoder.features(images), again.encoder.features(images))
    assert torch.equal(step(method, generator()).loss, step(again, generator()).loss)


def step(method, draws):
    """The output for a few images, in eval mode."""
    from minimim.data.batches import batches

    with torch.no_grad():
        return method.eval()(next(batches(data(), 4, needs=method.needs)), generator=draws, progress=0.5)


def test_a_batch_in_two_parts_is_the_same_training_or_is_refused(name):
    torch.set_default_dtype(torch.float64)
    try:
        whole, parts = small(name).double(), small(name).double()
        if whole.train().whole_batch:
            with pytest.raises(UserError, match="at all images of a batch at once, so cutting the batch into 2 parts would be another training"):
                train(parts, data(), settings(parts, accumulate=2), bar=False)
            return
        train(whole, data(), settings(whole, steps=1), bar=False)
        train(parts, data(), settings(parts, steps=1, accumulate=2), bar=False)
    finally:
        torch.set_default_dtype(torch.float32)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[key], value, atol=1e-7, rtol=1e-7, msg=lambda text, key=key: f"{key}: {text}")


def test_a_step_in_bf16_is_finite(name):
    method = small(name)
    run = train(method, data(), settings(method, steps=1, precision="bf16"), bar=False)
    assert torch.tensor(run.history[-1]["loss"]).isfinite()


def test_a_teacher_learns_nothing_by_gradient(name):
    method = small(name)
    if method.teacher is None:
        return
    shared = {id(p) for part in method.children() if part is not method.teacher for p in part.parameters()}
    own = [p for p in method.teacher.parameters() if id(p) not in shared]
    assert own and not any(p.requires_grad for p in own)
    if not isinstance(method.teacher, Frozen):
        before = [p.clone() for p in own]
        train(method, data(), settings(method, steps=2), bar=False)
        assert any(not torch.equal(p, q) for p, q in zip(own, before, strict=True))
