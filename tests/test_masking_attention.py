"""Masks by a teacher's attention: what is hidden, how much of it, and what is shown again."""

from types import SimpleNamespace

import pytest
import torch

from minimim.draws import StepGenerator
from minimim.encoders import Encoded
from minimim.errors import UserError
from minimim.masking import AttentionMasking

GRID, N = (8, 8), 64


def look(batch, heads=3, seed=0):
    """A teacher's look at a batch, with attention of its own for each head and sample."""
    attention = torch.randn(batch, heads, 1 + N, 1 + N, generator=torch.Generator().manual_seed(seed)).softmax(dim=-1)
    return SimpleNamespace(encoded=Encoded(torch.zeros(batch, N, 4), attention=attention))


def draw(masking, guide, seed=0, **more):
    generator = torch.Generator().manual_seed(seed)
    (mask,) = masking({"image": torch.zeros(len(guide.encoded.patches), 3, 8, 8)}, GRID, guide, generator=generator, **more)
    return mask


def ranked(guide, b):
    """Patches of one image, the most attended first, worked out one by one."""
    attention = guide.encoded.attention[b]
    mean = [sum(float(head[0, 1 + n]) for head in attention) / len(attention) for n in range(N)]
    return sorted(range(N), key=lambda n: -mean[n])


def test_the_most_attended_patches_are_hidden_as_many_in_each_sample_of_a_batch():
    guide, counts = look(5), set()
    for seed in range(20):
        mask = draw(AttentionMasking(chance=1.0), guide, seed)
        count = int(mask.hidden[0].sum())
        assert int(0.1 * N) <= count <= 0.5 * N
        counts.add(count)
        for b in range(5):
            assert set(mask.hidden[b].nonzero().flatten().tolist()) == set(ranked(guide, b)[:count])
    assert len(counts) > 8


def test_low_hides_the_least_attended():
    guide = look(3)
    mask = draw(AttentionMasking(kind="low", chance=1.0), guide)
    for b in range(3):
        count = int(mask.hidden[b].sum())
        assert set(mask.hidden[b].nonzero().flatten().tolist()) == set(ranked(guide, b)[-count:])


def test_half_of_the_samples_are_not_masked():
    hidden = draw(AttentionMasking(), look(400)).hidden.any(dim=1)
    assert 0.4 < hidden.float().mean() < 0.6


def test_hints_are_a_random_few_of_the_very_first_and_are_not_made_up_for():
    guide, shown = look(40), set()
    noise = torch.rand(40, 3 + N, generator=torch.Generator().manual_seed(3))
    noise[0, :2] = torch.tensor([0.5, 0.99])  # the ratio is 0.3; the hints' own 0.496
    high, hint = (draw(AttentionMasking(kind=kind, chance=1.0, hint=0.2), guide, noise=noise) for kind in ("high", "hint"))
    for b in range(40):
        again = set((high.hidden & ~hint.hidden)[b].nonzero().flatten().tolist())
        assert len(again) == int(0.2 * (0.1 + 0.4 * 0.99) * N) and again <= set(ranked(guide, b)[: int(0.2 * N)])
        assert not (hint.hidden & ~high.hidden).any()
        shown |= {ranked(guide, b).index(n) for n in again}
    assert shown == set(range(int(0.2 * N)))


def test_what_a_teacher_attends_to_beside_the_cls_row_and_from_cls_to_itself_does_not_matter():
    guide, other = look(4), look(4)
    other.encoded.attention[:, :, 1:] = 0.5
    other.encoded.attention[:, :, :, 0] = 0.9
    masking = AttentionMasking(chance=1.0)
    assert torch.equal(draw(masking, guide).hidden, draw(masking, other).hidden)


def test_two_processes_hide_what_one_hides():
    guide, made = look(7), []
    for kind in ("high", "hint"):
        for rows in (slice(0, 7), slice(0, 4), slice(4, 7)):
            part = SimpleNamespace(encoded=Encoded(torch.zeros(1), attention=guide.encoded.attention[rows]))
            generator = StepGenerator(seed=1, step=2, rows=rows, total=7)
            images = {"image": torch.zeros(rows.stop - rows.start, 3, 8, 8)}
            made.append(AttentionMasking(kind=kind, hint=0.5)(images, GRID, part, generator=generator)[0].hidden)
    assert torch.equal(made[0], torch.cat(made[1:3])) and torch.equal(made[3], torch.cat(made[4:]))
    assert not torch.equal(made[0], made[3])


def test_what_cannot_be_is_said():
    for wrong in ({"kind": "highest"}, {"ratio": (0.0, 0.5)}):
        with pytest.raises(UserError):
            AttentionMasking(**wrong)
    image = {"image": torch.zeros(2, 3, 8, 8)}
    with pytest.raises(UserError, match="needs a teacher"):
        AttentionMasking()(image, GRID, None)
    for attention in (None, torch.ones(2, 3, N, N)):
        with pytest.raises(UserError, match="CLS"):
            AttentionMasking()(image, GRID, SimpleNamespace(encoded=Encoded(torch.zeros(2, N, 4), attention=attention)))
