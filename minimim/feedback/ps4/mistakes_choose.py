"""The mistakes that people make in ps4.3, choosing before looking: what a check says of each, and a function that makes it."""

from collections.abc import Callable

import torch
from torch import Tensor

from minimim.feedback.check import only


def means(right: Tensor, fold: Tensor) -> Tensor:
    """The mean of each fold: (L, n), (n,) → (L, K)."""
    return torch.stack([right[:, fold == name].mean(1) for name in fold.unique()], dim=1)


def best(scores: Tensor) -> int:
    """The first of the highest: (L,) → its number. Sums of floats that are equal but for rounding count as equal."""
    return int((scores >= scores.max() - 1e-6).nonzero()[0])


def others(table: Tensor, left_out: int) -> Tensor:
    """The mean of all folds but one: (L, K) → (L,)."""
    return table[:, torch.arange(table.shape[1]) != left_out].mean(1)


def choosing(layer: Callable | None = None, nested: Callable | None = None, test: Callable | None = None) -> Callable:
    """A mistake: layer(right, fold, tested), nested(table, right, fold) or test(tested) is another."""

    def mistaken(right, fold, tested):
        table = means(right, fold)
        number = layer(right, fold, tested) if layer else best(table.mean(1))
        tried = torch.stack([table[best(others(table, f)), f] for f in range(table.shape[1])])
        value = nested(table, right, fold) if nested else tried.mean()
        return torch.tensor(number), value, test(tested) if test else tested[number].mean()

    return mistaken


def by_images(table, right, fold):
    """The same choices, each image counting the same."""
    picks = [best(others(table, f)) for f in range(table.shape[1])]
    return torch.cat([right[pick, fold == name] for pick, name in zip(picks, fold.unique(), strict=True)]).mean()


def most_often(right, fold, tested):
    """What most folds chose."""
    table = means(right, fold)
    return int(torch.tensor([best(others(table, f)) for f in range(table.shape[1])]).mode().values)


def by_place(right, fold):
    """Folds are cut by place, as if they stood side by side and were of one size."""
    only(right.shape[1] % len(fold.unique()) == 0)
    return torch.arange(right.shape[1]) // (right.shape[1] // len(fold.unique()))


def tried(table, pick: Callable) -> Tensor:
    """What the choice without each fold gets on it, or elsewhere: the mean of pick(layer, fold)."""
    return torch.stack([torch.as_tensor(pick(best(others(table, f)), f)) for f in range(table.shape[1])]).mean()


def over_images(table, right, fold):
    """The choice without a fold is by the mean over the other images."""
    names = fold.unique()
    return torch.stack([table[best(right[:, fold != name].mean(1)), f] for f, name in enumerate(names)]).mean()


def last_in_folds(table, right, fold):
    """The last of several where a fold is left out."""
    picks = [len(table) - 1 - best(others(table, f).flip(0)) for f in range(table.shape[1])]
    return table[picks, range(len(picks))].mean()


CHOOSE = {
    "the layer is chosen on the test images: they may be looked at once, when the choice is made": choosing(
        lambda right, fold, tested: best(tested.mean(1))
    ),
    "the test score is that of the layer that is best on test, not of the one that was chosen": choosing(
        test=lambda tested: tested.mean(1).max()
    ),
    "the layer is chosen by the mean over images; the mean over folds was asked for": choosing(
        lambda right, fold, tested: best(right.mean(1))
    ),
    "of layers that are equally good, the first was asked for": choosing(
        lambda right, fold, tested: len(right) - 1 - best(means(right, fold).mean(1).flip(0))
    ),
    "the layer is the one that most folds chose; choose it once, by all folds": choosing(most_often),
    "the layer is the one that wins most folds; the best mean over folds was asked for": choosing(
        lambda right, fold, tested: int((means(right, fold) >= means(right, fold).amax(0) - 1e-6).sum(1).argmax())
    ),
    "where a fold is left out, the last of several that are equally good is taken; the first was asked for": choosing(
        nested=last_in_folds
    ),
    "the nested score is the winner's own: the same folds chose it, so its luck is counted as well": choosing(
        nested=lambda table, right, fold: table.mean(1).max()
    ),
    "each fold chooses the layer that is best on itself: the choice must leave it out": choosing(
        nested=lambda table, right, fold: table.amax(0).mean()
    ),
    "the choice of the other folds is tried on those same folds; try it on the one that was left out": choosing(
        nested=lambda table, right, fold: torch.stack([others(table, f).max() for f in range(table.shape[1])]).mean()
    ),
    "the choice is tried on the next fold; try it on the one that was left out": choosing(
        nested=lambda table, right, fold: tried(table, lambda pick, f: table[pick, (f + 1) % table.shape[1]])
    ),
    "the choice of the other folds is tried on all folds; try it on the one that was left out": choosing(
        nested=lambda table, right, fold: tried(table, lambda pick, f: table[pick].mean())
    ),
    "in the nested score, the choice is by the mean over images of the other folds; the mean over those folds was asked for": choosing(
        nested=over_images
    ),
    "the nested score is a sum over folds; their mean was asked for": choosing(
        nested=lambda table, right, fold: tried(table, lambda pick, f: table[pick, f]) * table.shape[1]
    ),
    "folds are cut by place, as if they stood side by side and were of one size: fold[i] says which fold image i is in": (
        lambda right, fold, tested: choosing()(right, by_place(right, fold), tested)
    ),
    "the test score is the mean over all layers; that of the chosen one was asked for": choosing(test=Tensor.mean),
    "the test score is a sum; the mean over the test images was asked for": (
        lambda right, fold, tested: (found := choosing()(right, fold, tested))[:2] + (found[2] * tested.shape[1],)
    ),
    "the test score stands before the nested one: layer, nested, test was asked for": (
        lambda right, fold, tested: tuple(choosing()(right, fold, tested)[i] for i in (0, 2, 1))
    ),
    "in the nested score each image counts the same; each fold should": choosing(nested=by_images),
}
