"""The mistakes that people make in problem set 4: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minimim.feedback.check import only
from minimim.feedback.ps4 import truth

# ps4.1


def sums(x: Tensor, garment: Tensor) -> Tensor:
    """Added up garment by garment: (E, n), (n,) → (E, G)."""
    _, home = garment.unique(return_inverse=True)
    return x.new_zeros(len(x), int(home.max()) + 1).index_add_(1, home, x)


def against(base: Callable = lambda scores: scores[:1], *, sign=1, centred=True, grouped=True, divide=lambda n, count: n) -> Callable:
    """A mistake in the base, in the sign, or in the error: not centred, image by image, or divided by another number."""

    def mistaken(scores, garment):
        apart = sign * (scores - base(scores))  # (E, n)
        gain = apart.mean(1)
        left = apart - gain.unsqueeze(1) if centred else apart
        left = sums(left, garment) if grouped else left
        count = len(garment.unique())
        return gain, left.square().sum(1).sqrt() / divide(scores.shape[1], count)

    return mistaken


def by_garment(scores, garment):
    """The mean of each garment's mean."""
    size = sums(torch.ones_like(scores), garment)  # (E, G)
    apart = sums(scores - scores[:1], garment) / size
    return apart.mean(1), apart.std(1, unbiased=False) / apart.shape[1] ** 0.5


def unpaired(scores, garment):
    """Seen where each garment comes once."""
    only(len(garment.unique()) == len(garment))
    own = scores.var(1, unbiased=False) / scores.shape[1]  # (E,)
    return scores.mean(1) - scores[0].mean(), (own + own[0]).sqrt()


def one_encoder(scores, garment):
    """Seen where each garment comes once."""
    only(len(garment.unique()) == len(garment))
    return scores.mean(1) - scores[0].mean(), scores.std(1, unbiased=False) / scores.shape[1] ** 0.5


PAIRED = {
    "the errors of two encoders are added up as if they had seen different images: take the difference on each image first": unpaired,
    "the error is that of each encoder's own score; the error of the difference was asked for": one_encoder,
    "images of one garment are taken for independent: add up what is left over inside each garment before squaring": against(
        grouped=False
    ),
    "each garment weighs the same, however many images show it; here each image does": by_garment,
    "the sign is turned: the gain of an encoder is its score minus that of encoder 0": against(sign=-1),
    "each encoder is compared with the one before it; encoder 0 is the one that all are compared with": against(
        lambda scores: torch.cat([scores[:1], scores[:-1]])
    ),
    "the encoders are compared with the mean of all; encoder 0 is the one to compare with": against(
        lambda scores: scores.mean(0, keepdim=True)
    ),
    "the gain itself is counted as an error: take it off each image's difference first": against(centred=False),
    "the error is not divided by n": against(divide=lambda n, count: 1),
    "the root of the sum of squares is divided by √n; by n was asked for": against(divide=lambda n, count: n**0.5),
    "the error is divided by the number of garments; by n was asked for": against(divide=lambda n, count: count),
    "the error is that of n − 1; by n was asked for": against(divide=lambda n, count: ((n - 1) * n) ** 0.5),
    "the error is the square of what was asked for: the root is missing": (
        lambda scores, garment: tuple(x**power for x, power in zip(against()(scores, garment), (1, 2), strict=True))
    ),
}


# ps4.2


def few(members: Callable | None = None, order: Callable = Tensor.argsort, kinds: Callable = Tensor.unique) -> Callable:
    """A mistake: order(noise of the members) puts them in another order, members(ids, chosen) names them otherwise, or
    kinds(labels) puts the classes in another order."""
    members = members or (lambda ids, chosen: ids[chosen])

    def mistaken(labels, noise, per_class):
        draws = []
        for row in noise:
            each = [(labels == kind).nonzero().flatten() for kind in kinds(labels)]
            draws.append(torch.stack([members(ids, order(row[ids])[:per_class]) for ids in each]))
        return torch.stack(draws)

    return mistaken


def with_replacement(labels, noise, per_class):
    """The numbers themselves say which members."""
    only(noise.shape[1] >= per_class)
    each = [(labels == kind).nonzero().flatten() for kind in labels.unique()]
    return torch.stack([torch.stack([ids[(row[:per_class] * len(ids)).long()] for ids in each]) for row in noise])


def over_all(labels, noise, per_class):
    """As many images, whatever their class."""
    kinds = len(labels.unique())
    return noise.argsort(1)[:, : kinds * per_class].unflatten(1, (kinds, per_class))


FEW_LABELS = {
    "the images with the highest noise are taken; the lowest were asked for": few(order=lambda x: x.argsort(descending=True)),
    "the images are drawn from all at once: each class must get its own per_class": over_all,
    "the numbers count inside the class; they must name images of the whole set": few(lambda ids, chosen: chosen),
    "the first images of each class are taken, and the noise is not used": few(order=lambda x: torch.arange(len(x))),
    "every draw uses the noise of the first": lambda labels, noise, per_class: few()(labels, noise[:1].expand_as(noise), per_class),
    "the images of a class are sorted by number; in the order of their noise, a small draw is part of a larger one": few(
        lambda ids, chosen: ids[chosen].sort().values
    ),
    "the classes are in the order in which they first appear; ascending labels were asked for": few(
        kinds=lambda labels: torch.tensor(list(dict.fromkeys(labels.tolist())))
    ),
    "the classes are in descending order; ascending labels were asked for": few(kinds=lambda labels: labels.unique().flip(0)),
    "an image can be drawn twice: sort the members by noise, and take the first": with_replacement,
}


# ps4.3


def means(right: Tensor, fold: Tensor) -> Tensor:
    """The mean of each fold: (L, n), (n,) → (L, K)."""
    return torch.stack([right[:, fold == name].mean(1) for name in fold.unique()], dim=1)


def best(scores: Tensor) -> int:
    """The first of the highest: (L,) → its number. Sums of floats that are equal but for rounding count as equal."""
    return int((scores >= scores.max() - 1e-6).nonzero()[0])


def others(table: Tensor, left_out: int) -> Tensor:
    """The mean of all folds but one: (L, K) → (L,)."""
    return table[:, torch.arange(table.shape[1]) != left_out].mean(1)


def choosing(layer: Callable | None = None, honest: Callable | None = None, test: Callable | None = None) -> Callable:
    """A mistake: layer(right, fold, tested), honest(table, right, fold) or test(tested) is another."""

    def mistaken(right, fold, tested):
        table = means(right, fold)
        number = layer(right, fold, tested) if layer else best(table.mean(1))
        tried = torch.stack([table[best(others(table, f)), f] for f in range(table.shape[1])])
        value = honest(table, right, fold) if honest else tried.mean()
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
    "the honest score is the winner's own: the same folds chose it, and luck is counted as merit": choosing(
        honest=lambda table, right, fold: table.mean(1).max()
    ),
    "each fold chooses the layer that is best on itself: the choice must leave it out": choosing(
        honest=lambda table, right, fold: table.amax(0).mean()
    ),
    "the choice of the other folds is tried on those same folds; try it on the one that was left out": choosing(
        honest=lambda table, right, fold: torch.stack([others(table, f).max() for f in range(table.shape[1])]).mean()
    ),
    "in the honest score each image counts the same; each fold was to": choosing(honest=by_images),
}


# ps4.4


def pixels(hidden: Tensor, images: Tensor, patch_size: int, turned: bool = False) -> Tensor:
    """Where pixels are hidden: (B, N) → (B, 1, H, W)."""
    rows, cols = (side // patch_size for side in images.shape[2:])
    grid = hidden.unflatten(1, (cols, rows)).mT if turned else hidden.unflatten(1, (rows, cols))
    return grid.repeat_interleave(patch_size, 1).repeat_interleave(patch_size, 2).unsqueeze(1)


def testing(*, where=lambda hidden: hidden, turned=False, change=Tensor.abs, scale=None, share=None) -> Callable:
    """A mistake: other patches are changed, the grid is turned, a change is measured otherwise, the tolerance is scaled, or
    the share is the mean of share(moved (B, numbers) bool)."""
    share = share or (lambda moved: moved.any(1))

    def mistaken(predict, images, hidden, patch_size, noise, tolerance):
        other = torch.where(pixels(where(hidden), images, patch_size, turned), noise, images)
        before, after = (predict(x.clone(), hidden.clone()).flatten(1) for x in (images, other))
        moved = change(after - before) > tolerance * (scale(before) if scale else 1)
        return share(moved).to(images.dtype).mean()

    return mistaken


LEAKS = {
    "hidden is read upside down: the visible pixels were changed": testing(where=lambda hidden: ~hidden),
    "all pixels were changed: only the hidden ones may be": testing(where=torch.ones_like),
    "the grid is read as (cols, rows); it is (H / patch_size, W / patch_size)": testing(turned=True),
    "the share is of numbers that moved; of images was asked for": testing(share=lambda moved: moved),
    "it says whether any image moved; the share of the images was asked for": testing(share=lambda moved: moved.any()),
    "the share is of the images that stay; of those that move was asked for": testing(share=lambda moved: ~moved.any(1)),
    "an image moves when one of its numbers does, and you ask that all do": testing(share=lambda moved: moved.all(1)),
    "the tolerance is not used: rounding counts as a leak": testing(change=lambda x: torch.where(x == 0, -1, torch.inf)),
    "only changes upwards are counted": testing(change=lambda x: x),
    "the tolerance is multiplied by the size of the prediction; it is meant as it stands": testing(
        scale=lambda before: before.abs().amax(1, keepdim=True)
    ),
}


# ps4.5


def saying(change: Callable) -> Callable:
    """A mistake: change(the three right answers, method)."""
    return lambda method, images, noise: change(truth.symptoms(method, images, noise), method)


def constant(place: int, value: bool) -> Callable:
    """A mistake: one of the three answers is always the same."""
    return saying(lambda found, method: found.index_fill(0, torch.tensor(place), value))


SYMPTOMS = {
    "answer 1 accuses every method: keep the same patches hidden, and change only the order in which they are read": constant(0, True),
    "answer 1 accuses no method: does your second noise change the order of the visible patches at all?": constant(0, False),
    "answer 2 accuses every method: compare the features with the latents of the whole image, without a mask": constant(1, True),
    "answer 2 accuses no method: what the loss trains is the result of encoder(images); does encoder.features agree with it?": (
        constant(1, False)
    ),
    "answer 3 accuses every method": constant(2, True),
    "answer 3 accuses no method: what does a block make of an input 100 times as large, with a norm behind it, and without?": (
        constant(2, False)
    ),
    "answer 3 is upside down: True is post-norm": saying(lambda found, method: torch.cat([found[:2], ~found[2:]])),
    "answer 3 tells deep encoders from shallow ones, and the norm may stand in either place in both": saying(
        lambda found, method: torch.cat([found[:2], torch.tensor([method.encoder.depth > 3])])
    ),
    "the answers are upside down: True is a fault": saying(lambda found, method: ~found),
    "the answers are in another order: ids, features, norm": saying(lambda found, method: found.roll(1)),
    "the answers are in another order: ids first, then features, then norm": saying(lambda found, method: found.flip(0)),
    "it returned numbers; compare them with a bound, and return what is True": saying(lambda found, method: found.float()),
}


# ps4.6


def swapped(one: str, other: str) -> Callable:
    """A mistake: two faults are taken for each other."""
    change = {one: other, other: one}
    return lambda: {name: change.get(fault, fault) for name, fault in truth.verdicts().items()}


VERDICTS = {
    "two are taken for each other, both of which fill in badly: which of them still paints what is visible?": (
        swapped("loss on visible", "ids not restored")
    ),
    "two are taken for each other, and their fillings are alike: probe the features of both": swapped("healthy", "untrained features"),
    "two are taken for each other, and both fill in well: put noise under the mask": swapped("healthy", "leak"),
    "two are taken for each other, both with poor features: look at their spread, and at what the loss did": (
        swapped("post-norm", "collapse")
    ),
    "two are taken for each other, with features near a random encoder's: which of them fills in well?": (
        swapped("untrained features", "post-norm")
    ),
    "two are taken for each other, and both have a very low loss: what does each predict?": swapped("leak", "collapse"),
    "two are taken for each other, and both have a loss that falls fast: on which places does it count?": (
        swapped("leak", "loss on visible")
    ),
}
