"""The drawings of lesson 06: readable, with the numbers and the pixels of their tensors."""

import numpy as np
import pytest
import torch
from drawn import check

import minimim
from minimim.errors import UserError
from minimim.losses import l2
from minimim.masking import mask_by_noise
from minimim.show import counted, doubt, loss_by_hand, normalising
from minimim.show.drawings.losses import weighted_median
from minimim.targets import Pixels


def words(drawing):
    return [word.get_text() for word in drawing.words]


def numbers(drawing):
    return [float(word) for word in words(drawing) if word.replace(".", "").replace("-", "").isdigit()]


def pictures(drawing):
    return [np.asarray(image.get_array()) for image in drawing.axes.images]


def test_only_hidden_patches_are_counted():
    image = minimim.data.load("scenes", "test", count=1).images[0]
    hidden = mask_by_noise(torch.rand(1, 64, generator=torch.Generator().manual_seed(0)), 16).hidden[0]
    errors = torch.arange(64.0)
    drawing = counted(image, image.flip(-1), hidden, errors, 4)
    check(drawing)
    assert f"loss = mean of the 48 errors = {errors[hidden].mean():.2f}" in words(drawing) and f"{errors[hidden].max():.1f}" in words(drawing)
    there = [at[:3] for at in (patch.get_facecolor() for patch in drawing.axes.patches if patch.get_zorder() == 2 and patch.get_edgecolor()[3] == 0)]
    assert len(there) == 48
    errors[~hidden] = 1e6  # of visible patches: nothing changes
    again = counted(image, image.flip(-1), hidden, errors, 4)
    assert words(again) == words(drawing)


def test_a_loss_by_hand_is_the_librarys():
    prediction, target = torch.tensor([[0.5, 0.2], [0.1, 0.1], [0.6, 0.3]]), torch.tensor([[0.7, 0.2], [0.9, 0.8], [0.5, 0.0]])
    hidden = torch.tensor([True, False, True])
    drawing = loss_by_hand(prediction, target, hidden)
    check(drawing)
    errors = l2(prediction, target)
    assert f"loss = ({errors[0]:.3f} + {errors[2]:.3f}) / 2 = {errors[hidden].mean():.3f}" in words(drawing)
    assert numbers(drawing)[:6] == pytest.approx(prediction.flatten().tolist()) and f"{errors[1]:.3f}" not in words(drawing)
    with pytest.raises(UserError, match="at most 4 of 4"):
        loss_by_hand(torch.zeros(2, 5), torch.zeros(2, 5), torch.tensor([True, True]))


@pytest.fixture
def three():
    return torch.stack([torch.full((3, 4, 8), 0), torch.full((3, 4, 8), 100), torch.full((3, 4, 8), 250)]).to(torch.uint8)


def test_mean_median_and_mode_are_painted_into_the_hole(three):
    scene, odds = torch.full((3, 32, 32), 7, dtype=torch.uint8), torch.tensor([0.4, 0.3, 0.3])
    drawing = doubt(scene, three, odds, (4, 16))
    check(drawing)
    guesses = pictures(drawing)[-3:]
    for picture, inside in zip(guesses, (105, 100, 0), strict=True):  # the mean, the median, the mode
        assert (picture[4:8, 16:24] == inside).all() and (picture[:4] == 7).all() and (picture[8:] == 7).all()
    assert {"40%", "30%", "mean", "median", "mode"} <= set(words(drawing))
    with pytest.raises(UserError, match="sum to 1"):
        doubt(scene, three, 2 * odds, (4, 16))


def test_the_median_has_half_of_the_odds_on_either_side():
    contents = torch.tensor([[3.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
    for odds, wanted in (([0.2, 0.2, 0.6], [2, 3]), ([0.6, 0.2, 0.2], [3, 1]), ([0.3, 0.3, 0.4], [2, 2])):
        assert weighted_median(contents, torch.tensor(odds)).tolist() == wanted


def test_the_normalised_target_is_that_of_the_library():
    patch = torch.tensor([[8.0, 6.0], [4.0, 2.0]])
    drawing = normalising([patch, patch / 4])
    check(drawing)
    image = patch.view(1, 1, 2, 2)
    target = Pixels(2, normalize=True)({"image": image})["patch"][0, 0].tolist()  # 1e-6 does not show
    found = numbers(drawing)
    assert found[12:16] == pytest.approx(target, abs=0.006) and found[28:32] == pytest.approx(target, abs=0.006)
    assert "μ = 5.00" in words(drawing) and "σ² = 20.00 / 3 = 6.67,  σ = 2.58" in words(drawing)
    with pytest.raises(UserError, match="2×2"):
        normalising([torch.zeros(3, 3)])
