"""Draws: seeds that are mixed, and rows that come out the same on one process and on many."""

import itertools

import pytest
import torch
from helpers import generator
from hypothesis import given, settings
from hypothesis import strategies as st

from minimim.draws import StepGenerator, mix, uniform


@pytest.mark.parametrize("seed, first", [(0, 0xE220A8397B1DCDAF), (1234567, 6457827717110365317)])
def test_one_number_mixes_to_the_first_output_of_splitmix64(seed, first):
    assert mix(seed) == first >> 1  # as published with the generator


def test_no_two_pairs_of_small_numbers_share_a_seed():
    assert len({mix(seed, step) for seed in range(200) for step in range(200)}) == 200 * 200
    assert len({mix(0), mix(0, 0), mix(0, 0, 0), mix()}) == 4


@given(st.lists(st.integers(-(2**70), 2**70), max_size=4))
@settings(max_examples=100, deadline=None)
def test_any_whole_numbers_make_a_seed_that_torch_takes(numbers):
    assert 0 <= mix(*numbers) < 2**63
    torch.Generator().manual_seed(mix(*numbers))


def test_changing_one_bit_changes_half_of_the_seed():
    changed = [(mix(7, 11) ^ mix(7, 11 ^ 1 << bit)).bit_count() for bit in range(63)]
    assert 28 < sum(changed) / 63 < 35 and min(changed) > 15


def cuts(total):
    """Ways to cut a batch into the rows of up to five processes, some of them with none."""
    return st.lists(st.integers(0, total), max_size=4).map(lambda ends: [0, *sorted(ends), total])


@given(st.integers(1, 12).flatmap(lambda total: st.tuples(st.just(total), cuts(total))), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_processes_draw_together_what_one_draws(batch, step):
    total, ends = batch
    pieces = [slice(a, b) for a, b in itertools.pairwise(ends)]
    one = StepGenerator(seed=3, step=step, rows=slice(0, total), total=total)
    many = [StepGenerator(seed=3, step=step, rows=rows, total=total) for rows in pieces]
    for shape in ((), (5,), (2, 3)):  # one draw after the other
        parts = [uniform(g.rows.stop - g.rows.start, *shape, generator=g) for g in many]
        assert torch.equal(torch.cat(parts), uniform(total, *shape, generator=one))


def test_a_step_generator_is_a_generator_of_its_step_alone():
    def rows(seed, step):
        return uniform(4, generator=StepGenerator(seed=seed, step=step, rows=slice(0, 4), total=4))

    assert torch.equal(rows(1, 2), torch.rand(4, generator=generator(mix(1, 2))))
    assert not torch.equal(rows(1, 2), rows(2, 1)) and not torch.equal(rows(1, 2), rows(1, 3))


def test_a_plain_generator_draws_what_is_asked_and_none_draws_from_the_global_one():
    assert torch.equal(uniform(3, 2, generator=generator(5)), torch.rand(3, 2, generator=generator(5)))
    torch.manual_seed(5)
    assert torch.equal(uniform(3, 2), torch.rand(3, 2, generator=generator(5)))
    state = torch.get_rng_state()
    uniform(3, 2, generator=generator(5))
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_are_float32_below_one():
    draw = uniform(100_000, generator=generator())
    assert draw.dtype == torch.float32 and draw.shape == (100_000,) and draw.min() >= 0 and draw.max() < 1
