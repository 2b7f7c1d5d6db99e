"""Clusters found on the way: balanced at each place, learnt by themselves, and given to the student without gradient."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from minimim.encoders import Encoded
from minimim.errors import UserError
from minimim.targets import OnlineClusters, sinkhorn

B, N, D, K = 12, 3, 5, 4


def scores(seed=0):
    return torch.randn(B, N, K, generator=torch.Generator().manual_seed(seed)).double()


def taught(seed=0):
    """A teacher's look at a batch."""
    patches = torch.randn(B, N, D, generator=torch.Generator().manual_seed(seed)).double()
    return SimpleNamespace(encoded=Encoded(patches))


def clusters(**more):
    torch.manual_seed(0)
    target = OnlineClusters(D, K, **more).double()
    with torch.no_grad():
        target.bias.normal_()
    return target


def official(logits, iterations):
    """CAPI's steps, one place after another: shift by each cluster's highest, then divide, clusters first, with 1e-8 more (which tells
    only where an image is far from all clusters, and then leaves it unassigned)."""
    answer = torch.empty_like(logits)
    for n in range(N):
        share = (logits[:, n] - logits[:, n].max(0).values + 50).exp()
        for _ in range(iterations):
            for k in range(K):
                share[:, k] = share[:, k] / (sum(share[b, k] for b in range(B)) + 1e-8)
            for b in range(B):
                share[b] = share[b] / (sum(share[b]) + 1e-8)
        answer[:, n] = share
    return answer


def test_assignments_are_those_of_the_official_steps():
    torch.testing.assert_close(sinkhorn(scores(), 0.3, 3, by_place=True), official(scores() / 0.3, 3), atol=1e-6, rtol=1e-5)


def test_with_iterations_each_cluster_holds_as_much_as_every_other_at_each_place():
    lopsided = scores() + torch.tensor([2.0, 0, 0, 0])
    assert lopsided.softmax(-1).sum(0).max() > 2 * B / K
    shared = sinkhorn(lopsided, 0.5, 200, by_place=True)
    torch.testing.assert_close(shared.sum(0), torch.full((N, K), B / K).double())
    torch.testing.assert_close(shared.sum(-1), torch.ones(B, N).double())
    off = [float((sinkhorn(lopsided, 0.5, i, by_place=True).sum(0) - B / K).abs().max()) for i in (0, 1, 3, 10)]
    assert off == sorted(off, reverse=True)


def test_rows_far_below_the_highest_are_still_shared_out():
    far = scores()
    far[0] -= 500  # exp(−500 / 0.06) is zero in any precision
    shared = sinkhorn(far.float(), 0.06, 3, by_place=True)
    torch.testing.assert_close(shared.sum(-1), torch.ones(B, N))


def test_the_target_is_the_balanced_assignment_of_unit_length_patches():
    target, teacher = clusters(target_temperature=0.3), taught()
    got = target({}, teacher)["patch"]
    logits = torch.empty(B, N, K).double()
    for b in range(B):
        for n in range(N):
            x = teacher.encoded.patches[b, n]
            for k in range(K):
                logits[b, n, k] = x @ target.weight[k].detach() / math.sqrt(float(x @ x)) + target.bias[k].detach()
    torch.testing.assert_close(got, official(logits / 0.3, 3), atol=1e-6, rtol=1e-5)
    assert not got.requires_grad
    longer = SimpleNamespace(encoded=Encoded(7 * teacher.encoded.patches))
    torch.testing.assert_close(target({}, longer)["patch"], got)
    together = clusters(target_temperature=0.3, by_place=False)({}, teacher)["patch"]
    assert not torch.allclose(together, got)


def test_the_clustering_learns_from_its_own_assignments_and_moves_nothing_else():
    target, teacher = clusters(), taught()
    teacher.encoded.patches.requires_grad_()
    with torch.no_grad():  # as the method calls it
        got = target({}, teacher)["patch"]
    loss = target.own_loss()
    logits = F.linear(F.normalize(teacher.encoded.patches.detach(), dim=-1), target.weight, target.bias)
    expected = torch.tensor([F.cross_entropy(logits[b, n].detach() / 0.12, got[b, n]) for b in range(B) for n in range(N)]).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert target.weight.grad.any() and target.bias.grad.any() and teacher.encoded.patches.grad is None


def test_the_own_loss_is_told_once_a_step_over_all_views_and_not_when_nothing_was_seen():
    target = clusters()
    assert target.own_loss() is None
    singles = []
    for seed in range(2):
        target({}, taught(seed))
        singles.append(target.own_loss().item())
    for seed in range(2):
        target({}, taught(seed))
    assert target.own_loss().item() == pytest.approx(sum(singles) / 2)
    assert target.own_loss() is None
    target.eval()({}, taught())
    assert target.own_loss() is None


def test_learning_makes_the_assignments_surer():
    target, teacher = clusters(), taught()
    optimizer = torch.optim.SGD(target.parameters(), lr=0.1)
    losses = []
    for _ in range(40):
        target({}, teacher)
        losses.append(target.own_loss())
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]
    used = target({}, teacher)["patch"].argmax(-1)  # (B, N)
    assert all(len(used[:, n].unique()) == K for n in range(N))  # at no place has a cluster taken everything


def test_one_cluster_is_none():
    with pytest.raises(UserError, match="two clusters or more, not 1"):
        OnlineClusters(D, 1)
