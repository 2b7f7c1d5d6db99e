"""The mistakes that people make in problem set 6, task 4, a mask with a hint: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor

from minimim.feedback.check import only


def squares(importance: Tensor, patch_size: int) -> Tensor:
    return rearrange(importance, "b (r p) (c q) -> b (r c) (p q)", p=patch_size, q=patch_size)


def ranks(x: Tensor, descending: bool = False) -> Tensor:
    return x.argsort(dim=1, descending=descending, stable=True).argsort(dim=1)


def means(importance: Tensor, patch_size: int) -> Tensor:
    return squares(importance, patch_size).mean(-1)


def among(noise: Tensor, those: Tensor, count: int) -> Tensor:
    """The `count` of some patches with the lowest noise."""
    return (ranks(noise.masked_fill(~those, torch.inf)) < count) & those


def most_important(worth: Tensor, top: int) -> Tensor:
    return ranks(worth, descending=True) < top


def hint_mask(*, worth=means, choose=most_important, hinted=None, rest=None, show=None, fit=True) -> Callable:
    """A mistake: another worth(importance, patch_size) of patches; choose(worth, top) → the object; hinted(noise, object, hint, worth);
    rest(noise, worth, object, hints, how many are missing) → the others that are hidden; show(hidden, hints, object) → the results."""

    def mistaken(importance, patch_size, noise, count, top, hint):
        value = worth(importance, patch_size)
        object_ = choose(value, top)
        hints = hinted(noise, object_, hint, value) if hinted else among(noise, object_, hint)
        away = object_ & ~hints
        missing = count - (top - hint)
        others = rest(noise, value, object_, hints, missing) if rest else among(noise, ~object_, missing)
        return show(away | others, hints, object_) if show else (away | others, hints)

    return mistaken


def over_the_batch(worth: Tensor, top: int) -> Tensor:
    """One ranking for all images."""
    only(len(worth) > 1)
    order = worth.flatten().argsort(descending=True, stable=True).argsort()
    return order.view(worth.shape) < top * len(worth)


def tied(worth: Tensor, top: int) -> Tensor:
    """All that are as important as the last of the object."""
    only(top > 0)
    return worth >= worth.sort(dim=1, descending=True).values[:, top - 1 : top]


def last_of_equals(worth: Tensor, top: int) -> Tensor:
    return (worth.flip(1).argsort(dim=1, descending=True, stable=True).argsort(dim=1) < top).flip(1)


def one_argsort(worth: Tensor, top: int) -> Tensor:
    return worth.argsort(dim=1, descending=True, stable=True) < top


def as_many_again(noise, worth, o, hints, missing):
    """As many others as patches were to be hidden in all."""
    count = missing + int((o & ~hints)[0].sum())
    only(count <= int((~o)[0].sum()))
    return among(noise, ~o, count)


def hints_beside(importance, patch_size, noise, count, top, hint):
    """The hint is taken from what comes after the object."""
    value = means(importance, patch_size)
    only(top + hint <= value.shape[1] and count >= top)
    object_, larger = most_important(value, top), most_important(value, top + hint)
    hints = larger & ~object_
    return object_ | among(noise, ~larger, count - top), hints


def kept_apart(importance, patch_size, noise, count, top, hint):
    """As many patches of the object are hidden as it has, and a hint besides."""
    value = means(importance, patch_size)
    only(top + hint <= value.shape[1] and count >= top)
    larger = most_important(value, top + hint)
    hints = among(noise, larger, hint)
    return (larger & ~hints) | among(noise, ~larger, count - top), hints


HINT_MASK = {
    "True is visible; in this course True means hidden, see lesson 02": hint_mask(
        show=lambda hidden, hints, o: (~hidden, hints)
    ),
    "the least important patches are the object; the most important are": hint_mask(
        choose=lambda worth, top: most_important(-worth, top)
    ),
    "argsort once gives the order, not the ranks: at place i stands which patch is the i-th": hint_mask(choose=one_argsort),
    "the importance of a patch is its largest pixel; the mean was asked for": hint_mask(
        worth=lambda x, p: squares(x, p).amax(-1)
    ),
    "the importance of a patch is one of its pixels; the mean was asked for": hint_mask(
        worth=lambda x, p: squares(x, p)[..., 0]
    ),
    "patches are numbered column by column; reading order goes row by row": hint_mask(
        worth=lambda x, p: rearrange(x, "b (r p) (c q) -> b (c r) (p q)", p=p, q=p).mean(-1)
    ),
    "the patches of all images are ranked together; each image has `top` of its own": hint_mask(choose=over_the_batch),
    "every image has the object of the first; each goes by its own map": hint_mask(
        choose=lambda worth, top: most_important(worth[:1], top).expand_as(worth)
    ),
    "a threshold takes all that are equally important, and the object is larger than `top`: of equals, the first in reading order belong to it": hint_mask(
        choose=tied
    ),
    "of equally important patches the last belong to the object; the first in reading order do": hint_mask(
        choose=last_of_equals
    ),
    "the hint is the most important of the object; noise decides which patches of it are shown": hint_mask(
        hinted=lambda noise, o, hint, worth: most_important(worth, hint)
    ),
    "the hint is the least important of the object; noise decides which patches of it are shown": hint_mask(
        hinted=lambda noise, o, hint, worth: o & ~most_important(worth, int(o[0].sum()) - hint)
    ),
    "the hint has the highest noise of the object; the lowest stays visible": hint_mask(
        hinted=lambda noise, o, hint, worth: among(-noise, o, hint)
    ),
    "the hint is chosen from all patches; it is a part of the object": hint_mask(
        hinted=lambda noise, o, hint, worth: among(noise, torch.ones_like(o), hint),
    ),
    "the hint lies outside the object; it is a part of it": hint_mask(
        hinted=lambda noise, o, hint, worth: among(noise, ~o, hint)
    ),
    "noise is ranked among all patches, so that the hint is too small: rank it among those of the object": hint_mask(
        hinted=lambda noise, o, hint, worth: (ranks(noise) < hint) & o
    ),
    "the hint is hidden as well": hint_mask(show=lambda hidden, hints, o: (hidden | hints, hints)),
    "the hint comes on top of the object, as the next important patches; it is a part of the `top`": hints_beside,
    "the object has `top` + `hint` patches; it has `top`, and the hint is among them": kept_apart,
    "only the object is hidden: others are hidden at random until there are `count`": hint_mask(
        rest=lambda noise, worth, o, hints, missing: torch.zeros_like(o)
    ),
    "`count` others are hidden besides the object; `count` is all that is hidden": hint_mask(rest=as_many_again),
    "the object is counted with its hint, and fewer than `count` are hidden": hint_mask(
        rest=lambda noise, worth, o, hints, missing: among(noise, ~o, max(0, missing - int(hints[0].sum())))
    ),
    "noise is ranked among all patches, so that too few others are hidden: rank it among those outside the object": hint_mask(
        rest=lambda noise, worth, o, hints, missing: (ranks(noise) < missing) & ~o
    ),
    "the `count` most important patches are hidden but for the hint, as in AttMask's code; others take its place, and noise chooses them": hint_mask(
        rest=lambda noise, worth, o, hints, missing: (
            most_important(worth, int(o[0].sum()) + missing - int(hints[0].sum())) & ~o
        )
    ),
    "the others that are hidden may be hints: the rest of the noise was drawn over all that is not hidden yet": hint_mask(
        rest=lambda noise, worth, o, hints, missing: among(noise, ~o | hints, missing)
    ),
    "the others that are hidden are the next important ones; noise decides": hint_mask(
        rest=lambda noise, worth, o, hints, missing: most_important(worth, int(o[0].sum()) + missing) & ~o
    ),
    "the others that are hidden have the highest noise; the lowest are hidden": hint_mask(
        rest=lambda noise, worth, o, hints, missing: among(-noise, ~o, missing)
    ),
    "the results are exchanged: the first is what is hidden, the second the hint": hint_mask(
        show=lambda hidden, hints, o: (hints, hidden)
    ),
    "the second result is all that is visible; it is the hint alone": hint_mask(
        show=lambda hidden, hints, o: (hidden, ~hidden)
    ),
    "the second result is the whole object; it is the hint alone": hint_mask(show=lambda hidden, hints, o: (hidden, o)),
}
