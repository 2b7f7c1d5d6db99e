"""Wrong answers to problem set 5, as people write them, each with a part of what the check must say."""

import math

import torch
import torch.nn.functional as F

from minimim.losses import info_nce, nt_xent
from minimim.targets import sinkhorn

# ps5.1, wrong


def several_with(*, rivals=lambda same, eye: ~same, positive=lambda same, eye: same & ~eye, rows=F.normalize, own=True, scale=None, end=None):
    def answer(z, image, temperature):
        x = rows(z)
        scores = scale(x @ x.T, temperature) if scale else x @ x.T / temperature
        same, eye = image[:, None] == image, torch.eye(len(z), dtype=torch.bool)
        good = positive(same, eye)
        wrong = scores.masked_fill(~rivals(same, eye), -math.inf).logsumexp(1, keepdim=True)
        errors = (torch.logaddexp(scores, wrong) if own else wrong.expand_as(scores)) - scores
        if end:
            return end(errors, good)
        return ((errors * good).nan_to_num(0, 0, 0).sum(1) / good.sum(1).clamp(min=1))[good.any(1)].mean()

    return answer


def several_supcon(z, image, temperature):
    """The usual loss of several positives, with all others below the fraction."""
    x = F.normalize(z, dim=-1)
    scores = (x @ x.T / temperature).masked_fill(torch.eye(len(z), dtype=torch.bool), -math.inf)
    chances = scores.log_softmax(1)
    good = (image[:, None] == image) & ~torch.eye(len(z), dtype=torch.bool)
    return -(torch.where(good, chances, 0).sum(1)[good.any(1)] / good.sum(1)[good.any(1)]).mean()


def several_exponents(z, image, temperature):
    x = F.normalize(z, dim=-1)
    e = (x @ x.T / temperature).exp()
    same = image[:, None] == image
    wrong = (e * ~same).sum(1, keepdim=True)
    good = same & ~torch.eye(len(z), dtype=torch.bool)
    errors = -(e / (e + wrong)).log()
    return ((errors * good).sum(1)[good.any(1)] / good.sum(1)[good.any(1)]).mean()


def several_of_the_library(z, image, temperature):
    """What stands in the library, for two views of each image, all first ones in front."""
    return nt_xent(z.unflatten(0, (2, -1)), temperature=temperature).mean()


def several_detached(z, image, temperature):
    return several_with()(z.detach(), image, temperature)


def several_negatives_cut(z, image, temperature):
    """The right value, and no gradient into those that a row is compared with."""
    x = F.normalize(z, dim=-1)
    scores = x @ x.detach().T / temperature
    same, eye = image[:, None] == image, torch.eye(len(z), dtype=torch.bool)
    good = same & ~eye
    errors = torch.logaddexp(scores, scores.masked_fill(same, -1e9).logsumexp(1, keepdim=True)) - scores
    return (torch.where(good, errors, 0).sum(1)[good.any(1)] / good.sum(1)[good.any(1)]).mean()


def several_in_place(z, image, temperature):
    z /= z.norm(dim=1, keepdim=True)
    return several_with(rows=lambda x: x)(z, image, temperature)


# ps5.2, wrong


def queue_with(*, before=False, barred=None, detach=True, unit=lambda x: F.normalize(x, dim=-1), store=None, cut=None, batch=False, temper=None):
    def answer(queries, keys, ids, queue, queue_ids, size, temperature):
        q, k = unit(queries), unit(keys.detach() if detach else keys)
        rows, names = torch.cat([queue, store(keys.detach()) if store else k]), torch.cat([queue_ids, ids])
        rows, names = cut(rows, size) if cut else rows[-size:], cut(names, size) if cut else names[-size:]
        old, told = (rows, names) if before else (queue, queue_ids)
        mine = (q * k).sum(1, keepdim=True)
        others = (q @ old.T).masked_fill(barred(ids, told) if barred else ids[:, None] == told, -math.inf)
        if batch:
            others = torch.cat([others, (q @ k.T).masked_fill(torch.eye(len(q)).bool(), -math.inf)], 1)
        logits = torch.cat([mine, others], 1)
        logits = temper(logits, temperature) if temper else logits / temperature
        return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long)), rows.detach(), names

    return answer


def nobody(ids, told):
    return torch.zeros(len(ids), len(told), dtype=torch.bool)


def queue_of_the_library(queries, keys, ids, queue, queue_ids, size, temperature):
    """The library's InfoNCE in a batch, and the queue on top."""
    loss = info_nce(queries, keys.detach(), temperature=temperature).mean()
    _, rows, names = queue_with()(queries, keys, ids, queue, queue_ids, size, temperature)
    return loss, rows, names


def queue_with_a_graph(queries, keys, ids, queue, queue_ids, size, temperature):
    loss = queue_with()(queries, keys, ids, queue, queue_ids, size, temperature)[0]
    return loss, torch.cat([queue, F.normalize(keys, dim=-1)])[-size:], torch.cat([queue_ids, ids])[-size:]


def queue_room_first(queries, keys, ids, queue, queue_ids, size, temperature):
    """The oldest leave before the new ones come, by a slice that fails where all or none must leave."""
    stay = size - len(ids)
    loss = queue_with()(queries, keys, ids, queue, queue_ids, size, temperature)[0]
    return loss, torch.cat([queue[-stay:], F.normalize(keys.detach(), dim=-1)]), torch.cat([queue_ids[-stay:], ids])


# ps5.3, wrong


def average_with(step=lambda a, s, m: m * a + (1 - m) * s, divide=lambda a, w, t, m: a / w if w else a, skip=True, counted=False, start=torch.zeros_like):
    def answer(students, momenta):
        x, m = students.detach().double(), momenta.double()
        a, w, taken, out = start(x[0]), 0.0, 0, []
        for t in range(len(x)):
            fine = bool(x[t].isfinite().all())
            if fine or not skip:
                a, taken = step(a, x[t], float(m[t])), taken + 1
            if fine or not skip or counted:
                w = float(step(w, 1.0, float(m[t])))
            out.append(divide(a, w, taken, float(m[t])))
        return torch.stack(out).to(students.dtype)

    return answer


def average_feeding(students, momenta):
    x, a, p, out = students.detach().double(), 0 * students[0].detach().double(), 1.0, []
    for s, m in zip(x, momenta.tolist(), strict=True):
        if s.isfinite().all():
            p *= m
            a = (m * a + (1 - m) * s) / (1 - p if p < 1 else 1)
        out.append(a)
    return torch.stack(out).to(students.dtype)


def average_late(students, momenta):
    return average_with()(students, torch.cat([torch.zeros(1, dtype=momenta.dtype), momenta[:-1]]))


def average_with_a_graph(students, momenta):
    total, weight, out = 0 * students[0].nan_to_num(0, 0, 0), 0.0, []
    for s, m in zip(students, momenta.tolist(), strict=True):
        if s.isfinite().all():
            total, weight = m * total + (1 - m) * s, m * weight + 1 - m
        out.append(total / weight if weight else total)
    return torch.stack(out)


# ps5.4, wrong


def balanced_with(*, dims=(0, 1), times=lambda n: n, real=lambda v: v, scale=lambda s, t: s / t, used=None, after=None, first=None):
    def answer(scores, valid, temperature, rounds):
        here = real(valid)
        x = scale(scores.detach().double()[here], temperature)
        x = first(x) if first else x
        for _ in range(times(rounds)):
            for dim in dims:
                x = x.log_softmax(dim)
        out = torch.zeros_like(scores.detach()).double()
        out[here] = x.exp()
        out = after(out) if after else out
        told = used(out, valid) if used else out.sum(0) / (valid.sum() / out.shape[1])
        return out.to(scores.dtype), told.to(scores.dtype)

    return answer


def balanced_powers(shift):
    def answer(scores, valid, temperature, rounds):
        x = scores.detach()[valid] / temperature
        x = (x - shift(x)).exp()
        for _ in range(rounds):
            x = x / x.sum(0, keepdim=True)
            x = x / x.sum(1, keepdim=True)
        out = torch.zeros_like(scores.detach())
        out[valid] = x
        return out, x.sum(0) / (len(x) / scores.shape[1])

    return answer


def balanced_zeroed(scores, valid, temperature, rounds):
    x = (scores.detach() / temperature).exp() * valid[:, None]
    for _ in range(rounds):
        x = x / x.sum(0, keepdim=True)
        x = x / x.sum(1, keepdim=True).masked_fill(~valid[:, None], 1)
    return x, x.sum(0) / (valid.sum() / x.shape[1])


def balanced_with_a_graph(scores, valid, temperature, rounds):
    x = scores[valid] / temperature
    for _ in range(rounds):
        x = x.log_softmax(0).log_softmax(1)
    out = torch.zeros_like(scores).index_copy(0, valid.nonzero().flatten(), x.exp())
    return out, out.sum(0) / (valid.sum() / out.shape[1])


def balanced_of_the_library(scores, valid, temperature, rounds):
    """Sinkhorn as the library has it, which knows no padding."""
    assigned = sinkhorn(scores.detach(), temperature, rounds)
    return assigned, assigned.sum(0) / (len(assigned) / assigned.shape[1])
