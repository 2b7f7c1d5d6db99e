"""The hole-filler: what it reads, what it must not read, and that it is the best linear guess and no less."""

import pytest
import torch
from helpers import generator, images

from minimim import patchify
from minimim.data.views import normalize
from minimim.errors import UserError
from minimim.hole_filler import HoleFiller, neighbours, visible_mean
from minimim.masking import BlockMasking, RandomMasking

GRID = (4, 4)


def masks(batch=6, ratio=0.5, seed=1):
    return RandomMasking(ratio)({"image": torch.zeros(batch, 1)}, GRID, generator=generator(seed))[0].hidden


def planes(batch=40, seed=0):
    """Normalised images whose brightness is a slope: a neighbour tells what comes next."""
    slope, start = torch.randn(2, batch, 2, 1, 1, generator=generator(seed))
    line = torch.linspace(-1, 1, 16)
    return (slope[:, :1] * line.view(1, 1, 16, 1) + slope[:, 1:] * line + start[:, :1]).expand(-1, 3, -1, -1).contiguous()


def error(filled, patches, mask):
    return float((filled - patches)[mask].square().mean())


def test_neighbours_are_those_of_a_slow_walk():
    patches, mask, grid = torch.randn(3, 12, 5), torch.rand(3, 12) < 0.5, (3, 4)
    around, there = neighbours(patches, mask, grid)
    for b in range(3):
        for n in range(12):
            row, col = divmod(n, 4)
            for side, (r, c) in enumerate([(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)]):
                seen = 0 <= r < 3 and 0 <= c < 4 and not mask[b, 4 * r + c]
                assert bool(there[b, n, side]) == bool(seen)
                assert torch.equal(around[b, n, side], patches[b, 4 * r + c] if seen else torch.zeros(5))


def test_the_mean_is_that_of_the_visible_patches():
    patches, mask = torch.randn(4, 16, 6), masks(4)
    for b in range(4):
        torch.testing.assert_close(visible_mean(patches, mask)[b, 0], patches[b, ~mask[b]].mean(0))


def test_visible_patches_stay_and_hidden_ones_are_never_read():
    filler = HoleFiller(4).fit(images(40), RandomMasking(0.5), generator())
    patches, mask = patchify(images(6, seed=3), 4), masks()
    filled = filler.fill(patches, mask, GRID)
    assert torch.equal(filled[~mask], patches[~mask]) and not torch.equal(filled[mask], patches[mask])
    other = torch.where(mask.unsqueeze(-1), torch.full_like(patches, 9.0), patches)
    assert torch.equal(filler.fill(other, mask, GRID)[mask], filled[mask])


def test_a_guess_depends_on_the_neighbours_and_on_the_mean_of_the_visible_alone():
    filler = HoleFiller(4).fit(images(40), RandomMasking(0.5), generator())
    patches = patchify(images(1, seed=3), 4)
    mask = torch.zeros(1, 16, dtype=torch.bool)
    mask[0, 5] = True
    other = patches.clone()
    other[0, 15], other[0, 12] = patches[0, 12], patches[0, 15]  # two far corners change places: the mean stays
    torch.testing.assert_close(filler.fill(other, mask, GRID)[0, 5], filler.fill(patches, mask, GRID)[0, 5])
    other[0, 6] += 1
    assert not torch.allclose(filler.fill(other, mask, GRID)[0, 5], filler.fill(patches, mask, GRID)[0, 5])


@pytest.mark.parametrize("masking", [RandomMasking(0.25), RandomMasking(0.75), BlockMasking(0.5)])
def test_it_learns_what_neighbours_tell(masking):
    filler = HoleFiller(4, ridge=0.01).fit(planes(200), masking, generator())
    patches = patchify(planes(50, seed=5), 4)
    mask = masking({"image": patches}, GRID, generator=generator(2))[0].hidden
    mean = torch.where(mask.unsqueeze(-1), visible_mean(patches, mask), patches)
    assert error(filler.fill(patches, mask, GRID), patches, mask) < 0.6 * error(mean, patches, mask)


def test_on_what_it_was_fitted_to_no_small_change_of_a_map_does_better():
    masking, x = RandomMasking(0.5), images(60)
    filler = HoleFiller(4, ridge=1e-6).fit(x, masking, generator(1))
    patches, mask = patchify(x, 4), masks(60)
    best = error(filler.fill(patches, mask, GRID), patches, mask)
    for seed in range(5):
        nudge = 0.01 * torch.randn(filler.weights.shape, generator=generator(seed))
        filler.weights = filler.weights + nudge
        assert error(filler.fill(patches, mask, GRID), patches, mask) > best
        filler.weights = filler.weights - nudge


def test_a_case_that_was_never_met_gets_the_mean_of_the_visible():
    filler = HoleFiller(4).fit(images(20), RandomMasking(0.5), generator())
    filler.weights[0] = 0
    mask = torch.ones(1, 16, dtype=torch.bool)
    mask[0, 0] = False
    patches = patchify(images(1), 4)
    assert torch.equal(filler.fill(patches, mask, GRID)[0, 15], patches[0, 0])
    lone = HoleFiller(4).fit(images(20), AllButOne(), generator())
    assert torch.equal(lone.weights[15], torch.zeros_like(lone.weights[15]))


class AllButOne:
    """Leaves the first patch visible: no hidden patch ever has all four neighbours."""

    def __call__(self, inputs, grid, generator=None):
        return [RandomMasking(0.9)(inputs, grid, noise=torch.arange(16.0).expand(len(inputs["image"]), 16))[0]]


def test_bytes_are_normalised_first():
    raw = torch.randint(0, 256, (20, 3, 16, 16), dtype=torch.uint8)
    one, two = (HoleFiller(4).fit(x, RandomMasking(0.5), generator()) for x in (raw, normalize(raw)))
    assert torch.equal(one.weights, two.weights)


def test_it_says_what_is_missing():
    patches, mask = patchify(images(6), 4), masks()
    with pytest.raises(UserError, match="fit"):
        HoleFiller(4).fill(patches, mask, GRID)
    filler = HoleFiller(4).fit(images(6), RandomMasking(0.5), generator())
    with pytest.raises(UserError, match="True = hidden"):
        filler.fill(patches, mask.float(), GRID)
