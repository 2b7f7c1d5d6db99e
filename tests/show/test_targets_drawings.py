"""The drawings of lesson 11: readable, with the numbers and the pixels of their tensors."""

import math

import numpy as np
import pytest
import torch
from drawn import check

import minimim
from minimim.data.views import normalize
from minimim.errors import UserError
from minimim.masking.frequency import spectrum
from minimim.patches import patchify
from minimim.show import (
    all_targets,
    amplitudes,
    codebook,
    hog_by_hand,
    hog_glyphs,
    moved,
    pca_colours,
    side_by_side,
    target_panels,
)
from minimim.targets import HOG, KMeansTokens

ALT = "words for somebody who cannot see the picture"


def words(drawing):
    return [word.get_text() for word in drawing.words]


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def scene():
    return minimim.data.load("scenes", "test", count=1).images


def test_each_target_of_a_picture_stands_under_its_name_with_its_shape(scene):
    panels = {f"target {n}": (torch.full((3, 8, 8), 10 * n, dtype=torch.uint8), (64, n), f"words {n}") for n in range(6)}
    drawing = all_targets(panels, alt=ALT)
    check(drawing)
    assert {"target 5", "(64, 5)", "words 5"} <= set(words(drawing))
    assert [int(np.asarray(image.get_array())[0, 0, 0]) for image in drawing.axes.images] == [0, 10, 20, 30, 40, 50]


def test_panels_hold_the_targets_of_the_library(scene):
    tokens = KMeansTokens(32, 4, 16, patches=500)
    tokens.prepare(minimim.data.load("scenes", count=20).images, draw())
    features = torch.randn(64, 5, generator=draw())
    panels = target_panels(scene[0], 4, {"tokens": tokens}, {"teacher": (features, 128, "it saw nothing")})
    shapes = {name: tuple(shape) for name, (_, shape, _) in panels.items()}
    assert shapes == {"pixels": (64, 48), "normalised pixels": (64, 48), "HOG": (64, 27), "spectrum": (1024, 6), "tokens": (64,), "teacher": (64, 128)}
    assert all(picture.dtype == torch.uint8 and picture.shape[0] == 3 for picture, _, _ in panels.values())
    painted = patchify(panels["tokens"][0][None].float(), 4)[0]  # (64, 48)
    codes = tokens.ids(normalize(scene))[0]
    assert all(torch.equal(painted[n], painted[codes.tolist().index(code)]) for n, code in enumerate(codes.tolist()))
    level = patchify(panels["normalised pixels"][0][None].float(), 4)[0]
    assert (level.mean(1) - 128).abs().max() < 8 and torch.equal(panels["teacher"][0], pca_colours(features, (8, 8)))
    check(all_targets(panels, alt=ALT))


def test_principal_components_become_the_three_colours():
    grid = (20, 30)
    parts = torch.randn(600, 3, generator=draw()) * torch.tensor([9.0, 3.0, 1.0])
    turn = torch.linalg.qr(torch.randn(8, 8, generator=draw(1)))[0][:3]
    colours = pca_colours(parts @ turn + 5, grid)
    assert colours.shape == (3, 20, 30) and colours.dtype == torch.uint8
    for channel in range(3):
        told = torch.corrcoef(torch.stack([colours[channel].flatten().float(), parts[:, channel]]))[0, 1].abs()
        assert told > 0.95, channel
    assert torch.equal(pca_colours(3 * (parts @ turn) - 1, grid), colours)
    assert torch.equal(pca_colours(parts @ turn + 5, grid, 4)[:, ::4, ::4], colours)
    with pytest.raises(UserError, match="three features"):
        pca_colours(parts[:, :2], grid)


@pytest.mark.parametrize("flat", [0, 1])
def test_a_stroke_of_hog_runs_along_the_edge(flat):
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:, :] = 1.0  # a level edge
    image = image if flat else image.transpose(2, 3)
    glyphs = hog_glyphs(HOG(8, cells=1)({"image": image})["patch"][0], (2, 2), 9, 1, cell=20)
    assert glyphs.shape == (3, 40, 40) and glyphs.dtype == torch.uint8
    bright = (glyphs[0] > 128).nonzero().float()
    cell = bright[(bright[:, 0] < 20) & (bright[:, 1] < 20)]
    down, across = cell.std(0)
    assert (across > 2 * down) if flat else (down > 2 * across)


def test_the_brightest_frequency_is_zero_in_the_middle(scene):
    heat = amplitudes(spectrum(normalize(scene))[0] + 0)
    assert heat.shape == (3, 32, 32) and heat.dtype == torch.uint8
    assert heat.sum(0).flatten().argmax() == 16 * 32 + 16


def test_hog_by_hand_is_the_librarys():
    patch = torch.tensor([[1, 1, 5, 5], [1, 1, 5, 5], [1, 1, 3, 3], [1, 1, 1, 1]])
    drawing = hog_by_hand(patch)
    check(drawing)
    theirs = HOG(4, bins=4, cells=1)({"image": patch.view(1, 1, 4, 4).float()})["patch"][0, 0]
    assert [word for word in words(drawing) if word.startswith(("0.", "1.")) and len(word) == 4] == [f"{value:.2f}" for value in theirs.tolist()]
    assert any(f"= {math.hypot(24.0, 78.3, 14.4):.1f}" in word for word in words(drawing))
    with pytest.raises(UserError, match="4×4"):
        hog_by_hand(torch.zeros(4, 5))


def test_the_most_frequent_code_comes_first_and_perplexity_is_that_of_the_counts():
    codes = torch.arange(8, dtype=torch.uint8).view(8, 1, 1, 1).expand(8, 3, 4, 4) * 30
    counts = torch.tensor([1, 0, 4, 0, 2, 1, 0, 0])
    drawing = codebook({"codes": (codes, counts)}, alt=ALT)
    check(drawing)
    shown = [int(np.asarray(image.get_array())[0, 0, 0]) // 30 for image in drawing.axes.images]
    assert shown == [2, 4, 0, 5, 1, 3, 6, 7]
    assert any("perplexity 3;" in word and "50.0 %" in word for word in words(drawing))  # exp of the entropy of ½, ¼, ⅛, ⅛ is 3.36
    assert len(codebook({"few": (codes, counts)}, alt=ALT, most=3).axes.images) == 3
    with pytest.raises(UserError, match="two codebooks"):
        codebook(dict.fromkeys("abc", (codes, counts)), alt=ALT)


def test_how_far_targets_move_is_written_and_darker_where_it_is_more():
    drawing = moved(torch.tensor([[0.0, 0.001, 0.3], [1.0, 0.25, 1.4]]), ["darker", "noise"], ["pixels", "HOG", "VQ"], alt=ALT, corner="change")
    check(drawing)
    assert {"0", "< 0.01", "0.30", "1.00", "1.40", "HOG", "noise"} <= set(words(drawing))
    tints = [patch.get_facecolor()[2] for patch in drawing.axes.patches]
    assert tints[0] == 1.0 and tints[2] < tints[1] and tints[3] < tints[2]


def test_a_panel_for_each_question_has_the_same_rows_and_each_floor_one_style():
    values = {q: {"pixels": (0.4, 0.01), "HOG": (0.5, 0.02)} for q in ("class", "place")}
    shown = side_by_side(values, {"class": {"raw pixels": 0.45, "random init": 0.3}, "place": {"random init": 0.6}}, alt=ALT)
    check(shown)
    first, second = shown.figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["pixels", "HOG"]
    lines = [[(line.get_xdata()[0], line.get_linestyle()) for line in axes.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2] for axes in (first, second)]
    assert (0.3, ":") in lines[0] and (0.6, ":") in lines[1] and (0.45, "--") in lines[0]
    with pytest.raises(UserError, match="same methods"):
        side_by_side(values | {"place": {"HOG": (0.5, 0.02)}}, {}, alt=ALT)
