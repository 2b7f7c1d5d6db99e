"""Frequencies are hidden, predicted and compared: against numpy's FFT and sums of waves, one by one."""

import cmath
import math

import numpy as np
import pytest
import torch
from helpers import build, generator, images, raw
from torch import nn

from minimim.data.views import MEAN, STD, normalize
from minimim.errors import UserError
from minimim.losses.spectrum import SpectrumDistance
from minimim.masking.frequency import FrequencyMasking, disc, filtered, spectrum
from minimim.patches import patchify
from minimim.targets.spectrum import Spectrum

LOW, HIGH = torch.zeros(4, 1), torch.ones(4, 1)  # noise: which frequencies stay


def masked(x, noise, **more):
    (mask,) = FrequencyMasking(**more)({"image": x}, (4, 4), noise=noise)
    return mask


def test_the_disc_of_the_paper_holds_793_of_50176_frequencies():
    low = disc(224, 224, 16.0)
    assert int(low.sum()) == 793
    for row, col in ((112, 112), (112, 127), (112, 97), (123, 123)):
        assert low[row, col]
    for row, col in ((112, 128), (112, 96), (128, 112), (124, 124)):
        assert not low[row, col]


def test_the_disc_is_as_wide_in_waves_a_pixel_whatever_the_size():
    for height, width in ((32, 32), (16, 16), (16, 48)):
        low = disc(height, width, 16.0)
        for row in range(height):
            for col in range(width):
                waves = math.hypot((row - height // 2) / height, (col - width // 2) / width)  # a pixel
                assert low[row, col] == (waves < 16 / 224)
    assert int(disc(16, 16, 16.0).sum()) == 5


def test_the_spectrum_is_numpys_and_as_long_as_the_image():
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    found = spectrum(x)
    expected = np.fft.fftshift(np.fft.fft2(x.numpy(), norm="ortho"), axes=(-2, -1))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    assert float(found.abs().square().sum()) == pytest.approx(float(x.square().sum()))


def wave(image, row, col):
    """One number of the spectrum, zero in the middle, by its definition: image is a list of rows."""
    height, width = len(image), len(image[0])
    down, across = (row - height // 2) / height, (col - width // 2) / width
    parts = (image[y][x] * cmath.exp(-2j * math.pi * (down * y + across * x)) for y in range(height) for x in range(width))
    return sum(parts) / math.sqrt(height * width)


def test_the_target_is_a_sum_over_waves_real_parts_first():
    x = images(1).double()[:, :, :4, :6]
    target = Spectrum()({"image": x})["patch"]
    assert target.shape == (1, 24, 6)
    for place in range(24):
        for channel in range(3):
            expected = wave(x[0, channel].tolist(), *divmod(place, 6))
            assert target[0, place, channel].item() == pytest.approx(expected.real, abs=1e-12)
            assert target[0, place, 3 + channel].item() == pytest.approx(expected.imag, abs=1e-12)


@pytest.mark.parametrize("low", [True, False])
def test_the_encoder_sees_what_numpy_filters_cuts_and_normalises(low):
    x = raw()
    mask = masked(normalize(x).double(), LOW if low else HIGH)
    mean, std = (np.array(s).reshape(3, 1, 1) for s in (MEAN, STD))
    for b in range(4):
        pixels = x[b].numpy() / 255
        waves = np.fft.fftshift(np.fft.fft2(pixels), axes=(-2, -1))
        down, across = np.meshgrid(np.arange(16) - 8, np.arange(16) - 8, indexing="ij")
        inside = down**2 + across**2 < (16 * 16 / 224) ** 2
        waves = waves * (inside if low else ~inside)
        left = np.fft.ifft2(np.fft.ifftshift(waves, axes=(-2, -1))).real.clip(0, 1)
        np.testing.assert_allclose(mask.inputs["image"][b].numpy(), (left - mean) / std, atol=1e-6)
        assert torch.equal(mask.scored[0][b], torch.from_numpy(~inside if low else inside).flatten())


def test_what_stays_of_high_frequencies_is_cut_to_its_light_half():
    mask = masked(normalize(raw()), HIGH)
    mean, std = (torch.tensor(s).view(3, 1, 1) for s in (MEAN, STD))
    pixels = mask.inputs["image"] * std + mean
    assert pixels.min() > -1e-6 and pixels.max() < 1 + 1e-6
    assert (pixels < 1e-6).float().mean() > 0.3


def test_both_halves_together_are_the_image_where_nothing_is_cut():
    x = normalize(raw()) * 0.01  # pixels near the mean colour: the low half alone is not cut
    low = filtered(x, disc(16, 16, 16.0).expand(4, 16, 16))
    everything = filtered(x, torch.ones(4, 16, 16, dtype=torch.bool))
    torch.testing.assert_close(everything, x, atol=1e-5, rtol=1e-4)
    assert (low - x).abs().max() > 1e-3
    smooth = torch.cos(2 * math.pi * torch.arange(16) / 16).expand(4, 3, 16, 16) * 0.1  # one wave, which is low
    torch.testing.assert_close(filtered(smooth, disc(16, 16, 16.0).expand(4, 16, 16)), smooth, atol=1e-5, rtol=1e-4)


def test_each_sample_keeps_one_half_or_the_other_and_no_patch_is_as_it_was():
    mask = masked(normalize(raw()), torch.tensor([[0.1], [0.9], [0.29], [0.31]]), chance=0.3)
    counts = mask.scored[0].sum(dim=1).tolist()
    assert counts == [251, 5, 251, 5]
    assert mask.hidden.all() and mask.hidden.shape == (4, 16)


def test_of_many_samples_half_keep_the_low_ones():
    x = torch.zeros(1000, 3, 16, 16)
    (mask,) = FrequencyMasking()({"image": x}, (4, 4), generator=generator())
    assert 430 < int((mask.scored[0].sum(dim=1) > 100).sum()) < 570


def test_the_distance_is_that_of_complex_numbers_not_squared():
    prediction, target = images(2).double(), images(2, seed=1).double()
    errors = SpectrumDistance(4, (4, 4))(patchify(prediction, 4), Spectrum()({"image": target})["patch"])
    assert errors.shape == (2, 256)
    for b in range(2):
        for place in (0, 7, 100, 136, 255):
            row, col = divmod(place, 16)
            gaps = [abs(wave(prediction[b, c].tolist(), row, col) - wave(target[b, c].tolist(), row, col)) for c in range(3)]
            assert errors[b, place].item() == pytest.approx(sum(gaps) / 3, rel=1e-9)


def test_an_exact_prediction_costs_nothing_and_has_a_finite_gradient():
    x = images(2).double()
    prediction = patchify(x, 4).requires_grad_()
    loss = SpectrumDistance(4, (4, 4))(prediction, Spectrum()({"image": x})["patch"]).mean()
    loss.backward()
    assert loss < 1e-5 and prediction.grad.isfinite().all()


def test_mfm_pools_the_removed_frequencies_of_the_batch():
    method = build("mfm").double().eval()
    x = normalize(raw()).double()
    noise = torch.tensor([[0.1], [0.9], [0.9], [0.9]])
    output = method(x, noise=noise)
    total = count = 0.0
    for b in range(4):
        difference = method.target({"image": x})["patch"][b] - Spectrum()({"image": picture(output.prediction[b])})["patch"][0]
        for row in range(16):
            for col in range(16):
                low = (row - 8) ** 2 + (col - 8) ** 2 < (16 / 14) ** 2
                if low != (noise[b] < 0.5):
                    gap = difference[16 * row + col].detach().tolist()
                    total, count = total + sum(math.hypot(gap[c], gap[3 + c]) for c in range(3)) / 3, count + 1
    assert count == 251 + 3 * 5 and output.loss.item() == pytest.approx(total / count, rel=1e-6)


def picture(patches):
    """One image (1, 3, 16, 16) from its patches (16, 48), place by place."""
    image = torch.zeros(1, 3, 16, 16, dtype=torch.float64)
    for n in range(16):
        for p in range(4):
            for q in range(4):
                image[0, :, 4 * (n // 4) + p, 4 * (n % 4) + q] = patches[n, 12 * p + 3 * q : 12 * p + 3 * q + 3]
    return image


def test_mfms_encoder_reads_all_patches_of_the_filtered_image_and_no_clean_one():
    method, x = build("mfm").eval(), normalize(raw())
    seen = []
    method.encoder.register_forward_pre_hook(lambda module, args: seen.append(args))
    method(x, noise=HIGH)
    (inputs,) = seen[0]
    assert not isinstance(method.encoder.mask_token, nn.Parameter)
    assert torch.equal(inputs["image"], masked(x, HIGH).inputs["image"]) and not torch.allclose(inputs["image"], x, atol=0.1)


def test_what_cannot_be_is_told():
    with pytest.raises(UserError, match="chance"):
        FrequencyMasking(chance=1.5)
    with pytest.raises(UserError, match="radius"):
        FrequencyMasking(radius=0)
    with pytest.raises(UserError, match="holds all frequencies"):
        masked(images(4), LOW, radius=170.0)
