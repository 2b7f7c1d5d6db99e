"""Problem set 4: right answers in many hands pass and earn all points, wrong ones are told which mistake they make and
lose points, and what the lessons and the library hold does not do as an answer."""

import inspect
import json
import math
from contextlib import suppress
from fractions import Fraction
from functools import cache, partial

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from graded import Graded, defined_in, each
from helpers import TOP

from minimim import checkpoint, diagnose, evaluate, hole_filler, layers, patches
from minimim.evaluate import features, knn, probe, score
from minimim.feedback import WrongAnswer, check, sabotaged
from minimim.feedback.check import difference, examine
from minimim.feedback.ps4 import tasks as ps4
from minimim.feedback.ps4 import truth

TASKS = {task.name: task for task in ps4.TASKS}
SET = Graded("ps4", TASKS, __name__)
MARKED = SET.marked
points, full = SET.points, SET.full


# ps4.1, right


def paired_one_hot(scores, garment):
    member = (garment.unsqueeze(1) == garment.unique()).to(scores.dtype)  # (n, G)
    apart = scores - scores[0]
    gain = apart.mean(1)
    return gain, ((apart - gain[:, None]) @ member).norm(dim=1) / scores.shape[1]


def paired_by_encoder(scores, garment):
    gains, errors = [], []
    for row in scores:
        d = row - scores[0]
        left = d - d.mean()
        total = sum(left[garment == name].sum() ** 2 for name in garment.unique())
        gains.append(d.mean())
        errors.append(total.sqrt() / len(row))
    return torch.stack(gains), torch.stack(errors)


def paired_by_pairs(scores, garment):
    """The sum of all products of two left-overs of one garment."""
    left = scores - scores[:1]
    left = left - left.mean(1, keepdim=True)
    together = (garment[:, None] == garment[None]).to(scores.dtype)  # (n, n)
    square = torch.einsum("ei,ij,ej->e", left, together, left)
    return (scores - scores[:1]).mean(1), square.clamp(min=0).sqrt() / scores.shape[1]


def paired_sorted(scores, garment):
    order = garment.argsort()
    apart = (scores - scores[:1])[:, order]
    gain = apart.mean(1)
    sizes = garment[order].unique_consecutive(return_counts=True)[1].tolist()
    parts = [part.sum(1) for part in (apart - gain[:, None]).split(sizes, dim=1)]
    return gain, torch.stack(parts).square().sum(0).sqrt() / len(garment)


def paired_scatter(scores, garment):
    apart = scores - scores[:1]
    gain = apart.sum(1) / apart.shape[1]
    home = torch.searchsorted(garment.unique(), garment)
    zeros = torch.zeros(len(scores), len(garment), dtype=scores.dtype)
    sums = zeros.scatter_add(1, home.expand(len(scores), -1), apart - gain[:, None])
    return gain, torch.linalg.vector_norm(sums, dim=1) / apart.shape[1]


def paired_in_float64(scores, garment):
    return tuple(x.to(scores.dtype) for x in paired_by_encoder(scores.double(), garment))


# ps4.1, wrong


def paired_apart(scores, garment):
    p, n = scores.mean(1), scores.shape[1]
    own = (scores - p[:, None]).square().mean(1) / n
    return p - p[0], torch.sqrt(own + own[0])


def paired_own(scores, garment):
    return scores.mean(1) - scores.mean(1)[0], (scores.var(1, correction=0) / scores.shape[1]).sqrt()


def paired_images(scores, garment):
    d = scores - scores[0]
    return d.mean(1), d.std(1, correction=0) / math.sqrt(d.shape[1])


def paired_images_unbiased(scores, garment):
    d = scores - scores[0]
    return d.mean(1), d.std(1) / math.sqrt(d.shape[1])


def paired_garment_means(scores, garment):
    d = torch.stack([(scores - scores[0])[:, garment == name].mean(1) for name in garment.unique()], 1)
    return d.mean(1), d.std(1, correction=0) / math.sqrt(d.shape[1])


def paired_turned(scores, garment):
    gain, error = paired_one_hot(scores, garment)
    return -gain, error


def paired_before(scores, garment):
    return paired_rows(scores, torch.cat([scores[:1], scores[:-1]]), garment)


def paired_rows(scores, base, garment):
    member = F.one_hot(torch.searchsorted(garment.unique(), garment)).to(scores.dtype)
    d = scores - base
    return d.mean(1), ((d - d.mean(1, keepdim=True)) @ member).norm(dim=1) / d.shape[1]


def paired_not_centred(scores, garment):
    member = F.one_hot(torch.searchsorted(garment.unique(), garment)).to(scores.dtype)
    return (scores - scores[0]).mean(1), ((scores - scores[0]) @ member).norm(dim=1) / scores.shape[1]


def paired_scaled(factor):
    def answer(scores, garment):
        gain, error = paired_one_hot(scores, garment)
        return gain, error * factor(scores.shape[1], len(garment.unique()))

    return answer


def paired_with(change):
    """change(scores, garment, gain, left-overs, sums of each garment) in the place of the right answer."""

    def answer(scores, garment):
        gain = (scores - scores[0]).mean(1)
        left = scores - scores[0] - gain[:, None]
        return change(scores, garment, gain, left, torch.stack([left[:, garment == name].sum(1) for name in garment.unique()], 1))

    return answer


def paired_neighbours(scores, garment, gain, left, sums):
    lengths = garment.unique_consecutive(return_counts=True)[1].tolist()
    return gain, torch.stack([part.sum(1) for part in left.split(lengths, 1)]).norm(dim=0) / scores.shape[1]


# ps4.2, right


def few_loops(labels, noise, per_class):
    return torch.tensor(
        [
            [sorted((labels == c).nonzero().flatten().tolist(), key=lambda i: row[i].item())[:per_class] for c in sorted(labels.unique().tolist())]
            for row in noise
        ]
    )


def few_filled(labels, noise, per_class):
    """Others are sent to the end."""
    return torch.stack([noise.masked_fill(labels != c, math.inf).argsort(1)[:, :per_class] for c in labels.unique()], 1)


def few_topk(labels, noise, per_class):
    each = [(labels == c).nonzero()[:, 0] for c in labels.unique()]
    return torch.stack([ids[noise[:, ids].topk(per_class, largest=False).indices] for ids in each], 1)


def few_sorted_twice(labels, noise, per_class):
    """By noise, and then, stably, by class."""
    order = noise.argsort(1)
    order = order.gather(1, labels[order].argsort(dim=1, stable=True))
    ends = labels.unique(return_counts=True)[1].tolist()
    return torch.stack([part[:, :per_class] for part in order.split(ends, 1)], 1)


def few_ranks(labels, noise, per_class):
    """An image's place in its class is how many members have less noise."""
    same = labels[:, None] == labels[None]
    place = (same & (noise[:, None, :] < noise[:, :, None])).sum(2)  # (draws, n)
    kinds, home = labels.unique(return_inverse=True)
    out = torch.zeros(len(noise), len(kinds), per_class, dtype=torch.long)
    draw, image = (place < per_class).nonzero(as_tuple=True)
    out[draw, home[image], place[draw, image]] = image
    return out


def few_numpy(labels, noise, per_class):
    a, b = labels.numpy(), noise.numpy()
    return torch.tensor([[[i for i in row.argsort(kind="stable") if a[i] == c][:per_class] for c in sorted(set(a.tolist()))] for row in b])


# ps4.2, wrong


def few_highest(labels, noise, per_class):
    return few_filled(labels, -noise, per_class)


def few_anybody(labels, noise, per_class):
    count = len(labels.unique())
    return noise.topk(count * per_class, largest=False).indices.unflatten(1, (count, per_class))


def few_places(labels, noise, per_class):
    return torch.stack([noise[:, labels == c].argsort(1)[:, :per_class] for c in labels.unique()], 1)


def few_first(labels, noise, per_class):
    ids = torch.stack([(labels == c).nonzero().flatten()[:per_class] for c in labels.unique()])
    return ids.expand(len(noise), -1, -1)


def few_same_draw(labels, noise, per_class):
    return few_topk(labels, noise[:1], per_class).expand(len(noise), -1, -1)


def few_by_number(labels, noise, per_class):
    return few_topk(labels, noise, per_class).sort(-1).values


def few_first_seen(labels, noise, per_class):
    seen = list(dict.fromkeys(labels.tolist()))
    kinds = labels.unique().tolist()
    return few_topk(labels, noise, per_class)[:, [kinds.index(c) for c in seen]]


def few_again(labels, noise, per_class):
    each = [(labels == c).nonzero().flatten() for c in labels.unique()]
    return torch.stack([torch.stack([ids[(row[:per_class] * len(ids)).long()] for ids in each]) for row in noise])


def few_flat(labels, noise, per_class):
    return few_topk(labels, noise, per_class).flatten(1)


# ps4.3, right


def folds(right, fold):
    return torch.stack([right[:, fold == f].mean(1) for f in fold.unique()], 1)


def first_best(scores):
    return max(range(len(scores)), key=lambda layer: (round(float(scores[layer]), 6), -layer))


def choose_loops(right, fold, tested):
    table = folds(right, fold)
    nested = 0
    for f in range(table.shape[1]):
        rest = [g for g in range(table.shape[1]) if g != f]
        nested = nested + table[first_best(table[:, rest].mean(1)), f] / table.shape[1]
    layer = first_best(table.mean(1))
    return torch.tensor(layer), nested, tested[layer].mean()


def choose_by_sums(right, fold, tested):
    member = F.one_hot(fold).to(right.dtype)
    table = right @ member / member.sum(0)  # (L, F)
    rest = table.sum(1, keepdim=True) - table
    picks = [first_best(rest[:, f] / max(1, table.shape[1] - 1)) for f in range(table.shape[1])]
    layer = first_best(table.mean(1))
    return torch.tensor(layer), table[picks, range(len(picks))].mean(), tested.mean(1)[layer]


def choose_in_float64(right, fold, tested):
    layer, nested, test = choose_by_sums(right.double(), fold, tested.double())
    return layer, nested.to(right.dtype), test.to(tested.dtype)


def choose_weighted(right, fold, tested):
    weight = 1 / torch.bincount(fold)[fold].to(right.dtype)  # each fold weighs 1
    values = []
    for f in fold.unique():
        stay = fold != f
        pick = first_best((right * weight)[:, stay].sum(1))
        values.append(right[pick, ~stay].mean())
    layer = first_best((right * weight).sum(1))
    return torch.tensor(layer), torch.stack(values).mean(), tested[layer].mean()


def choose_lists(right, fold, tested):
    table = [[float(x) for x in row] for row in folds(right.double(), fold)]
    count = len(table[0])

    def pick(left_out=-1):
        totals = [round(sum(x for f, x in enumerate(row) if f != left_out), 6) for row in table]
        return totals.index(max(totals))

    nested = sum(table[pick(f)][f] for f in range(count)) / count
    return torch.tensor(pick()), torch.tensor(nested, dtype=right.dtype), tested[pick()].mean()


def choose_recursive(right, fold, tested):
    def pick(keep):
        return first_best(folds(right[:, keep], fold[keep]).mean(1))

    held = [right[pick(fold != f), fold == f].mean() for f in range(int(fold.max()) + 1)]
    layer = pick(fold >= 0)
    return torch.tensor(layer), sum(held) / len(held), tested[layer].mean()


# ps4.3, wrong


def choose_with(layer=None, nested=None, test=None):
    def answer(right, fold, tested):
        mine = list(choose_loops(right, fold, tested))
        if layer:
            mine[0] = torch.tensor(layer(right, fold, tested))
            mine[2] = tested[mine[0]].mean()
        mine[1] = nested(folds(right, fold), right, fold) if nested else mine[1]
        mine[2] = test(tested) if test else mine[2]
        return tuple(mine)

    return answer


def last_best(right, fold, tested):
    scores = folds(right, fold).mean(1)
    return max(range(len(scores)), key=lambda layer: (round(float(scores[layer]), 6), layer))


def rest_best(table, right, fold):
    return torch.stack([torch.cat([table[:, :f], table[:, f + 1 :]], 1).mean(1).max() for f in range(table.shape[1])]).mean()


def each_image(table, right, fold):
    count = right.new_zeros(len(fold))
    for f in range(table.shape[1]):
        rest = torch.cat([table[:, :f], table[:, f + 1 :]], 1)
        count[fold == f] = right[first_best(rest.mean(1)), fold == f]
    return count.mean()


def tried(get, last=False):
    """The nested score, where the choice f without fold f gets get(table, choice, f)."""

    def nested(table, right, fold):
        values = []
        for f in range(table.shape[1]):
            rest = torch.cat([table[:, :f], table[:, f + 1 :]], 1).mean(1)
            pick = len(rest) - 1 - first_best(rest.flip(0)) if last else first_best(rest)
            values.append(get(table, pick, f))
        return torch.stack(values).mean()

    return nested


# ps4.4, right


def pixel_mask(hidden, images, p):
    return repeat(hidden.view(len(hidden), images.shape[2] // p, -1), "b r s -> b 1 (r p) (s q)", p=p, q=p)


def share(before, after, tolerance, images):
    return ((before - after).abs().flatten(1).amax(1) > tolerance).to(images.dtype).mean()


def leaks_where(predict, images, hidden, patch_size, noise, tolerance):
    other = torch.where(pixel_mask(hidden, images, patch_size), noise, images)
    return share(predict(images.clone(), hidden.clone()), predict(other, hidden.clone()), tolerance, images)


def leaks_patchified(predict, images, hidden, patch_size, noise, tolerance):
    grid = patches.grid_of(*images.shape[2:], patch_size)
    x, y = (patches.patchify(part.clone(), patch_size) for part in (images, noise))
    x[hidden] = y[hidden]
    other = patches.unpatchify(x, patch_size, grid)
    return share(predict(images.clone(), hidden), predict(other, hidden), tolerance, images)


def leaks_kron(predict, images, hidden, patch_size, noise, tolerance):
    rows = images.shape[2] // patch_size
    square = torch.ones(patch_size, patch_size, dtype=images.dtype)
    where = torch.stack([torch.kron(row.view(rows, -1).to(images.dtype), square) for row in hidden])[:, None]
    before = predict(images.clone(), hidden)
    return share(before, predict(images * (1 - where) + noise * where, hidden), tolerance, images)


def leaks_slices(predict, images, hidden, patch_size, noise, tolerance):
    other, cols = images.clone(), images.shape[3] // patch_size
    for b, n in hidden.nonzero().tolist():
        place = (b, slice(None), *(slice(k * patch_size, (k + 1) * patch_size) for k in divmod(n, cols)))
        other[place] = noise[place]
    before, after = predict(images.clone(), hidden.clone()), predict(other, hidden.clone())
    moved = [bool(((a - b).abs() > tolerance).any()) for a, b in zip(before, after, strict=True)]
    return torch.tensor(sum(moved) / len(moved), dtype=images.dtype)


def leaks_interpolated(predict, images, hidden, patch_size, noise, tolerance):
    small = hidden.view(len(hidden), 1, images.shape[2] // patch_size, -1).float()
    other = images.clone()
    where = (F.interpolate(small, scale_factor=patch_size, mode="nearest") > 0.5).expand_as(images)
    other[where] = noise[where]
    before = predict(images.clone(), hidden.clone())
    return share(before, predict(other, hidden.clone()), tolerance, images)


def leaks_highest_and_lowest(predict, images, hidden, patch_size, noise, tolerance):
    other = images.masked_scatter(m := pixel_mask(hidden, images, patch_size).expand_as(images), noise[m])
    change = (predict(other, hidden) - predict(images.clone(), hidden)).flatten(1)
    return ((change.amax(1) > tolerance) | (change.amin(1) < -tolerance)).to(images.dtype).mean()


# ps4.4, wrong


def both(predict, images, other, hidden, mask):
    return predict(images.clone(), hidden.clone()), predict(other.clone(), hidden.clone())


def larger(before, after, tolerance):
    return (after - before).abs() > tolerance


def leaks_with(where=lambda hidden: hidden, put=lambda images, noise, mask: noise, ask=both, moved=larger, share=lambda hit, hidden: hit.flatten(1).any(1)):
    """where(hidden) is changed, put(…) stands there, ask(…) asks, moved(…) says which numbers moved, and share(…) is averaged."""

    def answer(predict, images, hidden, patch_size, noise, tolerance):
        mask = pixel_mask(where(hidden), images, patch_size)
        other = torch.where(mask, put(images, noise, mask), images)
        return share(moved(*ask(predict, images, other, hidden, mask), tolerance), hidden).to(images.dtype).mean()

    return answer


def one_by_one(predict, images, other, hidden, mask):
    pairs = [both(predict, images[b : b + 1], other[b : b + 1], hidden[b : b + 1], mask) for b in range(len(images))]
    return [torch.cat(part) for part in zip(*pairs, strict=True)]


def in_turn(predict, images, other, hidden, mask):
    asked = images.repeat(len(images), 1, 1, 1, 1)
    asked[range(len(images)), range(len(images))] = other
    after = [predict(batch.clone(), hidden.clone())[b] for b, batch in enumerate(asked)]
    return predict(images.clone(), hidden.clone()), torch.stack(after)


def same_images(predict, images, other, hidden, mask):
    x = images.clone()
    return predict(x, hidden.clone()), predict(torch.where(mask, other, x), hidden.clone())


def first_pixel(images, noise, mask):
    """The upper left pixel of every patch of 2×2 alone."""
    here = torch.zeros_like(mask)
    here[:, :, ::2, ::2] = True
    return torch.where(here, noise, images)


def one_channel(images, noise, mask):
    return torch.cat([noise[:, :1], images[:, 1:]], 1)


def leaks_written(name):
    """The right answer, that leaves one of its arguments changed."""

    def answer(predict, images, hidden, patch_size, noise, tolerance):
        share = leaks_where(predict, images, hidden, patch_size, noise, tolerance)
        changed = {"images": images, "hidden": hidden, "noise": noise}[name]
        changed.copy_(~changed if name == "hidden" else changed + 1)
        return share

    return answer


def leaks_turned_grid(predict, images, hidden, patch_size, noise, tolerance):
    where = rearrange(hidden, "b (s r) -> b r s", r=images.shape[2] // patch_size)
    where = where.repeat_interleave(patch_size, 1).repeat_interleave(patch_size, 2)[:, None]
    return share(predict(images.clone(), hidden), predict(torch.where(where, noise, images), hidden), tolerance, images)


def leaks_relative(predict, images, hidden, patch_size, noise, tolerance):
    other = torch.where(pixel_mask(hidden, images, patch_size), noise, images)
    before, after = predict(images.clone(), hidden).flatten(1), predict(other, hidden).flatten(1)
    return ((after - before).abs().amax(1) > tolerance * before.abs().amax(1)).to(images.dtype).mean()


def leaks_without_copies(predict, images, hidden, patch_size, noise, tolerance):
    before = predict(images, hidden)
    return share(before, predict(torch.where(pixel_mask(hidden, images, patch_size), noise, images), hidden), tolerance, images)


# ps4.5, right


def quiet(answer):
    """An answer without gradients."""
    return torch.no_grad()(answer)


def order_moves(method, images, noise, again, bound=1e-3):
    one, two = method(images, noise=noise), method(images, noise=again)
    assert torch.equal(one.mask, two.mask)
    return bool((one.prediction - two.prediction).abs().max() > bound * one.prediction.abs().max())


def strangers(method, images):
    return not torch.allclose(method.encoder.features(images), method.encoder(images).patches.mean(1), rtol=1e-3, atol=1e-3)


def growth(block, x, factor=1e4):
    return float(block(factor * x).abs().mean() / block(x).abs().mean())


@quiet
def symptoms_reversed(method, images, noise):
    hidden = method(images, noise=noise).mask
    x = torch.ones(1, 3, method.encoder.dim) * torch.arange(method.encoder.dim)
    found = [order_moves(method, images, noise, hidden.float() - noise), strangers(method, images), growth(method.encoder.blocks[0], x) < 100]
    return torch.tensor(found)


@quiet
def symptoms_ranks(method, images, noise):
    """Ranks, with the first two visible patches exchanged."""
    rank = noise.argsort(1).argsort(1)
    again = torch.where(rank == 0, 1, torch.where(rank == 1, 0, rank)).float()
    block = method.encoder.blocks[-1]
    sizes = [block(k * torch.eye(2, method.encoder.dim)[None]).norm() for k in (1, 1e5)]
    features = method.encoder.features(images)
    latents = method.encoder(images).patches.sum(1) / noise.shape[1]
    apart = (features - latents).square().sum() / latents.square().sum()
    return torch.stack([torch.tensor(order_moves(method, images, noise, again)), apart > 1e-4, sizes[1] < 1e3 * sizes[0]])


@quiet
def symptoms_shifted(method, images, noise):
    """What leaves a post-norm block has mean 0 and standard deviation 1, but for the norm's own scale: blocks are asked about a large shift."""
    visible = ~method(images, noise=noise).mask
    again = torch.where(visible, noise.max() - noise - 2 * noise.max(), 1 + noise)
    shift = torch.full((1, 1, method.encoder.dim), 1e4)
    moved = [float(block(shift).mean()) for block in method.encoder.blocks]
    found = [order_moves(method, images, noise, again), strangers(method, images), max(moved) < 1e3]
    return torch.tensor(found)


@quiet
def symptoms_one_by_one(method, images, noise):
    """Image by image."""
    again = noise.clone()
    for row, mask in zip(again, method(images, noise=noise).mask, strict=True):
        ids = (~mask).nonzero().flatten()
        row[ids] = row[ids.roll(1)]
    order = any(order_moves(method, images[b : b + 1], noise[b : b + 1], again[b : b + 1]) for b in range(len(images)))
    other = any(strangers(method, images[b : b + 1]) for b in range(len(images)))
    block, x = method.encoder.blocks[0], torch.randn(1, 1, method.encoder.dim, generator=torch.Generator().manual_seed(3))
    return torch.tensor([order, other, (block(1e6 * x) - block(1e5 * x)).norm().item() < 1e3])


def symptoms_by_gradient(method, images, noise):
    """Features that the loss does not reach, and what a gradient on the way through a block loses of its size."""
    with torch.no_grad():
        hidden = method(images, noise=noise).mask
        order = order_moves(method, images, noise, 10 * hidden.float() - noise.square())
        other = strangers(method, images)
    x = (1e6 * torch.randn(1, 2, method.encoder.dim, generator=torch.Generator().manual_seed(4))).requires_grad_()
    (slope,) = torch.autograd.grad(method.encoder.blocks[0](x).square().sum().sqrt(), x)
    return torch.tensor([order, other, bool(slope.norm() < 1e-2)])


@quiet
def symptoms_residual(method, images, noise):
    """A pre-norm block keeps what it is given, and adds to it."""
    block, x = method.encoder.blocks[0], 1e5 * torch.randn(2, 4, method.encoder.dim, generator=torch.Generator().manual_seed(5))
    kept = F.cosine_similarity(block(x).flatten(), x.flatten(), dim=0) > 0.9 and block(x).norm() > 0.5 * x.norm()
    hidden = method(images, noise=noise).mask
    return torch.tensor([order_moves(method, images, noise, hidden.float() - noise**3), strangers(method, images), not bool(kept)])


# ps4.5, wrong


def symptoms_with(order=None, other=None, norm=None):
    @quiet
    def answer(method, images, noise):
        found = symptoms_reversed(method, images, noise)
        for place, change in enumerate((order, other, norm)):
            if change:
                found[place] = change(method, images, noise)
        return found

    return answer


def other_mask(method, images, noise):
    one, two = method(images, noise=noise), method(images, noise=1 - noise)
    return (one.prediction - two.prediction).abs().max() > 1e-3


def same_order(method, images, noise):
    return order_moves(method, images, noise, 2 * noise)


def masked_latents(method, images, noise):
    mask = method.masking({"image": images}, (8, 8), noise=noise)[0]
    return not torch.allclose(method.encoder.features(images), method.encoder(images, mask).patches.mean(1), atol=1e-3)


def frozen(method, images, noise):
    return not any(p.requires_grad for p in method.encoder.blocks.parameters())


def normed(method, images, noise):
    return method.encoder(images).patches.std() < 10


def near_one(method, images, noise):
    block, x = method.encoder.blocks[0], torch.randn(1, 4, method.encoder.dim, generator=torch.Generator().manual_seed(0))
    return block(x).norm() < 10 * x.norm()


def small_input(method, images, noise):
    return growth(method.encoder.blocks[0], torch.ones(1, 2, method.encoder.dim), 1.0) > 2


def deep(method, images, noise):
    return len(method.encoder.blocks) > 6


def judged(change):
    """Answer 0 by another judgement of the right two runs."""

    def order(method, images, noise):
        first = method(images, noise=noise)
        return change(first, method(images, noise=first.mask.float() - noise))

    return symptoms_with(order=order)


def far(a, b, bound=1e-3):
    return (a - b).norm() > bound * b.norm()


def compared(change):
    """Answer 1 by another judgement of the right two tensors."""
    return symptoms_with(other=lambda method, images, noise: change(method.encoder.features(images), method.encoder(images).patches.mean(1)))


def leaving(change):
    """The right answer, that leaves the method changed."""

    def answer(method, images, noise):
        found = symptoms_reversed(method, images, noise)
        change(method)
        return found

    return answer


def symptoms_of_chance(method, images, noise):
    """Numbers are drawn by chance, and no answer depends on which; gradients are on."""
    block, x = method.encoder.blocks[-1], torch.randn(2, 3, method.encoder.dim)
    found = symptoms_reversed(method, images, noise)
    return torch.stack([found[0], found[1], block(1e4 * x).norm() < 100 * block(x).norm()])


# ps4.6


NAMES = [truth.verdicts()[name] for name in sabotaged.NAMES]


def verdicts_zipped():
    return dict(zip("abcdefg", NAMES, strict=True))


def verdicts_by_fault():
    found = {}
    for letter, fault in enumerate(NAMES):
        found.setdefault(fault, chr(97 + letter))
    return {letter: fault for fault, letter in found.items()}


def verdicts_updated():
    found = dict.fromkeys("gfedcba", "healthy")
    found.update({letter: fault for letter, fault in zip("abcdefg", NAMES, strict=True) if fault != "healthy"})
    return found


def verdicts_read():
    return json.loads(json.dumps(verdicts_zipped()))


def verdicts_union():
    return {"g": NAMES[6], "f": NAMES[5]} | {letter: NAMES["abcde".index(letter)] for letter in "edcba"}


@cache
def measured():
    """The seven, measured by nothing but the instruments of the lessons and of this set."""
    images = evaluate_images()
    noise = torch.rand(16, 64, generator=torch.Generator().manual_seed(0))
    found = {}
    for letter in sabotaged.NAMES:
        method = sabotaged.case(letter).method
        order, other, post = symptoms_reversed(method, images, noise).tolist()
        numbers = diagnose.leak(method, images).numbers
        std = diagnose.relative_std(method.encoder.features(images).detach())
        signs = {
            "leak": numbers["moved"] > 0.01,
            "loss on visible": numbers["visible_credit"] > 0.9,
            "ids not restored": order,
            "untrained features": other,
            "post-norm": post,
            "collapse": std < 0.25,
        }
        found[letter] = next((fault for fault, sick in signs.items() if sick), "healthy")
    return found


def evaluate_images():
    from minimim import data

    return data.load("scenes", "test", count=16).images


def verdicts_measured():
    return dict(measured())


def exchanged(one, other):
    change = {one: other, other: one}
    return lambda: {letter: change.get(fault, fault) for letter, fault in verdicts_zipped().items()}


# What the lessons and the library hold


def everything_at_hand():
    """Every function of the rooms that these tasks stand on, and of lessons 08 and 09."""
    for module in (diagnose, evaluate, features, hole_filler, knn, layers, patches, probe, sabotaged, score):
        yield from (value for value in vars(module).values() if callable(value))
    for path in sorted((TOP / "notebooks").glob("0[89]_*.ipynb")):
        yield from defined_in(path)


RIGHT = {
    "ps4.1": [paired_one_hot, paired_by_encoder, paired_by_pairs, paired_sorted, paired_scatter, paired_in_float64],
    "ps4.2": [few_loops, few_filled, few_topk, few_sorted_twice, few_ranks, few_numpy],
    "ps4.3": [choose_loops, choose_by_sums, choose_in_float64, choose_weighted, choose_lists, choose_recursive],
    "ps4.4": [
        leaks_where, leaks_patchified, leaks_kron, leaks_slices, leaks_interpolated, leaks_highest_and_lowest,
    ],
    "ps4.5": [
        symptoms_reversed, symptoms_ranks, symptoms_shifted, symptoms_one_by_one, symptoms_by_gradient, symptoms_residual,
        symptoms_of_chance,
    ],
    "ps4.6": [
        verdicts_zipped, verdicts_by_fault, verdicts_updated, verdicts_read, verdicts_union, verdicts_measured,
    ],
}  # fmt: skip

WRONG = {
    "ps4.1": [
        ("as if they had seen different images", paired_apart),
        ("the error is that of each encoder's own score", paired_own),
        ("images of one garment are taken for independent", paired_images),
        ("values differ", paired_images_unbiased),
        ("that stand side by side", paired_with(paired_neighbours)),
        ("0, 1, 2 …; they can have other numbers", paired_with(lambda s, garment, gain, left, sums: (
            gain, torch.stack([left[:, garment == g].sum(1) for g in range(sums.shape[1])]).norm(dim=0) / s.shape[1]
        ))),
        ("the absolute values of the sums", paired_with(lambda s, garment, gain, left, sums: (gain, sums.abs().sum(1) / s.shape[1]))),
        ("divided by n − 1", paired_with(lambda s, garment, gain, left, sums: (gain, sums.norm(dim=1) / (s.shape[1] - 1)))),
        ("over √G", paired_with(lambda s, garment, gain, left, sums: (gain, sums.std(1) / sums.shape[1] ** 0.5))),
        ("has lost its sign", paired_with(lambda s, garment, gain, left, sums: (gain.abs(), sums.norm(dim=1) / s.shape[1]))),
        ("exchanged: the gain comes first", paired_with(lambda s, garment, gain, left, sums: (sums.norm(dim=1) / s.shape[1], gain))),
        ("in a tuple", paired_with(lambda s, garment, gain, left, sums: torch.stack([gain, sums.norm(dim=1) / s.shape[1]]))),
        ("changed its argument scores", paired_with(lambda s, garment, gain, left, sums: (s.sub_(s[:1].clone()).mean(1), sums.norm(dim=1) / s.shape[1]))),
        ("each garment weighs the same", paired_garment_means),
        ("the sign is turned", paired_turned),
        ("compared with the one before it", paired_before),
        ("the gain itself is counted as an error", paired_not_centred),
        ("the error is not divided by n", paired_scaled(lambda n, count: n)),
        ("divided by √n; by n was asked for", paired_scaled(lambda n, count: n**0.5)),
        ("divided by the number of garments", paired_scaled(lambda n, count: n / count)),
        ("that of n − 1", paired_scaled(lambda n, count: (n / (n - 1)) ** 0.5)),
    ],
    "ps4.2": [
        ("the highest noise", few_highest),
        ("drawn from all at once", few_anybody),
        ("count inside the class", few_places),
        ("the noise is not used", few_first),
        ("every draw uses the noise of the first", few_same_draw),
        ("sorted by number", few_by_number),
        ("in the order in which they first appear", few_first_seen),
        ("an image can be drawn twice", few_again),
        ("squeeze() takes away the only axis", lambda labels, noise, per_class: torch.stack(
            [(ids := (labels == c).nonzero().squeeze())[noise[:, ids].argsort(1)[:, :per_class]] for c in labels.unique()], 1
        )),
        ("squeeze() takes away the only axis", lambda labels, noise, per_class: torch.stack(
            [(ids := (labels == c).nonzero().squeeze())[noise[:, ids].argsort(-1)[:, :per_class]] for c in labels.unique()], 1
        )),
        ("its shape is (2, 2)", lambda labels, noise, per_class: few_topk(labels, noise, per_class).squeeze()),
        ("whole numbers were asked for", lambda labels, noise, per_class: few_topk(labels, noise, per_class).float()),
        ("argsort of argsort", lambda labels, noise, per_class: torch.stack(
            [(labels == c).nonzero()[:, 0][noise[:, labels == c].argsort(1).argsort(1)[:, :per_class]] for c in labels.unique()], 1
        )),
        ("the lowest of each class is left out", lambda labels, noise, per_class: torch.stack(
            [noise.masked_fill(labels != c, 1 + c).argsort(1)[:, : (labels == c).sum()].roll(-1, 1)[:, :per_class] for c in labels.unique()], 1
        )),
        ("classes, draws, images", lambda labels, noise, per_class: few_topk(labels, noise, per_class).transpose(0, 1)),
        ("a reshape, which mixes", lambda labels, noise, per_class: few_topk(labels, noise, per_class).transpose(0, 1).reshape(len(noise), -1, per_class)),
        ("counted from 1", lambda labels, noise, per_class: few_topk(labels, noise, per_class) + 1),
        ("the lowest noise there is", lambda labels, noise, per_class: torch.stack(
            [(noise * (labels == c)).argsort(1)[:, :per_class] for c in labels.unique()], 1
        )),
        ("changed its argument noise", lambda labels, noise, per_class: (few_topk(labels, noise, per_class), noise.mul_(2))[0]),
        ("classes and images are in one axis", few_flat),
    ],
    "ps4.3": [
        ("chosen on the test images", choose_with(layer=lambda right, fold, tested: first_best(tested.mean(1)))),
        ("best on test, not of the one that was chosen", choose_with(test=lambda tested: tested.mean(1).amax())),
        ("by the mean over images", choose_with(layer=lambda right, fold, tested: first_best(right.mean(1)))),
        ("the first was asked for", choose_with(layer=last_best)),
        ("the winner's own", choose_with(nested=lambda table, right, fold: table.mean(1).amax())),
        ("best on itself", choose_with(nested=lambda table, right, fold: table.max(0).values.mean())),
        ("tried on those same folds", choose_with(nested=rest_best)),
        ("each image counts the same; each fold should", choose_with(nested=each_image)),
        ("wins most folds", choose_with(layer=lambda right, fold, tested: int((folds(right, fold) >= folds(right, fold).amax(0)).sum(1).argmax()))),
        ("where a fold is left out, the last", choose_with(nested=tried(lambda table, pick, f: table[pick, f], last=True))),
        ("tried on the next fold", choose_with(nested=tried(lambda table, pick, f: table[pick, (f + 1) % table.shape[1]]))),
        ("tried on all folds", choose_with(nested=tried(lambda table, pick, f: table[pick].mean()))),
        ("by the mean over images of the other folds", choose_with(nested=lambda table, right, fold: torch.stack(
            [table[first_best(right[:, fold != f].mean(1)), f] for f in range(table.shape[1])]
        ).mean())),
        ("the mean over all layers", choose_with(test=torch.mean)),
        ("layer, nested, test was asked for", lambda right, fold, tested: [choose_loops(right, fold, tested)[n] for n in (0, 2, 1)]),
        ("cut by place", lambda right, fold, tested: choose_loops(right, torch.arange(len(fold)) * (int(fold.max()) + 1) // len(fold), tested)),
        ("whole numbers were asked for", lambda right, fold, tested: (choose_loops(right, fold, tested)[0].float(), *choose_loops(right, fold, tested)[1:])),
        ("its shape is (1,)", lambda right, fold, tested: (choose_loops(right, fold, tested)[0][None], *choose_loops(right, fold, tested)[1:])),
        ("changed its argument tested", lambda right, fold, tested: (choose_loops(right, fold, tested), tested.zero_())[0]),
        ("3 results were asked for", lambda right, fold, tested: choose_loops(right, fold, tested)[:2]),
    ],
    "ps4.4": [
        ("read upside down", leaks_with(lambda hidden: ~hidden)),
        ("all pixels were changed", leaks_with(torch.ones_like)),
        ("the grid is read as (cols, rows)", leaks_turned_grid),
        ("the mask of the first image is used for all", leaks_with(lambda hidden: hidden[:1].expand_as(hidden))),
        ("only the first hidden patch", leaks_with(lambda hidden: hidden & (hidden.cumsum(1) == 1))),
        ("yours is 0.25, expected 0.60417", leaks_with(lambda hidden: hidden & (hidden.flip(1).cumsum(1).flip(1) == 1))),
        ("the noise is added", leaks_with(put=lambda images, noise, mask: images + noise)),
        ("were set to 0", leaks_with(put=lambda images, noise, mask: torch.zeros_like(images))),
        ("just what stands under the mask", leaks_with(put=lambda images, noise, mask: torch.ones_like(images))),
        ("just what stands under the mask", leaks_with(put=lambda images, noise, mask: -images)),
        ("only the first channel", leaks_with(put=one_channel)),
        ("only the upper left pixel", leaks_with(put=first_pixel)),
        ("one image at a time", leaks_with(ask=one_by_one)),
        ("changed one after another", leaks_with(ask=in_turn)),
        ("reuses the copies of the first", leaks_with(ask=same_images)),
        ("has black pixels under the mask", leaks_with(ask=lambda predict, x, y, h, mask: both(predict, x * ~mask, y, h, mask))),
        ("a mask that is not boolean", leaks_with(ask=lambda predict, x, y, h, mask: both(predict, x, y, h.to(x.dtype), mask))),
        ("only the prediction at hidden places", leaks_with(share=lambda hit, hidden: (hit & hidden[:, :, None]).flatten(1).any(1))),
        ("only the prediction at visible places", leaks_with(share=lambda hit, hidden: (hit & ~hidden[:, :, None]).flatten(1).any(1))),
        ("only the first number of each image", leaks_with(share=lambda hit, hidden: hit[:, 0, 0])),
        ("only the last number of each image", leaks_with(share=lambda hit, hidden: hit[:, -1, -1])),
        ("only the first number of each place", leaks_with(share=lambda hit, hidden: hit[..., 0].any(1))),
        ("only the last number of each place", leaks_with(share=lambda hit, hidden: hit[..., -1].any(1))),
        ("only the first place", leaks_with(share=lambda hit, hidden: hit[:, 0].any(1))),
        ("averaged over the numbers", leaks_with(moved=lambda a, b, t: (b - a).abs().mean((1, 2), keepdim=True) > t)),
        ("averaged over the numbers", leaks_with(moved=lambda a, b, t: (b - a).square().mean((1, 2), keepdim=True).sqrt() > t)),
        ("averaged with their signs", leaks_with(moved=lambda a, b, t: (b - a).mean((1, 2), keepdim=True).abs() > t)),
        ("added up with their signs", leaks_with(moved=lambda a, b, t: (b - a).sum((1, 2), keepdim=True).abs() > t)),
        ("in a sum or a norm", leaks_with(moved=lambda a, b, t: (b - a).norm(dim=(1, 2), keepdim=True) > t)),
        ("squares of changes", leaks_with(moved=lambda a, b, t: (b - a).square().mean((1, 2), keepdim=True) > t)),
        ("tolerance 0.2, yours is 1, expected 0", leaks_with(moved=lambda a, b, t: (b - a).abs() > t / 2)),
        ("the sizes of the predictions are compared", leaks_with(moved=lambda a, b, t: (b.abs() - a.abs()).abs() > t)),
        ("just as large as the tolerance counts", leaks_with(moved=lambda a, b, t: (b - a).abs() >= t)),
        ("add 0.00001 of the number", leaks_with(moved=lambda a, b, t: ~torch.isclose(a, b, atol=t))),
        ("multiplied by the size", leaks_with(moved=lambda a, b, t: (b - a).abs() > t * a.abs())),
        ("near 1,000, yours is 0, expected 1", leaks_with(moved=lambda a, b, t: ~torch.isclose(a, b, rtol=t, atol=t))),
        ("of numbers that moved", leaks_with(share=lambda hit, hidden: hit)),
        ("of places that moved", leaks_with(share=lambda hit, hidden: hit.any(2))),
        ("whether any image moved", leaks_with(share=lambda hit, hidden: hit.any())),
        ("of the images that stay", leaks_with(share=lambda hit, hidden: ~hit.flatten(1).any(1))),
        ("and you ask that all do", leaks_with(share=lambda hit, hidden: hit.flatten(1).all(1))),
        ("only where all of its T numbers move", leaks_with(share=lambda hit, hidden: hit.all(2).any(1))),
        ("images that hide nothing are left out", leaks_with(share=lambda hit, hidden: hit.flatten(1).any(1)[hidden.any(1)])),
        ("the number of images that move", leaks_with(share=lambda hit, hidden: hit.flatten(1).any(1).sum())),
        ("the mean size of the largest changes", leaks_with(moved=lambda a, b, t: (b - a).abs().amax((1, 2)), share=lambda x, hidden: x)),
        ("the tolerance is not used", leaks_with(moved=lambda a, b, t: a != b)),
        ("only changes upwards are counted", leaks_with(moved=lambda a, b, t: b - a > t)),
        ("only changes downwards are counted", leaks_with(moved=lambda a, b, t: a - b > t)),
        ("multiplied by the size of the prediction", leaks_relative),
        ("changed its argument images, on a box that writes into its images", leaks_without_copies),
        *((f"changed its argument {name}", leaks_written(name)) for name in ("images", "hidden", "noise")),
    ],
    "ps4.5": [
        ("answer 0 is True for every method", symptoms_with(order=other_mask)),
        ("answer 0 is False for every method", symptoms_with(order=same_order)),
        ("answer 1 is True for every method", symptoms_with(other=masked_latents)),
        ("answer 1 is False for every method", symptoms_with(other=frozen)),
        ("answer 2 looks at the size of what the encoder gives", symptoms_with(norm=normed)),
        ("answer 2 is True for every method", symptoms_with(norm=near_one)),
        ("answer 2 is False for every method", symptoms_with(norm=small_input)),
        ("answer 2 tells deep encoders from shallow ones", symptoms_with(norm=deep)),
        ("answer 0 takes rounding for a change", judged(lambda a, b: not torch.equal(a.prediction, b.prediction))),
        ("where predictions are large", judged(lambda a, b: (a.prediction - b.prediction).abs().max() > 1e-3)),
        ("answer 0 misses a change of two hundredths", judged(lambda a, b: far(b.prediction, a.prediction, 0.1))),
        ("answer 0 misses a change at visible places", judged(lambda a, b: far(b.prediction[a.mask], a.prediction[a.mask]))),
        ("answer 0 misses a change at hidden places", judged(lambda a, b: far(b.prediction[~a.mask], a.prediction[~a.mask]))),
        ("one number of each run, such as its loss", judged(lambda a, b: (a.loss - b.loss).abs() > 1e-3 * a.loss)),
        ("answer 1 takes rounding for a difference", compared(lambda a, b: not torch.equal(a, b))),
        ("where latents are large", compared(lambda a, b: (a - b).abs().max() > 1e-3)),
        ("does not see the length of the features", compared(lambda a, b: F.cosine_similarity(a, b).min() < 0.999)),
        ("off by two hundredths", compared(lambda a, b: far(a, b, 0.05))),
        ("the length or the mean of the features alone", compared(lambda a, b: (a.norm() - b.norm()).abs() > 1e-3 * b.norm())),
        ("answer 0 goes by the class", symptoms_with(order=lambda method, *_: isinstance(method.decoder, sabotaged.Unrestored))),
        ("answer 2 goes by the name", symptoms_with(norm=lambda method, *_: type(method.encoder.blocks[0]).__name__ == "PostNorm")),
        ("not the mode of the method", leaving(lambda method: method.encoder.train())),
        ("not the checksum of the method's weights", leaving(lambda method: method.encoder.norm.weight.data.mul_(1.0001))),
        ("not requires_grad of the weights", leaving(lambda method: method.requires_grad_(False))),
        ("it returned numbers (torch.float32)", lambda method, images, noise: 0.5 + symptoms_reversed(method, images, noise).float()),
        ("all three answers are upside down", lambda method, images, noise: ~symptoms_reversed(method, images, noise)),
        ("the answers are in another order", lambda method, images, noise: symptoms_reversed(method, images, noise).flip(0)),
        ("the answers are 0 and 1 as numbers", lambda method, images, noise: symptoms_reversed(method, images, noise).float()),
        ("its shape is (2,)", lambda method, images, noise: symptoms_reversed(method, images, noise)[:2]),
    ],
    "ps4.6": [
        ("which of them still paints what is visible?", exchanged("loss on visible", "ids not restored")),
        ("probe the features of both", exchanged("healthy", "untrained features")),
        ("put noise under the mask", exchanged("healthy", "leak")),
        ("look at their relative standard deviation", exchanged("collapse", "post-norm")),
        ("which of them fills in well?", exchanged("post-norm", "untrained features")),
        ("what does each predict?", exchanged("leak", "collapse")),
        ("on which places does it count?", exchanged("leak", "loss on visible")),
        ("read the same visible patches in another order", exchanged("healthy", "ids not restored")),
        ("keys and values are exchanged", lambda: {fault: letter for letter, fault in verdicts_zipped().items()}),
        ("the letters are small", lambda: {letter.upper(): fault for letter, fault in verdicts_zipped().items()}),
        ("Case(name='a') is none of the names", lambda: {letter: sabotaged.case(letter) for letter in "abcdefg"}),
        ("'leek' is none of the names", lambda: verdicts_zipped() | {"e": "leek"}),
        ("a dict with the keys a, b, c, d, e, f, g", lambda: {"a": "healthy"}),
        ("not right yet: a, b, c, e, f, g", lambda: dict.fromkeys("abcdefg", "healthy")),
    ],
}


def test_six_tasks_give_fourteen_points_and_two_questions_six():
    assert [full(name) for name in TASKS] == [2, 2, 3, 2, 3, 2]
    by_hand = [mark["points"] for cell, mark in MARKED if mark["grade"] and cell["cell_type"] == "markdown"]
    assert by_hand == [3, 3]


@pytest.mark.parametrize("name, answer", each(RIGHT))
def test_right_answers_pass_and_earn_all_points(name, answer):
    assert examine(TASKS[name], answer) >= (1 if name == "ps4.6" else 6)
    assert points(name, answer) == full(name)


@pytest.mark.parametrize("name, case", each(WRONG))
def test_wrong_answers_are_told_which_mistake_it_is_and_lose_points(name, case):
    words, answer = case
    with pytest.raises(WrongAnswer) as told:
        examine(TASKS[name], answer)
    assert words in str(told.value)
    assert SET.loses(name, answer)


def outputs(task, mistaken):
    """What a mistake gives on each trial; None where it says nothing."""
    for trial in task.trials:
        try:
            yield mistaken(**trial.arguments)
        except Exception:  # noqa: BLE001 (this mistake says nothing of this input)
            yield None


@pytest.mark.parametrize("name", TASKS)
def test_every_mistake_in_the_table_is_wrong_and_told_apart_from_those_before_it(name):
    task, before = TASKS[name], {}

    def agree(mine, theirs):
        return all(b is None or not difference(a, b, task.close) for a, b in zip(mine, theirs, strict=True))

    rights = [trial.expected for trial in task.trials]
    for words, mistaken in task.mistakes.items():
        theirs = list(outputs(task, mistaken))
        mine = [right if x is None else x for x, right in zip(theirs, rights, strict=True)]
        assert not agree(mine, rights), f"{words}: this is right"
        for others, earlier in before.items():
            assert not agree(mine, earlier), f"{words}: is told to be {others}"
        before[words] = theirs


def test_the_hunt_names_wrong_letters_and_never_a_right_name():
    names = verdicts_zipped()
    for letter in names:
        wrong = names | {letter: "leak" if names[letter] != "leak" else "healthy"}
        with pytest.raises(WrongAnswer) as told:
            examine(TASKS["ps4.6"], lambda wrong=wrong: wrong)
        assert str(told.value) == f"ps4.6: on the seven cases, not right yet: {letter}"


def test_layers_are_best_by_a_margin_that_rounding_cannot_turn():
    for words, case in TASKS["ps4.3"].cases():
        right, fold = case["right"].int().tolist(), case["fold"].tolist()
        names = sorted(set(fold))
        table = [[Fraction(sum(x for x, f in zip(row, fold, strict=True) if f == name), fold.count(name)) for name in names] for row in right]
        exact = all(fold.count(name) & (fold.count(name) - 1) == 0 for name in names)  # means of 2, 4, 8 images are exact
        for left_out in (None, *range(len(names))):
            totals = [tuple(x for f, x in enumerate(row) if f != left_out) for row in table]
            best = max(sum(row) for row in totals)
            tied = {row for row in totals if sum(row) == best}
            assert exact or len(tied) == 1, words


@pytest.mark.parametrize("name", TASKS)
def test_nothing_that_can_be_imported_or_copied_from_a_lesson_earns_full_points(name):
    wanted = set(inspect.signature(TASKS[name].truth).parameters)
    for function in everything_at_hand():
        with suppress(ValueError, TypeError):  # what takes no such arguments is no answer
            inspect.signature(function).bind(*wanted)
            handed_on = partial(function)
            handed_on.__module__ = __name__
            assert SET.loses(name, handed_on), f"{function} is an answer to {name}"


def test_cases_of_the_check_carry_no_letter():
    words = " ".join(words for words, _ in TASKS["ps4.5"].cases())
    assert "case" not in words and all("name" not in arguments for _, arguments in TASKS["ps4.5"].cases())


def test_an_operation_that_torch_has_not_is_no_stub():
    with pytest.raises(WrongAnswer, match="raised NotImplementedError in its line .*bool tensor"):
        examine(TASKS["ps4.5"], lambda method, images, noise: noise - (noise > 0.5))


def test_a_right_answer_gets_one_line(capsys):
    check("ps4.1", paired_one_hot)
    assert capsys.readouterr().out == "ps4.1: right, on 9 inputs\n"


def test_the_answers_of_the_notebook_are_those_of_the_files():
    source = next("".join(cell["source"]) for cell, mark in MARKED if mark["grade_id"] == "ps4-6-verdicts")
    names = {}
    exec(source, names)  # noqa: S102
    assert names["verdicts"]() == {name: checkpoint.read(sabotaged.path(name))[1]["fault"] for name in sabotaged.NAMES}
