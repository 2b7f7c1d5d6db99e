"""The mistakes that people make in ps4.4, the hunt for leaks: what a check says of each, and a function that makes it.

None but one says anything of boxes that write into what they are given: whoever makes another mistake copies, or does not.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minimim.feedback.check import only
from minimim.feedback.ps4 import boxes


def together(predict: Callable, images: Tensor, other: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Both questions, as they should be asked: (B, N, T) twice."""
    return predict(images.clone(), hidden.clone()), predict(other.clone(), hidden.clone())


def one_at_a_time(predict, images, other, hidden):
    """A batch of one image each time."""
    pairs = [together(predict, *(x[b : b + 1] for x in (images, other, hidden))) for b in range(len(images))]
    return tuple(torch.cat(part) for part in zip(*pairs, strict=True))


def one_after_another(predict, images, other, hidden):
    """The whole batch each time, with one image changed, whose own prediction is compared."""
    rows = torch.arange(len(images)).view(-1, 1, 1, 1)
    after = [predict(torch.where(rows == b, other, images), hidden.clone())[b] for b in range(len(images))]
    return predict(images.clone(), hidden.clone()), torch.stack(after)


def same_copies(predict, images, other, hidden, mask):
    """What the box has left of the first question is used in the second."""
    x, h = images.clone(), hidden.clone()
    return predict(x, h), predict(torch.where(mask, other, x), h)


def from_black(predict, images, other, hidden, mask):
    """The first question has black pixels under the mask."""
    return together(predict, images.masked_fill(mask, 0), other, hidden)


def apart(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    return (after - before).abs() > tolerance


def testing(*, where=None, put=None, ask=together, moved=apart, share=lambda hit, hidden: hit.flatten(1).any(1)) -> Callable:
    """A mistake: where(hidden, (rows, cols)) is changed, put(images, noise, mask) stands there, ask is how the box is asked,
    moved(before, after, tolerance) says which numbers moved, and the mean of share(those, hidden) is the result."""

    def mistaken(predict, images, hidden, patch_size, noise, tolerance):
        only(ask is same_copies or predict.func not in boxes.WRITING)
        grid = images.shape[2] // patch_size, images.shape[3] // patch_size
        mask = boxes.pixels(images, where(hidden, grid) if where else hidden, patch_size)
        other = put(images, noise, mask) if put else torch.where(mask, noise, images)
        found = ask(predict, images, other, hidden, *([mask] if ask in (same_copies, from_black) else []))
        return share(moved(*found, tolerance), hidden).to(images.dtype).mean()

    return mistaken


def first_of_patch(predict, images, hidden, patch_size, noise, tolerance):
    """The upper left pixel of each hidden patch."""
    only(patch_size > 1 and predict.func not in boxes.WRITING)
    mask = boxes.pixels(images, hidden, patch_size)
    mask[:, :, torch.arange(mask.shape[2]) % patch_size > 0] = False
    mask[:, :, :, torch.arange(mask.shape[3]) % patch_size > 0] = False
    before, after = together(predict, images, torch.where(mask, noise, images), hidden)
    return apart(before, after, tolerance).flatten(1).any(1).to(images.dtype).mean()


def channel(number: int) -> Callable:
    """One channel is changed."""

    def put(images, noise, mask):
        one = torch.arange(images.shape[1]) == number % images.shape[1]
        return torch.where(mask & one.view(1, -1, 1, 1), noise, images)

    return put


def own_noise(images, noise, mask):
    drawn = torch.randn(images.shape, generator=torch.Generator().manual_seed(0), dtype=images.dtype)
    return torch.where(mask, drawn, images)


def summed(change: Callable) -> Callable:
    """One number an image is made of the changes of all its numbers."""
    return lambda before, after, tolerance: (change((after - before).flatten(1)) > tolerance).unsqueeze(1)


def relative(before, after, tolerance):
    return (after - before).abs() > tolerance * before.flatten(1).abs().amax(1).view(-1, 1, 1)


def some(hit, hidden):
    """Of the images that hide something."""
    return hit.flatten(1).any(1)[hidden.any(1)]


def largest(before, after, tolerance):
    return (after - before).abs().flatten(1).amax(1)


LEAKS = {
    "hidden is read upside down: the visible pixels were changed": testing(where=lambda hidden, grid: ~hidden),
    "all pixels were changed: only the hidden ones may be": testing(where=lambda hidden, grid: torch.ones_like(hidden)),
    "the grid is read as (cols, rows); it is (H / patch_size, W / patch_size)": testing(
        where=lambda hidden, grid: hidden.unflatten(1, grid[::-1]).mT.flatten(1)
    ),
    "the mask of the first image is used for all; each image has its own": testing(
        where=lambda hidden, grid: hidden[:1].expand_as(hidden)
    ),
    "only the first hidden patch of each image was changed: all of them must be": testing(
        where=lambda hidden, grid: hidden & (hidden.cumsum(1) == 1)
    ),
    "only the first channel was changed: a box may see another": testing(put=channel(0)),
    "only the last channel was changed: a box may see another": testing(put=channel(-1)),
    "only the upper left pixel of each hidden patch was changed: all of its pixels must be": first_of_patch,
    "the noise is added to the hidden pixels; it was to be put in their place": testing(
        put=lambda images, noise, mask: images + noise * mask
    ),
    "the hidden pixels were set to 0; noise was to be put there, because a box may set them to 0 itself": testing(
        put=lambda images, noise, mask: images.masked_fill(mask, 0)
    ),
    "other noise than the argument noise was put under the mask": testing(put=own_noise),
    "the box is asked about one image at a time: ask about the whole batch, because it may mix its images": testing(
        ask=one_at_a_time
    ),
    "the images are changed one after another: change all of them at once": testing(ask=one_after_another),
    "the second question reuses the copies of the first, and the box may have written into them: make new ones": testing(
        ask=same_copies
    ),
    "the first question has black pixels under the mask; it was to be about the images as they are": testing(ask=from_black),
    "only the prediction at hidden places is compared: a leak may show at visible ones": testing(
        share=lambda hit, hidden: (hit & hidden.unsqueeze(-1)).flatten(1).any(1)
    ),
    "only the prediction at visible places is compared: a leak may show at hidden ones": testing(
        share=lambda hit, hidden: (hit & ~hidden.unsqueeze(-1)).flatten(1).any(1)
    ),
    "only the first number of each image is compared: all N · T numbers count": testing(
        share=lambda hit, hidden: hit.flatten(1)[:, 0]
    ),
    "only the last number of each image is compared: all N · T numbers count": testing(
        share=lambda hit, hidden: hit.flatten(1)[:, -1]
    ),
    "only the first number of each place is compared: all T numbers count": testing(
        share=lambda hit, hidden: hit[:, :, 0].any(1)
    ),
    "only the last number of each place is compared: all T numbers count": testing(
        share=lambda hit, hidden: hit[:, :, -1].any(1)
    ),
    "only the first place is compared: all N places count": testing(share=lambda hit, hidden: hit[:, 0].any(1)),
    "the changes are averaged over the numbers of an image: it moves when any single number does": testing(
        moved=summed(lambda change: change.abs().mean(1))
    ),
    "the changes are averaged with their signs, so that rises and falls cancel: take abs first, then ask for any": testing(
        moved=summed(lambda change: change.mean(1).abs())
    ),
    "the changes are added up with their signs, so that rises and falls cancel: take abs first, then ask for any": testing(
        moved=summed(lambda change: change.sum(1).abs())
    ),
    "the changes of an image are put together in a sum or a norm: each number is compared with the tolerance on its own": testing(
        moved=summed(lambda change: change.norm(dim=1))
    ),
    "squares of changes, or their mean, are compared with the tolerance; each change itself was to be": testing(
        moved=lambda before, after, tolerance: (after - before).square() > tolerance
    ),
    "only changes upwards are counted": testing(moved=lambda before, after, tolerance: after - before > tolerance),
    "only changes downwards are counted": testing(moved=lambda before, after, tolerance: before - after > tolerance),
    "the sizes of the predictions are compared, so that a change of sign is none: take abs of the difference": testing(
        moved=lambda before, after, tolerance: (after.abs() - before.abs()).abs() > tolerance
    ),
    "the tolerance is not used: rounding counts as a leak": testing(moved=lambda before, after, tolerance: before != after),
    "a change that is just as large as the tolerance counts; more than that was asked for": testing(
        moved=lambda before, after, tolerance: (after - before).abs() >= tolerance
    ),
    "torch.isclose and torch.allclose add 0.00001 of the number to your tolerance: give them rtol=0": testing(
        moved=lambda before, after, tolerance: ~torch.isclose(after, before, atol=tolerance)
    ),
    "the tolerance is multiplied by the size of the prediction; it is meant as it stands": testing(moved=relative),
    "the share is of numbers that moved; of images was asked for": testing(share=lambda hit, hidden: hit),
    "the share is of places that moved; of images was asked for": testing(share=lambda hit, hidden: hit.any(2)),
    "it says whether any image moved; the share of the images was asked for": testing(share=lambda hit, hidden: hit.any()),
    "the share is of the images that stay; of those that move was asked for": testing(
        share=lambda hit, hidden: ~hit.flatten(1).any(1)
    ),
    "an image moves when one of its numbers does, and you ask that all do": testing(
        share=lambda hit, hidden: hit.flatten(1).all(1)
    ),
    "a place counts only where all of its T numbers move: any single number counts": testing(
        share=lambda hit, hidden: hit.all(2).any(1)
    ),
    "images that hide nothing are left out of the share; the share of all images was asked for": testing(share=some),
    "it is the number of images that move; divide it by the number of images": testing(
        share=lambda hit, hidden: hit.flatten(1).any(1).sum()
    ),
    "it is the mean size of the largest changes; the share of the images that move was asked for": testing(
        moved=largest, share=lambda sizes, hidden: sizes
    ),
}
