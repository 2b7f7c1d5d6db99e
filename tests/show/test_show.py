"""Pictures: what is grey was hidden, what was visible is untouched, and nothing that was hidden shows through."""

import io

import pytest
import torch
from helpers import build, generator, raw
from PIL import Image

from minimim.data.views import normalize
from minimim.errors import UserError
from minimim.show import as_pixels, fill_in, grey_out, png, report, strip
from minimim.show.pictures import borrowed


def cells(images, b, n):
    """Patch n of image b, of 16×16 images in patches of 4."""
    row, col = divmod(n, 4)
    return images[b, :, 4 * row : 4 * row + 4, 4 * col : 4 * col + 4]


@pytest.mark.parametrize("normalize", [True, False])
def test_visible_patches_stay_and_hidden_ones_are_grey_and_then_filled(normalize):
    method, images = build("mae", normalize_target=normalize), raw()
    filled = fill_in(method, images, generator=generator())
    assert filled.mask.sum(1).tolist() == [12] * 4 and torch.equal(filled.original, images) and method.training
    for b in range(4):
        for n in range(16):
            if filled.mask[b, n]:
                assert torch.all(cells(filled.masked, b, n) == 128)
            else:
                assert torch.equal(cells(filled.masked, b, n), cells(images, b, n))
                assert torch.equal(cells(filled.filled, b, n), cells(images, b, n))


@pytest.mark.parametrize("normalize", [True, False])
def test_what_is_hidden_has_no_part_in_what_is_filled_in(normalize):
    method, images, noise = build("mae", normalize_target=normalize), raw(), torch.rand(4, 16, generator=generator())
    one = fill_in(method, images, noise=noise)
    hidden = one.mask.view(4, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    other = fill_in(method, torch.where(hidden, 255 - images, images), noise=noise)
    assert torch.equal(one.filled, other.filled) and not torch.equal(one.original, other.original)


def test_brightness_is_borrowed_from_near_visible_patches():
    patches = torch.arange(16.0).view(1, 16, 1) + torch.tensor([-1.0, 1.0])  # patch n has mean n, spread √2
    mask = torch.ones(1, 16, dtype=torch.bool)
    mask[0, [0, 15]] = False
    mean, spread = borrowed(patches, mask, (4, 4))
    torch.testing.assert_close(spread, torch.full((1, 16, 1), 2**0.5))
    assert mean[0, 1] < 1 and mean[0, 14] > 14 and mean.min() >= 0 and mean.max() <= 15


def test_a_method_without_pixels_cannot_paint():
    with pytest.raises(UserError, match="predicts LayerMean, not pixels"):
        fill_in(build("data2vec"), raw())


def test_grey_one_channel_images_show_as_three_equal_ones():
    pixels = as_pixels(raw(channels=1))
    assert pixels.shape == (4, 16, 16, 3) and torch.equal(pixels[..., 0], pixels[..., 2])


@pytest.mark.parametrize("channels, shown", [(1, (0, 0, 0)), (2, (0, 0, 0)), (3, (0, 1, 2)), (4, (0, 1, 2)), (13, (0, 1, 2))])
def test_of_many_channels_the_first_three_are_shown_and_of_two_the_first(channels, shown):
    images = raw(channels=channels)
    for pixels in (as_pixels(images), as_pixels(normalize(images))):
        assert pixels.shape == (4, 16, 16, 3) and all(torch.equal(pixels[..., i], images[:, band]) for i, band in enumerate(shown))
    assert torch.equal(strip([images])[:16, :16, 2], images[0, shown[2]])


def test_bands_say_which_channels_are_red_green_and_blue():
    images = raw(channels=13)
    assert torch.equal(as_pixels(images, bands=(12, 0, 5)).permute(0, 3, 1, 2), images[:, [12, 0, 5]])
    assert torch.equal(strip([images], bands=(12, 0, 5))[:16, :16], images[0, [12, 0, 5]].permute(1, 2, 0))
    assert torch.equal(as_pixels(raw(channels=2), bands=(1, 0, 1))[..., 0], raw(channels=2)[:, 1])
    for bands in ((0, 1), (0, 1, 13), (0, 1, 2, 3), ("r", "g", "b"), (0.0, 1, 2)):
        with pytest.raises(UserError, match=r"^bands are three channels .* each from 0 to 12, not \("):
            as_pixels(images, bands=bands)


@pytest.mark.parametrize("channels", [2, 4, 13])
def test_images_of_other_channels_are_filled_in_and_shown(channels):
    method, images = build("mae", channels=channels), raw(channels=channels)
    filled = fill_in(method, images, generator=generator())
    assert filled.filled.shape == images.shape and strip([filled.original, filled.masked, filled.filled]).shape == (52, 70, 3)
    picture = report.filled_rows(filled, bands=(channels - 1, 0, 1))
    assert picture != report.filled_rows(filled) and picture.startswith("<img")


def test_normalised_images_are_filled_in_as_their_bytes_are():
    method, images = build("mae"), raw()
    one, other = (fill_in(method, x, generator=generator()) for x in (images, normalize(images)))
    for name in ("original", "masked", "filled", "mask"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_a_strip_holds_each_image_at_its_place_and_survives_as_png():
    images = raw(3)
    canvas = strip([images, grey_out(images, torch.ones(3, 16, dtype=torch.bool), 4)], gap=2)
    assert canvas.shape == (34, 52, 3)
    assert torch.equal(canvas[:16, 18:34].permute(2, 0, 1), images[1]) and torch.all(canvas[18:, :16] == 128)
    assert torch.all(canvas[16:18] == 255)
    again = Image.open(io.BytesIO(png(canvas, zoom=3)))
    assert again.size == (156, 102) and again.getpixel((0, 0)) == tuple(canvas[0, 0].tolist())
