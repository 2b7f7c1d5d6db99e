"""The mistakes that people make in ps4.5 and ps4.6, the hunt: what a check says of each, and a function that makes it.

A sentence that fits several causes names them all, because it must be true of the answer.
"""

from collections.abc import Callable

import torch

from minimim.feedback import sabotaged
from minimim.feedback.ps4 import methods, truth

# ps4.5


def saying(change: Callable) -> Callable:
    """A mistake: change(the three right answers, method)."""
    return lambda method, images, noise: change(truth.symptoms(method, images, noise), method)


def answering(place: int, say: Callable) -> Callable:
    """A mistake in one answer: say(what is right, method)."""

    def change(found, method):
        found[place] = say(bool(found[place]), method)
        return found

    return saying(change)


def large(part: torch.nn.Module, name: str) -> bool:
    """Whether the last map or norm of a part makes large numbers."""
    last = getattr(part, name, None)
    return last is not None and bool(last.weight.abs().max() > methods.LARGE / 1000)


def blind(place: int, *others: type) -> Callable:
    """A mistake in one answer: it is False where the method has a part of these classes."""
    return answering(
        place, lambda right, method: right and not isinstance(method.decoder if place == 0 else method.encoder, others)
    )


def judging(change: Callable) -> Callable:
    """A mistake in answer 0: change(the method's output, its output when the order is reversed)."""

    def mistaken(method, images, noise):
        found = truth.symptoms(method, images, noise)
        with torch.no_grad():
            first = method(images, noise=noise)
            found[0] = bool(change(first, method(images, noise=first.mask.float() - noise)))
        return found

    return mistaken


def reordered(order: list[int]) -> Callable:
    return saying(lambda found, method: found[order])


SICK = sabotaged.Unrestored, sabotaged.Averaged, sabotaged.PostNorm


def parts(method) -> tuple:
    """The part that each answer is about."""
    return method.decoder, method.encoder, method.encoder.blocks[0]


def by_class(*places: int) -> Callable:
    """Some answers go by classes."""
    return saying(
        lambda found, method: torch.tensor(
            [isinstance(parts(method)[n], SICK[n]) if n in places else bool(found[n]) for n in range(3)]
        )
    )


def by_class_name(*places: int) -> Callable:
    """Some answers go by the names of classes."""
    return saying(
        lambda found, method: torch.tensor(
            [type(parts(method)[n]).__name__ == SICK[n].__name__ if n in places else bool(found[n]) for n in range(3)]
        )
    )


BY_NAME = ": the same fault can come under another name, so measure what the method does"
SYMPTOMS = {
    "answer 0 is True for every method, also for a healthy one: do both runs hide the same patches (compare their .mask), and is "
    "the method still in eval mode (in train mode it flips images at random)?": answering(0, lambda right, method: True),
    "answer 0 is False for every method, also where ids are not restored: does the second noise change the order of the visible "
    "patches at all, are the predictions compared, and is the bound as low as a thousandth of their size?": answering(
        0, lambda right, method: False
    ),
    "answer 0 takes rounding for a change: compare the norm of the difference, or its largest number, with a thousandth of that of "
    "the whole prediction; number by number will not do, since some are near 0": judging(
        lambda first, again: not torch.equal(first.prediction, again.prediction)
    ),
    "answer 0 takes rounding for a change where predictions are large: the bound is a thousandth of their size, not a fixed "
    "number": answering(0, lambda right, method: right or large(method.decoder, "pred")),
    "answer 0 misses a change of two hundredths: the bound is a thousandth of the size of the prediction, and cosine similarity "
    "hardly notices small changes": blind(0, methods.Nearly),
    "answer 0 misses a change at visible places: compare the whole prediction": blind(0, methods.InReadingOrder),
    "answer 0 misses a change at hidden places: compare the whole prediction": blind(0, methods.InReadingOrderWhereHidden),
    "answer 0 compares one number of each run, such as its loss: compare the whole predictions, number by number": judging(
        lambda first, again: (first.loss - again.loss).abs() > 1e-3 * first.loss
    ),
    "answer 0 compares one number of each run, such as the mean of its prediction: compare the whole predictions, number by "
    "number": judging(
        lambda first, again: (first.prediction.mean() - again.prediction.mean()).abs() > 1e-3 * first.prediction.mean().abs()
    ),
    "answer 0 is upside down: True is a prediction that changes": answering(0, lambda right, method: not right),
    "answer 1 is True for every method, also for a healthy one: encoder.features of whole images must be compared with the mean over "
    "patches of encoder(images), without a mask and in eval mode": answering(1, lambda right, method: True),
    "answer 1 is False for every method, also where the features are untrained: is encoder.features compared with the mean of the "
    "latents, and with a bound as low as a thousandth of their size?": answering(1, lambda right, method: False),
    "answer 1 takes rounding for a difference: let nothing count that is smaller than a thousandth of the size of the "
    "features": answering(1, lambda right, method: right or isinstance(method.encoder, methods.Careful)),
    "answer 1 takes rounding for a difference where latents are large: the bound is a thousandth of their size, not a fixed "
    "number": answering(1, lambda right, method: right or large(method.encoder, "norm")),
    "answer 1 does not see the length of the features (as cosine similarity does not): twice the mean is something else": blind(
        1, methods.Longer
    ),
    "answer 1 looks at the length or the mean of the features alone: their numbers may stand in another order": blind(
        1, methods.Mirrored
    ),
    "answer 1 takes features for the mean of the latents that are off by two hundredths: the bound is a thousandth": answering(
        1, lambda right, method: right and type(method.encoder) is not methods.Longer
    ),
    "answer 1 is upside down: True is features that are something else": answering(1, lambda right, method: not right),
    "answer 2 is True for every method, also for a pre-norm one: what does a single block make of an input that is 1,000 times as "
    "large?": answering(2, lambda right, method: True),
    "answer 2 is False for every method, also for a post-norm one: look at a single block, because the encoder norms its result in "
    "either case, and at an input 1,000 times as large": answering(2, lambda right, method: False),
    "answer 2 looks at the size of what the encoder gives, whose last step is a norm of its own in either case: look at a single "
    "block": answering(2, lambda right, method: not large(method.encoder, "norm")),
    "answer 2 is upside down: True is post-norm": answering(2, lambda right, method: not right),
    "answer 2 tells deep encoders from shallow ones, and the norm may stand in either place in both": answering(
        2, lambda right, method: method.encoder.depth > 3
    ),
    "all three answers are upside down: True is a fault": saying(lambda found, method: ~found),
    "the answers are in another order: first ids, then features, then norm": reordered([2, 0, 1]),
    "the answers are in another order: first ids, then features, then norm; yours are turned round": reordered([2, 1, 0]),
    "answers 0 and 1 are exchanged: first ids, then features": reordered([1, 0, 2]),
    "answers 1 and 2 are exchanged: first features, then norm": reordered([0, 2, 1]),
    "the answers go by classes" + BY_NAME: by_class(0, 1, 2),
    "the answers go by the names of classes" + BY_NAME: by_class_name(0, 1, 2),
    **{f"answer {n} goes by the class of a part, or by what it holds" + BY_NAME: by_class(n) for n in range(3)},
    **{f"answer {n} goes by the name of a class" + BY_NAME: by_class_name(n) for n in range(3)},
    "the answers are 0 and 1 as whole numbers; True and False were asked for, a boolean tensor": saying(
        lambda found, method: found.long()
    ),
    "the answers are 0 and 1 as numbers; True and False were asked for, a boolean tensor": saying(
        lambda found, method: found.float()
    ),
}


# ps4.6


def swapped(one: str, other: str) -> Callable:
    """A mistake: two faults are taken for each other."""
    change = {one: other, other: one}
    return lambda: {name: change.get(fault, fault) for name, fault in truth.verdicts().items()}


VERDICTS = {
    "keys and values are exchanged: the letters are the keys, and the names of the faults the values": lambda: {
        fault: name for name, fault in truth.verdicts().items()
    },
    "the letters are small, from a to g": lambda: {name.upper(): fault for name, fault in truth.verdicts().items()},
    "two are taken for each other, and their curves are alike: read the same visible patches in another order": (
        swapped("healthy", "ids not restored")
    ),
    "two are taken for each other: what does one of their blocks make of an input that is 1,000 times as large?": (
        swapped("healthy", "post-norm")
    ),
    "two are taken for each other: look at what they fill in, and at the places on which the loss counts": (
        swapped("healthy", "loss on visible")
    ),
    "two are taken for each other: how far apart are the features of different images?": swapped("healthy", "collapse"),
    "two are taken for each other, both of which fill in badly: which of them still paints what is visible?": (
        swapped("loss on visible", "ids not restored")
    ),
    "two are taken for each other, and their fillings are alike: probe the features of both": swapped(
        "healthy", "untrained features"
    ),
    "two are taken for each other, and both fill in well: put noise under the mask": swapped("healthy", "leak"),
    "two are taken for each other, both with poor features: look at their relative standard deviation, and at what the loss did": (
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
