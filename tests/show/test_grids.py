"""Galleries and maps: rows and columns with their names, each picture large enough and in its own colours."""

import io

import numpy as np
import pytest
import torch
from drawn import check
from PIL import Image

from minimim.errors import UserError
from minimim.show import gallery, heatmaps


def images(*reds):
    return torch.stack([torch.stack([torch.full((32, 32), red), torch.zeros(32, 32), torch.zeros(32, 32)]) for red in reds]).to(torch.uint8)


def texts(shown):
    axes = shown.figure.axes
    return [text.get_text() for text in shown.figure.texts] + [ax.get_title() for ax in axes]


def test_each_image_stands_in_its_row_and_column_at_its_size():
    shown = gallery({"first": images(10, 60), "second": images(110, 160)}, ["left", "right"], alt="four reds in two rows", under={"second": ["bag", "coat"]})
    check(shown)
    assert set(texts(shown)) >= {"first", "second", "left", "right", "bag", "coat"}
    there = np.asarray(Image.open(io.BytesIO(shown.content())).convert("RGB")).astype(int)
    found = []
    for axes in shown.figure.axes:
        box = axes.get_window_extent()
        assert box.width == pytest.approx(128, abs=1) and box.height == pytest.approx(128, abs=1)
        found.append(there[there.shape[0] - int(box.y0 + 64), int(box.x0 + 64)].tolist())
    assert found == [[10, 0, 0], [60, 0, 0], [110, 0, 0], [160, 0, 0]]


def test_small_pictures_and_too_many_are_refused_with_a_way_out():
    with pytest.raises(UserError, match="at least 128"):
        gallery({"": images(1)}, alt="one red", side=100)
    with pytest.raises(UserError, match="at most 6 in a row"):
        gallery({"a row": images(*range(9))}, alt="nine reds", side=144)
    with pytest.raises(UserError, match="at least 128"):
        heatmaps({"map": torch.rand(3, 3)}, alt="a map of random numbers", side=90)


def test_maps_share_one_scale_that_has_a_bar():
    shown = heatmaps({"low": torch.tensor([[0.0, 1.0]]), "high": torch.tensor([[5.0, 9.0]])}, alt="two maps on one scale", label="weight", marked={"high": (0, 1)})
    check(shown)
    *maps, bar = shown.figure.axes
    assert {ax.images[0].get_clim() for ax in maps} == {(0.0, 9.0)} and bar.get_ylabel() == "weight"
    assert len(maps[1].patches) == 1 and not maps[0].patches and maps[1].patches[0].get_x() == 0.5


def test_a_wide_map_makes_a_low_picture_and_a_square_one_a_square():
    low, even = (heatmaps({"map": torch.rand(rows, 8)}, alt="a map of random numbers", side=400).figure.get_size_inches() for rows in (4, 8))
    assert low[0] == even[0] and even[1] - low[1] == pytest.approx(2)  # 200 pixels less


def test_dots_lie_on_the_cells_that_are_named():
    there = torch.tensor([[False, True], [True, False]])
    shown = heatmaps({"map": torch.rand(2, 2)}, alt="a map with two dots on it", dots={"map": there})
    check(shown)
    assert shown.figure.axes[0].lines[0].get_xydata().tolist() == [[1, 0], [0, 1]]  # (column, row)


def test_a_photograph_is_kept_as_jpeg_and_smaller():
    torch.manual_seed(0)
    noisy = {"noise": (torch.rand(2, 3, 224, 224) * 255).to(torch.uint8)}
    as_photo, as_png = (gallery(noisy, alt="two pictures of noise", side=224, photo=photo) for photo in (True, False))
    assert as_photo.content()[:2] == b"\xff\xd8" and len(as_photo.content()) < len(as_png.content())
