"""The mistakes that people make in ps5.2, the queue: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.feedback.check import only


def queued(
    *,
    barred=None,
    batch=False,
    first=False,
    own=True,
    fill=-torch.inf,
    length=(True, True),
    alone=True,
    score=lambda s, t: s / t,
    reduce=torch.mean,
    keep=None,
    stored=None,
) -> Callable:
    """A mistake: barred(ids, queue_ids) → (B, Q) bool, what does not count; the other keys of the batch count (batch); keys go in before the
    loss (first); the own key is no candidate (own); what is barred gets another score (fill); queries or keys keep their length; queries without
    negatives are left out of the mean (alone); another score or mean; keep(rows, size) keeps other entries;
    stored(keys) goes into the queue."""
    barred = barred or (lambda ids, queue_ids: ids.unsqueeze(1) == queue_ids)
    keep = keep or (lambda rows, size: rows[-size:])

    def mistaken(queries, keys, ids, queue, queue_ids, size, temperature):
        q, k = (F.normalize(x, dim=-1) if cut else x for x, cut in zip((queries, keys), length, strict=True))
        rows = torch.cat([queue, stored(keys) if stored else k])
        names = torch.cat([queue_ids, ids])
        seen, told = (keep(rows, size), keep(names, size)) if first else (queue, queue_ids)
        mine = score((q * k).sum(-1, keepdim=True), temperature)  # (B, 1)
        negatives = score(q @ seen.T, temperature).masked_fill(barred(ids, told), fill)
        if batch:
            rest = score(q @ k.T, temperature).masked_fill(torch.eye(len(q), dtype=torch.bool), -torch.inf)
            negatives = torch.cat([negatives, rest], dim=1)
        candidates = torch.cat([mine, negatives], dim=1) if own else negatives
        errors = candidates.logsumexp(1) - mine.squeeze(1)
        only(bool(errors.isfinite().all()))
        some = (negatives > -torch.inf).any(1)
        errors = errors[some] if some.any() and not alone else errors
        return reduce(errors), keep(rows, size), keep(names, size)

    return mistaken


def none(ids: Tensor, queue_ids: Tensor) -> Tensor:
    return torch.zeros(len(ids), len(queue_ids), dtype=torch.bool)


def whole_batch(ids: Tensor, queue_ids: Tensor) -> Tensor:
    return torch.isin(queue_ids, ids).expand(len(ids), -1)


def one_entry(place: int) -> Callable:
    """Of the entries of the query's own image, the first alone (0) or the last alone (-1)."""

    def barred(ids, queue_ids):
        same = ids.unsqueeze(1) == queue_ids
        return same & ((same if place == 0 else same.flip(1)).cumsum(1) == 1).flip(() if place == 0 else (1,))

    return barred


def always_leaving(queries, keys, ids, queue, queue_ids, size, temperature):
    """As many leave as come, whether the queue is full or not."""
    loss, _, _ = queued()(queries, keys, ids, queue, queue_ids, size, temperature)
    rows, names = torch.cat([queue[len(ids) :], F.normalize(keys, dim=-1)]), torch.cat([queue_ids[len(ids) :], ids])
    return loss, rows[-size:], names[-size:]


def in_front(queries, keys, ids, queue, queue_ids, size, temperature):
    loss, _, _ = queued()(queries, keys, ids, queue, queue_ids, size, temperature)
    return loss, torch.cat([F.normalize(keys, dim=-1), queue])[:size], torch.cat([ids, queue_ids])[:size]


def overwritten(queries, keys, ids, queue, queue_ids, size, temperature):
    """An image's older key makes room for its new one."""
    loss, _, _ = queued()(queries, keys, ids, queue, queue_ids, size, temperature)
    stays = ~torch.isin(queue_ids, ids)
    rows, names = torch.cat([queue[stays], F.normalize(keys, dim=-1)]), torch.cat([queue_ids[stays], ids])
    return loss, rows[-size:], names[-size:]


def names_alone(queries, keys, ids, queue, queue_ids, size, temperature):
    loss, rows, names = queued()(queries, keys, ids, queue, queue_ids, size, temperature)
    only(len(queue_ids) == len(names))
    return loss, rows, queue_ids


QUEUE = {
    "the keys go into the queue before the loss, so that each query meets its own key once more as a negative: first the loss, then the queue": (
        queued(first=True, barred=none)
    ),
    "the keys go into the queue before the loss, so that the other keys of the batch count as negatives, and the oldest ones are gone: first "
    "the loss, then the queue": queued(first=True),
    "an older key of the same image counts as a negative: leave out the entries whose queue_ids is the query's own id": queued(
        barred=none
    ),
    "what belongs to any image of the batch is left out for all queries: each query leaves out its own image alone": queued(
        barred=whole_batch
    ),
    "only the keys of the query's own image count, and the others are left out": queued(
        barred=lambda ids, queue_ids: ids.unsqueeze(1) != queue_ids
    ),
    "the other keys of the batch count as negatives; here the negatives come from the queue alone": queued(batch=True),
    "the query's own key is missing among the candidates": queued(own=False),
    "entries of the query's own image get the score 0, and exp(0) = 1 counts in the sum; −∞ leaves them out": queued(
        fill=0.0
    ),
    "of the entries of the query's own image, only the oldest is left out; there may be several": queued(
        barred=one_entry(0)
    ),
    "of the entries of the query's own image, only the newest is left out; there may be several": queued(
        barred=one_entry(-1)
    ),
    "queries without negatives are left out of the mean; they count, with the loss 0": queued(alone=False),
    "queries and keys are not brought to length 1: the score is a cosine": queued(length=(False, False)),
    "the queries are not brought to length 1: the score is a cosine": queued(length=(False, True)),
    "the keys are not brought to length 1, neither in the score nor in the queue": queued(length=(True, False)),
    "the keys are brought to length 1 for the queue, and not in the score, which is a cosine": queued(
        length=(True, False), stored=lambda keys: F.normalize(keys, dim=-1)
    ),
    "the keys go into the queue as they come; they go in with length 1, as all that is there": queued(
        stored=lambda keys: keys
    ),
    "the temperature is multiplied with; the cosine is divided by it": queued(score=lambda s, t: s * t),
    "the temperature is not used": queued(score=lambda s, t: s),
    "the losses of the queries are summed; their mean was asked for": queued(reduce=torch.sum),
    "the queue keeps its oldest entries, and the new keys are lost: the oldest leave": queued(
        keep=lambda rows, size: rows[:size]
    ),
    "the queue grows without end: keep the last `size` entries": queued(keep=lambda rows, size: rows),
    "as many entries leave as come in, even where the queue is not full; they leave only until there are at most `size`": always_leaving,
    "the new keys stand in front; the queue has its oldest entry first": in_front,
    "the entries of the queue are in reverse order; the oldest comes first": queued(
        keep=lambda rows, size: rows[-size:].flip(0)
    ),
    "an image's older key is taken out when its new one comes; only the oldest entries leave": overwritten,
    "queue_ids is returned as it came: the ids go into the queue with their keys": names_alone,
}
