"""Losses: each against a slow loop, and what each one is at its best for."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimim.losses import Term, cross_entropy, l1, l2, ranking, smooth_l1
from minimim.masking import Mask

NUMBERS = st.floats(-5, 5, width=32)


def pair(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).double(), 2 * torch.randn(*shape, generator=generator).double()


def smooth(gap, beta):
    return gap * gap / (2 * beta) if gap < beta else gap - beta / 2


@pytest.mark.parametrize(
    "loss, error",
    [
        (l1, lambda gap: gap),
        (l2, lambda gap: gap * gap),
        (smooth_l1, lambda gap: smooth(gap, 1.0)),
        (lambda *args: smooth_l1(*args, beta=2.0), lambda gap: smooth(gap, 2.0)),
    ],
)
@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 5)])
def test_distances_are_means_over_the_numbers_of_a_patch(loss, error, shape):
    prediction, target = pair(*shape)
    got = loss(prediction, target, None)
    assert got.shape == shape[:-1]
    rows = zip(prediction.flatten(0, -2).tolist(), target.flatten(0, -2).tolist(), strict=True)
    expected = [sum(error(abs(p - t)) for p, t in zip(*row, strict=True)) / 5 for row in rows]
    assert got.flatten().tolist() == pytest.approx(expected)


@given(st.lists(NUMBERS, min_size=1, max_size=9), NUMBERS)
@settings(max_examples=60, deadline=None)
def test_the_best_single_guess_is_the_median_for_l1_and_the_mean_for_l2(values, other):
    target = torch.tensor(values, dtype=torch.float64).unsqueeze(-1)

    def cost(loss, guess):
        return loss(guess.expand_as(target), target).mean().item()

    other = torch.tensor(other, dtype=torch.float64)
    assert cost(l1, target.median()) <= cost(l1, other) + 1e-9
    assert cost(l2, target.mean()) <= cost(l2, other) + 1e-9


def test_median_and_mean_differ_on_a_patch_that_is_sometimes_bright():
    target = torch.tensor([[0.0], [0.0], [9.0]])
    zero, three = torch.zeros(3, 1), torch.full((3, 1), 3.0)
    assert l1(zero, target).mean() < l1(three, target).mean()
    assert l2(zero, target).mean() > l2(three, target).mean()


@pytest.mark.parametrize("temperature", [1.0, 0.1])
@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 5)])
def test_cross_entropy_of_probabilities_and_of_ids(temperature, shape):
    scores, other = pair(*shape)
    target = other.softmax(-1)
    ids = other.argmax(-1)
    rows = scores.flatten(0, -2).tolist()
    soft, hard = [], []
    for row, wanted, right in zip(rows, target.flatten(0, -2).tolist(), ids.flatten().tolist(), strict=True):
        total = math.log(sum(math.exp(s / temperature) for s in row))
        soft.append(-sum(w * (s / temperature - total) for w, s in zip(wanted, row, strict=True)))
        hard.append(total - row[right] / temperature)
    for got, expected in ((cross_entropy(scores, target, temperature=temperature), soft),
                          (cross_entropy(scores, ids, temperature=temperature), hard)):  # fmt: skip
        assert got.shape == shape[:-1] and got.flatten().tolist() == pytest.approx(expected)


def test_cross_entropy_is_smallest_where_prediction_and_target_agree():
    scores, other = pair(4, 6)
    target = scores.softmax(-1)
    entropy = -(target * target.log()).sum(-1)
    torch.testing.assert_close(cross_entropy(scores, target), entropy)
    assert torch.all(cross_entropy(other, target) > entropy)


def case(batch=3, patches=6):
    prediction, _ = pair(batch, patches, 1, seed=1)
    _, target = pair(batch, patches, seed=2)
    where = torch.rand(batch, patches, generator=torch.Generator().manual_seed(3)) < 0.6
    return prediction, target, where


def test_ranking_asks_of_each_scored_pair_which_one_is_harder():
    prediction, target, where = case()
    got = ranking(prediction, target, where)
    for b in range(3):
        for i in range(6):
            others = [j for j in range(6) if j != i and where[b, i] and where[b, j]]
            total = 0.0
            for j in others:
                harder = 1 / (1 + math.exp(-(prediction[b, i, 0] - prediction[b, j, 0]).item()))
                total -= math.log(harder if target[b, i] > target[b, j] else 1 - harder)
            assert got[b, i].item() == pytest.approx(total / max(1, len(others)))


def test_ranking_looks_at_scored_patches_only():
    prediction, target, where = case()
    changed = torch.where(where, target, 100.0), torch.where(where.unsqueeze(-1), prediction, -7.0)
    assert torch.equal(ranking(prediction, target, where), ranking(changed[1], changed[0], where))
    assert torch.all(ranking(prediction, target, where)[~where] == 0)


def test_ranking_cares_for_the_order_and_not_for_the_size():
    prediction, target, _ = case()
    where = torch.ones(3, 6, dtype=torch.bool)
    right, wrong = (ranking(sign * target.unsqueeze(-1), target, where) for sign in (1, -1))
    assert torch.all(right < wrong)
    plain = ranking(prediction, target, where)
    torch.testing.assert_close(ranking(prediction + 5, target, where), plain)
    torch.testing.assert_close(ranking(prediction, target.exp(), where), plain)


def test_a_patch_alone_has_no_rank():
    prediction, target, _ = case()
    alone = torch.zeros(3, 6, dtype=torch.bool)
    alone[:, 2] = True
    assert torch.equal(ranking(prediction, target, alone), torch.zeros(3, 6).double())


def test_a_term_counts_where_it_says():
    hidden = torch.tensor([[True, True, False, False]])
    question = torch.tensor([[False, True, False, False]])
    mask, errors = Mask(hidden, scored=(question,)), torch.zeros(1, 4)
    places = {"scored": question, "hidden": hidden, "visible": ~hidden, "all": torch.ones(1, 4, dtype=torch.bool)}
    assert torch.equal(Term("patch", l2).where(errors, mask, question), question)
    for on, expected in places.items():
        assert torch.equal(Term("patch", l2, on=on).where(errors, mask, question), expected)
    first = Term("patch", l2, on=lambda mask: mask.hidden & mask.hidden.cumsum(1).eq(1))
    assert first.where(errors, mask, question).tolist() == [[True, False, False, False]]
    assert Term("cls", l2, on="all").where(torch.zeros(5), mask, question).tolist() == [True] * 5
