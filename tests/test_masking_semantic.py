"""Masks by parts: from some of every part to whole parts, an exact count whatever the parts are, and where parts come from."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimim.draws import StepGenerator
from minimim.encoders import Encoded
from minimim.errors import UserError
from minimim.masking import SemanticMasking
from minimim.masking.semantic import attention_parts, part_counts, true_parts

GRID, N = (8, 8), 64


def cut(*sizes):
    """A segmentation of 8×8 images, one number a patch, whose parts have these sizes, in reading order: (1, 8, 8)."""
    return torch.cat([torch.full((size,), part) for part, size in enumerate(sizes)]).view(1, 8, 8)


def draw(segmentation, progress=0.0, seed=0, **more):
    inputs = {"image": torch.zeros(len(segmentation), 3, 8, 8), "segmentation": segmentation}
    generator = torch.Generator().manual_seed(seed)
    (mask,) = SemanticMasking(parts="truth", **more)(inputs, GRID, progress=progress, generator=generator)
    return mask


def slow_counts(sizes, order, ratio, hidden, inside):
    """How many each part hides, part by part, as the paper's code goes about it."""
    whole, left = {}, hidden
    for part in order:
        whole[part] = min(sizes[part], left)
        left -= whole[part]
    return [round(inside * round(ratio * size) + (1 - inside) * whole[part]) for part, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=7), st.floats(0, 1), st.floats(0.1, 0.9), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_what_each_part_hides_is_what_a_slow_loop_says(sizes, inside, ratio, seed):
    turns = torch.rand(len(sizes), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    hidden = int(sum(sizes) * ratio)
    counts = part_counts(torch.tensor([sizes], dtype=torch.float64), turns[None], ratio, hidden, inside)[0].tolist()
    assert counts == slow_counts(sizes, turns.argsort().tolist(), ratio, hidden, inside)
    assert all(count == 0 for count, size in zip(counts, sizes, strict=True) if size == 0)


def hidden_by_part(mask, segmentation, parts):
    return [[int((mask.hidden[b] & (segmentation[b].flatten() == part)).sum()) for part in range(parts)] for b in range(len(segmentation))]


def test_at_first_every_part_hides_its_share_and_at_last_parts_are_hidden_whole_but_one():
    segmentation = cut(24, 20, 12, 8).expand(50, -1, -1)
    for row in hidden_by_part(draw(segmentation, 0.0), segmentation, 4):
        assert row == [18, 15, 9, 6]
    last, first = hidden_by_part(draw(segmentation, 1.0), segmentation, 4), set()
    for row in last:
        partly = [count for count, size in zip(row, (24, 20, 12, 8), strict=True) if count not in (0, size)]
        assert len(partly) <= 1 and sum(row) == 48
        first.add(tuple(count > 0 for count in row))
    assert len(first) > 2  # parts are taken in an order that is drawn


def test_whole_parts_come_later_than_the_middle_of_the_run():
    segmentation = cut(32, 32).expand(40, -1, -1)
    uneven = {}
    for progress in (0.0, 0.25, 0.5, 1.0):
        rows = hidden_by_part(draw(segmentation, progress), segmentation, 2)
        uneven[progress] = sum(max(row) - min(row) for row in rows) / len(rows)
    # 32 and 16 whole, 24 and 24 inside: half through the run, three quarters of these and a quarter of those, 26 and 22.
    assert uneven[0.0] == 0 and uneven[0.25] <= 2 and uneven[0.5] == 4 and uneven[1.0] == 16


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.7, 1.0])
def test_the_count_is_exact_whatever_the_parts_are(progress):
    segmentation = torch.randint(0, 7, (60, 8, 8), generator=torch.Generator().manual_seed(1))
    segmentation[:10] = 3  # one part alone: all others are empty
    for ratio in (0.75, 0.5, 0.33):
        mask = draw(segmentation, progress, ratio=ratio)
        assert mask.visible == int(N * (1 - ratio)) and torch.all((~mask.hidden).sum(1) == mask.visible)
        assert torch.equal(mask.visible_ids.sort(dim=1).values, (~mask.hidden).nonzero()[:, 1].view(60, -1))


def test_rounding_is_mended_by_a_few_and_which_patches_of_a_part_are_hidden_is_random():
    segmentation = cut(*[9] * 6, 10).expand(600, -1, -1)  # 7 of 9 each, and 8 of 10: 50 wanted, 48 hidden
    mask = draw(segmentation)
    rows = hidden_by_part(mask, segmentation, 7)
    assert all(sum(want - count for want, count in zip([7] * 6 + [8], row, strict=True)) == 2 for row in rows)
    assert all(count <= want for row in rows for count, want in zip(row, [7] * 6 + [8], strict=True))
    assert (mask.hidden.float().mean(0) - 0.75).abs().max() < 0.08


def test_the_true_part_of_a_patch_is_the_object_that_covers_most_of_it():
    segmentation = torch.randint(0, 4, (3, 8, 12), generator=torch.Generator().manual_seed(0))
    parts = true_parts(segmentation.to(torch.uint8), (2, 4), 3)
    for b in range(3):
        for row in range(2):
            for col in range(4):
                patch = segmentation[b, row * 4 : row * 4 + 4, col * 3 : col * 3 + 3].flatten().tolist()
                votes = [sum(min(pixel, 2) == part for pixel in patch) for part in range(3)]
                assert int(parts[b, row * 4 + col]) == votes.index(max(votes))


def test_the_attention_part_of_a_patch_is_the_head_that_spends_most_of_itself_on_it():
    attention = torch.rand(2, 3, 6, generator=torch.Generator().manual_seed(0))
    attention[:, 1] *= 0.01  # a head that looks at little but itself still has its part
    parts = attention_parts(attention)
    for b in range(2):
        for n in range(6):
            shares = [float(head[n] / head.sum()) for head in attention[b]]
            assert int(parts[b, n]) == shares.index(max(shares))


def guide(part, heads=4):
    """A teacher whose heads look at one part each."""
    attention = torch.full((len(part), heads, 1 + N, 1 + N), 1e-3)
    for head in range(heads):
        attention[:, head, 0, 1:] += (part == head).float()
    return SimpleNamespace(encoded=Encoded(torch.zeros(len(part), N, 4), attention=attention))


def test_parts_are_the_teachers_and_the_same_on_two_processes():
    masking = SemanticMasking()
    assert masking.want == ("attention",) and SemanticMasking(parts="truth").want == ()
    part = torch.arange(N).view(1, N).expand(7, N) // 16  # four parts of two rows
    whole, *parts = (
        masking({"image": torch.zeros(1)}, GRID, guide(part[rows]), progress=1.0, generator=StepGenerator(seed=0, step=0, rows=rows, total=7))[0]
        for rows in (slice(0, 7), slice(0, 4), slice(4, 7))
    )
    assert torch.equal(whole.hidden, torch.cat([mask.hidden for mask in parts]))
    assert set(whole.hidden.view(7, 4, 16).sum(2).flatten().tolist()) == {0, 16}


def test_what_cannot_be_is_said():
    for wrong in ({"parts": "guess"}, {"ratio": 1.0}, {"most": 0}):
        with pytest.raises(UserError):
            SemanticMasking(**wrong)
    images = {"image": torch.zeros(2, 3, 8, 8)}
    with pytest.raises(UserError, match="segmentation"):
        SemanticMasking(parts="truth")(images, GRID)
    with pytest.raises(UserError, match="teacher"):
        SemanticMasking()(images, GRID)
