"""Masks: exact counts, partitions, and what each kind promises."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimim.errors import UserError
from minimim.masking import BlockMasking, GridMasking, HardestMasking, Mask, RandomMasking, mask_by_noise, visible_count
from minimim.patches import take


def inputs(batch=6):
    return {"image": torch.zeros(batch, 3, 8, 8)}


def draw(masking, grid=(8, 8), batch=6, seed=0, **more):
    (mask,) = masking(inputs(batch), grid, generator=torch.Generator().manual_seed(seed), **more)
    return mask


@given(st.integers(1, 5), st.integers(2, 40), st.data())
@settings(max_examples=50, deadline=None)
def test_visible_and_hidden_partition_the_patches_and_restore_undoes_the_shuffle(batch, patches, data):
    visible = data.draw(st.integers(1, patches - 1))
    mask = mask_by_noise(torch.rand(batch, patches), visible)
    hidden_ids = mask.order[:, visible:]
    for b in range(batch):
        assert set(mask.visible_ids[b].tolist()) == set((~mask.hidden[b]).nonzero().flatten().tolist())
        assert set(mask.visible_ids[b].tolist()) | set(hidden_ids[b].tolist()) == set(range(patches))
    tokens = torch.randn(batch, patches, 3)
    assert torch.equal(take(take(tokens, mask.order), mask.restore_ids), tokens)


@given(st.integers(1, 4), st.integers(2, 20))
@settings(max_examples=30, deadline=None)
def test_a_mask_from_booleans_alone_restores_too(batch, patches):
    hidden = torch.zeros(batch, patches, dtype=torch.bool)
    hidden[:, : patches // 2] = True
    hidden = hidden[:, torch.randperm(patches)]
    mask = Mask(hidden)
    tokens = torch.randn(batch, patches, 2)
    assert torch.equal(take(take(tokens, mask.order), mask.restore_ids), tokens)
    assert mask.visible_ids.shape == (batch, patches - patches // 2)


def test_the_lowest_noise_stays_visible():
    mask = mask_by_noise(torch.tensor([[0.9, 0.1, 0.5, 0.3]]), 2)
    assert mask.hidden.tolist() == [[True, False, True, False]]
    assert mask.visible_ids.tolist() == [[1, 3]]


def test_random_masking_hides_the_same_number_in_each_and_different_places():
    mask = draw(RandomMasking(0.75))
    assert torch.all(mask.hidden.sum(1) == 48) and mask.visible == 16
    assert len({tuple(row) for row in mask.hidden.tolist()}) == 6


def test_random_masking_hides_each_patch_equally_often():
    share = draw(RandomMasking(0.75), batch=4000).hidden.float().mean(0)
    assert (share - 0.75).abs().max() < 0.04


def test_the_same_generator_gives_the_same_mask_and_noise_overrides_it():
    for masking in (RandomMasking(0.5), RandomMasking(0.5, unit=2), BlockMasking(0.4), BlockMasking((0.1, 0.5)), GridMasking()):
        assert torch.equal(draw(masking, seed=3).hidden, draw(masking, seed=3).hidden)
        assert not torch.equal(draw(masking, seed=3).hidden, draw(masking, seed=4).hidden)
    noise = torch.rand(6, 64)
    assert torch.equal(draw(RandomMasking(0.5), noise=noise).order, noise.argsort(dim=1))


def test_units_are_hidden_whole():
    mask = draw(RandomMasking(0.5, unit=2), grid=(4, 6))
    blocks = mask.hidden.view(-1, 2, 2, 3, 2).transpose(2, 3).flatten(3)  # (B, 2, 3, 4)
    assert torch.all(blocks.all(-1) == blocks.any(-1))
    assert torch.all(mask.hidden.sum(1) == 12) and mask.visible_ids.shape == (6, 12)


def test_a_grid_keeps_one_patch_in_each_square():
    mask = draw(GridMasking(2), batch=50)
    kept = (~mask.hidden).view(-1, 4, 2, 4, 2).sum((2, 4))
    assert torch.all(kept == 1) and mask.visible_ids.shape == (50, 16)
    assert len({tuple(row) for row in mask.hidden.tolist()}) == 4


@pytest.mark.parametrize("grid", [(8, 8), (14, 14), (4, 12), (2, 2)])
@pytest.mark.parametrize("ratio", [0.3, 0.6, 0.75])
def test_block_masks_hide_the_exact_number(grid, ratio):
    mask = draw(BlockMasking(ratio), grid=grid, batch=40)
    patches = grid[0] * grid[1]
    assert torch.all(mask.hidden.sum(1) == patches - visible_count(patches, ratio))


def neighbours(hidden, grid):
    """How often the right or lower neighbour of a hidden patch is hidden too, by a slow walk."""
    same = total = 0
    for row in hidden.view(-1, *grid).tolist():
        for r in range(grid[0]):
            for c in range(grid[1]):
                for y, x in ((r + 1, c), (r, c + 1)):
                    if row[r][c] and y < grid[0] and x < grid[1]:
                        total, same = total + 1, same + row[y][x]
    return same / total


def test_block_masks_are_made_of_blocks():
    grid = (14, 14)
    block = draw(BlockMasking(0.4), grid=grid, batch=30).hidden
    scattered = draw(RandomMasking(0.4), grid=grid, batch=30).hidden
    assert neighbours(scattered, grid) < 0.5
    assert neighbours(block, grid) > 0.7


def test_block_masks_reach_every_place():
    share = draw(BlockMasking(0.4), grid=(14, 14), batch=2000).hidden.float().mean(0)
    assert share.min() > 0.02  # corners are rare, as in BEiT, but not left out


def test_a_range_of_ratios_and_a_chance_mask_some_samples_more_than_others():
    counts = draw(BlockMasking((0.1, 0.5), chance=0.5), batch=1000).hidden.sum(1)
    assert 0.4 < (counts == 0).float().mean() < 0.6
    masked = counts[counts > 0]
    assert masked.min() >= 6 and masked.max() <= 32 and masked.float().std() > 5


def test_hardest_patches_are_hidden_more_and_more():
    difficulty = torch.arange(64.0).expand(6, 64).unsqueeze(-1)  # the last patches are the hardest
    guide = SimpleNamespace(streams={"difficulty": difficulty})
    masking = HardestMasking(0.75, hardest=0.5)
    early, late = draw(masking, guide=guide, progress=0.0), draw(masking, guide=guide, progress=1.0)
    assert torch.all(late.hidden[:, -24:]) and not torch.all(early.hidden[:, -24:])
    assert torch.all(late.hidden.sum(1) == 48) and late.hidden[:, :40].float().std(0).max() > 0


def test_different_counts_are_an_error_for_an_encoder_that_drops():
    hidden = torch.tensor([[True, False, False], [True, True, False]])
    with pytest.raises(UserError, match="from 1 to 2"):
        _ = Mask(hidden).visible_ids


@pytest.mark.parametrize("ratio", [-0.1, 0.0, 1.0, 75])
def test_ratios_outside_zero_and_one_are_refused(ratio):
    for make in (RandomMasking, BlockMasking, HardestMasking):
        with pytest.raises(UserError, match="between 0 and 1"):
            make(ratio)


def test_a_ratio_must_leave_something_visible_and_something_hidden():
    with pytest.raises(UserError, match="nothing visible among 4"):
        draw(RandomMasking(0.9), grid=(2, 2))
    with pytest.raises(UserError, match="nothing hidden among 64"):
        visible_count(64, 1e-17)


def test_masks_are_boolean():
    with pytest.raises(UserError, match="boolean"):
        Mask(torch.ones(2, 4))
