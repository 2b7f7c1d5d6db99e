"""The mistakes that people make in ps5.1 and ps5.2, contrast: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.feedback.check import only

# ps5.1


def partners(image: Tensor) -> Tensor:
    """Which rows are other views of the same image, (M, M) bool."""
    return (image.unsqueeze(1) == image) & ~torch.eye(len(image), dtype=torch.bool)


def others(image: Tensor) -> Tensor:
    """Which rows are of other images, (M, M) bool."""
    return image.unsqueeze(1) != image


def by_row(errors: Tensor, positive: Tensor) -> Tensor:
    """The mean over each row's positives, then over the rows that have one: (M, M) twice → ()."""
    return (torch.where(positive, errors, 0).sum(1) / positive.sum(1).clamp(min=1))[positive.any(1)].mean()


def contrast(*, positive=partners, rivals=others, mine=True, score=None, mean=by_row, length=True) -> Callable:
    """A mistake: other positives (image) or rivals (image), both → (M, M) bool, a candidate set without the positive itself (mine),
    another score(cosines, temperature), another mean(errors, positives), or rows that are not brought to length 1."""

    def mistaken(z, image, temperature):
        rows = F.normalize(z, dim=-1) if length else z
        cosines = rows @ rows.T
        scores = score(cosines, temperature) if score else cosines / temperature
        only(bool(scores.isfinite().all()))
        wrong = scores.masked_fill(~rivals(image), -torch.inf).unsqueeze(1).expand(-1, len(z), -1)  # (M, M, M)
        own = scores.unsqueeze(2)
        all_of_it = (torch.cat([own, wrong], dim=2) if mine else wrong).logsumexp(dim=2)
        chosen = positive(image)
        only(bool(all_of_it[chosen].isfinite().all()) and bool(chosen.any()))
        return mean(all_of_it - scores, chosen)

    return mistaken


def pair_by_pair(errors: Tensor, positive: Tensor) -> Tensor:
    return errors[positive].mean()


def summed(errors: Tensor, positive: Tensor) -> Tensor:
    return torch.where(positive, errors, 0).sum(1)[positive.any(1)].mean()


def over_all_rows(errors: Tensor, positive: Tensor) -> Tensor:
    return (torch.where(positive, errors, 0).sum(1) / positive.sum(1).clamp(min=1)).mean()


def total(errors: Tensor, positive: Tensor) -> Tensor:
    return (torch.where(positive, errors, 0).sum(1) / positive.sum(1).clamp(min=1)).sum()


def inside(z, image, temperature):
    """The mean over positives of the probabilities, inside the logarithm."""
    rows = F.normalize(z, dim=-1)
    scores, positive = rows @ rows.T / temperature, partners(image)
    wrong = scores.masked_fill(~others(image), -torch.inf).logsumexp(1, keepdim=True)
    chances = torch.where(positive, (scores - torch.logaddexp(scores, wrong)).exp(), 0).sum(1) / positive.sum(1).clamp(min=1)
    return -chances[positive.any(1)].log().mean()


def first_partner(image: Tensor) -> Tensor:
    found = partners(image)
    return found & (found.cumsum(1) == 1)


def next_row(image: Tensor) -> Tensor:
    """As where the two views of an image stand side by side."""
    only(len(image) % 2 == 0)
    place = torch.arange(len(image))
    return (place ^ 1).unsqueeze(1) == place


def two_halves(image: Tensor) -> Tensor:
    """As where the second views stand behind all first ones."""
    only(len(image) % 2 == 0)
    place = torch.arange(len(image))
    return ((place + len(image) // 2) % len(image)).unsqueeze(1) == place


def overflowing(z, image, temperature):
    """Right, but for exp of large numbers."""
    rows = F.normalize(z, dim=-1)
    powers = (rows @ rows.T / temperature).exp()
    wrong = torch.where(others(image), powers, 0).sum(1, keepdim=True)
    return by_row(-(powers / (powers + wrong)).log(), partners(image))


SEVERAL = {
    "a row is compared with itself as well: its cosine with itself is 1, and it is no candidate": contrast(
        rivals=lambda image: others(image) | torch.eye(len(image), dtype=torch.bool)
    ),
    "the other positives of a row stand among the candidates, and so views of one image push each other away: the candidates are one positive "
    "and the negatives": contrast(rivals=lambda image: ~torch.eye(len(image), dtype=torch.bool), mine=False),
    "all rows of the same image stand among the candidates, the row itself too: the candidates are one positive and the negatives": contrast(
        rivals=lambda image: torch.ones(len(image), len(image), dtype=torch.bool), mine=False
    ),
    "a row counts as a positive of itself": contrast(positive=lambda image: ~others(image)),
    "the positive is missing among the candidates: it stands below the fraction as well as above": contrast(mine=False),
    "the errors of a row's positives are added up; their mean was asked for": contrast(mean=summed),
    "each pair counts the same, so that images with many views count more: first a mean for each row": contrast(
        mean=pair_by_pair
    ),
    "rows without a positive are counted, with loss 0; they are left out of the mean": contrast(mean=over_all_rows),
    "the rows are summed; their mean was asked for": contrast(mean=total),
    "only the first other view of an image is a positive; all of them are": contrast(positive=first_partner),
    "only rows that stand side by side, 0 and 1, 2 and 3, are positives: image says which rows belong together": contrast(
        positive=next_row
    ),
    "row i and row i + M/2 are taken for positives: image says which rows belong together": contrast(positive=two_halves),
    "the positives are averaged inside the logarithm; the mean of the errors was asked for": inside,
    "the rows are not brought to length 1: the score is a cosine": contrast(length=False),
    "the temperature is multiplied with; the cosine is divided by it": contrast(score=lambda cosines, t: cosines * t),
    "the temperature is not used": contrast(score=lambda cosines, t: cosines),
    "the sign is turned: a good match must give a small loss": lambda z, image, temperature: (
        -contrast()(z, image, temperature)
    ),
    "exp of a cosine over a low temperature is ∞ in float32, and its quotient NaN: use logsumexp or cross_entropy": overflowing,
}


# ps5.2


def queued(
    *,
    barred=None,
    batch=False,
    first=False,
    own=True,
    length=True,
    score=lambda s, t: s / t,
    reduce=torch.mean,
    keep=None,
    stored=None,
) -> Callable:
    """A mistake: barred(ids, queue_ids) → (B, Q) bool, what does not count; the other keys of the batch count (batch); keys go in before the
    loss (first); the own key is no candidate (own); no unit length; another score or mean; keep(rows, size) keeps other entries;
    stored(keys) goes into the queue."""
    barred = barred or (lambda ids, queue_ids: ids.unsqueeze(1) == queue_ids)
    keep = keep or (lambda rows, size: rows[-size:])

    def mistaken(queries, keys, ids, queue, queue_ids, size, temperature):
        q, k = (F.normalize(x, dim=-1) if length else x for x in (queries, keys))
        rows = torch.cat([queue, stored(keys) if stored else k])
        names = torch.cat([queue_ids, ids])
        seen, told = (keep(rows, size), keep(names, size)) if first else (queue, queue_ids)
        mine = score((q * k).sum(-1, keepdim=True), temperature)  # (B, 1)
        negatives = score(q @ seen.T, temperature).masked_fill(barred(ids, told), -torch.inf)
        if batch:
            rest = score(q @ k.T, temperature).masked_fill(torch.eye(len(q), dtype=torch.bool), -torch.inf)
            negatives = torch.cat([negatives, rest], dim=1)
        candidates = torch.cat([mine, negatives], dim=1) if own else negatives
        errors = candidates.logsumexp(1) - mine.squeeze(1)
        only(bool(errors.isfinite().all()))
        return reduce(errors), keep(rows, size), keep(names, size)

    return mistaken


def none(ids: Tensor, queue_ids: Tensor) -> Tensor:
    return torch.zeros(len(ids), len(queue_ids), dtype=torch.bool)


def whole_batch(ids: Tensor, queue_ids: Tensor) -> Tensor:
    return torch.isin(queue_ids, ids).expand(len(ids), -1)


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
    "queries and keys are not brought to length 1: the score is a cosine": queued(length=False),
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
    "the new keys stand in front; the queue has its oldest entry first": in_front,
    "the entries of the queue are in reverse order; the oldest comes first": queued(
        keep=lambda rows, size: rows[-size:].flip(0)
    ),
    "an image's older key is taken out when its new one comes; only the oldest entries leave": overwritten,
    "queue_ids is returned as it came: the ids go into the queue with their keys": names_alone,
}
