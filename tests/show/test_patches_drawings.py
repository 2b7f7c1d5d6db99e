"""Drawings of patches: readable, and the numbers and pixels on them are those of the tensors."""

import io

import numpy as np
import pytest
import torch
from drawn import check
from PIL import Image

from minimim.data import load
from minimim.errors import UserError
from minimim.patches import patchify
from minimim.show.drawing import UNIT
from minimim.show.drawings.patches import (
    AXES,
    alike,
    cut_apart,
    cuts,
    kernel_and_row,
    layouts,
    shade,
    split_permute_merge,
    to_tokens,
)


def words(drawing):
    return [word.get_text() for word in drawing.words]


def at(drawing, *places):
    """The colours at these places, (x, y) in units: one drawing, looked at once, without a JPEG's errors."""
    drawing.photo = False
    there = np.asarray(Image.open(io.BytesIO(drawing.content())).convert("RGB"))
    return [there[round(y * UNIT), round(x * UNIT)].tolist() for x, y in places]


def in_rows(drawing, low, high, left=0.0, right=99.0):
    """The whole numbers that stand between two heights, from left to right."""
    found = [(word.get_position()[0], word.get_text()) for word in drawing.words if low < word.get_position()[1] < high and left < word.get_position()[0] < right]
    return [int(text) for _, text in sorted(found) if text.lstrip("-").isdecimal()]


def test_patches_that_are_cut_apart_are_the_patches():
    images = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6).to(torch.uint8)
    apart = cut_apart(images, 2, gap=1)
    assert apart.shape == (2, 3, 5, 8) and (apart[:, :, 2] == 255).all() and (apart[:, :, :, [2, 5]] == 255).all()
    pieces = torch.stack([apart[:, :, 3 * r : 3 * r + 2, 3 * s : 3 * s + 2] for r in range(2) for s in range(3)], dim=1)
    assert torch.equal(pieces.permute(0, 1, 3, 4, 2).flatten(2), patchify(images, 2))
    with pytest.raises(UserError, match="cannot be cut"):
        cut_apart(images, 5)


def test_a_picture_becomes_one_row_of_patches_and_one_of_tokens():
    image = load("scenes", "test", count=1, image_size=224).images[0]
    drawing = to_tokens(image, 16, 192, [[0, 1, 2, 3], [86, 87, 88, 89, 90], [193, 194, 195]])
    check(drawing)
    written = words(drawing)
    assert {"(1, 3, 224, 224)", "(1, 196, 768)", "(1, 196, 192)"} <= set(written) and written.count("88") == 2 and written.count("…") == 4
    with pytest.raises(UserError, match="room for 12 patches, not 13"):
        to_tokens(image, 16, 192, [list(range(13))])


def test_the_patch_in_the_row_is_the_one_that_its_number_says():
    image = torch.zeros(3, 32, 32, dtype=torch.uint8)
    image[0, 16:, :16] = 200  # patch 2 of a grid of 2×2
    drawing = to_tokens(image, 16, 8, [[2, 3]])
    row = {word.get_text(): word.get_position()[0] for word in drawing.words if word.get_position()[1] == 8.85}
    assert at(drawing, (row["2"], 10), (row["3"], 10)) == [[200, 0, 0], [0, 0, 0]]


def test_patches_are_numbered_in_reading_order_where_there_is_room():
    image = load("photos").images[0]
    drawing = cuts(image, [56, 32, 16])
    check(drawing)
    numbers = [int(text) for text in words(drawing) if text.isdecimal()]
    assert numbers == [*range(16), *range(49)] and "P = 16: 14 × 14 = 196 patches" in words(drawing)
    places = {word.get_text(): word.get_position() for word in drawing.words[1:17]}
    assert places["1"][0] > places["0"][0] and places["1"][1] == places["0"][1] and places["4"][1] > places["0"][1]


@pytest.mark.parametrize(("shape", "size"), [((4, 4), 2), ((2, 4), 2), ((2, 6), 2), ((4, 2), 1)])
def test_the_three_steps_show_the_numbers_in_the_order_of_patchify(shape, size):
    image = torch.arange(100, 100 + shape[0] * shape[1]).reshape(shape)
    drawing = split_permute_merge(image, size)
    assert in_rows(drawing, 1.1, 2.0, left=8.5) == image.flatten().tolist()
    wanted = patchify(image[None, None], size)[0]
    assert in_rows(drawing, 5.7, 6.6, left=8.5) == wanted.flatten().tolist()
    for n, row in enumerate(wanted.tolist()):
        y = 9.75 + 0.98 * n + 0.45
        assert in_rows(drawing, y - 0.01, y + 0.01, left=11.5) == row
    if shape == (4, 4):
        check(drawing)


def test_each_axis_has_one_colour_and_each_number_its_own_place_in_it():
    drawing = split_permute_merge(torch.arange(16).reshape(4, 4), 2)
    stripes = {axis: in_rows(drawing, 2.1 + 0.48 * k, 2.58 + 0.48 * k, left=8.5) for k, axis in enumerate("rpsq")}
    assert stripes == {"r": [0] * 8 + [1] * 8, "p": [0, 0, 0, 0, 1, 1, 1, 1] * 2, "s": [0, 0, 1, 1] * 4, "q": [0, 1] * 8}
    assert at(drawing, *((24.1, 2.16 + 0.48 * k) for k in range(4))) == [list(bytes.fromhex(AXES[axis][1:])) for axis in "rpsq"]
    assert at(drawing, *((8.75, 2.16 + 0.48 * k) for k in range(4))) == [list(bytes.fromhex(shade(AXES[axis], 0)[1:])) for axis in "rpsq"]
    with pytest.raises(UserError, match="room for 16 numbers"):
        split_permute_merge(torch.zeros(6, 6), 2)


def test_both_orders_hold_the_numbers_and_the_wrong_one_gives_wrong_pixels():
    patch = torch.tensor([[[173, 227], [175, 233]], [[58, 194], [65, 207]], [[14, 177], [24, 192]]], dtype=torch.uint8)
    drawing = layouts(patch)
    check(drawing)
    assert in_rows(drawing, 1.6, 2.3, left=8) == patch.permute(1, 2, 0).flatten().tolist()
    assert in_rows(drawing, 5.6, 6.3, left=8) == patch.flatten().tolist()
    assert at(drawing, (9.5, 3.0), (22.5, 1.6)) == [[173, 58, 14]] * 2
    assert at(drawing, (9.5, 7.0), (24.2, 7.4)) == [[173, 227, 175], [177, 24, 192]]
    with pytest.raises(UserError, match="2×2 pixels"):
        layouts(torch.zeros(3, 4, 4, dtype=torch.uint8))


def test_a_kernel_and_a_row_of_the_matrix_give_the_same_number():
    generator = torch.Generator().manual_seed(3)
    weight, patch = torch.randint(-2, 3, (4, 3, 2, 2), generator=generator), torch.randint(0, 4, (3, 2, 2), generator=generator)
    drawing = kernel_and_row(weight, patch, 2)
    check(drawing)
    matrix = weight.permute(0, 2, 3, 1).flatten(1)
    assert [in_rows(drawing, 5 + 0.8 * d, 5.8 + 0.8 * d) for d in range(4)] == matrix.tolist()
    below = [in_rows(drawing, 8.8 + 1.3 * k, 9.61 + 1.3 * k, right=16.8) for k in range(2)]
    flat = patch.permute(1, 2, 0).flatten()
    assert below == [flat.tolist(), (matrix[2] * flat).tolist()]
    bold = [word.get_text() for word in drawing.words if word.get_weight() == "bold" and word.get_text().lstrip("-").isdecimal()]
    assert bold == [str(int((weight[2] * patch).sum()))] * 2
    with pytest.raises(UserError, match="room for kernels"):
        kernel_and_row(torch.zeros(4, 1, 2, 2), patch[:1], 0)


def test_neighbours_that_are_equal_lie_on_the_diagonal():
    x = torch.linspace(0, 255, 50)
    shown = alike(x, x)
    check(shown)
    first, second = shown.figure.axes[0].lines
    assert np.allclose(first.get_xdata(), first.get_ydata(), atol=1e-2) and np.ptp(second.get_xdata()) < 0.1 and "100%" in first.get_label()
