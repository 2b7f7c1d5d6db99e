"""The mistakes that people make in problem set 3, tasks 4 and 5, the plan and the steps: what a check says of each,
and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from minimim.feedback.check import only

# ps3.4


def planned(*, climb=None, fade=None, decays=None, stable=True) -> Callable:
    """A mistake: another climb(s, warmup) or fade(left, fall), left = steps from this one to the end; no plateau (stable);
    or decays(name, parameter, module that holds it) → whether it decays."""

    def mistaken(model, total, warmup, fall, peak, decay):
        only(stable or total > warmup + fall)
        rates = []
        for s in range(total):
            rate = peak
            if s < warmup:
                rate = peak * (climb(s, warmup) if climb else (s + 1) / warmup)
            elif (total - s <= fall and fall) or not stable:
                length = fall if stable else total - warmup
                rate = peak * (fade(total - s, length) if fade else (total - s) / length)
            rates.append(rate)
        chosen = decays or (lambda name, p, holder: type(holder) in (nn.Linear, nn.Conv2d) and name == "weight")
        held = [(name, p, holder) for holder in model.modules() for name, p in holder.named_parameters(recurse=False)]
        which = {p: decay * chosen(name, p, holder) for name, p, holder in held}
        return torch.tensor(rates), torch.tensor([float(which[p]) for p in model.parameters() if p.requires_grad])

    return mistaken


def grouped(model, total, warmup, fall, peak, decay):
    rates, decays = planned()(model, total, warmup, fall, peak, decay)
    return rates, decays.sort(descending=True).values


def frozen_too(model, total, warmup, fall, peak, decay):
    return planned()(model.requires_grad_(), total, warmup, fall, peak, decay)


PLAN = {
    "the climb begins at 0, and the first step learns nothing: step s climbs to (s + 1) / warmup": planned(
        climb=lambda s, n: s / n
    ),
    "the climb reaches its height one step too late": planned(climb=lambda s, n: (s + 1) / (n + 1)),
    "the fall ends at 0, and the last step learns nothing: it is at peak / fall": planned(
        fade=lambda left, n: (left - 1) / n
    ),
    "the fall is one step too early: its first step is still at the peak": planned(fade=lambda left, n: left / (n + 1)),
    "the fall is half a cosine; a straight line was asked for": planned(
        fade=lambda left, n: (1 + math.cos(math.pi * (n - left) / n)) / 2
    ),
    "there is no plateau: the fall begins where the climb ends": planned(stable=False),
    "everything decays; biases, norms, tokens and positions do not": planned(decays=lambda name, p, holder: True),
    "all but biases decays; norms, tokens and positions do not": planned(decays=lambda name, p, holder: name != "bias"),
    "everything with more than one axis decays; tokens, positions and some norms have several too": planned(
        decays=lambda name, p, holder: p.dim() > 1
    ),
    "what decays is chosen by how many axes it has and by the name `weight`; a norm's weight can have several axes": planned(
        decays=lambda name, p, holder: p.dim() > 1 and name == "weight"
    ),
    "the weights of convolutions do not decay, and they should": planned(
        decays=lambda name, p, holder: type(holder) is nn.Linear and name == "weight"
    ),
    "the biases of maps decay, and they should not": planned(
        decays=lambda name, p, holder: type(holder) in (nn.Linear, nn.Conv2d)
    ),
    "nothing decays": planned(decays=lambda name, p, holder: False),
    "the decays are sorted; they come in the order of model.parameters()": grouped,
    "frozen parameters are in the list; only those that learn belong there": frozen_too,
}


# ps3.5


def every_group(optimizer, rates: list, step: int) -> None:
    """Right."""
    for group in optimizer.param_groups:
        group["lr"] = rates[step]


def first_group(optimizer, rates: list, step: int) -> None:
    optimizer.param_groups[0]["lr"] = rates[step]


def step_before(optimizer, rates: list, step: int) -> None:
    if step:
        every_group(optimizer, rates, step - 1)


def each_alone(learning: list, max_norm: float) -> Tensor:
    norms = [nn.utils.clip_grad_norm_([p], max_norm) for p in learning]
    return torch.stack(norms).norm()


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


def training(
    *,
    share=lambda errors, hidden, count, places, parts: errors[hidden].sum() / count,
    error=lambda x: x.square().mean(-1),
    clear=lambda step, part, good: part == 0,
    clip=nn.utils.clip_grad_norm_,
    give=every_group,
    keep=both_finite,
    otherwise=None,
    at_once=False,
) -> Callable:
    """A mistake. share(errors (B, N), hidden, hidden patches of the batch, all of them, parts) → a part's loss;
    clear(step, part, whether the step before was taken): when gradients go; keep(loss, norm): whether a step is taken;
    otherwise(learning): what is done before it is taken all the same, or "stop"; at_once: a step after each part."""

    def mistaken(model, optimizer, batches, rates, max_norm):
        only(not at_once or all(len(parts) > 1 for parts in batches))
        learning = [p for group in optimizer.param_groups for p in group["params"]]
        losses, norms, good = [], [], True
        for step, parts in enumerate(batches):
            count, places = (sum(int(x.sum()) for x in xs) for xs in zip(*((h, h | True) for *_, h in parts), strict=True))
            loss = 0.0
            for number, (patches, target, hidden) in enumerate(parts):
                if clear(step, number, good):
                    optimizer.zero_grad()
                mine = share(error(model(patches, hidden) - target), hidden, count, places, len(parts))
                mine.backward()
                loss = loss + mine.detach()
                if at_once and number + 1 < len(parts):
                    every_group(optimizer, rates, step)
                    clip(learning, max_norm)
                    optimizer.step()
                    optimizer.zero_grad()
            norms.append(clip(learning, max_norm))
            losses.append(loss)
            give(optimizer, rates, step)
            good = keep(loss, norms[-1])
            if not good and otherwise == "stop":
                break
            if not good and otherwise:
                otherwise(learning)
            if good or otherwise:
                optimizer.step()
        return torch.stack(losses), torch.stack(norms)

    return mistaken


def zeroed(learning: list) -> None:
    for p in learning:
        p.grad = torch.zeros_like(p)


def finite_part(share: Callable) -> Callable:
    """A mistake in the loss, where each part hides something."""

    def stated(errors, hidden, count, places, parts):
        only(bool(hidden.any()))
        return share(errors, hidden, count, places, parts)

    return stated


TRAIN = {
    "each part counts the same; one that hides more counts more: divide by the count of the whole batch": training(
        share=finite_part(lambda errors, hidden, count, places, parts: errors[hidden].mean() / parts)
    ),
    "the means of the parts are added up: divide by the count of the whole batch": training(
        share=finite_part(lambda errors, hidden, count, places, parts: errors[hidden].mean())
    ),
    "a part that hides nothing gives NaN, 0 / 0, and its step is lost": training(
        share=lambda errors, hidden, count, places, parts: errors[hidden].mean() * hidden.sum() / count
    ),
    "the sum is divided by all patches; by the hidden ones alone": training(
        share=lambda errors, hidden, count, places, parts: errors[hidden].sum() / places
    ),
    "the sum is not divided by the number of hidden patches": training(
        share=lambda errors, hidden, count, places, parts: errors[hidden].sum()
    ),
    "visible patches are scored as well": training(share=lambda errors, hidden, count, places, parts: errors.sum() / places),
    "hidden is read upside down: True is hidden, and scored": training(
        share=lambda errors, hidden, count, places, parts: errors[~hidden].sum() / count
    ),
    "the squares of a patch are summed; their mean over T was asked for": training(error=lambda x: x.square().sum(-1)),
    "the error is the absolute one; the squared one was asked for": training(error=lambda x: x.abs().mean(-1)),
    "gradients of the step before are still there: zero_grad at the start of each step": training(
        clear=lambda step, part, good: False
    ),
    "a step that was left out leaves its gradients to the next": training(clear=lambda step, part, good: part == 0 and good),
    "only the last part teaches: zero_grad once a step, and not before each part": training(clear=lambda *_: True),
    "the optimiser takes a step after each part; a batch is one step": training(at_once=True),
    "gradients are not clipped": training(clip=lambda learning, max_norm: nn.utils.clip_grad_norm_(learning, math.inf)),
    "each parameter is clipped by its own norm; there is one norm for all together": training(clip=each_alone),
    "single values are clipped; it is the norm of all gradients together that may not exceed max_norm": training(
        clip=each_value
    ),
    "gradients shorter than max_norm are made longer; they stay as they are": training(clip=always),
    "the norm that you return is that after clipping; the one before was asked for": training(clip=told_late),
    "only the first group of parameters gets the rate": training(give=first_group),
    "a step takes the rate of the step before: set it before optimizer.step()": training(give=step_before),
    "the rates are not used": training(give=lambda optimizer, rates, step: None),
    "a step that is not finite is taken all the same": training(otherwise=lambda learning: None),
    "a step whose loss is finite and whose gradient is not is taken": training(
        keep=lambda loss, norm: bool(loss.isfinite())
    ),
    "a step that is not finite is taken with gradients of 0: it moves the weights by their memory and decay": training(
        otherwise=zeroed
    ),
    "what is not finite in a gradient is set to 0, and the step taken; the whole step was to be left out": training(
        clip=what_is_finite, keep=lambda loss, norm: True
    ),
    "training ends at a step that is not finite; the next ones are to be taken": training(otherwise="stop"),
}
