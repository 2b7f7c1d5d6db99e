"""Wrong answers to problem set 3, tasks 4 and 5, as people write them, each with words of what the check says."""

import copy
import math

import torch
from right_ps3 import (
    counted,
    finite,
    is_map,
    plan_joined,
    plan_step_by_step,
    the_rate,
    train_plain,
)
from torch import nn

from minimim.train import schedule

# ps3.4, wrong


def plan_with(rate=None, decays=None):
    def answer(model, total, warmup, fall, peak, decay):
        rates, right = plan_step_by_step(model, total, warmup, fall, peak, decay)
        if rate:
            rates = torch.tensor([float(peak * rate(s, total, warmup, fall)) for s in range(total)])
        if decays:
            right = torch.tensor([float(decay * decays(name, p)) for name, p in model.named_parameters() if p.requires_grad])
        return rates, right

    return answer


def climb_from_zero(s, total, warmup, fall):
    return s / warmup if s < warmup else (total - s) / fall if s >= total - fall else 1


def climb_late(s, total, warmup, fall):
    return (s + 1) / (warmup + 1) if s < warmup else (total - s) / fall if s >= total - fall else 1


def fall_to_zero(s, total, warmup, fall):
    return (s + 1) / warmup if s < warmup else (total - 1 - s) / fall if s >= total - fall else 1


def fall_early(s, total, warmup, fall):
    return (s + 1) / warmup if s < warmup else (total - s) / (fall + 1) if s >= total - fall else 1


def fall_along_a_cosine(s, total, warmup, fall):
    if s < total - fall:
        return min(1, (s + 1) / warmup if warmup else 1)
    return (1 + math.cos(math.pi * (s - total + fall) / fall)) / 2


def no_plateau(s, total, warmup, fall):
    return (s + 1) / warmup if s < warmup else (total - s) / (total - warmup)


def plan_of_the_library(model, total, warmup, fall, peak, decay):
    groups = schedule.decay_groups(model, decay)
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    rates = torch.tensor([peak * schedule.cosine(s, total, warmup) for s in range(total)])
    return rates, torch.tensor([decays[id(p)] for p in model.parameters() if p.requires_grad])


def plan_of_groups(model, total, warmup, fall, peak, decay):
    rates, decays = plan_step_by_step(model, total, warmup, fall, peak, decay)
    return rates, torch.cat([decays[decays > 0], decays[decays == 0]])


def plan_frozen_too(model, total, warmup, fall, peak, decay):
    rates, _ = plan_step_by_step(model, total, warmup, fall, peak, decay)
    maps = {id(m.weight) for m in model.modules() if is_map(m)}
    return rates, torch.tensor([decay if id(p) in maps else 0.0 for p in model.parameters()])


def plan_without_convolutions(model, total, warmup, fall, peak, decay):
    maps = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    rates, _ = plan_step_by_step(model, total, warmup, fall, peak, decay)
    return rates, torch.tensor([decay if id(p) in maps else 0.0 for p in model.parameters() if p.requires_grad])


def plan_in_float64(model, total, warmup, fall, peak, decay):
    return tuple(part.double() for part in plan_joined(model, total, warmup, fall, peak, decay))


def climb_and_fall(up, down):
    return lambda s, total, warmup, fall: up(s, warmup) if s < warmup else down(total - s, fall) if s >= total - fall else 1


def climb_too_far(s, total, warmup, fall):
    return (s + 1) / warmup if warmup and s <= warmup else (total - s) / fall if s >= total - fall else 1


def cosine_to_the_end(s, total, warmup, fall):
    return (s + 1) / warmup if s < warmup else (1 + math.cos(math.pi * (s - warmup) / (total - warmup))) / 2


def plan_by_type(kinds):
    def answer(model, total, warmup, fall, peak, decay):
        rates, _ = plan_step_by_step(model, total, warmup, fall, peak, decay)
        maps = {id(m.weight) for m in model.modules() if type(m) in kinds}
        return rates, torch.tensor([decay if id(p) in maps else 0.0 for p in model.parameters() if p.requires_grad])

    return answer


def plan_by_numbers(model, total, warmup, fall, peak, decay):
    """`in` asks whether numbers are equal."""
    rates, _ = plan_step_by_step(model, total, warmup, fall, peak, decay)
    maps = [m.weight for m in model.modules() if is_map(m)]
    return rates, torch.tensor([decay if p in maps else 0.0 for p in model.parameters() if p.requires_grad])


def plan_of_equal_numbers(model, total, warmup, fall, peak, decay):
    rates, _ = plan_step_by_step(model, total, warmup, fall, peak, decay)
    maps = [m.weight for m in model.modules() if is_map(m)]
    alike = [any(torch.equal(p, w) for w in maps) for p in model.parameters() if p.requires_grad]
    return rates, torch.tensor([decay if same else 0.0 for same in alike])


def plan_that_thaws(model, total, warmup, fall, peak, decay):
    both = plan_step_by_step(model, total, warmup, fall, peak, decay)
    model.requires_grad_()
    return both


# ps3.5, wrong


def train_with(
    *,
    part=None,
    fresh="step",
    clip=nn.utils.clip_grad_norm_,
    rate=the_rate,
    good=finite,
    bad=None,
    early=False,
    often=False,
    late=False,
    drop=False,
    stop=False,
    after=None,
):
    """The plain loop with one thing changed. part(errors (B, N), hidden, parts) → loss of a part; bad(model): what is done
    in place of leaving a step out; early: a step after each part; often: clipping after each part; late: zero_grad just before the
    step; drop: parts that are not finite are passed over; after(model): at the end."""

    def answer(model, optimizer, batches, rates, max_norm):
        losses, norms = [], []
        for parts, r in zip(batches, rates, strict=True):
            if fresh == "step":
                optimizer.zero_grad()
            loss = 0
            for seen, target, hidden in parts:
                if fresh == "part":
                    optimizer.zero_grad()
                errors = (model(seen, hidden) - target).square().mean(-1)
                x = part(errors, hidden, parts) if part else errors[hidden].sum() / counted(parts)
                if drop and not x.isfinite():
                    continue
                x.backward()
                loss = loss + x.detach()
                if often and hidden is not parts[-1][2]:
                    clip(model.parameters(), max_norm)
                if early and hidden is not parts[-1][2]:
                    clip(model.parameters(), max_norm)
                    rate(optimizer, r)
                    optimizer.step()
                    optimizer.zero_grad()
            norm = clip(model.parameters(), max_norm)
            losses.append(loss)
            norms.append(norm)
            taken = good(loss, norm)
            if not taken and stop:
                break
            if not taken and bad:
                bad(model)
            if late:
                optimizer.zero_grad()
            if taken or bad:
                rate(optimizer, r)
                optimizer.step()
            if fresh == "end" or (taken and fresh == "good step"):
                optimizer.zero_grad()
        if after:
            after(model)
        return torch.stack(losses), torch.stack(norms)

    return answer


def rate_of_the_step_before():
    def answer(model, optimizer, batches, rates, max_norm):
        first = optimizer.param_groups[0]["lr"]
        return train_plain(model, optimizer, batches, [first, *rates[:-1]], max_norm)

    return answer


def rate_of_the_first_group(optimizer, rate):
    optimizer.param_groups[0]["lr"] = rate


def clip_one_by_one(parameters, max_norm):
    return torch.stack([nn.utils.clip_grad_norm_(p, max_norm) for p in parameters]).norm()


def clip_values(parameters, max_norm):
    parameters = list(parameters)
    norm = nn.utils.get_total_norm([p.grad for p in parameters])
    nn.utils.clip_grad_value_(parameters, max_norm)
    return norm


def clip_to_length(parameters, max_norm):
    parameters = list(parameters)
    norm = nn.utils.get_total_norm([p.grad for p in parameters])
    for p in parameters:
        p.grad *= max_norm / norm
    return norm


def clip_and_measure(parameters, max_norm):
    parameters = list(parameters)
    nn.utils.clip_grad_norm_(parameters, max_norm)
    return nn.utils.get_total_norm([p.grad for p in parameters])


def not_clipped(parameters, max_norm):
    return nn.utils.get_total_norm([p.grad for p in parameters])


def gradients_to_zero(model):
    for p in model.parameters():
        p.grad.zero_()


def clip_what_is_finite(parameters, max_norm):
    parameters = list(parameters)
    for p in parameters:
        p.grad = torch.where(p.grad.isfinite(), p.grad, 0)
    return nn.utils.clip_grad_norm_(parameters, max_norm)


def train_step_of_the_library(model, optimizer, batches, rates, max_norm):
    """What the library's loop does: each part counts the same."""
    answer = train_with(part=lambda e, h, parts: e[h].mean() / len(parts))
    return answer(model, optimizer, batches, rates, max_norm)


def train_losses_alone(model, optimizer, batches, rates, max_norm):
    return train_plain(model, optimizer, batches, rates, max_norm)[0]


def clip_by_axes(parameters, max_norm):
    """Weights and biases apart."""
    many, one = [], []
    for p in parameters:
        (many if p.ndim > 1 else one).append(p)
    return torch.stack([nn.utils.clip_grad_norm_(group, max_norm) for group in (many, one)]).norm()


def clip_the_square(parameters, max_norm):
    parameters = list(parameters)
    norm = sum(p.grad.square().sum() for p in parameters)
    for p in parameters:
        p.grad *= min(1, max_norm / float(norm))
    return norm


def each_image_alike(errors, hidden, parts):
    images = sum(int(h.any(1).sum()) for *_, h in parts)
    return ((errors * hidden).sum(1) / hidden.sum(1).clamp(min=1)).sum() / images


def train_at_one_rate(model, optimizer, batches, rates, max_norm):
    return train_plain(model, optimizer, batches, rates[:1] * len(batches), max_norm)


def train_saving_rates(model, optimizer, batches, rates, max_norm):
    rates = iter(rates)

    def next_rate(optimizer, _):
        the_rate(optimizer, next(rates))

    return train_with(rate=next_rate)(model, optimizer, batches, [0.0] * len(batches), max_norm)


def train_undone(model, optimizer, batches, rates, max_norm):
    """Weights that are no longer finite are put back, and the optimiser keeps what it saw."""
    told = []
    for parts, rate in zip(batches, rates, strict=True):
        before = copy.deepcopy(model.state_dict())
        told.append(train_with(good=lambda loss, norm: True)(model, optimizer, [parts], [rate], max_norm))
        if not all(p.isfinite().all() for p in model.parameters()):
            model.load_state_dict(before)
    return tuple(torch.cat(column) for column in zip(*told, strict=True))


def train_on_the_whole(model, optimizer, batches, rates, max_norm):
    """All parts at once: the same numbers, and more than memory holds."""
    whole = [[tuple(torch.cat(x) for x in zip(*parts, strict=True))] for parts in batches]
    return train_plain(model, optimizer, whole, rates, max_norm)


def train_a_copy(model, optimizer, batches, rates, max_norm):
    return train_plain(*copy.deepcopy((model, optimizer)), batches, rates, max_norm)


def train_another_way(model, optimizer, batches, rates, max_norm):
    return train_plain(model, torch.optim.AdamW(model.parameters()), batches, rates, max_norm)


def train_in_eval(model, optimizer, batches, rates, max_norm):
    return train_plain(model.eval(), optimizer, batches, rates, max_norm)


def train_with_a_graph(model, optimizer, batches, rates, max_norm):
    losses, norms = train_plain(model, optimizer, batches, rates, max_norm)
    return losses + 0 * next(model.parameters()).sum(), norms


def train_forgetting(model, optimizer, batches, rates, max_norm):
    losses, norms = train_plain(model, optimizer, batches, rates, max_norm)
    return losses[losses.isfinite() & norms.isfinite()], norms[losses.isfinite() & norms.isfinite()]


def train_using_up_rates(model, optimizer, batches, rates, max_norm):
    rates.reverse()
    return train_plain(model, optimizer, batches, [rates.pop() for _ in batches], max_norm)


def train_turning_rates(model, optimizer, batches, rates, max_norm):
    told = train_plain(model, optimizer, batches, rates, max_norm)
    rates.reverse()
    return told


def train_adding_up(model, optimizer, batches, rates, max_norm):
    """backward over the sum so far."""
    for parts in batches:
        loss = 0
        for seen, target, hidden in parts:
            loss = loss + (model(seen, hidden) - target).square().mean(-1)[hidden].sum() / counted(parts)
            loss.backward()
    return torch.zeros(len(batches)), torch.zeros(len(batches))


def train_telling_the_last(model, optimizer, batches, rates, max_norm):
    """The loss of the last part for that of the batch."""
    last = []
    spy = train_with(
        part=lambda e, h, parts: last.append((e[h].sum() / counted(parts)).detach()) or e[h].sum() / counted(parts)
    )
    _, norms = spy(model, optimizer, batches, rates, max_norm)
    sizes = torch.tensor([len(parts) for parts in batches]).cumsum(0) - 1
    return torch.stack(last)[sizes], norms


WRONG = {
    "ps3.4": [
        ("the climb begins at 0", plan_with(climb_from_zero)),
        ("the climb reaches its height one step too late", plan_with(climb_late)),
        ("the fall ends at 0", plan_with(fall_to_zero)),
        ("the fall is one step too early", plan_with(fall_early)),
        ("the fall is half a cosine", plan_with(fall_along_a_cosine)),
        ("there is no plateau", plan_with(no_plateau)),
        ("everything decays", plan_with(decays=lambda name, p: True)),
        ("all but biases decays", plan_with(decays=lambda name, p: not name.endswith("bias"))),
        ("everything with more than one axis decays", plan_with(decays=lambda name, p: p.ndim > 1)),
        ("a norm's weight can have several axes", plan_with(decays=lambda name, p: p.ndim > 1 and name.endswith("weight"))),
        ("nothing decays", plan_with(decays=lambda name, p: 0)),
        ("the weights of convolutions do not decay", plan_without_convolutions),
        ("the decays are sorted", plan_of_groups),
        ("frozen parameters are in the list", plan_frozen_too),
        ("values differ", plan_of_the_library),
        ("torch.float64", plan_in_float64),
        ("the climb begins at 0 and the fall ends at 0", plan_with(climb_and_fall(
            lambda s, n: s / n, lambda left, n: (left - 1) / n))),
        ("the climb is linspace", plan_with(climb_and_fall(lambda s, n: s / max(1, n - 1), lambda left, n: left / n))),
        ("the fall is linspace", plan_with(climb_and_fall(lambda s, n: (s + 1) / n, lambda left, n: (left - 1) / (n - 1)))),
        ("climb and fall are linspace", plan_with(climb_and_fall(
            lambda s, n: s / max(1, n - 1), lambda left, n: (left - 1) / (n - 1)))),
        ("climb and fall are one step too long", plan_with(climb_and_fall(
            lambda s, n: (s + 1) / (n + 1), lambda left, n: left / (n + 1)))),
        ("the climb goes on at step s = warmup", plan_with(climb_too_far)),
        ("half a cosine leads from the climb to the end", plan_with(cosine_to_the_end)),
        ("chosen by a name that ends in `weight`", plan_with(decays=lambda name, p: name.endswith("weight"))),
        ("what is neither norm, token nor position by its name decays", plan_with(
            decays=lambda name, p: p.ndim > 1 and not any(word in name for word in ("norm", "token", "pos", "cls")))),
        ("ask isinstance", plan_by_type((nn.Linear, nn.Conv2d))),
        ("only what is nn.Linear and nothing else decays", plan_by_type((nn.Linear,))),
        ("must match the size of tensor b", plan_by_numbers),
        ("that hold zeros", plan_of_equal_numbers),
        ("requires_grad of the model's parameters, which stays as it is", plan_that_thaws),
    ],
    "ps3.5": [
        ("each part counts the same", train_step_of_the_library),
        ("the means of the parts are added up", train_with(part=lambda e, h, parts: e[h].mean())),
        ("a part that hides nothing gives NaN", train_with(part=lambda e, h, parts: e[h].mean() * h.sum() / counted(parts))),
        ("divided by all patches", train_with(part=lambda e, h, parts: e[h].sum() / sum(x.numel() for *_, x in parts))),
        ("not divided by the number of hidden patches", train_with(part=lambda e, h, parts: e[h].sum())),
        ("visible patches are scored", train_with(part=lambda e, h, parts: e.sum() / sum(x.numel() for *_, x in parts))),
        ("hidden is read upside down", train_with(part=lambda e, h, parts: e[~h].sum() / counted(parts))),
        ("gradients of the step before are still there", train_with(fresh="never")),
        ("leaves its gradients to the next", train_with(fresh="good step")),
        ("only the last part teaches", train_with(fresh="part")),
        ("a step after each part", train_with(early=True)),
        ("gradients are not clipped", train_with(clip=not_clipped)),
        ("each parameter is clipped by its own norm", train_with(clip=clip_one_by_one)),
        ("single values are clipped", train_with(clip=clip_values)),
        ("shorter than max_norm are made longer", train_with(clip=clip_to_length)),
        ("the norm that you return is that after clipping", train_with(clip=clip_and_measure)),
        ("only the first group", train_with(rate=rate_of_the_first_group)),
        ("the rate of the step before", rate_of_the_step_before()),
        ("the rates are not used", train_with(rate=lambda optimizer, rate: None)),
        ("not finite is taken all the same", train_with(good=lambda loss, norm: True)),
        ("whose loss is finite and whose gradient is not is taken", train_with(good=lambda loss, norm: finite(loss))),
        ("is taken with gradients of 0", train_with(bad=gradients_to_zero)),
        ("what is not finite in a gradient is set to 0", train_with(
            clip=clip_what_is_finite, good=lambda loss, norm: True)),
        ("training ends at a step that is not finite", train_with(stop=True)),
        ("2 results were asked for, in a tuple", train_losses_alone),
        ("gradients that were there before the first step count in it", train_with(fresh="end")),
        ("clipping comes after each part", train_with(often=True)),
        ("each group of parameters is clipped", train_with(clip=clip_by_axes)),
        ("emptied between backward and the step", train_with(fresh="never", late=True)),
        ("only the part that is not finite is left out", train_with(drop=True)),
        ("the norm is the root of the sum of squares", train_with(clip=clip_the_square)),
        ("each image counts the same, as in ps3.3", train_with(part=each_image_alike)),
        ("the rate is set once", train_at_one_rate),
        ("passes its rate on to the next", train_saving_rates),
        ("whose norm is finite and whose loss is not", train_with(good=lambda loss, norm: norm.isfinite())),
        ("a step with an infinite norm is taken", train_with(good=lambda loss, norm: not (loss.isnan() or norm.isnan()))),
        ("only a loss of NaN is looked for", train_with(good=lambda loss, norm: not loss.isnan())),
        ("the optimiser remembers it", train_undone),
        ("parts were put together", train_on_the_whole),
        ("not the weights of the model that was given", train_a_copy),
        ("an optimiser of your own takes the steps", train_another_way),
        ("the model is put into eval mode", train_in_eval),
        ("not model.training", train_with(after=nn.Module.eval)),
        ("not losses.requires_grad", train_with_a_graph),
        ("is missing in losses and norms", train_forgetting),
        ("that of the last part", train_telling_the_last),
        ("changed its argument rates", train_using_up_rates),
        ("changed its argument rates", train_turning_rates),
        ("backward runs over a sum that holds an earlier part", train_adding_up),
    ],
}  # fmt: skip
