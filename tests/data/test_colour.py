"""Changes of colour: each by what it is defined by, of the right images, and of the same images on one process and on several."""

import colorsys
import math

import pytest
import torch
import torchvision.transforms.v2.functional as V
from helpers import generator

from minimim.data.colour import Colour, blur, grey, hue, solarise
from minimim.draws import StepGenerator

NOTHING = {"jitter": (0.0, 0.0, 0.0, 0.0), "grey": 0.0}


def pictures(batch=4, channels=3, side=16, seed=0):
    return torch.rand(batch, channels, side, side, generator=generator(seed))


def noise(batch, seed=1):
    return Colour().draw(batch, generator(seed))


def test_grey_is_torchvisions_luminance_and_has_no_colour():
    x = pictures()
    torch.testing.assert_close(grey(x), V.rgb_to_grayscale(x, num_output_channels=3), rtol=0, atol=2e-3)
    assert torch.equal(grey(x)[:, 0], grey(x)[:, 2])
    assert torch.equal(grey(pictures(channels=1)), pictures(channels=1))
    torch.testing.assert_close(grey(pictures(channels=2))[:, 0], pictures(channels=2).mean(1))


def test_a_third_of_a_turn_makes_red_green_and_grey_stays():
    red, green = (torch.tensor(c).view(1, 3, 1, 1) for c in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    torch.testing.assert_close(hue(red, torch.tensor([1 / 3])), green)
    torch.testing.assert_close(hue(green, torch.tensor([-1 / 3])), red)
    flat = torch.full((1, 3, 2, 2), 0.3)
    torch.testing.assert_close(hue(flat, torch.tensor([0.4])), flat)
    x = pictures()
    torch.testing.assert_close(hue(x, torch.tensor([0.0, 1.0, 2.0, 0.0])), x, rtol=0, atol=1e-5)
    assert torch.equal(hue(pictures(channels=1), torch.rand(4)), pictures(channels=1))


def test_hue_keeps_brightness_and_moves_the_colour_its_own_way_in_each_image():
    x, turns = 0.4 + 0.2 * pictures(3), torch.tensor([0.0, 0.1, -0.1])  # mild colours, which do not leave [0, 1]
    got = hue(x, turns)
    torch.testing.assert_close(got.mean(1), x.mean(1))
    for b, turn in enumerate(turns.tolist()):
        before, after = (colorsys.rgb_to_hsv(*images[b, :, 3, 5].tolist())[0] for images in (x, got))
        moved = (after - before + 0.5) % 1 - 0.5
        assert moved == pytest.approx(turn, abs=0.04)


def test_blur_is_torchvisions_with_each_images_own_spread():
    x, sigmas = pictures(3, side=20), [0.4, 1.0, 1.5]
    got = blur(x, torch.tensor(sigmas), reach=4)
    for b, sigma in enumerate(sigmas):
        wide = torch.nn.functional.pad(x[b : b + 1], (9, 9, 9, 9), mode="replicate")
        expected = V.gaussian_blur(wide, kernel_size=9, sigma=sigma)[0, :, 9:-9, 9:-9]
        torch.testing.assert_close(got[b], expected, rtol=0, atol=1e-5)


def test_blur_keeps_flat_images_and_hardly_touches_any_with_a_tiny_spread():
    flat = torch.full((2, 3, 8, 8), 0.7)
    torch.testing.assert_close(blur(flat, torch.tensor([0.5, 3.0]), 3), flat)
    torch.testing.assert_close(blur(pictures(2), torch.tensor([0.0, 0.01]), 2), pictures(2))


def test_solarise_inverts_the_bright():
    x = torch.tensor([0.1, 0.49, 0.5, 0.9]).view(1, 1, 2, 2)
    assert solarise(x).flatten().tolist() == pytest.approx([0.1, 0.49, 0.5, 0.1])


@pytest.mark.parametrize(
    "part, change",
    [
        ({"grey": 0.3}, grey),
        ({"solarise": 0.3}, solarise),
        ({"blur": 0.3, "sigma": (70.0, 70.0)}, lambda x: blur(x, torch.full((len(x),), 5.0), 15)),
    ],
)
def test_each_is_done_to_its_part_of_the_images_and_to_no_other(part, change):
    x = pictures(200)
    got = Colour(**NOTHING | part)(x, noise(200))
    assert got.amin() >= 0 and got.amax() <= 1
    changed = ((got - x).abs().amax((1, 2, 3)) > 1e-6)
    assert 0.2 < changed.float().mean() < 0.4
    torch.testing.assert_close(got[changed], change(x)[changed])


def test_the_draws_of_what_is_done_do_not_hang_together():
    both = noise(2000, seed=3)[:, 4:8] < 0.5
    for i in range(4):
        for j in range(i):
            assert abs((both[:, i] & both[:, j]).float().mean() - 0.25) < 0.04


def test_jitter_is_done_to_its_part_and_within_its_strength():
    x = torch.full((300, 3, 4, 4), 0.4)
    got = Colour(jitter=(0.5, 0.0, 0.0, 0.0), grey=0.0)(x, noise(300))[:, 0, 0, 0] / 0.4
    still = (got - 1).abs() < 1e-6
    assert 0.12 < still.float().mean() < 0.28
    assert 0.5 <= got.min() < 0.55 and 1.45 < got.max() <= 1.5


def test_nothing_asked_changes_nothing_and_the_same_numbers_do_the_same():
    x = pictures()
    assert torch.equal(Colour(**NOTHING)(x, noise(4)), x)
    all_of_it = Colour(blur=0.5, solarise=0.5)
    assert torch.equal(all_of_it(x, noise(4)), all_of_it(x, noise(4)))
    assert not torch.equal(all_of_it(x, noise(4)), all_of_it(x, noise(4, seed=2)))
    assert all_of_it(x, noise(4)).isfinite().all()


def test_blur_is_in_proportion_to_the_size_of_the_image():
    seen = {}
    for side in (28, 56):
        point = torch.zeros(1, 1, side, side)
        point[..., side // 2, side // 2] = 1
        sure = torch.full((1, Colour.NUMBERS), 0.0)
        spread = Colour(**NOTHING | {"blur": 1.0, "sigma": (16.0, 16.0)})(point, sure)[0, 0].sum(0)
        place = torch.arange(side) - side // 2
        seen[side] = math.sqrt(float((spread * place**2).sum() / spread.sum()))
    assert seen[28] == pytest.approx(2.0, rel=0.05) and seen[56] == pytest.approx(4.0, rel=0.05)


def test_a_process_draws_its_rows_of_the_batch():
    def draw(rows):
        return Colour().draw(rows.stop - rows.start, StepGenerator(seed=1, step=2, rows=rows, total=7))

    assert torch.equal(torch.cat([draw(slice(0, 4)), draw(slice(4, 7))]), draw(slice(0, 7)))


def test_under_autocast_images_stay_in_full_precision():
    x = pictures()
    all_of_it = Colour(jitter_chance=1.0, grey=1.0, blur=1.0, solarise=1.0, sigma=(2.0, 20.0))
    with torch.autocast("cpu", torch.bfloat16):
        got = all_of_it(x, noise(4))
    assert torch.equal(got, all_of_it(x, noise(4)))
