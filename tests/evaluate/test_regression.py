"""The regression probe: R² and pixels, on features whose answer is known."""

import pytest
import torch

from minimim import data, evaluate
from minimim.errors import UserError
from minimim.evaluate import Features, regression_probe
from minimim.evaluate.regression import place_and_size, r2, ridge


def made(x, name="a"):
    return Features(x, None, name)


def drawn(n, width, seed=0):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def test_what_is_linear_in_the_features_is_found_whole():
    train, test, weights = drawn(300, 6), drawn(100, 6, 1), drawn(6, 2, 2)
    score = regression_probe(made(train), train @ weights + 5, made(test), test @ weights + 5)
    assert score.value > 0.9999 and score.n == 100 and max(score.details["off"]) < 0.01


def test_what_has_nothing_to_do_with_the_features_is_not_found():
    score = regression_probe(made(drawn(400, 6)), drawn(400, 2, 1), made(drawn(400, 6, 2)), drawn(400, 2, 3))
    assert abs(score.value) < 5 * score.stderr + 0.03


def test_r2_is_one_minus_the_unexplained_part_number_by_number():
    guess, numbers = drawn(50, 3), drawn(50, 3, 1)
    for column in range(3):
        mean = sum(numbers[:, column].tolist()) / 50
        left = sum((g - n) ** 2 for g, n in zip(guess[:, column].tolist(), numbers[:, column].tolist(), strict=True))
        whole = sum((n - mean) ** 2 for n in numbers[:, column].tolist())
        assert r2(guess, numbers)[column].item() == pytest.approx(1 - left / whole, rel=1e-4)


def test_the_ridge_is_the_minimum_of_what_it_says():
    x, y = drawn(40, 3).double(), drawn(40, 1, 1).double()
    x = x - x.mean(dim=0)
    weight = ridge(x, y, torch.eye(3), 0.1) - y.mean()  # (3, 1): the guesses at the unit vectors are the weights
    loss = lambda w: (x @ w + y.mean() - y).square().mean() + 0.1 * w.square().sum()
    for step in drawn(20, 3, 2).double():
        assert loss(weight.double()) < loss(weight.double() + 0.05 * step.unsqueeze(1))


def test_the_penalty_is_chosen_without_the_test_set():
    train, numbers, test = drawn(200, 50), drawn(200, 1, 1), drawn(80, 50, 2)
    one = regression_probe(made(train), numbers, made(test), drawn(80, 1, 3))
    other = regression_probe(made(train), numbers, made(test), test[:, :1])
    assert one.details["penalty"] == other.details["penalty"] and one.details["held_out"] == other.details["held_out"]
    assert one.details["penalty"] > 0.1  # noise on many dimensions: only a strong one helps


def test_its_standard_error_is_that_of_many_test_sets():
    train, weights = drawn(500, 4), drawn(4, 1, 1)
    values, errors = [], []
    for seed in range(60):
        test = drawn(200, 4, 10 + seed)
        noise = drawn(700, 1, 100 + seed)
        score = regression_probe(made(train), train @ weights + noise[:500], made(test), test @ weights + noise[500:])
        values.append(score.value), errors.append(score.stderr)
    spread = torch.tensor(values).std().item()
    assert 0.5 < torch.tensor(errors).mean().item() / spread < 2


def test_place_and_size_come_from_the_box():
    scenes = data.load("scenes", "test", count=20)
    for row, box in zip(place_and_size(scenes).tolist(), scenes.truth["box"][:, 0].tolist(), strict=True):
        left, top, right, bottom = box
        assert row == [(top + bottom) / 2, (left + right) / 2, (right - left + bottom - top) / 2]


def test_pixels_find_the_place_and_mistakes_get_a_sentence():
    train, test = data.load("scenes", count=400), data.load("scenes", "test", count=100)
    numbers = [place_and_size(scenes) for scenes in (train, test)]
    pixels = [evaluate.raw_pixels(scenes) for scenes in (train, test)]
    assert regression_probe(pixels[0], numbers[0], pixels[1], numbers[1], penalties=(0.1, 1.0)).value > 0.1
    with pytest.raises(UserError, match=r"\(400, T\)"):
        regression_probe(pixels[0], numbers[0][:5], pixels[1], numbers[1])
    with pytest.raises(UserError, match="same for every image"):
        regression_probe(pixels[0], numbers[0] * 0, pixels[1], numbers[1])
    with pytest.raises(UserError, match="extract both"):
        regression_probe(pixels[0], numbers[0], made(pixels[1].x), numbers[1])
