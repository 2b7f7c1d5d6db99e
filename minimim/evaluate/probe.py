"""The linear probe: softmax regression on frozen features, with an L2 penalty chosen without the test set."""

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.draws import mix
from minimim.evaluate.features import Features, check, in_their_span, standardise
from minimim.evaluate.score import Score, accuracy

L2S = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)  # tried in this order
ROWS = 100_000  # of features whose scores are held at once: a million, times a thousand classes, would be 4 GB


def linear_probe(train: Features, test: Features, *, l2s=L2S, held_out: float = 0.2, seed: int = 0, device="cpu") -> Score:
    """Test accuracy of a linear classifier of features, x (n, D).

    Features are standardised by the train part. The L2 penalty is chosen on a held-out part of the train features, from
    strong to weak, each fit beginning where the last one ended, until two in a row do worse, or one does so by more than
    three standard errors; then the classifier is fitted to all train features. device: where this is computed; for a million
    features it should be a GPU. details: the chosen l2, and held_out, the accuracy it was chosen by.
    Raises UserError for missing labels, for tokens, and for train and test features that were made differently.
    """
    check(train, test)
    train, test = train.to(device), test.to(device)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(mix(seed)))
    split = max(1, int(len(train) * held_out))
    judge, pupil = train.take(order[:split]), train.take(order[split:])
    classes = int(train.labels.max()) + 1
    x, judged = in_their_span(*standardise(pupil.x, judge.x))
    steepness, seen, weights = covariance(x), {}, None
    for l2 in l2s:
        weights = fit(x, pupil.labels, classes, l2, steepness, weights)
        score = accuracy(predict(weights, judged), judge.labels)
        seen[l2] = score.value
        most = max(seen.values())
        if most > max(list(seen.values())[-2:]) or most - score.value > 3 * score.stderr:
            break
    best = max(seen, key=seen.get)
    x, tested = in_their_span(*standardise(train.x, test.x))
    if x.shape[1] != len(steepness):  # another span: nothing to begin from
        steepness, weights = covariance(x), None
    weights = fit(x, train.labels, classes, best, steepness, weights)
    return accuracy(predict(weights, tested), test.labels, l2=best, held_out=seen[best])


def covariance(x: Tensor, rows: int = 5000) -> Tensor:
    """Covariance of features of mean 0, from the first rows: (n, D) → (D, D)."""
    return x[:rows].T @ x[:rows] / len(x[:rows])


def fit(x: Tensor, labels: Tensor, classes: int, l2: float, steepness: Tensor, start: Tensor | None = None) -> Tensor:
    """Minimise mean cross-entropy + l2/2 · ‖W‖² by L-BFGS: x (n, D), labels (n,) → weights (D+1, classes), bias last.

    steepness: the covariance of such features, (D, D), for preconditioning. Neighbouring pixels are so strongly correlated that
    L-BFGS alone needs hundreds of steps. In coordinates in which the loss is about equally steep in all directions it needs a few
    dozen, and the minimum is the same.
    """
    unit = torch.eye(x.shape[1], device=x.device)  # (D, D)
    floor = (l2 + 1e-4) * unit  # keeps what follows positive where features hardly vary
    root = torch.linalg.cholesky(steepness * (classes - 1) / classes**2 + floor)  # (D, D), of the curvature at zero
    back = torch.linalg.solve_triangular(root, unit, upper=False)  # (D, D), undoes the root
    start = torch.zeros(x.shape[1] + 1, classes, device=x.device) if start is None else start
    even, bias = (start[:-1].T @ root).requires_grad_(), start[-1].clone().requires_grad_()  # (classes, D), (classes,)
    solver = torch.optim.LBFGS(
        [even, bias], max_iter=200, tolerance_grad=1e-5, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        total = 0.0
        for part, those in zip(x.split(ROWS), labels.split(ROWS), strict=True):
            weight = even @ back  # (classes, D)
            value = F.cross_entropy(F.linear(part, weight, bias), those) + l2 / 2 * weight.square().sum()
            (value * (len(part) / len(x))).backward()
            total = total + value.detach() * (len(part) / len(x))
        return total

    solver.step(loss)
    return torch.cat([(even.detach() @ back).T, bias.detach().unsqueeze(0)])


def scores(weights: Tensor, x: Tensor) -> Tensor:
    """Class scores: weights (D+1, classes), x (n, D) → (n, classes)."""
    return torch.addmm(weights[-1], x, weights[:-1])


def predict(weights: Tensor, x: Tensor) -> Tensor:
    """The class of each row: (n,)."""
    return scores(weights, x).argmax(dim=1)
