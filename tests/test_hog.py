"""Histograms of oriented gradients: by a slow loop, beside scikit-image, and what does not move them."""

import math

import pytest
import torch
from helpers import generator

from minimim.errors import UserError
from minimim.targets.handmade import HOG


def hog(images, patch_size, **more):
    return HOG(patch_size, **more)({"image": images})["patch"]


def pixel(image, row, col):
    """A pixel of (H, W); beyond the border the image is reflected, without the border itself twice."""
    height, width = image.shape
    row, col = abs(row), abs(col)
    row = 2 * (height - 1) - row if row >= height else row
    col = 2 * (width - 1) - col if col >= width else col
    return image[row, col].item()


def vote(image, row, col):
    """(bin of 9, length) of one pixel's gradient, by Sobel's filters as they are written in books."""
    near = {(i, j): pixel(image, row + i, col + j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    x = sum(w * (near[i, 1] - near[i, -1]) for i, w in ((-1, 1), (0, 2), (1, 1)))
    y = sum(w * (near[1, j] - near[-1, j]) for j, w in ((-1, 1), (0, 2), (1, 1)))
    degrees = math.degrees(math.atan2(x, y)) % 180  # from the column's direction, a half turn
    return min(8, int(degrees // 20)), math.hypot(x, y)


def slow(images, size):
    """Patch by patch, channel by channel, bin by bin, cell by cell: 2×2 cells a patch."""
    found, cell = [], size // 2
    for image in images:
        rows, cols = image.shape[1] // size, image.shape[2] // size
        for r in range(rows):
            for c in range(cols):
                numbers = torch.zeros(len(image), 9, 2, 2, dtype=torch.float64)
                for channel in range(len(image)):
                    for i in range(2):
                        for j in range(2):
                            histogram = [0.0] * 9
                            for row in range(r * size + i * cell, r * size + (i + 1) * cell):
                                for col in range(c * size + j * cell, c * size + (j + 1) * cell):
                                    where, length = vote(image[channel], row, col)
                                    histogram[where] += length
                            whole = math.sqrt(sum(v**2 for v in histogram))
                            numbers[channel, :, i, j] = torch.tensor(histogram) / max(whole, 1e-12)
                found.append(numbers.flatten())
    return torch.stack(found).view(len(images), -1, 36 * images.shape[1])


@pytest.mark.parametrize("shape, size", [((2, 3, 16, 8), 4), ((1, 1, 16, 32), 16)])
def test_hog_is_that_of_a_slow_loop(shape, size):
    images = torch.randn(shape, generator=generator(), dtype=torch.float64)
    torch.testing.assert_close(hog(images, size, cells=2), slow(images, size), atol=1e-6, rtol=1e-6)


def test_hog_is_that_of_scikit_image_where_both_mean_the_same():
    skimage = pytest.importorskip("skimage.feature")
    # Of f(row) + g(col), Sobel's gradient is 4 times the central difference that scikit-image takes. It counts angles from
    # the row's direction, so it is shown the image turned over.
    f, g = torch.randn(2, 32, generator=generator(), dtype=torch.float64)
    image = f.view(-1, 1) + g  # (32, 32)
    more = {"pixels_per_cell": (8, 8), "cells_per_block": (1, 1), "block_norm": "L2", "feature_vector": False}
    theirs = torch.as_tensor(skimage.hog(image.T.numpy(), orientations=9, **more))[:, :, 0, 0]  # (cols, rows, 9)
    ours = hog(image[None, None], 16).view(2, 2, 9, 2, 2)  # patch rows, cols, bin, cell rows, cols
    for r in range(4):
        for c in range(4):
            torch.testing.assert_close(ours[r // 2, c // 2, :, r % 2, c % 2], theirs[c, r], atol=1e-4, rtol=1e-4)


def test_each_cell_of_each_channel_has_length_one_and_a_flat_one_is_nothing():
    images = torch.randn(2, 3, 16, 16, generator=generator())
    images[0, :, :8, :8] = 0.7
    lengths = hog(images, 8).view(2, 4, 3, 9, 2, 2).norm(dim=3)  # (B, N, C, 2, 2)
    flat = torch.zeros(2, 4, 3, 2, 2, dtype=torch.bool)
    flat[0, 0, :, 0, 0] = True  # the other cells of that patch touch its border
    torch.testing.assert_close(lengths, (~flat).float())


def test_an_edge_votes_for_its_own_direction_whichever_side_is_bright():
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    for sign in (1, -1):
        along = hog(sign * ramp, 16).view(9, 4)  # brighter along the row: 90 degrees from the column
        down = hog(sign * ramp.transpose(2, 3), 16).view(9, 4)
        assert along.argmax(0).tolist() == [4] * 4 and down.argmax(0).tolist() == [0] * 4
        torch.testing.assert_close(along.sum(0), torch.ones(4))


def test_brightness_and_contrast_of_a_channel_change_nothing():
    images = torch.randn(2, 3, 16, 16, generator=generator(), dtype=torch.float64)
    change = torch.tensor([0.3, 4.0, 1.7], dtype=torch.float64).view(1, 3, 1, 1)
    torch.testing.assert_close(hog(images * change + 2, 4), hog(images, 4))


def test_patches_below_eight_pixels_are_one_cell_and_nothing_is_rounded_under_autocast():
    images = torch.randn(1, 3, 32, 32, generator=generator())
    assert [hog(images, size).shape for size in (4, 8, 16)] == [(1, 64, 27), (1, 16, 108), (1, 4, 108)]
    coarse = hog(images, 8, cells=1)  # cells of 8 pixels, wherever patches begin
    torch.testing.assert_close(hog(images, 16).view(4, 27, 4)[0, :, 0], coarse[0, 0])
    with torch.autocast("cpu", torch.bfloat16):
        rounded = hog(images, 4)
    assert rounded.dtype == torch.float32 and torch.equal(rounded, hog(images, 4))


def test_cells_must_divide_the_patch():
    with pytest.raises(UserError, match="a patch of 9 pixels cannot be cut into 2×2 cells"):
        HOG(9)
    assert hog(torch.randn(1, 3, 14, 14), 7).shape == (1, 4, 27)
