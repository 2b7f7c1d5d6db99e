"""The mistakes that people make in ps8.5, tables of results: what a check says of each, and a function that makes it."""

from collections.abc import Callable

import torch

from minimim.feedback.ps8.truth import FIELDS, SOUND, far, stranger


def judging(
    *, odd: Callable = stranger, fields=None, leader: Callable | None = None, named: Callable = lambda name: name
) -> Callable:
    """A mistake: odd(rows, i, name) → whether row i is out of place in one of the six; fields: {name of a flaw: field}, others;
    leader(rows, odd row) → who leads; named(flaw) → another name."""
    fields = fields or FIELDS
    best = leader or (lambda rows, out: max((row["accuracy"], i) for i, row in enumerate(rows) if i != out)[1])

    def mistaken(tables):
        flaws, leaders = {}, []
        for letter, rows in tables.items():
            found = [(name, i) for name in fields for i in range(len(rows)) if odd(rows, i, name)]
            name, out = found[0] if found else (SOUND, None)
            flaws[letter] = named(name)
            leaders.append(best(rows, out))
        return flaws, torch.tensor(leaders)

    return lambda tables: mistaken(tables)


def instead(name: str, apart: Callable) -> Callable:
    """The rule with another comparison for one of the six: apart(value of a row, value of another)."""

    def odd(rows, i, asked):
        if asked != name:
            return stranger(rows, i, asked)
        values = [row[FIELDS[name]] for row in rows]
        return all(apart(values[i], other) for j, other in enumerate(values) if j != i)

    return odd


def without(*names: str) -> Callable:
    return lambda rows, i, name: name not in names and stranger(rows, i, name)


def first_row(rows, i, name):
    """Every row is compared with the first alone."""
    a, b = rows[0][FIELDS[name]], rows[i][FIELDS[name]]
    return i > 0 and (far(a, b) if name == "epochs" else a != b)


def also(field: str) -> Callable:
    """One more thing is taken for a flaw: the name it is told under is that of the last of the six."""

    def odd(rows, i, name):
        here = stranger(rows, i, name)
        others = [row[field] for j, row in enumerate(rows) if j != i]
        return here or (name == "run by others" and all(rows[i][field] != other for other in others))

    return odd


def filled(name: str) -> Callable:
    """A row is out of place wherever the field holds something."""

    def odd(rows, i, asked):
        return bool(rows[i][FIELDS[name]]) if asked == name else stranger(rows, i, asked)

    return odd


def best_is_odd(rows, i, name):
    """Only the row on top is looked at."""
    return rows[i]["accuracy"] == max(row["accuracy"] for row in rows) and stranger(rows, i, name)


def model_alone(a: str, b: str) -> bool:
    """Architectures without the size of their patches."""
    return a.split("/")[0] != b.split("/")[0]


def stated(a: int | None, b: int | None) -> bool:
    return a is not None and b is not None and far(a, b)


def as_nothing(a: int | None, b: int | None) -> bool:
    return max(a or 0, b or 0) > 2 * min(a or 0, b or 0)


def after_leaving_out(rows, out):
    """The number among the rows that are left."""
    left = [row["accuracy"] for i, row in enumerate(rows) if i != out]
    return left.index(max(left))


def best_of_all(rows, out):
    return max((row["accuracy"], i) for i, row in enumerate(rows))[1]


def second_best(rows, out):
    return sorted((row["accuracy"], i) for i, row in enumerate(rows))[-1 if out is None else -2][1]


VERDICTS = {
    "epochs that differ at all are taken for a flaw; up to a factor of two they may differ": judging(
        odd=instead("epochs", lambda a, b: a != b)
    ),
    "epochs that differ by exactly two are taken for a flaw; more than a factor of two is one": judging(
        odd=instead("epochs", lambda a, b: a is None or b is None or max(a, b) >= 2 * min(a, b))
    ),
    "epochs are compared by their difference; a factor of two is meant": judging(
        odd=instead("epochs", lambda a, b: a is None or b is None or abs(a - b) > 400)
    ),
    "a row whose epochs are not stated passes; what is not known cannot be compared": judging(odd=instead("epochs", stated)),
    "more epochs than the others' are found, but fewer are not: they are as far apart": judging(
        odd=instead("epochs", lambda a, b: a is None or b is None or a > 2 * b)
    ),
    "the size of the patches is left out of the architecture: /8 means four times as many tokens as /16": judging(
        odd=instead("architecture", model_alone)
    ),
    "whatever was run by others is taken for a flaw, although all rows of a table may be; one that differs from the rest is": judging(
        odd=filled("run by others")
    ),
    "whatever used more is taken for a flaw, although all rows of a table may have used the same; one that differs from the rest is": judging(
        odd=filled("extra data")
    ),
    "only a row that used more than the others is found; one that used less is as hard to compare": judging(
        odd=instead("extra data", lambda a, b: bool(a) and a != b)
    ),
    "only a row that others ran is found; one that its authors ran, among others' re-runs, is as hard to compare": judging(
        odd=instead("run by others", lambda a, b: bool(a) and a != b)
    ),
    "who ran a method is not looked at": judging(odd=without("run by others")),
    "extra data are not looked at": judging(odd=without("extra data")),
    "the size of the images is not looked at": judging(odd=without("image size")),
    "the architecture is not looked at": judging(odd=without("architecture")),
    "the protocol is not looked at": judging(odd=without("protocol")),
    "the epochs are not looked at": judging(odd=without("epochs")),
    "every row is compared with the first, which may be the one that is out of place; compare each with all others": judging(
        odd=first_row
    ),
    "a row is looked at only if it leads; one that is out of place may as well be the last": judging(odd=best_is_odd),
    "another target is taken for a flaw; it is what methods differ in": judging(odd=also("target_level")),
    "another year is taken for a flaw; it says nothing about how a number was measured": judging(odd=also("year")),
    "the row that is out of place is among those of which one leads; leave it out first": judging(leader=best_of_all),
    "the leader is numbered among the rows that are left; it keeps its number in the table": judging(
        leader=after_leaving_out
    ),
    "the second best leads wherever there is a flaw, although the row that is out of place need not be the best": judging(
        leader=second_best
    ),
    "the leader is the row with the lowest accuracy": judging(
        leader=lambda rows, out: min((row["accuracy"], i) for i, row in enumerate(rows) if i != out)[1]
    ),
    "every table is called sound": judging(odd=lambda rows, i, name: False),
    "fields are named where the names of flaws are asked for": judging(named=lambda name: FIELDS.get(name, name)),
}
