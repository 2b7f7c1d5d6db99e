"""Wrong answers to problem set 3, tasks 1 to 3, as people write them, each with words of what the check says."""

import torch
import torch.nn.functional as F
from right_ps3 import (
    home_of,
    loss_chosen_first,
    loss_flat,
    restore_scattered,
    restore_written,
    window_by_window,
)

from minimim import losses, patches
from minimim.show import pictures

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
    return restore_scattered(latents, ids, valid, mask_token, positions)


def restore_emptying(latents, ids, valid, mask_token, positions):
    latents.data[~valid] = 0
    return restore_scattered(latents, ids, valid, mask_token, positions)


def restore_product(latents, ids, valid, mask_token, positions):
    """A matrix that says who belongs where; padding that is no number spreads by 0 · NaN."""
    belongs = (ids[:, None] == torch.arange(len(positions))[:, None]) & valid[:, None]  # (B, N, K)
    empty = ~belongs.any(-1, keepdim=True)
    return belongs.to(latents.dtype) @ latents + empty * mask_token + positions


def restore_added(latents, ids, valid, mask_token, positions):
    b, n = len(latents), len(positions)
    safe = ids.clamp(0, n - 1)
    here = torch.zeros(b, n, dtype=torch.long).scatter_add(1, safe, valid.long())
    x = torch.zeros(b, n, latents.shape[2], dtype=latents.dtype)
    x = x.scatter_add(1, safe[..., None].expand_as(latents), latents * valid[..., None])
    return torch.where(here[..., None] > 0, x, mask_token) + positions


def restore_padding_last(latents, ids, valid, mask_token, positions):
    x = mask_token.repeat(len(latents), len(positions), 1)
    for b, count in enumerate(valid.sum(1)):
        x[b, ids[b, :count]] = latents[b, :count]
    return x + positions


def restore_overwritten(latents, ids, valid, mask_token, positions):
    x = mask_token.repeat(len(latents), len(positions), 1)
    for b in range(len(latents)):
        for k, place in enumerate(ids[b].tolist()):
            if place in range(len(positions)):
                x[b, place] = latents[b, k] if valid[b, k] else mask_token[0, 0]
    return x + positions


def restore_zeros_written(latents, ids, valid, mask_token, positions):
    x = mask_token.repeat(len(latents), len(positions), 1)
    for b in range(len(latents)):
        for k in range(latents.shape[1]):
            x[b, ids[b, k] * valid[b, k]] = latents[b, k] * valid[b, k]
    return x + positions


def restore_all_to_all(latents, ids, valid, mask_token, positions):
    x = mask_token.repeat(len(latents), len(positions), 1)
    x[:, ids[valid]] = latents[valid]
    return x + positions


def restore_where_zero(latents, ids, valid, mask_token, positions):
    x = restore_scattered(latents, ids, valid, 0 * mask_token, 0 * positions)
    return torch.where(x == 0, mask_token, x) + positions


def restore_from_one(latents, ids, valid, mask_token, positions):
    return restore_written(latents, ids - 1, valid, mask_token, positions)


def restore_positions_twice(latents, ids, valid, mask_token, positions):
    return restore_written(latents + positions[ids.clamp(0, len(positions) - 1)], ids, valid, mask_token, positions)


def restore_without_a_way_back(latents, ids, valid, mask_token, positions):
    return restore_scattered(latents, ids, valid, mask_token.detach(), positions)


def restore_by_lists(latents, ids, valid, mask_token, positions):
    return torch.tensor(restore_scattered(latents, ids, valid, mask_token, positions).tolist(), dtype=latents.dtype)


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


def window_then(change):
    """The right target, mean and std, changed at the end."""
    return lambda patches, hidden, grid, window: change(hidden, *window_by_window(patches, hidden, grid, window))


def window_of_zeros(patches, hidden, grid, window):
    """Hidden numbers become 0, and count."""
    seen = patches.masked_fill(hidden[..., None], 0)
    _, mean, std = window_by_window(seen, hidden & False, grid, window)
    return (patches - mean) / std, mean, std


def window_changing_patches(patches, hidden, grid, window):
    _, mean, std = window_by_window(patches, hidden, grid, window)
    return patches.sub_(mean).div_(std).clone(), mean, std


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


def loss_chosen_late(prediction, target, hidden, weights):
    """The loss is right, and its gradient NaN where the target is infinite."""
    errors = torch.where(hidden, (prediction - target).square().mean(-1), 0)
    w = torch.where(hidden, weights, 0)
    some = w.sum(1) > 0
    return ((w * errors).sum(1) / w.sum(1).where(some, 1)).sum() / some.sum().clamp(min=1)


def loss_settled(settle):
    """Errors and weights are chosen well; settle(sums (B,), totals (B,), hidden) makes one number of them."""

    def answer(prediction, target, hidden, weights):
        w = torch.where(hidden, weights, 0)
        errors = torch.where(hidden[..., None], prediction - target, 0).square().mean(-1)
        return settle((w * errors).sum(1), w.sum(1), hidden)

    return answer


def loss_constant(zero):
    """Where nothing counts, a zero that nothing leads to."""
    return loss_settled(lambda sums, total, _: (sums[total > 0] / total[total > 0]).mean() if total.any() else zero(sums))


def loss_changing_target(prediction, target, hidden, weights):
    target[~hidden] = 0
    return loss_chosen_first(prediction, target, hidden, weights)


def loss_of_numbers(prediction, target, hidden, weights):
    return torch.tensor(loss_flat(prediction, target, hidden, weights).item(), dtype=prediction.dtype)


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
        ("changed its argument latents", restore_emptying),
        ("added everywhere, as a product with a 0/1 matrix does", restore_product),
        ("added at the place of its id", restore_added),
        ("the padding is taken to stand at the end of the row", restore_padding_last),
        ("padding writes a mask token to the place of its id", restore_overwritten),
        ("padding writes zeros to place 0", restore_zeros_written),
        ("every image gets the tokens of all images", restore_all_to_all),
        ("hidden places are found by looking for zeros", restore_where_zero),
        ("you count them from 1", restore_from_one),
        ("get their position twice", restore_positions_twice),
        ("no gradient reaches mask_token", restore_without_a_way_back),
        ("no gradient comes back from the result", restore_by_lists),
    ],
    "ps3.2": [
        ("the variance is the biased one", window_with(std=lambda x: (x.var(correction=0) + 1e-6).sqrt())),
        ("1e-6 is missing under the root", window_with(std=lambda x: x.var().sqrt())),
        ("1e-6 goes under the root", window_with(std=lambda x: x.std() + 1e-6)),
        ("you divide by the variance", window_with(divide=lambda s: s * s)),
        ("the standard deviation is that within single patches", window_with(std=lambda x: (x.var(-1).mean() + 1e-6).sqrt())),
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
        ("the standard deviation is that of the patches' means", window_with(std=lambda x: (x.mean(-1).var() + 1e-6).sqrt())),
        ("std is raised to at least 0.001", window_with(std=lambda x: x.std().clamp(min=1e-3))),
        ("the hidden numbers count as zeros", window_of_zeros),
        ("the target of hidden patches is set to 0", window_then(
            lambda hidden, target, mean, std: (target.masked_fill(hidden[..., None], 0), mean, std))),
        ("you return std before mean", window_then(lambda hidden, target, mean, std: (target, std, mean))),
        ("the third result is the variance", window_then(lambda hidden, target, mean, std: (target, mean, std**2))),
        ("it turned torch.float64 numbers into torch.float32", window_then(lambda hidden, *parts: tuple(x.float() for x in parts))),
        ("changed its argument patches", window_changing_patches),
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
        ("∞ · 0 and NaN · 0 are NaN", loss_multiplied),
        ("its shape is (3,), and () was asked for", loss_per_image),
        ("yours is 1.5833, expected 1.529", loss_of_the_library),
        ("a sum of weights below 1 is raised to 1", loss_with(divide=lambda w, h, _: w.sum(1).clamp(min=1))),
        ("on weights of a few hundredths", loss_with(divide=lambda w, h, _: w.sum(1).clamp(min=0.1))),
        ("each patch counts the same", loss_settled(lambda sums, total, _: sums.sum() / total.sum().clamp(min=1e-30))),
        ("all weigh 0 is counted, with loss 0", loss_settled(
            lambda sums, total, h: (sums / total.clamp(min=1e-30)).sum() / h.any(1).sum().clamp(min=1))),
        ("all weigh 0 gives NaN", loss_settled(lambda sums, total, h: (sums / total)[h.any(1)].mean() if h.any() else sums.sum())),
        ("no gradient comes back from the result", loss_constant(lambda sums: torch.tensor(0.0, dtype=sums.dtype))),
        ("no gradient comes back from the result", loss_constant(lambda sums: sums.new_zeros((), requires_grad=True))),
        ("no gradient comes back from the result", loss_of_numbers),
        ("the gradient of prediction is not finite", loss_chosen_late),
        ("the gradient of prediction is not finite", loss_settled(
            lambda sums, total, _: torch.where(total > 0, sums / total, 0).sum() / (total > 0).sum().clamp(min=1))),
        ("changed its argument target", loss_changing_target),
    ],
}  # fmt: skip
