"""Problem set 3: right answers in many hands pass and earn all points, wrong ones are told which mistake they make and
lose points, and what the lessons and the library hold does not do as an answer."""

import math
from functools import partial

import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from graded import Graded, defined_in, each
from helpers import TOP
from torch import nn

from minimim import decoders, losses, patches
from minimim.feedback import WrongAnswer, check
from minimim.feedback.check import examine
from minimim.feedback.ps3 import tasks as ps3
from minimim.show import pictures
from minimim.targets import pixels
from minimim.train import schedule, step

TASKS = {task.name: task for task in ps3.TASKS}
SET = Graded("ps3", TASKS, __name__)
MARKED, GRADED = SET.marked, SET.cells
points, full, loses = SET.points, SET.full, SET.loses


# ps3.1, right


def restore_image_by_image(latents, ids, valid, mask_token, positions):
    out = []
    for x, here, real in zip(latents, ids, valid, strict=True):
        tokens = mask_token[0].repeat(len(positions), 1)
        tokens[here[real]] = x[real]
        out.append(tokens + positions)
    return torch.stack(out)


def restore_scattered(latents, ids, valid, mask_token, positions):
    home = torch.where(valid, ids, len(positions))[..., None].expand_as(latents)
    x = mask_token.expand(len(latents), len(positions) + 1, -1).scatter(1, home, latents)
    return x[:, :-1] + positions


def restore_written(latents, ids, valid, mask_token, positions):
    x = mask_token.repeat(len(latents), len(positions), 1)
    rows = torch.arange(len(latents))[:, None].expand_as(ids)
    x[rows[valid], ids[valid]] = latents[valid]
    return x + positions


def restore_one_hot(latents, ids, valid, mask_token, positions):
    """A matrix that says who belongs where."""
    belongs = (ids[:, None] == torch.arange(len(positions))[:, None]) & valid[:, None]  # (B, N, K)
    empty = ~belongs.any(-1, keepdim=True)
    return belongs.to(latents.dtype) @ latents + empty * mask_token + positions


def restore_looked_up(latents, ids, valid, mask_token, positions):
    """For each place the number of its token, the last one being the mask token."""
    b, k = latents.shape[:2]
    number = torch.full((b, len(positions)), k)
    for sample, token in valid.nonzero():
        number[sample, ids[sample, token]] = token
    x = torch.cat([latents, mask_token.expand(b, -1, -1)], 1)
    return patches.take(x, number) + positions


def restore_sorted(latents, ids, valid, mask_token, positions):
    """Padding gets the places that are left, and a mask token instead of what it holds."""
    b, n = len(latents), len(positions)
    taken = torch.zeros(b, n + 1).scatter(1, torch.where(valid, ids, n), 1.0)[:, :n].bool()
    kept = torch.cat([torch.where(valid, ids, n), torch.where(taken, n, torch.arange(n))], 1)
    x = torch.cat([torch.where(valid[..., None], latents, 0), mask_token.expand(b, n, -1)], 1)
    return patches.take(x, kept.argsort(dim=1)[:, :n]) + positions


def restore_added(latents, ids, valid, mask_token, positions):
    b, n = len(latents), len(positions)
    safe = ids.clamp(min=0)
    here = torch.zeros(b, n, dtype=torch.long).scatter_add(1, safe, valid.long())
    x = torch.zeros(b, n, latents.shape[2], dtype=latents.dtype)
    x = x.scatter_add(1, safe[..., None].expand_as(latents), latents * valid[..., None])
    return torch.where(here[..., None] > 0, x, mask_token) + positions


def restore_in_float64(latents, ids, valid, mask_token, positions):
    return restore_one_hot(latents.double(), ids, valid, mask_token.double(), positions.double()).to(latents.dtype)


# ps3.1, wrong


def restore_padding_too(latents, ids, valid, mask_token, positions):
    x = mask_token.expand(len(latents), len(positions), -1).scatter(1, ids[..., None].expand_as(latents), latents)
    return x + positions


def restore_padding_fills(latents, ids, valid, mask_token, positions):
    out = []
    for x, here, real in zip(latents, ids, valid, strict=True):
        left = [n for n in range(len(positions)) if n not in here[real].tolist()]
        order = [int(h) if r else left.pop(0) for h, r in zip(here, real, strict=True)] + left
        tokens = torch.cat([x, mask_token[0].repeat(len(left), 1)])
        out.append(tokens[torch.tensor(order).argsort()] + positions)
    return torch.stack(out)


def restore_by_mask(latents, ids, valid, mask_token, positions):
    """Where something is visible, in reading order."""
    x = mask_token.repeat(len(latents), len(positions), 1)
    visible = F.one_hot(torch.where(valid, ids, len(positions)), len(positions) + 1).sum(1)[:, :-1].bool()
    x[visible] = latents[valid]
    return x + positions


def restore_shuffled_again(latents, ids, valid, mask_token, positions):
    blank = len(positions) - latents.shape[1]
    left = [[n for n in range(len(positions)) if n not in here][:blank] for here in ids.tolist()]
    order = torch.cat([ids, torch.tensor(left).long()], 1)  # (B, N)
    x = torch.cat([latents, mask_token.expand(len(latents), blank, -1)], 1)
    return patches.take(x, order) + positions


def restore_first_ids(latents, ids, valid, mask_token, positions):
    return restore_written(latents, ids[:1].expand_as(ids).contiguous(), valid, mask_token, positions)


def restore_upside_down(latents, ids, valid, mask_token, positions):
    return restore_written(latents, ids, ~valid, mask_token, positions)


def restore_zeros(latents, ids, valid, mask_token, positions):
    return restore_scattered(latents, ids, valid, torch.zeros_like(mask_token), positions)


def restore_token_everywhere(latents, ids, valid, mask_token, positions):
    return restore_scattered(latents, ids, valid, torch.zeros_like(mask_token), positions) + mask_token


def restore_positions_first(latents, ids, valid, mask_token, positions):
    return restore_scattered(latents + positions[: latents.shape[1]], ids, valid, mask_token, 0 * positions)


def restore_without_positions(latents, ids, valid, mask_token, positions):
    return restore_scattered(latents, ids, valid, mask_token, 0 * positions)


def restore_bare_masks(latents, ids, valid, mask_token, positions):
    x = latents + positions[ids.clamp(min=0)]
    return restore_scattered(x, ids, valid, mask_token, 0 * positions)


def restore_bare_tokens(latents, ids, valid, mask_token, positions):
    x = restore_scattered(latents, ids, valid, mask_token, 0 * positions)
    return torch.where((x == mask_token).all(-1, keepdim=True), x + positions, x)


def restore_in_place(latents, ids, valid, mask_token, positions):
    ids[~valid] = 0
    return restore_one_hot(latents, ids, valid, mask_token, positions)


# ps3.2, right


def home_of(grid, window):
    n = torch.arange(grid[0] * grid[1])
    return n // grid[1] // window, n % grid[1] // window


def window_by_window(patches, hidden, grid, window):
    row, col = home_of(grid, window)
    mean, std = (torch.empty(*hidden.shape, 1, dtype=patches.dtype) for _ in range(2))
    for b in range(len(patches)):
        for r in range(int(row.max()) + 1):
            for c in range(int(col.max()) + 1):
                inside = (row == r) & (col == c)
                shown = inside & ~hidden[b]
                numbers = patches[b, shown if shown.any() else ~hidden[b]]
                mean[b, inside], std[b, inside] = numbers.mean(), (numbers.var() + 1e-6).sqrt()
    return (patches - mean) / std, mean, std


def masked_statistics(x, use):
    """Mean and unbiased variance over the last two axes, x (…, M, T), where use (…, M) is 1."""
    count = use.sum(-1) * x.shape[-1]
    mean = (x.sum(-1) * use).sum(-1) / count
    return mean, ((x - mean[..., None, None]).square().sum(-1) * use).sum(-1) / (count - 1), count


def window_rearranged(patches, hidden, grid, window):
    sizes = {"r": grid[0] // window, "p": window, "s": grid[1] // window, "q": window}
    x = rearrange(patches, "b (r p s q) t -> b (r s) (p q) t", **sizes)
    use = rearrange(~hidden, "b (r p s q) -> b (r s) (p q)", **sizes).to(patches.dtype)
    mean, variance, count = masked_statistics(x, use)  # (B, windows)
    all_mean, all_variance, _ = masked_statistics(patches, (~hidden).to(patches.dtype))
    mean = torch.where(count > 0, mean, all_mean[:, None])
    variance = torch.where(count > 0, variance, all_variance[:, None])
    mean, std = (
        rearrange(v[..., None].repeat(1, 1, window**2), "b (r s) (p q) -> b (r p s q) 1", **sizes)
        for v in (mean, (variance + 1e-6).sqrt())
    )
    return (patches - mean) / std, mean, std


def window_pairs(patches, hidden, grid, window):
    row, col = home_of(grid, window)
    use = ((row[:, None] == row) & (col[:, None] == col))[None] & ~hidden[:, None]
    use = (use | (~use.any(-1, keepdim=True) & ~hidden[:, None])).to(patches.dtype)  # (B, N, N)
    mean, variance, _ = masked_statistics(patches[:, None], use)
    mean, std = mean[..., None], (variance[..., None] + 1e-6).sqrt()
    return (patches - mean) / std, mean, std


def window_of_nan(patches, hidden, grid, window):
    """Hidden numbers become NaN, and nanmean passes them over."""
    row, col = home_of(grid, window)
    x = patches.masked_fill(hidden[..., None], torch.nan)
    mean, variance = torch.empty(2, *hidden.shape, 1, dtype=patches.dtype)
    whole = [x.nanmean((1, 2))]
    whole.append((x - whole[0][:, None, None]).square().nansum((1, 2)) / ((~hidden).sum(1) * x.shape[2] - 1))
    for r, c in {(int(a), int(b)) for a, b in zip(row, col, strict=True)}:
        inside = (row == r) & (col == c)
        m = x[:, inside].nanmean((1, 2))
        v = (x[:, inside] - m[:, None, None]).square().nansum((1, 2)) / ((~hidden[:, inside]).sum(1) * x.shape[2] - 1)
        bare = hidden[:, inside].all(1)
        for table, value, borrowed in ((mean, m, whole[0]), (variance, v, whole[1])):
            table[:, inside] = torch.where(bare, borrowed, value)[:, None, None]
    std = (variance + 1e-6).sqrt()
    return (patches - mean) / std, mean, std


def window_in_a_list(patches, hidden, grid, window):
    return list(window_by_window(patches, hidden, grid, window))


def window_in_float64(patches, hidden, grid, window):
    return tuple(part.to(patches.dtype) for part in window_pairs(patches.double(), hidden, grid, window))


def window_by_numpy(patches, hidden, grid, window):
    """Picture by picture, as an array of rows and columns."""
    mean, std = (torch.empty(len(patches), *grid, dtype=patches.dtype) for _ in range(2))
    for b, (x, h) in enumerate(zip(patches.unflatten(1, grid).numpy(), hidden.unflatten(1, grid).numpy(), strict=True)):
        for top in range(0, grid[0], window):
            for left in range(0, grid[1], window):
                cut = slice(top, top + window), slice(left, left + window)
                shown = x[cut][~h[cut]] if not h[cut].all() else x[~h]
                mean[b][cut], std[b][cut] = float(shown.mean()), math.sqrt(float(shown.var(ddof=1)) + 1e-6)
    mean, std = mean.flatten(1)[..., None], std.flatten(1)[..., None]
    return (patches - mean) / std, mean, std


# ps3.2, wrong


def window_with(*, shown=lambda h: ~h, home=home_of, std=lambda x: (x.var() + 1e-6).sqrt(), bare=None, divide=None):
    """The loop with one thing changed. bare(x (N, T), inside (N,), hidden (N,)) → (mean, std) where a window shows nothing."""

    def answer(patches, hidden, grid, window):
        row, col = home(grid, window)
        target, mean, spread = torch.empty_like(patches), *torch.empty(2, *hidden.shape, 1, dtype=patches.dtype)
        for b in range(len(patches)):
            for n in range(patches.shape[1]):
                inside = (row == row[n]) & (col == col[n])
                use = inside & shown(hidden[b])
                if use.any():
                    m, s = patches[b, use].mean(), std(patches[b, use])
                elif bare:
                    m, s = bare(patches[b], inside, hidden[b])
                else:
                    m, s = patches[b, shown(hidden[b])].mean(), std(patches[b, shown(hidden[b])])
                mean[b, n], spread[b, n] = m, s
                target[b, n] = (patches[b, n] - m) / (divide(s) if divide else s)
        return target, mean, spread

    return answer


def moments(x):
    return x.mean(), (x.var() + 1e-6).sqrt()


def mae_target(patches, hidden, grid, window):
    """What the library does: each patch by itself."""
    mean, variance = patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt(), mean, (variance + 1e-6).sqrt()


def borrowed_target(patches, hidden, grid, window):
    """What the library paints with."""
    mean, std = pictures.borrowed(patches, hidden, grid)
    return (patches - mean) / std, mean, std


def window_target_alone(patches, hidden, grid, window):
    return window_by_window(patches, hidden, grid, window)[0]


def window_one_number_each(patches, hidden, grid, window):
    target, mean, std = window_by_window(patches, hidden, grid, window)
    return target, mean.squeeze(-1), std.squeeze(-1)


def window_together(patches, hidden, grid, window):
    row, col = home_of(grid, window)
    mean, std = torch.empty(2, *hidden.shape, 1, dtype=patches.dtype)
    for n in range(patches.shape[1]):
        inside = (row == row[n]) & (col == col[n])
        shown = patches[:, inside][~hidden[:, inside]]
        mean[:, n], std[:, n] = moments(shown if len(shown) else patches[~hidden])
    return (patches - mean) / std, mean, std


# ps3.3, right


def loss_image_by_image(prediction, target, hidden, weights):
    out = []
    for p, t, h, w in zip(prediction, target, hidden, weights, strict=True):
        if h.any() and w[h].sum() > 0:
            out.append((w[h] * F.mse_loss(p[h], t[h], reduction="none").mean(1)).sum() / w[h].sum())
    return torch.stack(out).mean() if out else prediction[hidden].sum()


def loss_chosen_first(prediction, target, hidden, weights):
    zero = torch.zeros((), dtype=prediction.dtype)
    p, t = (torch.where(hidden[..., None], x, zero) for x in (prediction, target))
    w = torch.where(hidden, weights, zero)
    w = w / w.sum(1, keepdim=True).clamp(min=1e-30)
    return (w * (p - t).pow(2).mean(-1)).sum() / max(1, int((w.sum(1) > 0).sum()))


def loss_flat(prediction, target, hidden, weights):
    """All hidden patches in one list, each with the number of its image."""
    image = hidden.nonzero()[:, 0]
    w = weights[hidden]
    total = torch.zeros(len(hidden), dtype=w.dtype).index_add(0, image, w)
    keep = total[image] > 0
    errors = (prediction[hidden] - target[hidden]).square().mean(-1)
    return (errors[keep] * w[keep] / total[image][keep]).sum() / (total > 0).sum().clamp(min=1)


def loss_masked_fill(prediction, target, hidden, weights):
    away = ~hidden
    d = (prediction - target).masked_fill(away[..., None], 0)
    w = weights.masked_fill(away, 0)
    some = w.sum(1) != 0
    per_image = torch.einsum("bn,bnt->b", w, d**2) / d.shape[2]
    per_image = per_image[some] / w[some].sum(1)
    return per_image.sum() / max(1, len(per_image))


def loss_einsum(prediction, target, hidden, weights):
    d = torch.where(hidden[..., None], prediction - target, 0)
    w = torch.where(hidden, weights, 0)
    top, bottom = torch.einsum("bn,bnt,bnt->b", w, d, d) / d.shape[-1], w.sum(1)
    some = bottom > 0
    return torch.where(some, top / torch.where(some, bottom, 1), 0).sum() / some.sum().clamp(min=1)


def loss_in_float64(prediction, target, hidden, weights):
    return loss_flat(prediction.double(), target.double(), hidden, weights.double()).to(prediction.dtype)


def loss_by_mse(prediction, target, hidden, weights):
    where = hidden[..., None].expand_as(prediction)
    clean = torch.where(where, target, prediction.detach().nan_to_num(0, 0, 0))
    p = torch.where(where, prediction, clean)
    errors = F.mse_loss(p, clean, reduction="none").mean(-1)
    w = weights.where(hidden, torch.zeros_like(weights))
    total = w.sum(1)
    return ((errors * w).sum(1)[total > 0] / total[total > 0]).sum() / max(1, (total > 0).sum())


# ps3.3, wrong


def loss_with(*, where=lambda h: h, error=lambda d: d.square().mean(-1), weigh=None, divide=None, pool=None):
    def answer(prediction, target, hidden, weights):
        places = where(hidden)
        errors = error(prediction - target)
        w = (torch.ones_like(weights) if weigh else weights).where(places, torch.zeros(()).to(weights.dtype))
        errors = errors.where(places, torch.zeros(()).to(errors.dtype))
        total = divide(w, hidden, weights) if divide else w.sum(1)
        if pool:
            return pool((w * errors).sum(1), total)
        some = w.sum(1) > 0
        return ((w * errors).sum(1) / total)[some].sum() / some.sum().clamp(min=1)

    return answer


def loss_multiplied(prediction, target, hidden, weights):
    w = weights * hidden
    total = w.sum(1)
    errors = (prediction - target).square().mean(-1)
    return ((w * errors).sum(1) / torch.where(total > 0, total, 1)).sum() / (total > 0).sum().clamp(min=1)


def loss_of_the_library(prediction, target, hidden, weights):
    return losses.l2(prediction, target)[hidden].mean()


def loss_per_image(prediction, target, hidden, weights):
    w = torch.where(hidden, weights, 0)
    errors = torch.where(hidden[..., None], prediction - target, 0).square().mean(-1)
    return (w * errors).sum(1) / w.sum(1).clamp(min=1e-30)


# ps3.4, right


def is_map(module):
    return isinstance(module, nn.Linear | nn.Conv2d)


def plan_step_by_step(model, total, warmup, fall, peak, decay):
    rates = []
    for s in range(total):
        if s < warmup:
            rates.append(peak * (s + 1) / warmup)
        elif s >= total - fall:
            rates.append(peak * (total - s) / fall)
        else:
            rates.append(peak)
    maps = [m.weight for m in model.modules() if is_map(m)]
    decays = [float(decay) if any(p is w for w in maps) else 0.0 for p in model.parameters() if p.requires_grad]
    return torch.tensor(rates), torch.tensor(decays)


def plan_joined(model, total, warmup, fall, peak, decay):
    up = torch.arange(1, warmup + 1) / max(warmup, 1)
    down = torch.arange(fall, 0, -1) / max(fall, 1)
    names = {f"{name}.weight".lstrip(".") for name, module in model.named_modules() if is_map(module)}
    decays = [decay * (name in names) for name, p in model.named_parameters() if p.requires_grad]
    return peak * torch.cat([up, torch.ones(total - warmup - fall), down]), torch.tensor(decays)


def plan_lowest_line(model, total, warmup, fall, peak, decay):
    s = torch.arange(total, dtype=torch.float64)
    lines = [torch.ones(total).double()]
    if warmup:
        lines.append((s + 1) / warmup)
    if fall:
        lines.append((total - s) / fall)
    parent = {p: module for module in model.modules() for p in module.parameters(recurse=False)}
    learning = [p for p in model.parameters() if p.requires_grad]
    decays = [decay if is_map(parent[p]) and p is parent[p].weight else 0 for p in learning]
    return (peak * torch.stack(lines).amin(0)).float(), torch.tensor(decays, dtype=torch.float32)


def plan_linspace(model, total, warmup, fall, peak, decay):
    rates = torch.full((total,), float(peak))
    if warmup:
        rates[:warmup] = torch.linspace(0, peak, warmup + 1)[1:]
    if fall:
        rates[-fall:] = torch.linspace(peak, 0, fall + 1)[:-1]
    decays = torch.tensor([(p.ndim > 1) * decay for p in model.parameters()])
    for n, (name, p) in enumerate(model.named_parameters()):
        holder = model.get_submodule(name.rpartition(".")[0])
        decays[n] *= is_map(holder) and p is holder.weight
    return rates, decays[[p.requires_grad for p in model.parameters()]].float()


def plan_interpolated(model, total, warmup, fall, peak, decay):
    def rate(s):
        return peak * min(1, (s + 1) / warmup if warmup else 1, (total - s) / fall if fall else 1)

    def goes_down(name):
        *path, last = name.split(".")
        return last == "weight" and type(model.get_submodule(".".join(path))) in (nn.Linear, nn.Conv2d)

    decays = [decay if goes_down(name) else 0.0 for name, p in model.named_parameters() if p.requires_grad]
    return torch.tensor([float(rate(s)) for s in range(total)]), torch.tensor(decays)


def plan_in_lists(model, total, warmup, fall, peak, decay):
    return list(plan_joined(model, total, warmup, fall, peak, decay))


def plan_product(model, total, warmup, fall, peak, decay):
    up, down = torch.arange(1, total + 1) / (warmup or 1), torch.arange(total, 0, -1) / (fall or 1)
    rates = up.clamp(max=1) * down.clamp(max=1)
    maps = nn.ParameterList(m.weight for m in model.modules() if is_map(m))
    inside = {id(p) for p in maps}
    return peak * rates, torch.tensor([decay * (id(p) in inside) for p in model.parameters() if p.requires_grad])


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


# ps3.5, right


def the_rate(optimizer, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate


def counted(parts):
    return sum(int(hidden.sum()) for *_, hidden in parts)


def finite(*numbers):
    return all(math.isfinite(float(number)) for number in numbers)


def train_plain(model, optimizer, batches, rates, max_norm):
    told = []
    for parts, rate in zip(batches, rates, strict=True):
        optimizer.zero_grad(set_to_none=False)
        loss = 0
        for seen, target, hidden in parts:
            error = F.mse_loss(model(seen, hidden)[hidden], target[hidden], reduction="sum")
            part = error / (counted(parts) * target.shape[-1])
            part.backward()
            loss = loss + part.detach()
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        if finite(loss, norm):
            the_rate(optimizer, rate)
            optimizer.step()
        told.append((loss, norm))
    return tuple(torch.stack(column) for column in zip(*told, strict=True))


def train_by_autograd(model, optimizer, batches, rates, max_norm):
    """Gradients in a list of its own."""
    weights = list(model.parameters())
    losses, norms = torch.zeros(2, len(batches), dtype=weights[0].dtype)
    for s, parts in enumerate(batches):
        grads = [torch.zeros_like(p) for p in weights]
        for seen, target, hidden in parts:
            share = ((model(seen, hidden) - target).pow(2).mean(2) * hidden).sum() / counted(parts)
            losses[s] += share.detach()
            for total, grad in zip(grads, torch.autograd.grad(share, weights), strict=True):
                total += grad
        norms[s] = torch.cat([g.flatten() for g in grads]).norm()
        if losses[s].isfinite() and norms[s].isfinite():
            for p, g in zip(weights, grads, strict=True):
                p.grad = g * min(1, max_norm / float(norms[s]))
            the_rate(optimizer, rates[s])
            optimizer.step()
    return losses, norms


def train_sums_then_divides(model, optimizer, batches, rates, max_norm):
    """Backward of the plain sums; the divisor comes last."""
    losses, norms = [], []
    for parts, rate in zip(batches, rates, strict=True):
        model.zero_grad()
        total = []
        for seen, target, hidden in parts:
            x = (model(seen, hidden) - target)[hidden].square().sum() / target.shape[2]
            x.backward()
            total.append(x.detach())
        for p in model.parameters():
            p.grad /= counted(parts)
        losses.append(sum(total) / counted(parts))
        norms.append(torch.stack([p.grad.norm() for p in model.parameters()]).norm())
        if not finite(losses[-1], norms[-1]):
            continue
        if norms[-1] > max_norm:
            for p in model.parameters():
                p.grad *= max_norm / norms[-1]
        the_rate(optimizer, rate)
        optimizer.step()
    return torch.stack(losses), torch.stack(norms)


def train_one_backward(model, optimizer, batches, rates, max_norm):
    """One graph of all parts."""
    losses, norms = [], []
    for parts, rate in zip(batches, rates, strict=True):
        errors = torch.cat([(model(x, h) - t)[h].square().mean(1) for x, t, h in parts])
        optimizer.zero_grad()
        errors.mean().backward()
        grads = [p.grad for group in optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.get_total_norm(grads)
        for g in grads:
            g.mul_(torch.clamp(max_norm / norm, max=1.0))
        the_rate(optimizer, rate)
        if torch.isfinite(errors.mean() + norm):
            optimizer.step()
        losses.append(errors.mean().item())
        norms.append(norm.item())
    dtype = next(model.parameters()).dtype
    return torch.tensor(losses, dtype=dtype), torch.tensor(norms, dtype=dtype)


def train_skipping_empty_parts(model, optimizer, batches, rates, max_norm):
    losses, norms = [], []
    for parts, rate in zip(batches, rates, strict=True):
        the_rate(optimizer, rate)
        optimizer.zero_grad()
        count, loss = counted(parts), 0.0
        for seen, target, hidden in parts:
            if hidden.any():
                part = (model(seen, hidden) - target).square().mean(-1)[hidden].mean() * (hidden.sum() / count)
                part.backward()
                loss = loss + part.detach()
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        losses.append(loss)
        norms.append(norm)
        if loss.isfinite() and norm.isfinite():
            optimizer.step()
        else:
            optimizer.zero_grad()
    return torch.stack(losses), torch.stack(norms)


def train_putting_back(model, optimizer, batches, rates, max_norm):
    """Refuses by an exception."""
    losses, norms = [], []
    for parts, rate in zip(batches, rates, strict=True):
        optimizer.zero_grad()
        loss = torch.zeros((), dtype=next(model.parameters()).dtype)
        for seen, target, hidden in parts:
            part = torch.where(hidden, (model(seen, hidden) - target).square().mean(-1), 0).sum() / counted(parts)
            part.backward()
            loss += part.detach()
        losses.append(loss)
        norms.append(nn.utils.get_total_norm([p.grad for p in model.parameters()]))
        try:
            if not loss.isfinite():
                raise RuntimeError
            nn.utils.clip_grad_norm_(model.parameters(), max_norm, error_if_nonfinite=True)
        except RuntimeError:
            continue
        the_rate(optimizer, rate)
        optimizer.step()
    return torch.stack(losses), torch.stack(norms)


# ps3.5, wrong


def train_with(
    *, part=None, fresh="step", clip=nn.utils.clip_grad_norm_, rate=the_rate, good=finite, bad=None, early=False, stop=False
):
    """The plain loop with one thing changed. part(errors (B, N), hidden, parts) → loss of a part; bad(model): what is done
    in place of leaving a step out."""

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
                x.backward()
                loss = loss + x.detach()
                if early and hidden is not parts[-1][2]:
                    clip(model.parameters(), max_norm)
                    rate(optimizer, r)
                    optimizer.step()
                    optimizer.zero_grad()
            norm = clip(model.parameters(), max_norm)
            losses.append(loss)
            norms.append(norm)
            if not good(loss, norm):
                if stop:
                    break
                if bad is None:
                    continue
                bad(model)
            rate(optimizer, r)
            optimizer.step()
            if fresh == "good step":
                optimizer.zero_grad()
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


# What the lessons and the library hold


def everything_at_hand():
    """Every function of the rooms that these tasks stand on, and of lessons 05 to 07."""
    for module in (decoders, losses, patches, pictures, pixels, schedule, step):
        yield from (value for value in list(vars(module).values()) if callable(value))
    for path in sorted((TOP / "notebooks").glob("0[567]_*.ipynb")):
        yield from defined_in(path)


RIGHT = {
    "ps3.1": [
        restore_image_by_image, restore_scattered, restore_written, restore_one_hot, restore_looked_up, restore_sorted,
        restore_added, restore_in_float64,
    ],
    "ps3.2": [
        window_by_window, window_rearranged, window_pairs, window_of_nan, window_in_a_list, window_in_float64, window_by_numpy,
    ],
    "ps3.3": [
        loss_image_by_image, loss_chosen_first, loss_flat, loss_masked_fill, loss_einsum, loss_in_float64, loss_by_mse,
    ],
    "ps3.4": [
        plan_step_by_step, plan_joined, plan_lowest_line, plan_linspace, plan_interpolated, plan_in_lists, plan_product,
    ],
    "ps3.5": [
        train_plain, train_by_autograd, train_sums_then_divides, train_one_backward, train_skipping_empty_parts,
        train_putting_back,
    ],
}  # fmt: skip

WRONG = {
    "ps3.1": [
        ("padding was put in place", restore_padding_too),
        ("in short samples the padding fills hidden places", restore_padding_fills),
        ("the tokens are put in reading order", restore_by_mask),
        ("the shuffle is repeated, not undone", restore_shuffled_again),
        ("every sample uses the ids of sample 0", restore_first_ids),
        ("valid is read upside down", restore_upside_down),
        ("the mask token is missing", restore_zeros),
        ("the mask token was added to the visible tokens as well", restore_token_everywhere),
        ("positions were added in the order of arrival", restore_positions_first),
        ("the positions are missing", restore_without_positions),
        ("the mask tokens have no position", restore_bare_masks),
        ("the visible tokens have no position", restore_bare_tokens),
        ("changed its argument ids", restore_in_place),
    ],
    "ps3.2": [
        ("the variance is the biased one", window_with(std=lambda x: (x.var(correction=0) + 1e-6).sqrt())),
        ("1e-6 is missing under the root", window_with(std=lambda x: x.var().sqrt())),
        ("1e-6 goes under the root", window_with(std=lambda x: x.std() + 1e-6)),
        ("you divide by the variance", window_with(divide=lambda s: s * s)),
        ("the spread is that within single patches", window_with(std=lambda x: (x.var(-1).mean() + 1e-6).sqrt())),
        ("hidden patches count in the statistics", window_with(shown=lambda h: h | True)),
        ("hidden is read upside down", window_with(shown=lambda h: h)),
        ("the window is not used", window_with(home=lambda g, w: [torch.zeros(g[0] * g[1])] * 2)),
        ("each patch has statistics of its own", mae_target),
        ("the statistics run over the images of the batch", window_together),
        ("a run of window² patches", window_with(home=lambda g, w: [torch.arange(g[0] * g[1]) // w**2] * 2)),
        ("you read it as (cols, rows)", window_with(home=lambda g, w: home_of(g[::-1], w))),
        ("as the number of windows along a side", window_with(
            home=lambda g, w: (home_of(g, 1)[0] // (g[0] // w), home_of(g, 1)[1] // (g[1] // w)))),
        ("without a visible patch gives NaN", window_with(bare=lambda x, inside, h: (torch.nan, torch.nan))),
        ("without a visible patch is left as it is", window_with(bare=lambda x, inside, h: (0, 1))),
        ("without a visible patch uses its hidden ones", window_with(bare=lambda x, inside, h: moments(x[inside]))),
        ("without a visible patch borrows from all of its image", window_with(bare=lambda x, inside, h: moments(x))),
        ("values differ", borrowed_target),
        ("3 results were asked for, in a tuple", window_target_alone),
        ("result 2 of 3: its shape is (2, 24), and (2, 24, 1) was asked for", window_one_number_each),
    ],
    "ps3.3": [
        ("each patch counts the same", loss_with(pool=lambda sums, total: sums.sum() / total.sum())),
        ("divided by how many patches it hides", loss_with(divide=lambda w, h, _: h.sum(1))),
        ("divided by all N patches", loss_with(divide=lambda w, h, _: h.shape[1])),
        ("divided by the weights of all its patches", loss_with(divide=lambda w, h, weights: weights.sum(1))),
        ("the weights are not used", loss_with(weigh="all alike")),
        ("visible patches count as well", loss_with(where=lambda h: h | True)),
        ("hidden is read upside down", loss_with(where=lambda h: ~h)),
        ("their mean over T was asked for", loss_with(error=lambda d: d.square().sum(-1))),
        ("the error is the absolute one", loss_with(error=lambda d: d.abs().mean(-1))),
        ("the images are summed", loss_with(pool=lambda sums, total: (sums / total).sum())),
        ("an image with nothing to score gives NaN", loss_with(pool=lambda sums, total: (sums / total).mean())),
        ("an image with nothing to score is counted", loss_with(
            pool=lambda sums, total: (sums / total.clamp(min=1e-12)).mean())),
        ("a batch with nothing to score gives NaN", loss_with(pool=lambda sums, total: (sums / total)[total > 0].mean())),
        ("∞ · 0 is NaN", loss_multiplied),
        ("its shape is (3,), and () was asked for", loss_per_image),
        ("values differ", loss_of_the_library),
    ],
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
    ],
}  # fmt: skip

HELD = {
    "ps3.1": [restore_padding_fills],
    "ps3.2": [mae_target, borrowed_target],
    "ps3.3": [loss_of_the_library],
    "ps3.4": [plan_of_the_library],
    "ps3.5": [train_step_of_the_library],
}


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """Pictures are counted, not shown."""
    seen = []
    monkeypatch.setattr(plt, "show", lambda: seen.append(plt.gcf()))
    yield seen
    plt.close("all")


def test_five_tasks_give_fourteen_points_and_two_questions_six():
    assert [full(name) for name in TASKS] == [3, 3, 2, 2, 4]
    assert all(mark["points"] == 1 and "BEGIN HIDDEN TESTS" in source for source, mark in GRADED)
    by_hand = [mark["points"] for cell, mark in MARKED if mark["grade"] and cell["cell_type"] == "markdown"]
    assert by_hand == [3, 3]


def test_graded_cells_do_not_lean_on_the_check():
    assert not [mark["grade_id"] for source, mark in GRADED if "minimim" in source]


@pytest.mark.parametrize("name, answer", each(RIGHT))
def test_right_answers_pass_and_earn_all_points(name, answer):
    assert examine(TASKS[name], answer) >= 6
    assert points(name, answer) == full(name)


@pytest.mark.parametrize("name, case", each(WRONG))
def test_wrong_answers_are_told_which_mistake_it_is_and_lose_points(name, case):
    words, answer = case
    with pytest.raises(WrongAnswer) as told:
        examine(TASKS[name], answer)
    assert words in str(told.value)
    assert loses(name, answer)


def restore_without_a_way_back(latents, ids, valid, mask_token, positions):
    return restore_scattered(latents, ids, valid, mask_token.detach(), positions)


def loss_chosen_late(prediction, target, hidden, weights):
    """The loss is right, and its gradient NaN where the target is infinite."""
    errors = torch.where(hidden, (prediction - target).square().mean(-1), 0)
    w = torch.where(hidden, weights, 0)
    some = w.sum(1) > 0
    return ((w * errors).sum(1) / w.sum(1).where(some, 1)).sum() / some.sum().clamp(min=1)


def train_on_the_whole(model, optimizer, batches, rates, max_norm):
    """All parts at once: right, and more than memory holds."""
    whole = [[tuple(torch.cat(x) for x in zip(*parts, strict=True))] for parts in batches]
    return train_plain(model, optimizer, whole, rates, max_norm)


@pytest.mark.parametrize(
    "name, answer",
    [("ps3.1", restore_without_a_way_back), ("ps3.3", loss_chosen_late), ("ps3.5", train_on_the_whole)],
)
def test_the_graded_cells_look_at_more_than_the_check(name, answer):
    examine(TASKS[name], answer)
    assert points(name, answer) == full(name) - 1


@pytest.mark.parametrize("name", TASKS)
def test_every_mistake_in_the_table_is_told_apart_from_the_others(name):
    task = TASKS[name]
    for words, mistaken in task.mistakes.items():

        def answer(mistaken=mistaken, **arguments):
            try:
                return mistaken(**arguments)
            except Exception:  # noqa: BLE001 (this mistake says nothing of this input)
                return task.truth(**arguments)

        with pytest.raises(WrongAnswer) as told:
            examine(task, answer)
        assert str(told.value) == f"{name}: {words}"


@pytest.mark.parametrize("name, answer", each(HELD))
def test_what_the_library_holds_is_no_answer(name, answer):
    with pytest.raises(WrongAnswer):
        examine(TASKS[name], answer)
    assert loses(name, answer)


@pytest.mark.parametrize("name", TASKS)
def test_nothing_that_can_be_imported_or_copied_from_a_lesson_earns_full_points(name):
    for function in everything_at_hand():
        handed_on = partial(function)
        handed_on.__module__ = __name__
        assert loses(name, handed_on), f"{function} is an answer to {name}"


@pytest.mark.parametrize("name", TASKS)
def test_an_import_earns_no_full_points_even_where_it_is_right(name):
    assert loses(name, TASKS[name].truth)


@pytest.mark.parametrize("name", TASKS)
def test_a_stub_is_told_to_be_unwritten(name):
    def stub(*_, **__):
        raise NotImplementedError

    with pytest.raises(WrongAnswer, match=f"{TASKS[name].function} is not written yet"):
        examine(TASKS[name], stub)


@pytest.mark.parametrize("name", ["ps3.1", "ps3.2", "ps3.4"])
def test_a_wrong_answer_is_drawn_beside_the_right_one(name, shown):
    with pytest.raises(WrongAnswer):
        examine(TASKS[name], WRONG[name][0][1])
    assert [ax.get_title() for ax in shown[0].axes] == ["yours", "expected"]


def test_a_right_answer_gets_one_line(capsys):
    check("ps3.1", restore_scattered)
    assert capsys.readouterr().out == "ps3.1: right, on 9 inputs\n"
