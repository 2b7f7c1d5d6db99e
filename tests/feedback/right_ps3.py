"""Right answers to problem set 3, in many hands."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from minimim import patches

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


def restore_in_float64(latents, ids, valid, mask_token, positions):
    return restore_scattered(latents.double(), ids, valid, mask_token.double(), positions.double()).to(latents.dtype)


def restore_first_come(latents, ids, valid, mask_token, positions):
    """Place by place: is there a token for it?"""
    rows = []
    for b in range(len(latents)):
        tokens = []
        for n in range(len(positions)):
            here = (valid[b] & (ids[b] == n)).nonzero()
            tokens.append(latents[b, here[0, 0]] if len(here) else mask_token[0, 0])
        rows.append(torch.stack(tokens) + positions)
    return torch.stack(rows)


def restore_flat(latents, ids, valid, mask_token, positions):
    """All places of the batch in one long list."""
    b, n = len(latents), len(positions)
    x = mask_token.expand(b, n, -1).reshape(b * n, -1)
    flat = (ids + n * torch.arange(b).unsqueeze(1))[valid]
    return x.index_copy(0, flat, latents[valid]).unflatten(0, (b, n)) + positions


def restore_clean_product(latents, ids, valid, mask_token, positions):
    """A matrix that says who belongs where, after the padding became zeros."""
    belongs = (ids[:, None] == torch.arange(len(positions))[:, None]) & valid[:, None]  # (B, N, K)
    empty = ~belongs.any(-1, keepdim=True)
    clean = latents.masked_fill(~valid[..., None], 0)
    return torch.einsum("bnk,bkd->bnd", belongs.to(latents.dtype), clean) + empty * mask_token + positions


def restore_from_a_dict(latents, ids, valid, mask_token, positions):
    out = mask_token + positions.repeat(len(latents), 1, 1)
    for b in range(len(latents)):
        for place, k in {int(ids[b, k]): k for k in range(ids.shape[1]) if valid[b, k]}.items():
            out[b, place] = latents[b, k] + positions[place]
    return out


def restore_read(latents, ids, valid, mask_token, positions):
    """For each place the token that names it."""
    names = (ids[:, None] == torch.arange(len(positions))[:, None]) & valid[:, None]  # (B, N, K)
    tokens = patches.take(latents, names.int().argmax(-1))
    return torch.where(names.any(-1, keepdim=True), tokens, mask_token) + positions


def restore_added_once_clean(latents, ids, valid, mask_token, positions):
    """Padding adds zeros to some place."""
    clean, places = torch.where(valid[..., None], latents, 0), ids.clamp(min=0)
    blank = latents.new_zeros(len(latents), len(positions), latents.shape[2])
    x = blank.scatter_add(1, places[..., None].expand_as(latents), clean)
    taken = torch.zeros(blank.shape[:2], dtype=torch.long).scatter_add(1, places, valid.long())
    return torch.where(taken[..., None] > 0, x, mask_token) + positions


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


# ps3.3, right


def loss_image_by_image(prediction, target, hidden, weights):
    out = []
    for p, t, h, w in zip(prediction, target, hidden, weights, strict=True):
        if h.any() and w[h].sum() > 0:
            out.append((w[h] * F.mse_loss(p[h], t[h], reduction="none").mean(1)).sum() / w[h].sum())
    return torch.stack(out).mean() if out else 0 * prediction[hidden].sum()


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


def loss_one_by_one(prediction, target, hidden, weights):
    """Patch by patch, in plain Python."""
    losses = []
    for b in range(len(hidden)):
        above = below = 0
        for n in range(hidden.shape[1]):
            if hidden[b, n]:
                above = above + weights[b, n] * ((prediction[b, n] - target[b, n]) ** 2).mean()
                below = below + weights[b, n]
        if below > 0:
            losses.append(above / below)
    return sum(losses) / len(losses) if losses else 0 * prediction[:0].sum()


def loss_over_those_that_count(prediction, target, hidden, weights):
    """Patches that are hidden and weigh something; nothing else is looked at."""
    counts = hidden & (weights > 0)
    safe = torch.where(counts[..., None], prediction - target, torch.zeros_like(prediction))
    share = torch.where(counts, weights, 0)
    share = share / share.sum(1, keepdim=True).masked_fill(~counts.any(1, keepdim=True), 1)
    images = counts.any(1).sum()
    return (share[..., None] * safe**2).sum() / (safe.shape[-1] * max(int(images), 1))


def loss_with_a_small_number(prediction, target, hidden, weights):
    """A millionth below keeps 0 / 0 away."""
    used = torch.where(hidden, weights, 0)
    errors = torch.where(hidden[..., None], prediction - target, 0).square().mean(-1)
    return ((used * errors).sum(1) / (used.sum(1) + 1e-6)).sum() / (used.sum(1) > 0).sum().clamp(min=1)


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
        return last == "weight" and issubclass(type(model.get_submodule(".".join(path))), nn.Linear | nn.Conv2d)

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


def plan_by_apply(model, total, warmup, fall, peak, decay):
    found = []
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            found.append(module.weight)
    found = set(found)
    decays = torch.zeros(sum(p.requires_grad for p in model.parameters()))
    for n, p in enumerate(p for p in model.parameters() if p.requires_grad):
        if p in found:
            decays[n] = decay
    rates = peak * torch.ones(total)
    for s in range(warmup):
        rates[s] *= (s + 1) / warmup
    for left in range(1, fall + 1):
        rates[-left] *= left / fall
    return rates, decays


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


def train_image_by_image(model, optimizer, batches, rates, max_norm):
    """Smaller pieces than the parts: one image at a time."""
    losses, norms = [], []
    for parts, rate in zip(batches, rates, strict=True):
        model.zero_grad()
        loss, count = 0, counted(parts)
        for seen, target, hidden in parts:
            for b in range(len(seen)):
                mine, away = model(seen[b : b + 1], hidden[b : b + 1])[0], hidden[b]
                share = (mine[away] - target[b, away]).pow(2).mean(-1).sum() / count
                share.backward()
                loss = loss + share.detach()
        norm = nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], max_norm)
        if not (loss.isnan() | loss.isinf() | norm.isnan() | norm.isinf()):
            the_rate(optimizer, rate)
            optimizer.step()
        losses.append(loss)
        norms.append(norm)
    return torch.stack(losses), torch.stack(norms)


def train_without_gradients(model, optimizer, batches, rates, max_norm):
    """A bad step is a step without any gradient, which torch's optimisers pass over."""
    model.train()
    losses, norms = [], []
    for parts, rate in zip(batches, rates, strict=True):
        for p in model.parameters():
            p.grad = None
        shares = []
        for seen, target, hidden in parts:
            shares.append((model(seen, hidden)[hidden] - target[hidden]).square().sum() / target.shape[2] / counted(parts))
            shares[-1].backward()
        losses.append(torch.stack(shares).sum().detach())
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm))
        if not finite(losses[-1], norms[-1]):
            optimizer.zero_grad(set_to_none=True)
        the_rate(optimizer, rate)
        optimizer.step()
    return torch.stack(losses), torch.stack(norms)


RIGHT = {
    "ps3.1": [
        restore_image_by_image, restore_scattered, restore_written, restore_looked_up, restore_sorted,
        restore_in_float64, restore_first_come, restore_flat, restore_clean_product, restore_from_a_dict,
        restore_read, restore_added_once_clean,
    ],
    "ps3.2": [
        window_by_window, window_rearranged, window_pairs, window_of_nan, window_in_a_list, window_in_float64, window_by_numpy,
    ],
    "ps3.3": [
        loss_image_by_image, loss_chosen_first, loss_flat, loss_masked_fill, loss_einsum, loss_in_float64, loss_by_mse,
        loss_one_by_one, loss_over_those_that_count, loss_with_a_small_number,
    ],
    "ps3.4": [
        plan_step_by_step, plan_joined, plan_lowest_line, plan_linspace, plan_interpolated, plan_in_lists, plan_product,
        plan_by_apply,
    ],
    "ps3.5": [
        train_plain, train_by_autograd, train_sums_then_divides, train_one_backward, train_skipping_empty_parts,
        train_putting_back, train_image_by_image, train_without_gradients,
    ],
}  # fmt: skip
