"""Wrong answers to problem set 5, as people write them, each with a part of what the check must say."""

import math

import torch
import torch.nn.functional as F

from minimim.losses import info_nce, nt_xent

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


def several_together(merge):
    """All positives of a row as one question."""

    def answer(z, image, temperature):
        x = F.normalize(z, dim=-1)
        scores, same = x @ x.T / temperature, image[:, None] == image
        losses = []
        for i in range(len(z)):
            good = same[i].clone()
            good[i] = False
            if good.any():
                one = merge(scores[i][good]).view(1)
                losses.append(torch.cat([one, scores[i][~same[i]]]).logsumexp(0) - one)
        return torch.cat(losses).mean()

    return answer


def several_image_by_image(z, image, temperature):
    x = F.normalize(z, dim=-1)
    scores, same = x @ x.T / temperature, image[:, None] == image
    losses = {}
    for i, name in enumerate(image.tolist()):
        errors = [torch.cat([scores[i, j : j + 1], scores[i][~same[i]]]).logsumexp(0) - scores[i, j] for j in range(len(z)) if j != i and same[i, j]]
        if errors:
            losses.setdefault(name, []).append(sum(errors) / len(errors))
    return sum(sum(rows) / len(rows) for rows in losses.values()) / len(losses)


def several_after_the_highest(z, image, temperature):
    """The highest score of a row, its own with itself, is taken off, and the rest may be 0."""
    x = F.normalize(z, dim=-1)
    scores, same = x @ x.T / temperature, image[:, None] == image
    e, good = (scores - scores.amax(1, keepdim=True)).exp(), same & ~torch.eye(len(z), dtype=torch.bool)
    errors = torch.where(good, -(e / (e + (e * ~same).sum(1, keepdim=True))).log(), 0)
    return (errors.sum(1)[good.any(1)] / good.sum(1)[good.any(1)]).mean()


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


def queue_with(*, before=False, barred=None, detach=True, unit=lambda x: F.normalize(x, dim=-1), store=None, cut=None, batch=False, temper=None, fill=-math.inf):
    def answer(queries, keys, ids, queue, queue_ids, size, temperature):
        q, k = unit(queries), unit(keys.detach() if detach else keys)
        rows, names = torch.cat([queue, store(keys.detach()) if store else k]), torch.cat([queue_ids, ids])
        rows, names = cut(rows, size) if cut else rows[-size:], cut(names, size) if cut else names[-size:]
        old, told = (rows, names) if before else (queue, queue_ids)
        mine = (q * k).sum(1, keepdim=True)
        others = (q @ old.T).masked_fill(barred(ids, told) if barred else ids[:, None] == told, fill)
        if batch:
            others = torch.cat([others, (q @ k.T).masked_fill(torch.eye(len(q)).bool(), -math.inf)], 1)
        logits = torch.cat([mine, others], 1)
        logits = temper(logits, temperature) if temper else logits / temperature
        return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long)), rows.detach(), names

    return answer


def nobody(ids, told):
    return torch.zeros(len(ids), len(told), dtype=torch.bool)


def queue_raw(who):
    """The queries or the keys keep their length in the score; "both" the keys in the queue as well."""

    def answer(queries, keys, ids, queue, queue_ids, size, temperature):
        k = keys.detach()
        new = F.normalize(k, dim=1)
        q = queries if who == "queries" else F.normalize(queries, dim=1)
        mine = (q * (new if who == "queries" else k)).sum(1, keepdim=True)
        others = (q @ queue.T).masked_fill(ids[:, None] == queue_ids, -math.inf)
        loss = F.cross_entropy(torch.cat([mine, others], 1) / temperature, torch.zeros(len(q), dtype=torch.long))
        return loss, torch.cat([queue, k if who == "both" else new])[-size:], torch.cat([queue_ids, ids])[-size:]

    return answer


def queue_some_queries(queries, keys, ids, queue, queue_ids, size, temperature):
    """A query without negatives is passed over."""
    q, k, losses = F.normalize(queries, dim=1), F.normalize(keys.detach(), dim=1), []
    for b in range(len(q)):
        rest = queue[queue_ids != ids[b]]
        if len(rest):
            scores = torch.cat([k[b : b + 1], rest]) @ q[b] / temperature
            losses.append(scores.logsumexp(0) - scores[0])
    loss = torch.stack(losses).mean() if losses else 0 * q.sum()
    return loss, torch.cat([queue, k])[-size:], torch.cat([queue_ids, ids])[-size:]


def queue_that_never_fills(queries, keys, ids, queue, queue_ids, size, temperature):
    loss = queue_with()(queries, keys, ids, queue, queue_ids, size, temperature)[0]
    new = F.normalize(keys.detach(), dim=-1)
    return loss, torch.cat([queue[len(ids) :], new])[-size:], torch.cat([queue_ids[len(ids) :], ids])[-size:]


def once(ids, told, last):
    """One entry of the query's own image."""
    found = torch.zeros(len(ids), len(told), dtype=torch.bool)
    for b, name in enumerate(ids.tolist()):
        places = [n for n, other in enumerate(told.tolist()) if other == name]
        if places:
            found[b, places[-1 if last else 0]] = True
    return found


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
