"""The mistakes that people make in problem set 3, task 5, the steps: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from minimim.feedback.check import only


def every_group(optimizer, rates: list, step: int, taken: int) -> None:
    """Right."""
    for group in optimizer.param_groups:
        group["lr"] = rates[step]


def first_group(optimizer, rates: list, step: int, taken: int) -> None:
    optimizer.param_groups[0]["lr"] = rates[step]


def step_before(optimizer, rates: list, step: int, taken: int) -> None:
    if step:
        every_group(optimizer, rates, step - 1, taken)


def at_the_start(optimizer, rates: list, step: int, taken: int) -> None:
    every_group(optimizer, rates, 0, taken)


def saved_for_later(optimizer, rates: list, step: int, taken: int) -> None:
    every_group(optimizer, rates, taken, taken)


def each_alone(learning: list, max_norm: float) -> Tensor:
    norms = [nn.utils.clip_grad_norm_([p], max_norm) for p in learning]
    return torch.stack(norms).norm()


def each_group(learning: list, max_norm: float) -> Tensor:
    """The groups are the weights and the biases here."""
    groups = [[p for p in learning if (p.dim() > 1) == is_weight] for is_weight in (True, False)]
    return torch.stack([nn.utils.clip_grad_norm_(group, max_norm) for group in groups]).norm()


def each_value(learning: list, max_norm: float) -> Tensor:
    norm = nn.utils.get_total_norm([p.grad for p in learning])
    nn.utils.clip_grad_value_(learning, max_norm)
    return norm


def always(learning: list, max_norm: float) -> Tensor:
    """Short gradients are made longer."""
    norm = nn.utils.get_total_norm([p.grad for p in learning])
    for p in learning:
        p.grad.mul_(max_norm / norm)
    return norm


def squared(learning: list, max_norm: float) -> Tensor:
    norm = nn.utils.get_total_norm([p.grad for p in learning]).square()
    for p in learning:
        p.grad.mul_(min(1.0, max_norm / float(norm)))
    return norm


def told_late(learning: list, max_norm: float) -> Tensor:
    nn.utils.clip_grad_norm_(learning, max_norm)
    return nn.utils.get_total_norm([p.grad for p in learning])


def what_is_finite(learning: list, max_norm: float) -> Tensor:
    for p in learning:
        p.grad.nan_to_num_(0, 0, 0)
    return nn.utils.clip_grad_norm_(learning, max_norm)


def both_finite(loss: Tensor, norm: Tensor) -> bool:
    """Right."""
    return bool(loss.isfinite() and norm.isfinite())


def stale(model: nn.Module) -> bool:
    """Whether gradients are there before the first step."""
    return any(p.grad is not None for p in model.parameters())


def training(
    *,
    share=lambda errors, hidden, count, places, hides: errors[hidden].sum() / count,
    error=lambda x: x.square().mean(-1),
    clear=lambda step, part, good: part == 0,
    clip=nn.utils.clip_grad_norm_,
    give=every_group,
    keep=both_finite,
    otherwise=None,
    at_once=False,
    by_parts=False,
    tell=sum,
    mode=True,
    renew=lambda model, optimizer: optimizer,
    undo=False,
    drop=False,
    late=False,
) -> Callable:
    """A mistake. share(errors (B, N), hidden, hidden patches of the batch, all of them, hidden of each part) → a part's loss;
    clear(step, part, whether the step before was taken): when gradients go; keep(loss, norm): whether a step is taken;
    otherwise(learning): what is done before it is taken all the same, or "stop", or "forget"; at_once: a step after each
    part; by_parts: clipping after each part; tell(losses of the parts) → the loss that is returned; mode: train or eval;
    renew(model, optimizer) → the optimiser that is used; undo: weights that are not finite go back to what they were;
    drop: a part that is not finite is passed over; late: gradients are emptied just before the step."""

    def mistaken(model, optimizer, batches, rates, max_norm):
        only(not at_once or all(len(parts) > 1 for parts in batches))
        model.train(mode)
        optimizer = renew(model, optimizer)
        learning = [p for group in optimizer.param_groups for p in group["params"]]
        losses, norms, good, taken = [], [], True, 0
        for step, parts in enumerate(batches):
            count, places = (sum(int(x.sum()) for x in xs) for xs in zip(*((h, h | True) for *_, h in parts), strict=True))
            shares = []
            for number, (patches, target, hidden) in enumerate(parts):
                if clear(step, number, good):
                    optimizer.zero_grad()
                shares.append(share(error(model(patches, hidden) - target), hidden, count, places, [h for *_, h in parts]))
                if drop and not shares[-1].isfinite():
                    shares.pop()
                    continue
                shares[-1].backward()
                last = number + 1 == len(parts)
                if (at_once or by_parts) and not last:
                    clip(learning, max_norm)
                if at_once and not last:
                    every_group(optimizer, rates, step, taken)
                    optimizer.step()
                    optimizer.zero_grad()
            loss, norm = sum(x.detach() for x in shares), clip(learning, max_norm)
            good = keep(loss, norm)
            if good or otherwise != "forget":
                losses.append(tell([x.detach() for x in shares]))
                norms.append(norm)
            if not good and otherwise == "stop":
                break
            if not good and callable(otherwise):
                otherwise(learning)
            give(optimizer, rates, step, taken)
            if late:
                optimizer.zero_grad()
            before = [p.detach().clone() for p in learning]
            if good or callable(otherwise):
                optimizer.step()
                taken += 1
            if undo and not all(p.isfinite().all() for p in learning):
                for p, old in zip(learning, before, strict=True):
                    p.data = old
        return torch.stack(losses), torch.stack(norms)

    return mistaken


def zeroed(learning: list) -> None:
    for p in learning:
        p.grad = torch.zeros_like(p)


def good_steps_alone(model, optimizer, batches, rates, max_norm):
    """Gradients go after a step that was taken, and stay after one that was left out."""
    only(not stale(model))
    return training(clear=lambda step, part, good: part == 0 and good)(model, optimizer, batches, rates, max_norm)


def finite_part(share: Callable) -> Callable:
    """A mistake in the loss, where each part hides something."""

    def stated(errors, hidden, count, places, hides):
        only(bool(hidden.any()))
        return share(errors, hidden, count, places, hides)

    return stated


TRAIN = {
    "each part counts the same; one that hides more counts more: divide by the count of the whole batch": training(
        share=finite_part(lambda errors, hidden, count, places, hides: errors[hidden].mean() / len(hides))
    ),
    "the means of the parts are added up: divide by the count of the whole batch": training(
        share=finite_part(lambda errors, hidden, count, places, hides: errors[hidden].mean())
    ),
    "a part that hides nothing gives NaN, 0 / 0, and its step is lost": training(
        share=lambda errors, hidden, count, places, hides: errors[hidden].mean() * hidden.sum() / count
    ),
    "each image counts the same, as in ps3.3; here each hidden patch of the batch does": training(
        share=lambda errors, hidden, count, places, hides: (
            ((errors * hidden).sum(1) / hidden.sum(1).clamp(min=1)).sum() / sum(h.any(1).sum() for h in hides)
        )
    ),
    "the sum is divided by all patches; by the hidden ones alone": training(
        share=lambda errors, hidden, count, places, hides: errors[hidden].sum() / places
    ),
    "the sum is not divided by the number of hidden patches": training(
        share=lambda errors, hidden, count, places, hides: errors[hidden].sum()
    ),
    "visible patches are scored as well": training(share=lambda errors, hidden, count, places, hides: errors.sum() / places),
    "hidden is read upside down: True is hidden, and scored": training(
        share=lambda errors, hidden, count, places, hides: errors[~hidden].sum() / count
    ),
    "the squares of a patch are summed; their mean over T was asked for": training(error=lambda x: x.square().sum(-1)),
    "the error is the absolute one; the squared one was asked for": training(error=lambda x: x.abs().mean(-1)),
    "gradients of the step before are still there: zero_grad at the start of each step": training(
        clear=lambda step, part, good: False
    ),
    "gradients that were there before the first step count in it: zero_grad at the start of each step, not only at its end": (
        training(clear=lambda step, part, good: part == 0 and step > 0)
    ),
    "gradients are emptied between backward and the step, so that nothing is learnt; empty them before the first part": training(
        clear=lambda *_: False, late=True
    ),
    "a step that was left out leaves its gradients to the next: zero_grad at the start of each step": good_steps_alone,
    "only the last part teaches: zero_grad once a step, and not before each part": training(clear=lambda *_: True),
    "the optimiser takes a step after each part; a batch is one step": training(at_once=True),
    "clipping comes after each part; it comes once a step, when the gradients of all parts are there": training(
        by_parts=True
    ),
    "gradients are not clipped": training(clip=lambda learning, max_norm: nn.utils.clip_grad_norm_(learning, math.inf)),
    "each parameter is clipped by its own norm; there is one norm for all together": training(clip=each_alone),
    "each group of parameters is clipped by its own norm; there is one norm for all together": training(clip=each_group),
    "single values are clipped; it is the norm of all gradients together that may not exceed max_norm": training(
        clip=each_value
    ),
    "gradients shorter than max_norm are made longer; they stay as they are": training(clip=always),
    "the norm is the root of the sum of squares, and yours has no root": training(clip=squared),
    "the norm that you return is that after clipping; the one before was asked for": training(clip=told_late),
    "only the first group of parameters gets the rate": training(give=first_group),
    "a step takes the rate of the step before: set it before optimizer.step()": training(give=step_before),
    "the rate is set once, to the first; each step has its own": training(give=at_the_start),
    "a step that is left out passes its rate on to the next; rates[s] belongs to batches[s], taken or not": training(
        give=saved_for_later
    ),
    "the rates are not used": training(give=lambda optimizer, rates, step, taken: None),
    "a step that is not finite is taken all the same": training(otherwise=lambda learning: None),
    "the weights are put back after a step that is not finite, but the optimiser remembers it: do not call step() at all": (
        training(otherwise=lambda learning: None, undo=True)
    ),
    "only a loss of NaN is looked for; a loss of ∞ and a norm that is not finite leave a step out, too": training(
        keep=lambda loss, norm: not loss.isnan()
    ),
    "a step with an infinite norm is taken: look for ∞ as well as for NaN, as torch.isfinite does": training(
        keep=lambda loss, norm: not (loss.isnan() or norm.isnan())
    ),
    "a step whose norm is finite and whose loss is not is taken": training(keep=lambda loss, norm: bool(norm.isfinite())),
    "a step whose loss is finite and whose gradient is not is taken": training(
        keep=lambda loss, norm: bool(loss.isfinite())
    ),
    "a step that is not finite is taken with gradients of 0: it moves the weights by their memory and decay": training(
        otherwise=zeroed
    ),
    "what is not finite in a gradient is set to 0, and the step taken; the whole step was to be left out": training(
        clip=what_is_finite, keep=lambda loss, norm: True
    ),
    "only the part that is not finite is left out, and a step is taken with the others; the whole step is to be left out": (
        training(drop=True)
    ),
    "training ends at a step that is not finite; the next ones are to be taken": training(otherwise="stop"),
    "a step that is left out is missing in losses and norms; they have a number for every step": training(
        otherwise="forget"
    ),
    "the loss that you return is that of the last part; that of the whole batch was asked for": training(
        tell=lambda shares: shares[-1]
    ),
    "an optimiser of your own takes the steps; use the one that is given, with its groups and settings": training(
        renew=lambda model, optimizer: torch.optim.AdamW(model.parameters())
    ),
    "the model is put into eval mode; leave it in train mode": training(mode=False),
}
