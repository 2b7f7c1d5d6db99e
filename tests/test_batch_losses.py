"""Losses that compare rows with one another: each against a slow loop, what each is least for, and that they say what they look at."""

import math
from functools import partial

import pytest
import torch

from minimim.errors import UserError
from minimim.losses import Term, info_nce, koleo, me_max, nt_xent, patch_nce, uniformity
from minimim.methods import create
from minimim.targets import sinkhorn


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def surprise(scores, right):
    """Cross-entropy of a list of scores against the number of the right one."""
    return math.log(sum(math.exp(s) for s in scores)) - scores[right]


def test_info_nce_finds_its_own_target_among_those_of_the_batch():
    prediction, target = rows(5, 3), rows(5, 3, seed=1)
    p, t = prediction.tolist(), target.tolist()
    expected = [surprise([cosine(p[i], t[j]) / 0.3 for j in range(5)], i) for i in range(5)]
    assert info_nce(prediction, target, None, 0.3).tolist() == pytest.approx(expected)
    assert info_nce(7 * prediction, target / 3).tolist() == pytest.approx(info_nce(prediction, target).tolist())  # of unit length


def test_info_nce_is_log_b_for_answers_that_are_all_alike():
    same = rows(1, 3).expand(6, -1)
    assert info_nce(same, same).tolist() == pytest.approx([math.log(6)] * 6)


@pytest.mark.parametrize("shapes", [((2, 4, 3), (2, 4, 3)), ((4, 3), (4, 2))])
def test_info_nce_refuses_what_is_not_one_vector_an_image(shapes):
    with pytest.raises(UserError, match="one vector for each image"):
        info_nce(*(rows(*shape) for shape in shapes))


@pytest.mark.parametrize("views", [2, 4])
def test_nt_xent_is_simclr_between_the_first_answer_and_each_other(views):
    answers, batch = rows(views, 5, 3), 5
    got = nt_xent(answers, None, None, temperature=0.4)
    assert got.shape == (views - 1, 2, batch)
    for v in range(1, views):
        both = answers[0].tolist() + answers[v].tolist()  # 2B rows
        for i in range(2 * batch):
            others = [j for j in range(2 * batch) if j != i]
            scores = [cosine(both[i], both[j]) / 0.4 for j in others]
            assert len(scores) == 2 * batch - 1
            expected = surprise(scores, others.index((i + batch) % (2 * batch)))
            assert got[v - 1, i // batch, i % batch].item() == pytest.approx(expected)


def test_nt_xent_sends_its_gradient_into_every_answer_and_is_finite():
    answers = rows(3, 4, 6).requires_grad_()
    nt_xent(answers).mean().backward()
    assert answers.grad.isfinite().all() and (answers.grad.abs().sum((1, 2)) > 0).all()


def test_nt_xent_refuses_a_single_view():
    with pytest.raises(UserError, match="two views"):
        nt_xent(rows(1, 4, 3))


def test_uniformity_is_the_mean_squared_cosine_with_every_row():
    x = rows(5, 3)
    values = x.tolist()
    expected = [sum(cosine(a, b) ** 2 for b in values) / 5 for a in values]
    assert uniformity(x).tolist() == pytest.approx(expected)


def test_uniformity_is_least_for_answers_at_right_angles():
    assert uniformity(torch.eye(4)).tolist() == pytest.approx([1 / 4] * 4)
    assert uniformity(torch.eye(3).repeat(5, 1)).mean().item() == pytest.approx(1 / 3)  # max(1/B, 1/D)
    assert uniformity(torch.ones(4, 4)).tolist() == pytest.approx([1.0] * 4)


@pytest.mark.parametrize("shape", [(6, 4), (3, 2, 4)])
def test_me_max_is_log_k_less_the_entropy_of_the_mean_over_all_anchors(shape):
    scores = rows(*shape)
    mean = [0.0] * 4
    for row in scores.flatten(0, -2).tolist():
        whole = sum(math.exp(s / 0.5) for s in row)
        mean = [m + math.exp(s / 0.5) / whole / 6 for m, s in zip(mean, row, strict=True)]
    expected = math.log(4) + sum(m * math.log(m) for m in mean)
    assert me_max(scores, None, None, temperature=0.5).item() == pytest.approx(expected)


def test_me_max_is_zero_where_all_prototypes_are_used_and_log_k_where_one_takes_all():
    used, taken = 100 * torch.eye(4), 100 * torch.eye(4)[:1].expand(4, -1)
    assert me_max(used).item() == pytest.approx(0, abs=1e-6)
    taken = taken.clone().requires_grad_()
    error = me_max(taken)
    assert error.item() == pytest.approx(math.log(4))
    error.backward()
    assert taken.grad.isfinite().all()  # prototypes that nobody uses at all


def test_koleo_is_minus_the_log_of_the_distance_to_the_nearest_other():
    x = rows(6, 3)
    unit = (x / x.norm(dim=1, keepdim=True)).tolist()
    expected = [-math.log(min(math.dist(a, b) for j, b in enumerate(unit) if j != i)) for i, a in enumerate(unit)]
    assert koleo(x).tolist() == pytest.approx(expected, abs=1e-6)


def test_koleo_pushes_neighbours_apart_and_stays_finite_for_twins():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]]).requires_grad_()
    koleo(x).mean().backward()
    moved = (x - 0.01 * x.grad).detach()
    assert (moved[0] - moved[1]).norm() > (x[0] - x[1]).norm()
    twins = torch.ones(3, 2, requires_grad=True)
    koleo(twins).mean().backward()
    assert koleo(twins).isfinite().all() and twins.grad.isfinite().all()
    with pytest.raises(UserError, match="one image"):
        koleo(rows(1, 3))


@pytest.mark.parametrize("among", ["all", "scored"])
def test_patch_nce_finds_its_own_place_within_its_own_image(among):
    prediction, target = rows(2, 5, 3), rows(2, 5, 3, seed=1)
    where = torch.tensor([[True, True, False, True, False], [False, True, True, True, True]])
    got = patch_nce(prediction, target, where, temperature=0.3, among=among)
    for b in range(2):
        for n in range(5):
            if where[b, n]:
                candidates = [m for m in range(5) if among == "all" or where[b, m]]
                scores = [cosine(prediction[b, n].tolist(), target[b, m].tolist()) / 0.3 for m in candidates]
                assert got[b, n].item() == pytest.approx(surprise(scores, candidates.index(n)))


def test_patch_nce_does_not_look_at_other_images_nor_at_candidates_that_are_none():
    prediction, target, where = rows(2, 5, 3).requires_grad_(), rows(2, 5, 3, seed=1), torch.zeros(2, 5, dtype=torch.bool)
    where[:, 1:3] = True
    other, elsewhere = target.clone(), target.clone()
    other[1] += 1
    elsewhere[:, 3:] += 1
    assert torch.equal(patch_nce(prediction, target)[0], patch_nce(prediction, other)[0])
    scored = partial(patch_nce, among="scored")
    assert torch.equal(scored(prediction, target, where)[where], scored(prediction, elsewhere, where)[where])
    torch.where(where, scored(prediction, target, where), 0).sum().backward()
    assert prediction.grad.isfinite().all() and not prediction.grad[~where].any() and prediction.grad[where].any()


def test_those_that_look_at_the_whole_batch_say_so():
    for loss in (info_nce, nt_xent, uniformity, me_max, koleo):
        assert loss.whole_batch
    assert not hasattr(patch_nce, "whole_batch")
    method = create("mae", image_size=16)
    assert method.whole_batch == []
    method.terms.append(Term("latent_mean", partial(me_max, temperature=0.2), pair=None))
    assert method.whole_batch == ["me_max"]  # also with an argument fixed


# Sinkhorn


def alternate(scores, temperature, iterations):
    """Sinkhorn and Knopp on a list of rows, in plain numbers."""
    shares = [[math.exp(s / temperature) for s in row] for row in scores]
    for _ in range(iterations):
        sums = [sum(column) for column in zip(*shares, strict=True)]
        shares = [[s / total for s, total in zip(row, sums, strict=True)] for row in shares]
        shares = [[s / sum(row) for s in row] for row in shares]
    return shares


@pytest.mark.parametrize("iterations", [1, 3])
def test_sinkhorn_divides_by_turns_prototypes_first(iterations):
    scores = rows(6, 4)
    got, expected = sinkhorn(scores, 0.3, iterations), alternate(scores.tolist(), 0.3, iterations)
    torch.testing.assert_close(got, torch.tensor(expected).double(), rtol=1e-5, atol=1e-7)


def test_sinkhorn_uses_every_prototype_alike_and_rows_sum_to_one():
    scores = rows(12, 4) + torch.tensor([3.0, 0, 0, 0])  # one prototype would take nearly everything
    plain, shared = (scores / 0.3).softmax(-1), sinkhorn(scores, 0.3, 300)
    assert plain.sum(0).max() > 9
    assert shared.sum(0).tolist() == pytest.approx([3.0] * 4) and shared.sum(1).tolist() == pytest.approx([1.0] * 12)
    assert sinkhorn(scores, 0.3, 3).sum(1).tolist() == pytest.approx([1.0] * 12)
    torch.testing.assert_close(sinkhorn(scores, 0.3, 0), plain)  # nothing shared out: a softmax of each row


def test_sinkhorn_by_place_is_one_problem_for_each_place():
    scores = rows(6, 3, 4)
    got = sinkhorn(scores, 0.3, 3, by_place=True)
    for n in range(3):
        torch.testing.assert_close(got[:, n], sinkhorn(scores[:, n], 0.3, 3))
    torch.testing.assert_close(sinkhorn(scores, 0.3, 300, by_place=True).sum(0), torch.full((3, 4), 1.5).double())
    together = sinkhorn(scores, 0.3, 3)
    torch.testing.assert_close(together.flatten(0, 1), sinkhorn(scores.flatten(0, 1), 0.3, 3))
    assert not torch.allclose(together, got)


def test_a_prototype_that_stands_for_a_place_survives_only_where_places_are_taken_together():
    scores = torch.eye(4).expand(8, 4, 4) + 0.01 * rows(8, 4, 4)  # place n is prototype n in every image
    assert (sinkhorn(scores, 0.05, 50).argmax(-1) == torch.arange(4)).all()
    assert not (sinkhorn(scores, 0.05, 50, by_place=True).argmax(-1) == torch.arange(4)).all()


def test_sinkhorn_has_no_gradient_and_stands_scores_that_would_overflow():
    scores = (500 * rows(6, 4)).float().requires_grad_()
    shared = sinkhorn(scores, 0.01)
    assert not shared.requires_grad and shared.isfinite().all()
    assert sinkhorn(scores.detach().bfloat16(), 0.1).dtype == torch.float32
