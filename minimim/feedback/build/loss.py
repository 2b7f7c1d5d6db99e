"""The checks of the build notebook, 12 and 13: the loss on normalised hidden patches, and one step of training."""

import inspect
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from minimim.feedback.build import library
from minimim.feedback.build.modules import CLOSE
from minimim.feedback.build.use import behind
from minimim.feedback.check import Task, WrongAnswer, variants


def loss_cases():
    for batch, count, width, keep in ((2, 6, 12, 2), (1, 4, 3, 1), (3, 9, 48, 4)):
        draw = torch.Generator().manual_seed(width)
        prediction = torch.randn(batch, count, width, generator=draw)
        patches = 1 + 3 * torch.randn(batch, count, width, generator=draw)
        hidden = torch.rand(batch, count, generator=draw).argsort(1).argsort(1) >= keep
        for words, arguments in variants({"prediction": prediction, "patches": patches, "hidden": hidden}):
            yield f"{batch} × {count} patches of {width} numbers, {keep} visible, {words}", arguments
    uneven = torch.tensor([[True, True, True, False], [False, True, False, False]])
    yield "samples that hide 3 and 1 patches", {"prediction": torch.arange(24.0).view(2, 4, 3), "patches": torch.arange(24.0).view(2, 4, 3) ** 2, "hidden": uneven}
    flat = torch.full((1, 3, 4), 0.5)
    flat[0, 0, 0] += 0.002
    yield "patches of one colour, and one of nearly one", {"prediction": torch.zeros(1, 3, 4), "patches": flat, "hidden": torch.tensor([[True, True, False]])}


def normed(patches: Tensor, eps=lambda variance: (variance + 1e-6).sqrt(), unbiased: bool = True, axes=-1) -> Tensor:
    """Patches brought to mean 0 and variance 1 in another way."""
    variance = patches.var(dim=axes, keepdim=True, correction=int(unbiased))
    return (patches - patches.mean(dim=axes, keepdim=True)) / eps(variance)


def compared(target: Callable = normed, error: Callable = torch.square, mean: Callable = lambda errors, hidden: errors[hidden].mean()):
    """A loss with another target, error or mean. mean: (errors (B, N), hidden) → ()."""
    return lambda prediction, patches, hidden: mean(error(prediction - target(patches)).mean(-1), hidden)


MAE_LOSS = Task(
    "build.12", "mae_loss", library.mae_loss, loss_cases,
    mistakes={
        "the mean runs over all patches; only the hidden ones count":
            compared(mean=lambda errors, hidden: errors.mean()),
        "the mean runs over the visible patches; True means hidden":
            compared(mean=lambda errors, hidden: errors[~hidden].mean()),
        "the errors of the hidden patches are divided by the number of all patches":
            compared(mean=lambda errors, hidden: (errors * hidden).mean()),
        "the errors of the hidden patches are summed; take their mean":
            compared(mean=lambda errors, hidden: errors[hidden].sum()),
        "each sample was averaged before the batch; here all hidden patches of the batch count the same":
            compared(mean=lambda errors, hidden: ((errors * hidden).sum(1) / hidden.sum(1)).mean()),
        "the target is the patches as they are; take out each patch's mean, and divide by its standard deviation":
            compared(target=lambda patches: patches),
        "the mean of each patch is taken out, but it is not divided by the standard deviation":
            compared(target=lambda patches: patches - patches.mean(-1, keepdim=True)),
        "each patch is divided by its variance; divide by the square root of it":
            compared(target=lambda patches: normed(patches, eps=lambda variance: variance + 1e-6)),
        "the variance is divided by n; MAE divides by n − 1, as torch does by default":
            compared(target=lambda patches: normed(patches, unbiased=False)),
        "1e-6 is added to the standard deviation; it belongs under the root, to the variance":
            compared(target=lambda patches: normed(patches, eps=lambda variance: variance.sqrt() + 1e-6)),
        "nothing is added to the variance, so a patch of one colour is divided by zero: add 1e-6 under the root":
            compared(target=lambda patches: normed(patches, eps=lambda variance: variance.sqrt())),
        "mean and variance are those of all patches of an image; each patch has its own":
            compared(target=lambda patches: normed(patches, axes=(1, 2))),
        "the errors are absolute values; square them":
            compared(error=torch.abs),
        "the prediction was normalised as well; compare it as it is":
            lambda prediction, patches, hidden: compared()(normed(prediction), patches, hidden),
        "the root was taken of the mean of squares; leave it out":
            lambda prediction, patches, hidden: compared()(prediction, patches, hidden).sqrt(),
        "the squares of a patch are summed; take their mean":
            lambda prediction, patches, hidden: compared()(prediction, patches, hidden) * patches.shape[-1],
    },
    learns=("prediction",), close=CLOSE, adapt=behind,
)  # fmt: skip


# build.13


class Line(nn.Module):
    """A model small enough to follow: its loss is how far a linear map of the images is from 1."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        return (self.map(images.flatten(1)) - 1).square().mean()


def step_cases():
    def case(step: int, steps: int, warmup: int, *, lr=0.1, taken: int = 0, dtype=torch.float32, kind="adamw"):
        draw = torch.Generator().manual_seed(step)
        model, images = Line(), torch.randn(5, 1, 2, 2, dtype=dtype, generator=draw)
        for p in model.parameters():
            p.data = torch.randn(p.shape, dtype=dtype, generator=draw)
        groups = [{"params": [model.map.weight], "weight_decay": 0.05}, {"params": [model.map.bias], "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95)) if kind == "adamw" else torch.optim.SGD(groups, lr=0.0)
        for n in range(taken):
            library.training_step(model, optimizer, images + n, n, steps, lr, warmup)
        return {"model": model, "optimizer": optimizer, "images": images, "step": step, "steps": steps, "lr": lr, "warmup": warmup}

    yield "steps 0 and 1 of 10, warm-up 4", case(0, 10, 4)
    yield "steps 3 and 4 of 10, warm-up 4, where the warm-up ends", case(3, 10, 4)
    yield "steps 6 and 7 of 10, warm-up 4, with AdamW's averages of three steps", case(6, 10, 4, taken=3)
    yield "steps 8 and 9 of 10, warm-up 2", case(8, 10, 2)
    yield "steps 2 and 3 of 5, no warm-up, plain SGD", case(2, 5, 0, kind="sgd")
    yield "steps 5 and 6 of 20, warm-up 5, float64", case(5, 20, 5, dtype=torch.float64)


class Stepped(NamedTuple):
    """What two steps give, and what they leave behind."""

    the_losses_of_two_steps: Tensor
    the_learning_rates_of_two_steps: Tensor
    the_weights_after_two_steps: Tensor


def twice(step_once: Callable, model, optimizer, images, step, steps, lr, warmup) -> Stepped:
    """Two steps one after the other, since what the first leaves behind may spoil the second. step_once: returns the loss."""
    losses, rates = [], []
    for number in (step, step + 1):
        loss = step_once(model, optimizer, images, number, steps, lr, warmup)
        if not isinstance(loss, Tensor | float):
            raise WrongAnswer(f"build.13: the loss was asked for, and it returned {type(loss).__name__}")
        if isinstance(loss, Tensor) and loss.requires_grad:
            raise WrongAnswer("build.13: the loss still holds its graph, which takes memory for every loss that is kept: return loss.detach()")
        losses.append(torch.as_tensor(loss, dtype=images.dtype))
        rates += [float(group["lr"]) for group in optimizer.param_groups]
    return Stepped(torch.stack(losses), torch.tensor(rates), torch.cat([p.detach().flatten() for p in model.parameters()]))


def adapt(answer: Callable) -> Callable:
    """Two steps of an answer."""
    answer = behind(answer)

    def run(*given, **named):
        return twice(answer, **inspect.signature(library.training_step).bind(*given, **named).arguments)

    run.__signature__ = inspect.signature(answer)
    return run


def truth(model, optimizer, images, step, steps, lr, warmup) -> Stepped:
    """Two steps, as the library's schedule has them."""
    return twice(library.training_step, model, optimizer, images, step, steps, lr, warmup)


def cosine(step: int, steps: int, warmup: int) -> float:
    return (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2


def right(step: int, steps: int, warmup: int) -> float:
    return (step + 1) / warmup if step < warmup else cosine(step, steps, warmup)


def stepping(factor: Callable = right, *, zero: bool = True, groups: int = 9, late: bool = False, sign: int = 1, walk: bool = True, again: bool = False):
    """Two steps that do one thing in another way. factor: of the learning rate; groups: how many of them get it; late: after the step."""

    def once(model, optimizer, images, step, steps, lr, warmup):
        def rate():
            for group in optimizer.param_groups[:groups]:
                group["lr"] = lr * factor(step, steps, warmup)

        if not late:
            rate()
        loss = model(images)
        if zero:
            optimizer.zero_grad()
        (sign * loss).backward()
        if walk:
            optimizer.step()
        if late:
            rate()
        return (model(images) if again else loss).detach()

    return lambda **arguments: twice(once, **arguments)


TRAINING_STEP = Task(
    "build.13", "training_step", truth, step_cases,
    mistakes={
        "the gradients of earlier steps are still there, and backward adds to them: call optimizer.zero_grad() before it":
            stepping(zero=False),
        "no weight has moved: loss.backward() comes first, then optimizer.step(), and optimizer.zero_grad() does not stand between them":
            stepping(walk=False),
        "the learning rate was set after optimizer.step(), so this step was taken with the rate before it":
            stepping(late=True),
        "only the first group of the optimiser got the learning rate; set it in every one of optimizer.param_groups":
            stepping(groups=1),
        "the learning rate is lr in every step; it climbs in the warm-up and falls along half a cosine after it":
            stepping(lambda step, steps, warmup: 1.0),
        "the warm-up climbs from step / warmup, which is 0 in the first step; it is (step + 1) / warmup":
            stepping(lambda step, steps, warmup: step / warmup if step < warmup else cosine(step, steps, warmup)),
        "there is no warm-up: below `warmup` the rate is lr · (step + 1) / warmup":
            stepping(lambda step, steps, warmup: cosine(step, steps, 0)),
        "after the warm-up the rate stays at its height; it falls along half a cosine":
            stepping(lambda step, steps, warmup: min(1.0, (step + 1) / max(1, warmup))),
        "the cosine begins at step 0; it begins where the warm-up ends, (step − warmup) / (steps − warmup)":
            stepping(lambda step, steps, warmup: (step + 1) / warmup if step < warmup else cosine(step, steps, 0)),
        "the cosine is divided by steps; after the warm-up there are steps − warmup of them":
            stepping(lambda step, steps, warmup: (step + 1) / warmup if step < warmup else (1 + math.cos(math.pi * (step - warmup) / steps)) / 2),
        "the rate falls in a straight line; it falls along half a cosine":
            stepping(lambda step, steps, warmup: (step + 1) / warmup if step < warmup else (steps - step) / (steps - warmup)),
        "the cosine was not halved, so the rate begins at 2 · lr":
            stepping(lambda step, steps, warmup: (step + 1) / warmup if step < warmup else 2 * cosine(step, steps, warmup)),
        "the step goes uphill":
            stepping(sign=-1),
        "the loss was computed again after the step; return the one that was stepped along":
            stepping(again=True),
    },
    errors={"does not require grad": "nothing was recorded for the gradient: compute loss = model(images) without torch.no_grad() or .detach(), then call loss.backward()"},
    close=CLOSE, adapt=adapt,
)  # fmt: skip


TASKS = [MAE_LOSS, TRAINING_STEP]
