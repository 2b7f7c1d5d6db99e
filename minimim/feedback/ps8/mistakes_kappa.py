"""The mistakes that people make in ps8.4, agreement: what a check says of each, and a function that makes it."""

import math
from collections.abc import Callable

import torch

NAN = math.nan


def both(mine: list[int], theirs: list[int]) -> list[tuple[int, int]]:
    """The answers to one question, of those who both give one."""
    return [(a, b) for a, b in zip(mine, theirs, strict=True) if a >= 0 and b >= 0]


def chance_of(p: float, q: float) -> float:
    return p * q + (1 - p) * (1 - q)


def share(answers) -> float:
    return sum(answers) / len(answers) if answers else NAN


def agreeing(
    *, before=lambda one, other: (one, other), pairs=both, agreed=lambda found: share([a == b for a, b in found]), always=None,
    sides=None, chance=chance_of, kappa=lambda a, e: (a - e) / (1 - e) if e != 1 else NAN, end=lambda rows: rows
) -> Callable:  # fmt: skip
    """A mistake: before(one, other) → other tables; pairs(mine, theirs) → which answers count; agreed(pairs); always(pairs); sides(pairs,
    mine, theirs) → (p, q); chance(p, q); kappa(agreed, chance); end(rows of three numbers) → others."""

    def mistaken(one, other):
        one, other = before(one, other)
        rows = []
        for mine, theirs in zip(one.T.tolist(), other.T.tolist(), strict=True):
            found = pairs(mine, theirs)
            p, q = sides(found, mine, theirs) if sides else (share([a for a, _ in found]), share([b for _, b in found]))
            usual = always(found) if always else max(q, 1 - q)
            a = agreed(found)
            rows.append([a, usual, kappa(a, chance(p, q)) if found else NAN])
        table = torch.tensor(rows, dtype=torch.float64).view(-1, 3)
        return tuple(end(table).T)

    return lambda one, other: mistaken(one, other)


def complete(one, other):
    """Papers with an open question are left out altogether."""
    kept = (one >= 0).all(1) & (other >= 0).all(1)
    return one[kept], other[kept]


def as_no(one, other):
    return one.clamp(min=0), other.clamp(min=0)


def all_rows(mine, theirs):
    return list(zip(mine, theirs, strict=True))


def own_answers(found, mine, theirs):
    """The fractions of yes among all answers of each, whether or not the other answers."""
    return share([a for a in mine if a >= 0]), share([b for b in theirs if b >= 0])


def together(found, mine, theirs):
    """The same fraction for both: Scott's pi."""
    p = share([x for pair in found for x in pair])
    return p, p


def phi(one, other):
    agreed, always, kappa = agreeing()(one, other)
    for k, (mine, theirs) in enumerate(zip(one.T.tolist(), other.T.tolist(), strict=True)):
        found = both(mine, theirs)
        if found:
            p, q = share([a for a, _ in found]), share([b for _, b in found])
            size = math.sqrt(p * (1 - p) * q * (1 - q))
            kappa[k] = (share([a * b for a, b in found]) - p * q) / size if size else NAN
    return agreed, always, kappa


def filled(value: float, *places: int) -> Callable:
    def end(rows):
        rows = rows.clone()
        for k in places:
            rows[:, k] = torch.where(rows[:, k].isnan(), value, rows[:, k])
        return rows

    return end


def one_number(rows):
    """All questions thrown together at the end."""
    return rows.nanmean(0, keepdim=True).expand_as(rows)


AGREEMENT = {
    "a question without an answer is counted as no; it is left out": agreeing(before=as_no),
    "a question without an answer is counted as one more answer, so that two gaps agree; it is left out": agreeing(
        pairs=all_rows,
        sides=lambda found, mine, theirs: (share([a == 1 for a, _ in found]), share([b == 1 for _, b in found])),
    ),
    "a paper with one open question is left out of all questions; it is left out of that question alone": agreeing(
        before=complete
    ),
    "what is agreed is divided by all papers; only those with both answers count": agreeing(
        pairs=all_rows,
        agreed=lambda found: share([a == b and a >= 0 for a, b in found]),
        sides=lambda found, mine, theirs: tuple(share(side) for side in zip(*both(mine, theirs), strict=True)) or (NAN, NAN),
    ),
    "the fractions of yes are taken of all answers that each gives; only papers with both answers count": agreeing(
        sides=own_answers
    ),
    "the more frequent answer is that of one; always is about the answers of other": agreeing(
        always=lambda found: max(share([a for a, _ in found]), 1 - share([a for a, _ in found]))
    ),
    "always is the fraction of yes; where no is more frequent, it is that of no": agreeing(
        always=lambda found: share([b for _, b in found])
    ),
    "always is the fraction of no; where yes is more frequent, it is that of yes": agreeing(
        always=lambda found: 1 - share([b for _, b in found])
    ),
    "chance is only that both say yes; both may say no as well": agreeing(chance=lambda p, q: p * q),
    "chance is taken as one half; it hangs on how often each says yes": agreeing(chance=lambda p, q: 0.5),
    "chance is the product of yes of the one and no of the other, which is how often they would differ": agreeing(
        chance=lambda p, q: p * (1 - q) + q * (1 - p)
    ),
    "chance is taken from the fraction of yes of both together (Scott's pi); Cohen's kappa has one for each": agreeing(
        sides=together, always=lambda found: max(share([b for _, b in found]), 1 - share([b for _, b in found]))
    ),
    "agreed − chance is not divided by 1 − chance": agreeing(kappa=lambda a, e: a - e if e != 1 else NAN),
    "agreed − chance is divided by chance; it is divided by 1 − chance": agreeing(
        kappa=lambda a, e: (a - e) / e if e not in (0, 1) else NAN
    ),
    "(agreed − always) / (1 − always): kappa compares with chance, and not with the more frequent answer": (
        lambda one, other: against_always(one, other)
    ),
    "this is the correlation of the answers; kappa is lower where one says yes more often than the other": phi,
    "kappa below 0 is set to 0; it is below 0 where they agree less often than chance": agreeing(
        end=lambda rows: torch.cat([rows[:, :2], rows[:, 2:].clamp(min=0)], 1)
    ),
    "kappa is 0 where both give one and the same answer to all; 0 / 0 is NaN: it cannot be said": agreeing(
        end=lambda rows: torch.cat([rows[:, :2], torch.where(rows[:, 2:].isnan() & (rows[:, :1] == 1), 0.0, rows[:, 2:])], 1)
    ),
    "kappa is 1 where both give one and the same answer to all; 0 / 0 is NaN: it cannot be said": agreeing(
        end=lambda rows: torch.cat([rows[:, :2], torch.where(rows[:, 2:].isnan() & (rows[:, :1] == 1), 1.0, rows[:, 2:])], 1)
    ),
    "a question that no paper has both answers to gives 0; it gives NaN": agreeing(end=filled(0.0, 0, 1)),
    "a question that no paper has both answers to, and a kappa that cannot be said, give 0; they give NaN": agreeing(
        end=filled(0.0, 0, 1, 2)
    ),
    "every NaN is replaced by 1": agreeing(end=filled(1.0, 0, 1, 2)),
    "all questions are put together; each has numbers of its own": agreeing(end=one_number),
}


def against_always(one, other):
    agreed, always, _ = agreeing()(one, other)
    return agreed, always, torch.where(always < 1, (agreed - always) / (1 - always), NAN)
