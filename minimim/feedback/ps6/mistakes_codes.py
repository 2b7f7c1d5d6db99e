"""The mistakes that people make in problem set 6, task 2, dead codes: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minimim.feedback.check import only


def apart(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances of all pairs: (M, D), (K, D) → (M, K)."""
    return (x.unsqueeze(1) - y).square().sum(dim=-1)


def averaged(usage: Tensor, counts: Tensor, momentum: float) -> Tensor:
    return momentum * usage + (1 - momentum) * counts


def never(here: Tensor, dead: Tensor) -> Tensor:
    return torch.zeros_like(dead)


def revived(
    *, average=averaged, dies=None, begin=None, update=torch.minimum, pick=None, fresh=None, even_at_0=False, turn=lambda ids: ids,
    flags=None, others=None, again=False, fill=None
) -> Callable:  # fmt: skip
    """A mistake: another average(usage, counts, momentum); dies(new usage, old usage, counts, threshold) → (K,) bool; begin(distances
    (M, K), dead) → (M,), from where the farthest is looked for; update(away, distance to the revived); pick(away, how many before) → a
    latent; fresh(new usage, dead, old usage, threshold); even_at_0: codes move also where nothing is left; another order `turn(ids)`;
    flags(dead, revived); others(codes, latents, nearest) moves all codes first; again: the nearest is counted after the revival;
    fill(new usage, dead) → the usage of all."""

    def mistaken(codes, latents, usage, momentum, threshold):
        table = apart(latents, codes)
        counts = torch.bincount(table.argmin(1), minlength=len(codes)).to(usage.dtype)
        new = average(usage, counts, momentum)
        dead = dies(new, usage, counts, threshold) if dies else new < threshold
        only(bool((~dead).any()))
        start = fresh(new, dead, usage, threshold) if fresh else new[~dead].mean()
        away = begin(table, dead) if begin else table[:, ~dead].amin(1)
        codes = others(codes, latents, table.argmin(1)) if others else codes.clone()
        done, new = torch.zeros_like(dead), fill(new, dead) if fill else new.clone()
        for number, k in enumerate(turn(dead.nonzero().flatten())):
            far = int(pick(away, number) if pick else away.argmax())
            if away[far] > 0 or even_at_0:
                codes[k], done[k] = latents[far], True
                if start is not None:
                    new[k] = start
                away = update(away, apart(latents, latents[far : far + 1]).squeeze(1))
        if again:
            counts = torch.bincount(apart(latents, codes).argmin(1), minlength=len(codes)).to(usage.dtype)
            new = average(usage, counts, momentum)
        return codes, new, flags(dead, done) if flags else done

    return mistaken


def to_the_means(codes: Tensor, latents: Tensor, ids: Tensor) -> Tensor:
    """A round of k-means."""
    members = (ids == torch.arange(len(codes)).unsqueeze(1)).to(latents.dtype)  # (K, M)
    counts = members.sum(1, keepdim=True)
    return torch.where(counts > 0, members @ latents / counts.clamp(min=1), codes)


def ranked(away: Tensor, number: int) -> Tensor:
    return away.argsort(descending=True, stable=True)[min(number, len(away) - 1)]


def kept(away: Tensor, new: Tensor) -> Tensor:
    """Distances that no revived code changes."""
    return away


def last_of_equals(away: Tensor, number: int) -> int:
    return len(away) - 1 - int(away.flip(0).argmax())


def far_from(place: Callable) -> Callable:
    """Each dead code goes to the latent that is farthest from place(codes, dead, k), (·, D), as the codes are by then."""

    def mistaken(codes, latents, usage, momentum, threshold):
        counts = torch.bincount(apart(latents, codes).argmin(1), minlength=len(codes)).to(usage.dtype)
        new = averaged(usage, counts, momentum)
        dead, codes, done = new < threshold, codes.clone(), torch.zeros(len(codes), dtype=torch.bool)
        start = new[~dead].mean()
        for k in dead.nonzero().flatten():
            away = apart(latents, place(codes, dead, k)).amin(1)
            if away.max() > 0:
                codes[k], new[k], done[k] = latents[away.argmax()], start, True
        return codes, new, done

    return mistaken


REVIVE = {
    "momentum is on the wrong side: usage keeps `momentum` of what it was, and takes (1 − momentum) of the counts": revived(
        average=lambda usage, counts, m: (1 - m) * usage + m * counts
    ),
    "usage is the counts of this batch alone; it is a moving average": revived(
        average=lambda usage, counts, m: counts.clone()
    ),
    "usage does not change: the counts of this batch have a part in it": revived(
        average=lambda usage, counts, m: usage.clone()
    ),
    "the counts are divided by the number of latents; usage is an average of how many latents choose a code": revived(
        average=lambda usage, counts, m: averaged(usage, counts / counts.sum(), m)
    ),
    "the counts are added whole; they weigh (1 − momentum)": revived(average=lambda usage, counts, m: m * usage + counts),
    "a code without a latent in this batch is dead; it is its usage that decides, and that looks further back": revived(
        dies=lambda new, old, counts, t: counts == 0
    ),
    "the usage of before decides which code is dead; the new one does": revived(dies=lambda new, old, counts, t: old < t),
    "a code whose usage is just the threshold is dead; only a lower one is": revived(
        dies=lambda new, old, counts, t: new <= t
    ),
    "the distance is taken to all codes, also to the dead: what only a dead code is near to has nobody once that code has moved": revived(
        begin=lambda table, dead: table.amin(1)
    ),
    "all dead codes move to the same latent: after each, the distances are to be taken anew": revived(
        update=kept, pick=lambda away, n: away.argmax()
    ),
    "the dead codes take the first few of one ranking: two far latents may lie side by side, so take the distances anew after each": revived(
        update=kept, pick=ranked
    ),
    "the distance to the last revived code alone counts for the next; the nearest of all living codes counts": revived(
        update=lambda away, new: new
    ),
    "a dead code moves to the latent that is nearest to a code; the farthest is served worst": revived(
        pick=lambda away, n: torch.where(away > 0, away, torch.inf).argmin()
    ),
    "a dead code moves to a latent by its place in the list, and not by its distance": revived(
        pick=lambda away, n: min(n, len(away) - 1), even_at_0=True
    ),
    "the distance is taken to all codes, also to those that are still dead; only the living and those that have moved count": far_from(
        lambda codes, dead, k: codes
    ),
    "a dead code moves to the latent that is farthest from where it stood itself; its old place does not count": far_from(
        lambda codes, dead, k: codes[k : k + 1]
    ),
    "of latents that are equally far the last is taken; the first of several is": revived(pick=last_of_equals),
    "the dead codes are served from the last to the first; the one with the lowest number comes first": revived(
        turn=lambda ids: ids.flip(0)
    ),
    "only the first dead code is revived; all are, one after the other": revived(turn=lambda ids: ids[:1]),
    "the usage of a revived code stays what it was, and it will be dead in the next step": revived(fresh=lambda *_: None),
    "a revived code begins with a usage of 1; it begins with the mean usage of the codes that are not dead": revived(
        fresh=lambda *_: 1.0
    ),
    "a revived code begins with a usage of 0; it begins with the mean usage of the codes that are not dead": revived(
        fresh=lambda *_: 0.0
    ),
    "a revived code begins at the threshold; it begins with the mean usage of the codes that are not dead": revived(
        fresh=lambda new, dead, old, t: t
    ),
    "the mean usage runs over all codes, also the dead; it is that of the codes that are not dead": revived(
        fresh=lambda new, dead, old, t: new.mean()
    ),
    "the mean usage is that of before; the new one was asked for": revived(
        fresh=lambda new, dead, old, t: old[~dead].mean()
    ),
    "a dead code moves although every latent has a living code at its very place: it stays dead, with its code and its usage": revived(
        even_at_0=True
    ),
    "a code that could not move gets a new usage as well; it keeps the one that says it is dead": revived(
        fill=lambda new, dead: torch.where(dead, new[~dead].mean(), new)
    ),
    "`revived` says which codes are dead; it says which have moved": revived(flags=lambda dead, done: dead),
    "`revived` is upside down: True is a code that has moved": revived(flags=lambda dead, done: ~done),
    "the living codes move to the mean of their latents, as in k-means; they stay where they are": revived(
        others=to_the_means
    ),
    "latents are counted once more after the revival; usage is worked out before it": revived(again=True),
}
