"""Batch normalisation: torch's own on one process, with rows that do not count, and over two processes what one makes."""

import pytest
import torch
from gathering import STATISTICS, normalise, of_two, put_together
from torch import nn
from torch.testing import assert_close

from minimim.norms import BatchNorm


def pair(**more):
    """Ours and torch's, with the same weights."""
    ours, theirs = BatchNorm(4, **more).double(), nn.BatchNorm1d(4, **more).double()
    for module in (ours, theirs) if ours.weight is not None else ():
        module.weight.data.copy_(torch.tensor([0.5, 1.0, 2.0, -1.0]))
        module.bias.data.copy_(torch.tensor([0.1, 0.0, -3.0, 1.0]))
    return ours, theirs


def rows(*shape, seed=0):
    return torch.randn(*shape, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 + 3


def same_statistics(ours, theirs):
    for name in STATISTICS:
        assert_close(ours.get_buffer(name), theirs.get_buffer(name))


@pytest.mark.parametrize("more", [{}, {"affine": False}, {"eps": 0.1, "momentum": 0.5}], ids=str)
def test_it_computes_what_torch_does_in_training_and_in_eval(more):
    ours, theirs = pair(**more)
    for seed in range(3):
        x, grow = rows(6, seed=seed), rows(6, seed=9)
        mine, other = (x.clone().requires_grad_() for _ in range(2))
        for module, inputs in ((ours, mine), (theirs, other)):
            module.zero_grad()
            (module(inputs).tanh() * grow).sum().backward()
        assert_close(ours(x), theirs(x))  # and once more towards these statistics
        assert_close(mine.grad, other.grad)
        for one, another in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert_close(one.grad, another.grad)
        same_statistics(ours, theirs)
    kept = {name: ours.get_buffer(name).clone() for name in STATISTICS}
    x = rows(6, seed=7)
    assert_close(ours.eval()(x), theirs.eval()(x))
    assert all(torch.equal(ours.get_buffer(name), value) for name, value in kept.items())


def test_patches_of_all_images_are_rows_of_one_batch():
    ours, theirs = pair()
    x = rows(3, 5)
    assert_close(ours(x), theirs(x.flatten(0, 1)).unflatten(0, (3, 5)))
    same_statistics(ours, theirs)


def test_rows_that_do_not_count_move_nothing_and_become_zero():
    ours, theirs = pair()
    x, active = rows(3, 5), torch.rand(3, 5) < 0.5
    y = ours(x, active)
    assert active.any() and not active.all()
    assert_close(y[active], theirs(x[active]))
    assert not y[~active].any()
    same_statistics(ours, theirs)
    x[~active] = 100.0
    assert torch.equal(ours(x, active), y)


def test_statistics_of_half_precision_are_taken_in_full():
    ours, theirs = (module.float() for module in pair())
    x = (rows(64) * 0.1 + 10).bfloat16()
    y = ours(x)
    assert y.dtype == torch.bfloat16
    assert_close(y.float(), theirs(x.float()), atol=0.01, rtol=0.01)
    assert_close(ours.running_var, theirs.running_var)


def test_a_batch_is_not_cut_into_parts_for_it():
    assert BatchNorm(4).whole_batch


@pytest.mark.slow
def test_two_processes_normalise_as_one():
    """Three rows on one, five on the other; all patches, and then some."""
    alone, found = normalise(), of_two()["normalise"]
    for step in range(2):
        for name in (f"output {step}", f"gradient {step}"):
            assert_close(put_together(found, name), alone[name].detach(), msg=lambda text, name=name: f"{name}: {text}")
        for name in (f"weight {step}", *(f"{name} {step}" for name in STATISTICS)):
            for one in found:
                assert_close(one[name], alone[name], msg=lambda text, name=name: f"{name}: {text}")
