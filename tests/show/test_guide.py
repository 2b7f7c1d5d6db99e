"""What a trained MAE tells an informed mask: its errors are those of its guesses, and only hidden patches count."""

import pytest
import torch

from minimim import methods
from minimim.data import load
from minimim.data.views import normalize
from minimim.masking import HardestMasking, RandomMasking
from minimim.patches import patchify
from minimim.show.guide import guide_for, patch_errors


@pytest.fixture
def mae():
    torch.manual_seed(0)
    return methods.create("mae", image_size=32, patch_size=4, size="micro").eval().requires_grad_(False)


@pytest.fixture
def images():
    return load("scenes", "test", count=3).images


def masks(images, looks, ratio):
    dice = torch.Generator().manual_seed(0)
    return [RandomMasking(ratio)({"image": images}, (8, 8), generator=dice)[0] for _ in range(looks)]


def test_an_error_is_that_of_the_guess_at_its_patch(mae, images):
    (mask,) = masks(images, 1, 0.75)
    each = patch_errors(mae, images, mask)
    guess = mae.decoder(mae.encoder(images, mask), mask)["patch"]
    assert each.shape == (3, 64)
    assert each[1, 5] == pytest.approx((guess[1, 5] - patchify(normalize(images), 4)[1, 5]).square().mean().item())


def test_difficulty_is_the_mean_over_the_masks_that_hide_a_patch(mae, images):
    guide, some = guide_for(mae, images, looks=2, ratio=0.5), masks(images, 2, 0.5)
    errors = torch.stack([patch_errors(mae, images, mask) for mask in some])  # (2, 3, 64)
    hidden = torch.stack([mask.hidden for mask in some])
    difficulty = guide.streams["difficulty"].squeeze(-1)  # (3, 64)
    both, one, never = hidden.all(0), hidden[0] & ~hidden[1], ~hidden.any(0)
    assert both.any() and one.any() and never.any()
    torch.testing.assert_close(difficulty[both], errors.mean(0)[both])
    torch.testing.assert_close(difficulty[one], errors[0][one])
    assert (difficulty[never] == 0).all()


def test_a_guide_serves_the_masks_that_ask_for_one(mae, images):
    guide = guide_for(mae, images)
    assert guide.encoded.attention.shape == (3, 4, 65, 65)
    (mask,) = HardestMasking(0.75, hardest=1.0)({"image": images}, (8, 8), guide=guide, progress=1.0)
    difficulty = guide.streams["difficulty"].squeeze(-1)
    assert difficulty[mask.hidden].view(3, 48).amin(1).ge(difficulty[~mask.hidden].view(3, 16).amax(1)).all()
