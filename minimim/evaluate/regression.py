"""The regression probe: how well a linear map of frozen features predicts numbers, such as a garment's place and size."""

import torch
from torch import Tensor

from minimim.draws import mix
from minimim.errors import UserError
from minimim.evaluate.features import Features, check_alike, check_vectors, in_their_span, standardise
from minimim.evaluate.score import Score

PENALTIES = tuple(10.0**power for power in range(-6, 3))


def place_and_size(scenes) -> Tensor:
    """Row and column of the middle of each scene's front box, and its mean side, in pixels: Images with truth → (n, 3)."""
    x0, y0, x1, y1 = scenes.truth["box"][:, 0].float().unbind(1)  # (n,) each
    return torch.stack([(y0 + y1) / 2, (x0 + x1) / 2, (x1 - x0 + y1 - y0) / 2], dim=1)


def regression_probe(
    train: Features, train_numbers: Tensor, test: Features, test_numbers: Tensor, *, penalties=PENALTIES, held_out=0.2, seed=0
) -> Score:
    """R² of numbers that a linear map predicts from features, x (n, D): 1 = exactly, 0 = no better than their mean.

    train_numbers, test_numbers: (n, T), as many rows as there are features. Ridge regression on standardised features; its
    penalty is chosen on a held-out part of the train features, then it is fitted to all of them. The value is the mean R² of
    the T numbers, its standard error that of the test images' squared errors. details: r2 and off (the mean absolute
    error, in the numbers' own units), a list of T each, the penalty, and held_out, the R² it was chosen by.
    Raises UserError for tokens, for features that were made differently, and for numbers that do not fit them or never change.
    """
    check_alike(train, test)
    check_vectors(train, test)
    for name, features, numbers in (("train", train, train_numbers), ("test", test, test_numbers)):
        if numbers.dim() != 2 or len(numbers) != len(features):
            raise UserError(
                f"the {name} numbers must be ({len(features)}, T), a row for each image, not {tuple(numbers.shape)}"
            )
        if bool((numbers.std(dim=0) == 0).any()):
            raise UserError(f"one of the {name} numbers is the same for every image, so there is nothing to predict: leave it out")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(mix(seed)))
    split = max(1, int(len(train) * held_out))
    judge, pupil = order[:split], order[split:]
    x, judged = in_their_span(*standardise(train.x[pupil], train.x[judge]))
    seen = {}
    for penalty in penalties:
        guess = ridge(x, train_numbers[pupil], judged, penalty)
        seen[penalty] = r2(guess, train_numbers[judge]).mean().item()
    best = max(seen, key=seen.get)
    x, tested = in_their_span(*standardise(train.x, test.x))
    guess = ridge(x, train_numbers, tested, best)
    each = r2(guess, test_numbers)  # (T,)
    shares = ((guess - test_numbers).square() / test_numbers.var(dim=0, unbiased=False)).mean(dim=1)  # (n,), 1 − R² on average
    stderr = shares.std().item() / len(shares) ** 0.5
    off = (guess - test_numbers).abs().mean(dim=0)  # (T,)
    return Score(each.mean().item(), stderr, len(test), {"r2": each.tolist(), "off": off.tolist(), "penalty": best, "held_out": seen[best]})


def ridge(x: Tensor, y: Tensor, there: Tensor, penalty: float) -> Tensor:
    """Ridge regression, least squares + penalty · n · ‖W‖²: features x (n, D), numbers y (n, T) → guesses for `there` (m, D): (m, T)."""
    x, y, there = x.double(), y.double(), there.double()
    middle = y.mean(dim=0)  # (T,)
    square = x.T @ x + penalty * len(x) * torch.eye(x.shape[1], dtype=x.dtype)  # (D, D)
    weights = torch.linalg.solve(square, x.T @ (y - middle))  # (D, T)
    return (there @ weights + middle).float()


def r2(guess: Tensor, numbers: Tensor) -> Tensor:
    """The fraction of each number's variance that the guesses explain: (n, T) twice → (T,)."""
    return 1 - (guess - numbers).square().mean(dim=0) / numbers.var(dim=0, unbiased=False)
