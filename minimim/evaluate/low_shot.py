"""Low-shot: the accuracy of a classifier that sees a few labels of each class, averaged over several draws of them."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.draws import mix
from minimim.errors import UserError
from minimim.evaluate.features import Features, check, in_their_span
from minimim.evaluate.probe import covariance, fit, predict
from minimim.evaluate.score import Score, accuracy


def low_shot(train: Features, test: Features, *, shots=(1, 5, 20), seeds=(0, 1, 2, 3, 4), strength: float = 0.0025, device="cpu") -> dict[int, Score]:
    """Test accuracy of a linear classifier that has seen 1, 5 or 20 labelled images of each class: {shots: Score}.

    The protocol of MSN (arXiv 2204.07141): each feature vector has its own mean subtracted and is scaled to length 1;
    multinomial logistic regression minimises the sum of cross-entropies + strength/2 · ‖W‖². No setting is chosen, so no labels are
    held out. Each of `seeds` draws other images; the draw of 5 holds that of 1.

    value: the mean over the draws. details: each, their accuracies, and std, the standard deviation among them. stderr: of that
    mean, √(std²/draws + p(1−p)/n), for other draws of labels and other test images. Differs: the classifier has a bias.
    Raises UserError for a class with fewer images than shots, no seeds, missing labels, tokens, and features made differently.
    """
    check(train, test)
    least = int(train.labels.unique(return_counts=True)[1].min())
    if not shots or min(shots) < 1 or max(shots) > least:
        raise UserError(f"shots must be from 1 to {least}, the images of the smallest class, not {tuple(shots)}")
    if not seeds:
        raise UserError("seeds must hold one number or more: each draws other labelled images")
    train, test = train.to(device), test.to(device)
    x, tested = unit(train.x), unit(test.x)
    found: dict[int, list[float]] = {count: [] for count in shots}
    for seed in seeds:
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(mix(seed))).to(device)
        for count in shots:
            ids = first_of_each(train.labels, order, count)
            found[count].append(judged(x[ids], train.labels[ids], tested, test.labels, strength / len(ids)))
    return {count: summary(each, len(test)) for count, each in found.items()}


def unit(x: Tensor) -> Tensor:
    """Each row minus its mean, scaled to length 1: (n, D) → (n, D)."""
    return F.normalize(x - x.mean(dim=1, keepdim=True), dim=1)


def first_of_each(labels: Tensor, order: Tensor, count: int) -> Tensor:
    """The first `count` images of each class in an order: (n,) → ids (classes · count,)."""
    return torch.cat([order[labels[order] == label][:count] for label in labels.unique()])


def judged(x: Tensor, labels: Tensor, tested: Tensor, truth: Tensor, l2: float) -> float:
    """Test accuracy of a classifier fitted to a few features: x (n, D), labels (n,); tested (m, D), truth (m,)."""
    x, tested = in_their_span(x, tested)
    weights = fit(x, labels, int(labels.max()) + 1, l2, covariance(x))
    return accuracy(predict(weights, tested), truth).value


def summary(each: list[float], n: int) -> Score:
    """Several draws as one Score."""
    mean = sum(each) / len(each)
    variance = sum((value - mean) ** 2 for value in each) / (len(each) - 1) if len(each) > 1 else 0.0
    stderr = math.sqrt(variance / len(each) + mean * (1 - mean) / n)
    return Score(mean, stderr, n, {"each": each, "std": math.sqrt(variance)})
