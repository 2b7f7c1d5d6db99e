"""The mistakes that people make in ps4.1 and ps4.2, a fair comparison: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minimim.feedback.check import only

# ps4.1


def sums(x: Tensor, garment: Tensor) -> Tensor:
    """Added up garment by garment: (E, n), (n,) → (E, G)."""
    _, home = garment.unique(return_inverse=True)
    return x.new_zeros(len(x), int(home.max()) + 1).index_add_(1, home, x)


def against(
    base: Callable = lambda scores: scores[:1], *, sign=1, centred=True, grouped=True, divide=lambda n, count: n
) -> Callable:
    """A mistake in the base, in the sign, or in the error: not centred, image by image, or divided by another number."""

    def mistaken(scores, garment):
        apart = sign * (scores - base(scores))  # (E, n)
        gain = apart.mean(1)
        left = apart - gain.unsqueeze(1) if centred else apart
        left = sums(left, garment) if grouped else left
        number = divide(scores.shape[1], len(garment.unique()))
        only(number > 0)
        return gain, left.square().sum(1).sqrt() / number

    return mistaken


def by_garment(scores, garment):
    """The mean of each garment's mean."""
    size = sums(torch.ones_like(scores), garment)  # (E, G)
    apart = sums(scores - scores[:1], garment) / size
    return apart.mean(1), apart.std(1, unbiased=False) / apart.shape[1] ** 0.5


def left_over(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The right gains, (E,), and what is left over on each image, (E, n)."""
    apart = scores - scores[:1]
    return apart.mean(1), apart - apart.mean(1, keepdim=True)


def neighbours(scores, garment):
    """Images of one garment are added up only where they stand side by side."""
    return against()(scores, garment.unique_consecutive(return_inverse=True)[1])


def counted(scores, garment):
    """Garments are taken to be called 0 to G - 1: the others are not added up."""
    gain, left = left_over(scores)
    total = torch.stack([left[:, garment == name].sum(1) for name in range(len(garment.unique()))], 1)
    return gain, total.square().sum(1).sqrt() / scores.shape[1]


def inside(scores, garment):
    """The left-overs of a garment are averaged, and not added up."""
    gain, left = left_over(scores)
    return gain, (sums(left, garment) / sums(torch.ones_like(left), garment)).square().sum(1).sqrt() / scores.shape[1]


def squared_first(scores, garment):
    """The squares of the left-overs are added up garment by garment, and their sums are squared again."""
    gain, left = left_over(scores)
    return gain, sums(left.square(), garment).square().sum(1).sqrt() / scores.shape[1]


def absolute(scores, garment):
    """The sizes of the sums are added up, and not their squares."""
    gain, left = left_over(scores)
    return gain, sums(left, garment).abs().sum(1) / scores.shape[1]


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
    "only images of one garment that stand side by side are added up: garments come in any order": neighbours,
    "garments are counted 0, 1, 2 …; they can have other numbers: take them from garment.unique()": counted,
    "the left-overs of a garment are averaged; they were to be added up": inside,
    "left-overs are squared before they are added up garment by garment: add up first, then square": squared_first,
    "the absolute values of the sums are added up; the root of the sum of their squares was asked for": absolute,
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
    "the gain is a sum over the images; the mean was asked for": (
        lambda scores, garment: (against()(scores, garment)[0] * scores.shape[1], against()(scores, garment)[1])
    ),
    "the mean of each garment is taken off, so that its left-overs add up to 0: take off the gain, which is one for all": (
        lambda scores, garment: (against()(scores, garment)[0], torch.zeros_like(scores[:, 0]))
    ),
    "the gain has lost its sign: an encoder can be worse than encoder 0": (
        lambda scores, garment: (against()(scores, garment)[0].abs(), against()(scores, garment)[1])
    ),
    "the gain and the error are exchanged: the gain comes first": lambda scores, garment: against()(scores, garment)[::-1],
    "the error is divided by the number of garments less 1; by n was asked for": against(divide=lambda n, count: count - 1),
    "the error is divided by n − 1; by n was asked for": against(divide=lambda n, count: n - 1),
    "the error is the standard deviation of the sums over √G, for G garments; the root of the sum of their squares over n was asked "
    "for": against(divide=lambda n, count: ((count - 1) * count) ** 0.5),
    "the error is that of G / (G − 1) garments, a correction that was not asked for": against(
        divide=lambda n, count: n * ((count - 1) / count) ** 0.5
    ),
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


def not_its_own(labels, noise, per_class):
    """The first m numbers of noise sort the m members of every class."""
    each = [(labels == kind).nonzero().flatten() for kind in labels.unique()]
    return torch.stack([ids[noise[:, : len(ids)].argsort(1)[:, :per_class]] for ids in each], 1)


def last_of_all(labels, noise, per_class):
    """The end of the right order."""
    each = [(labels == kind).nonzero().flatten() for kind in labels.unique()]
    return torch.stack([ids[noise[:, ids].argsort(1)[:, -per_class:]] for ids in each], 1)


def by_rank(x: Tensor) -> Tensor:
    return x.argsort().argsort()


FEW_LABELS = {
    "the images with the highest noise are taken; the lowest were asked for": few(
        order=lambda x: x.argsort(descending=True)
    ),
    "the images are drawn from all at once: each class must get its own per_class": over_all,
    "the numbers count inside the class; they must name images of the whole set": few(lambda ids, chosen: chosen),
    "the first images of each class are taken, and the noise is not used": few(order=lambda x: torch.arange(len(x))),
    "every draw uses the noise of the first": lambda labels, noise, per_class: few()(
        labels, noise[:1].expand_as(noise), per_class
    ),
    "the images of a class are sorted by number; in the order of their noise, a small draw is part of a larger one": few(
        lambda ids, chosen: ids[chosen].sort().values
    ),
    "the classes are in the order in which they first appear; ascending labels were asked for": few(
        kinds=lambda labels: torch.tensor(list(dict.fromkeys(labels.tolist())))
    ),
    "the classes are in descending order; ascending labels were asked for": few(
        kinds=lambda labels: labels.unique().flip(0)
    ),
    "argsort of argsort gives ranks, not the members in order: one argsort is right": few(order=by_rank),
    "the lowest of each class is left out: take the first per_class, from place 0 on": few(
        order=lambda x: x.argsort().roll(-1)
    ),
    "the first numbers of the noise are used for every class; each image has its own: noise[:, members]": not_its_own,
    "the axes are in the order classes, draws, images; draws, classes, images was asked for": (
        lambda labels, noise, per_class: few()(labels, noise, per_class).transpose(0, 1)
    ),
    "the axes are in the order draws, images, classes; draws, classes, images was asked for": (
        lambda labels, noise, per_class: few()(labels, noise, per_class).transpose(1, 2)
    ),
    "the axes are put in order by a reshape, which mixes the numbers: use transpose, permute, or stack(…, dim=1)": (
        lambda labels, noise, per_class: few()(labels, noise, per_class).transpose(0, 1).reshape(len(noise), -1, per_class)
    ),
    "the images of a class are in descending order of their noise; ascending was asked for": few(
        lambda ids, chosen: ids[chosen].flip(0)
    ),
    "the images with the highest noise are taken, in ascending order; the lowest were asked for": last_of_all,
    "other classes are set to 0, which is the lowest noise there is: set them to torch.inf, or leave them out": lambda labels, noise, per_class: (
        torch.stack([(noise * (labels == kind)).argsort(1)[:, :per_class] for kind in labels.unique()], 1)
    ),
    "images are counted from 1; they are counted from 0": few(lambda ids, chosen: ids[chosen] + 1),
    "classes and images are in one axis; an axis for each was asked for": (
        lambda labels, noise, per_class: few()(labels, noise, per_class).flatten(1)
    ),
    "the labels of the images are given, and not their numbers": (
        lambda labels, noise, per_class: labels[few()(labels, noise, per_class)]
    ),
    "an image can be drawn twice: sort the members by noise, and take the first": with_replacement,
}
