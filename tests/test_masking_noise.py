"""Masks from coloured noise: the bands, that nothing of the image enters, and that every sample has its own."""

import math

import pytest
import torch

from minimim.draws import StepGenerator
from minimim.errors import UserError
from minimim.masking import ColourMasking
from minimim.masking.noise import COLOURS


def inputs(batch):
    return {"image": torch.zeros(batch, 3, 8, 8)}


def draw(masking, grid=(8, 8), batch=6, seed=0):
    (mask,) = masking(inputs(batch), grid, generator=torch.Generator().manual_seed(seed))
    return mask


def white(batch, grid, margin, seed=0):
    return torch.rand(batch, *(side + 2 * margin for side in grid), generator=torch.Generator().manual_seed(seed)) - 0.5


@pytest.mark.parametrize("colour", COLOURS)
def test_every_sample_hides_the_same_number_at_its_own_places_and_no_patch_more_often_than_another(colour):
    mask = draw(ColourMasking(colour), batch=4000)
    assert mask.visible == 16 and torch.all(mask.hidden.sum(1) == 48)
    assert len({tuple(row) for row in mask.hidden[:50].tolist()}) == 50
    extreme = 0.1 if colour == "red" else 0.04  # what is smooth is lowest and highest at an edge more often than not
    assert (mask.hidden.float().mean(0) - 0.75).abs().max() < extreme
    assert draw(ColourMasking(colour), grid=(4, 6)).hidden.shape == (6, 24)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_band_is_what_a_slow_loop_over_gaussian_weights_makes_of_the_noise(colour):
    masking, grid = ColourMasking(colour, widths=(0.7, 1.3)), (3, 4)
    noise, m = white(2, grid, masking.margin).double(), masking.margin
    made, reach = masking.coloured(noise), range(-m, m + 1)

    def weights(width):
        bell = {d: math.exp(-(d**2) / (2 * width**2)) for d in reach}
        return {d: w / sum(bell.values()) for d, w in bell.items()}

    narrow, wide = weights(0.7), weights(1.3)
    kernel = {}
    for dy in reach:
        for dx in reach:
            low, middle, here = wide[dy] * wide[dx], narrow[dy] * narrow[dx], float(dy == dx == 0)
            kernel[dy, dx] = {"red": low, "green": middle - low, "blue": here - middle, "purple": low + here - middle}[colour]
    for b, y, x in [(0, 0, 0), (1, 2, 3), (0, 1, 2)]:
        expected = sum(weight * float(noise[b, m + y + dy, m + x + dx]) for (dy, dx), weight in kernel.items())
        assert float(made[b, y, x]) == pytest.approx(expected, abs=1e-6)


def power(colour, grid=(16, 16)):
    """Mean power of a colour at low, middle and high frequency."""
    masking = ColourMasking(colour)
    window = torch.hann_window(16, periodic=False)  # else the jump from edge to edge counts as a wave
    made = masking.coloured(white(400, grid, masking.margin)) * window * window[:, None]
    waves = torch.fft.fft2(made).abs().square().mean(0)
    frequency = torch.fft.fftfreq(16).square()
    radius = (frequency[:, None] + frequency[None]).sqrt()
    waves[0, 0] = 0
    bands = ((0, 0.08), (0.13, 0.19), (0.35, 1))
    return [float(waves[(radius > low) & (radius < high)].mean()) for low, high in bands]


def test_red_is_low_green_is_middle_blue_is_high_and_purple_is_both_ends():
    low, middle, high = power("red")
    assert low > 3 * middle > 30 * high
    low, middle, high = power("green")
    assert middle > 1.3 * low and middle > 3 * high
    low, middle, high = power("blue")
    assert high > 1.3 * middle and middle > 2 * low
    low, middle, high = power("purple")
    assert low > 1.5 * middle and high > 2 * middle


def test_red_green_and_blue_are_the_white_noise_together():
    noise = white(3, (5, 7), 6)
    together = sum(ColourMasking(colour).coloured(noise) for colour in ("red", "green", "blue"))
    torch.testing.assert_close(together, noise[:, 6:-6, 6:-6])


def test_neighbours_are_hidden_together_most_in_red_and_least_in_blue():
    alike = {}
    for colour in COLOURS:
        hidden = draw(ColourMasking(colour), grid=(14, 14), batch=500).hidden.view(-1, 14, 14)
        alike[colour] = float((hidden[:, 1:] == hidden[:, :-1]).float().mean())
    assert alike["red"] > alike["green"] + 0.05 > alike["purple"] + 0.1 > alike["blue"] + 0.1
    assert alike["blue"] < 0.75**2 + 0.25**2 - 0.02 < alike["green"] - 0.1  # of patches hidden one by one


def test_the_lowest_noise_stays_visible_whatever_the_mean_of_the_noise_and_the_image_are():
    masking = ColourMasking("purple")
    noise = white(4, (8, 8), masking.margin)
    (mask,), (moved,) = masking(inputs(4), (8, 8), noise=noise), masking({"image": torch.ones(4, 3, 8, 8)}, (8, 8), noise=noise + 0.5)
    assert torch.equal(mask.hidden, moved.hidden)
    values = masking.coloured(noise).flatten(1)
    assert torch.all(values.masked_fill(mask.hidden, -9).amax(1) <= values.masked_fill(~mask.hidden, 9).amin(1))


def test_two_processes_draw_what_one_draws():
    whole, *parts = (
        ColourMasking()(inputs(rows.stop - rows.start), (8, 8), generator=StepGenerator(seed=1, step=0, rows=rows, total=7))[0]
        for rows in (slice(0, 7), slice(0, 4), slice(4, 7))
    )
    assert torch.equal(whole.hidden, torch.cat([part.hidden for part in parts]))


def test_what_cannot_be_is_said():
    for wrong in ({"colour": "pink"}, {"ratio": 0.0}, {"widths": (2.0, 1.0)}, {"widths": (0.0, 1.0)}):
        with pytest.raises(UserError):
            ColourMasking(**wrong)
