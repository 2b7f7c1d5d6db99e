"""Drawings of masks: readable, and the numbers and tiles on them are those of the mask, of the hole-filler, of the choices."""

import io

import numpy as np
import pytest
import torch
from drawn import check
from matplotlib.colors import to_rgb
from PIL import Image

from minimim.data import load
from minimim.data.views import denormalize, normalize
from minimim.errors import UserError
from minimim.hole_filler import HoleFiller, neighbours
from minimim.masking import RandomMasking, mask_by_noise
from minimim.patches import patchify
from minimim.show.drawing import KINDS, UNIT
from minimim.show.drawings.masks import filler_at, shuffle_and_restore, three_choices


def at(drawing, *places):
    """The colours at these places, (x, y) in units: one drawing, looked at once, without a JPEG's errors."""
    drawing.photo = False
    there = np.asarray(Image.open(io.BytesIO(drawing.content())).convert("RGB"))
    return [there[round(y * UNIT), round(x * UNIT)].tolist() for x, y in places]


def column(drawing, left, right):
    """The words that stand between two places, from top to bottom, without the heads."""
    found = [(word.get_position()[1], word.get_text()) for word in drawing.words if left < word.get_position()[0] < right and 2.3 < word.get_position()[1] < 12.7]
    return [text for _, text in sorted(found)]


def eight():
    """Eight patches of 2×2 pixels, each with a red of its own."""
    image = torch.zeros(3, 4, 8, dtype=torch.uint8)
    for n in range(8):
        image[0, n // 4 * 2 : n // 4 * 2 + 2, n % 4 * 2 : n % 4 * 2 + 2] = 20 * (n + 1)
    return image


@pytest.mark.parametrize("keep", [2, 3, 6])
def test_the_columns_are_noise_order_latents_and_restored(keep):
    noise = torch.rand(8, generator=torch.Generator().manual_seed(keep))
    mask = mask_by_noise(noise[None], keep)
    order, restore = mask.order[0].tolist(), mask.restore_ids[0].tolist()
    drawing = shuffle_and_restore(eight(), (2, 4), noise, keep)
    check(drawing)
    assert column(drawing, 7.3, 7.4) == [f"{value:.2f}" for value in noise]
    assert column(drawing, 11.5, 11.7) == [str(n) for n in order]
    assert column(drawing, 16.8, 17.0) == [str(n) for n in order[:keep]] + ["m"] * (8 - keep)
    assert column(drawing, 21.1, 21.2) == [str(place) for place in restore]
    assert column(drawing, 22.0, 22.2) == ["m" if hidden else str(n) for n, hidden in enumerate(mask.hidden[0].tolist())]


def test_each_tile_is_the_patch_that_its_number_says():
    noise = torch.tensor([0.71, 0.14, 0.92, 0.38, 0.55, 0.07, 0.83, 0.29])
    drawing = shuffle_and_restore(eight(), (2, 4), noise, 3)
    kept = [[20 * (n + 1), 0, 0] for n in (5, 1, 7)]
    assert at(drawing, *((11.15, 2.4 + 1.3 * place) for place in range(3))) == kept
    assert at(drawing, *((6.2, 2.4 + 1.3 * n) for n in (5, 1, 7))) == kept
    for colour, kind in zip(at(drawing, (16.5, 2.45 + 1.3 * 2), (16.5, 2.45 + 1.3 * 3)), ("latent", "mask token"), strict=True):
        assert colour == pytest.approx([255 * part for part in to_rgb(KINDS[kind]["facecolor"])], abs=2)


def test_too_many_patches_and_a_noise_of_another_length_are_refused():
    with pytest.raises(UserError, match="at most 8"):
        shuffle_and_restore(torch.zeros(3, 6, 6, dtype=torch.uint8), (3, 3), torch.rand(9), 2)
    with pytest.raises(UserError, match="one number of noise"):
        shuffle_and_restore(eight(), (2, 4), torch.rand(7), 2)


@pytest.fixture(scope="module")
def fitted():
    images = load("scenes", count=60).images
    return HoleFiller(4).fit(images, RandomMasking(0.75), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("wanted", [0, 1, 3])
def test_the_hole_filler_is_drawn_with_what_it_reads_and_guesses(fitted, wanted):
    images = load("scenes", "test", count=8).images
    mask = RandomMasking(0.75)({"image": images}, (8, 8), generator=torch.Generator().manual_seed(1))[0].hidden
    patches = patchify(normalize(images), 4)
    _, there = neighbours(patches, mask, (8, 8))
    i, n = (mask & (there.sum(2) == wanted)).nonzero()[0].tolist()
    drawing = filler_at(fitted, images[i], mask[i], n)
    check(drawing)
    written = [word.get_text() for word in drawing.words]
    assert sum(word.endswith(": 0") for word in written) == 4 - wanted and "(241, 48)" in written
    case = sum(2**k for k, here in enumerate(there[i, n].tolist()) if here)
    assert f"W\ncase {case} of 0-15" in written and fitted.weights.shape == (16, 241, 48)
    guess = denormalize(fitted.fill(patches[i : i + 1], mask[i : i + 1], (8, 8))[0, n].reshape(4, 4, 3).permute(2, 0, 1)[None])[0]
    drawn = at(drawing, *((20.7 + 0.4 * x, 3.2 + 0.4 * y) for y in range(4) for x in range(4)))
    assert drawn == guess.flatten(1).T.tolist()


def test_a_visible_patch_is_not_guessed(fitted):
    with pytest.raises(UserError, match="is visible"):
        filler_at(fitted, load("scenes", "test", count=1).images[0], torch.arange(64) > 3, 2)


def test_the_choices_show_what_is_read_and_what_counts():
    rank = torch.rand(16, generator=torch.Generator().manual_seed(1)).argsort().argsort()
    image = load("scenes", "test", count=1, image_size=64).images[0]
    drawing = three_choices(image, (4, 4), {"MAE": (rank >= 4, False), "SimMIM": (rank >= 6, True)})
    check(drawing)
    written = [word.get_text() for word in drawing.words]
    assert {"4 tokens", "16 tokens", "12 of 16", "10 of 16", "12 patches", "10 patches"} <= set(written)
    assert written.count("m") == 10 and "MAE hides 12 of 16" in drawing.alt
