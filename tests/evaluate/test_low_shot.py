"""Low-shot: a handful of labels, drawn several times, judged by MSN's protocol."""

import math
import sys

import pytest
import torch
from helpers import generator

from minimim.errors import UserError
from minimim.evaluate import Features, low_shot
from minimim.evaluate.low_shot import first_of_each, summary, unit

module = sys.modules["minimim.evaluate.low_shot"]


def clouds(n=120, noise=0.3, seed=0, classes=3):
    """Points around a corner for each class."""
    labels = torch.arange(n) % classes
    x = noise * torch.randn(n, 8, generator=generator(seed))
    x[torch.arange(n), labels] += 2
    return Features(x, labels, "a test")


def test_what_is_apart_is_told_apart_from_one_label_a_class_and_noise_is_not():
    scores = low_shot(clouds(), clouds(90, seed=1), shots=(1, 5))
    assert list(scores) == [1, 5] and scores[1].value > 0.95 and scores[5].value > 0.99
    noise = Features(torch.randn(300, 8, generator=generator(2)), torch.arange(300) % 3, "a test")
    assert abs(low_shot(clouds(), noise, shots=(5,))[5].value - 1 / 3) < 0.1


def test_more_labels_help_where_it_is_hard():
    scores = low_shot(clouds(300, noise=1.0), clouds(600, noise=1.0, seed=1))
    assert scores[1].value + 0.05 < min(scores[5].value, scores[20].value)


def test_each_draw_takes_so_many_of_each_class_and_a_larger_one_holds_the_smaller():
    labels = clouds().labels
    order = torch.randperm(120, generator=generator())
    one, five = first_of_each(labels, order, 1), first_of_each(labels, order, 5)
    assert labels[one].tolist() == [0, 1, 2] and labels[five].bincount().tolist() == [5, 5, 5]
    assert set(one.tolist()) < set(five.tolist()) and len(set(five.tolist())) == 15


def test_every_seed_draws_other_images_and_the_same_seed_the_same(monkeypatch):
    taken = []
    whole = module.judged
    monkeypatch.setattr(module, "judged", lambda x, *args: taken.append(x.sum().item()) or whole(x, *args))
    pair = clouds(noise=1.0), clouds(90, noise=1.0, seed=1)
    one = low_shot(*pair, shots=(5,), seeds=(0, 1, 2))
    assert len(set(taken)) == 3
    assert low_shot(*pair, shots=(5,), seeds=(0, 1, 2))[5] == one[5]
    assert low_shot(*pair, shots=(5,), seeds=(3, 4, 5))[5].details["each"] != one[5].details["each"]


def test_each_vector_is_centred_by_itself_and_brought_to_unit_length():
    x = torch.randn(5, 6, generator=generator())
    for row, made in zip(x.tolist(), unit(x).tolist(), strict=True):
        middle = sum(row) / 6
        length = math.sqrt(sum((v - middle) ** 2 for v in row))
        assert made == pytest.approx([(v - middle) / length for v in row], abs=1e-6)


def test_the_classifier_is_the_minimum_of_summed_errors_and_a_share_of_the_squared_weights(monkeypatch):
    kept = []
    fit = module.fit
    monkeypatch.setattr(module, "fit", lambda *args: kept.append((args, fit(*args))) or kept[-1][1])
    low_shot(clouds(noise=1.0), clouds(60, noise=1.0, seed=1), shots=(5,), seeds=(0,), strength=0.5)
    ((x, labels, *_), weights) = kept[0]

    def objective(w):
        total = 0.0
        for row, label in zip(x, labels, strict=True):
            scores = row @ w[:-1] + w[-1]
            total = total + scores.logsumexp(0) - scores[label]
        return float(total + 0.5 / 2 * w[:-1].square().sum())

    assert len(x) == 15
    for seed in range(10):
        step = 0.05 * torch.randn(weights.shape, generator=generator(seed))
        assert objective(weights) < objective(weights + step)


def test_one_test_image_is_judged_without_a_look_at_the_others():
    train, test = clouds(noise=1.0), clouds(90, noise=1.0, seed=1)
    every = [low_shot(train, test.take(torch.tensor([i])), shots=(1,), seeds=(0,))[1].value for i in range(9)]
    assert low_shot(train, test.take(torch.arange(9)), shots=(1,), seeds=(0,))[1].value == pytest.approx(sum(every) / 9)


def test_the_error_counts_other_labels_and_other_test_images():
    score = summary([0.5, 0.7, 0.6], 100)
    assert score.value == pytest.approx(0.6) and score.details["std"] == pytest.approx(0.1)
    assert score.stderr == pytest.approx(math.sqrt(0.01 / 3 + 0.24 / 100))
    assert summary([0.5], 100).stderr == pytest.approx(0.05)


def test_what_cannot_be_is_told():
    train, test = clouds(12), clouds(9, seed=1)
    with pytest.raises(UserError, match="shots must be from 1 to 4, the images of the smallest class"):
        low_shot(train, test, shots=(1, 5))
    for shots in ((), (0,)):
        with pytest.raises(UserError, match="shots must be from 1"):
            low_shot(train, test, shots=shots)
    with pytest.raises(UserError, match="seeds must hold one number"):
        low_shot(train, test, shots=(1,), seeds=())
    with pytest.raises(UserError, match="were made by"):
        low_shot(train, Features(test.x, test.labels, "another"), shots=(1,))
    with pytest.raises(UserError, match="one vector an image"):
        low_shot(Features(train.x.unsqueeze(1), train.labels, "a test"), Features(test.x.unsqueeze(1), test.labels, "a test"), shots=(1,))
