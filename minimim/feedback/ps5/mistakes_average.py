"""The mistakes that people make in ps5.3, the slow average: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minimim.feedback.check import only


def averaged(
    *,
    correct=lambda total, weight, t, momentum: total / weight if weight else 0 * total,
    begin=None,
    turned=False,
    late=False,
    skip=True,
    finite=lambda x: x.isfinite().all(),
    clean=lambda x: x,
    blank=None,
) -> Callable:
    """A mistake: correct(total, weight, steps taken, momentum) → the row; begin(first student) → where it begins; the momentum weighs the
    student (turned), or comes one step late; skip: steps that are not finite leave the average alone, "weight" counts them all the same,
    "shrink" lets both shrink, "total" the average, and None says nothing of them; finite(student) says which they are; clean(student) comes in;
    blank(total) is the row of a step that is left out."""

    def mistaken(students, momenta):
        x, rows = students.double(), []
        weight, taken, before = 0.0, 0, 0.0
        total = begin(x[0]) if begin else torch.zeros_like(x[0])
        only(not begin or bool(x[0].isfinite().all()))
        only(skip is not None or bool(x.isfinite().all()))
        for student, momentum in zip(x, momenta.double().tolist(), strict=True):
            m = before if late else momentum
            m = 1 - m if turned else m
            fine = bool(finite(student)) or not skip
            if fine:
                total, taken = m * total + (1 - m) * clean(student), taken + 1
            elif skip in ("shrink", "total"):
                total = m * total
            if fine or skip == "weight":
                weight = m * weight + (1 - m)
            elif skip == "shrink":
                weight = m * weight
            before = momentum
            rows.append(correct(total, weight, taken, momentum) if fine or not blank else blank(total))
        return torch.stack(rows).to(students.dtype)

    return mistaken


def divided(total: Tensor, weight: float, taken: int, momentum: float) -> Tensor:
    only(weight > 0)
    return total / weight


def as_it_is(total: Tensor, weight: float, taken: int, momentum: float) -> Tensor:
    return total


def power(total: Tensor, weight: float, taken: int, momentum: float) -> Tensor:
    only(momentum < 1 or not total.any())
    return total / (1 - momentum**taken) if taken and momentum < 1 else 0 * total


def one_less(total: Tensor, weight: float, taken: int, momentum: float) -> Tensor:
    """Divided by what the weight was a step before."""
    only(momentum > 0)
    before = (weight - (1 - momentum)) / momentum
    return total / before if before > 1e-9 else total


def fed_back(students, momenta):
    """The corrected average is what the next step begins with."""
    x, rows = students.double(), []
    only(bool(x.isfinite().all()))
    total, product = torch.zeros_like(x[0]), 1.0
    for student, momentum in zip(x, momenta.double().tolist(), strict=True):
        product *= momentum
        only(product < 1)
        total = (momentum * total + (1 - momentum) * student) / (1 - product)
        rows.append(total)
    return torch.stack(rows).to(students.dtype)


def number_by_number(students, momenta):
    """A number that is not finite is left out, and those beside it are taken in."""
    x, rows = students.double(), []
    total, weight = torch.zeros_like(x[0]), torch.zeros_like(x[0])
    for student, m in zip(x, momenta.double().tolist(), strict=True):
        fine = student.isfinite()
        total, weight = (
            torch.where(fine, m * total + (1 - m) * student, total),
            torch.where(fine, m * weight + 1 - m, weight),
        )
        rows.append(torch.where(weight > 0, total / weight, 0))
    return torch.stack(rows).to(students.dtype)


def added_up(students, momenta):
    """Divided by the sum of the 1 − m."""
    only(bool((momenta < 1).all()))
    return averaged(correct=as_it_is, skip=None)(students, momenta) / (1 - momenta).cumsum(0).unsqueeze(1)


def plain_mean(students, momenta):
    only(bool(students.isfinite().all()))
    return students.cumsum(0) / torch.arange(1, len(students) + 1).unsqueeze(1).to(students.dtype)


def first_alone(total: Tensor, weight: float, taken: int, momentum: float) -> Tensor:
    return total / weight if taken == 1 and weight else total


AVERAGE = {
    "there is no correction: the average began at 0, and is still too small by the weight that is missing": averaged(
        correct=as_it_is
    ),
    "the average begins with the first student; it begins at 0, and the division makes up for that": averaged(
        begin=lambda first: first, correct=as_it_is
    ),
    "the average begins with the first student, and is divided all the same; it begins at 0": averaged(
        begin=lambda first: first, correct=divided
    ),
    "only the first step is corrected; what is missing is missing at the later ones too": averaged(correct=first_alone),
    "the momentum is raised to the number of steps, as where it never changes: here it does, so multiply the momenta that there were": averaged(
        correct=power, skip=None
    ),
    "the correction is that of the step before: this step's 1 − m belongs to it": averaged(correct=one_less),
    "the corrected average is what the next step begins with: keep the plain one beside it, and divide only what is returned": fed_back,
    "the momentum weighs the student; it weighs the average, and 1 − m the student": averaged(turned=True),
    "each step uses the momentum of the step before": averaged(late=True),
    "the momenta are not used: all students so far weigh the same": plain_mean,
    "a student that is not finite was taken in: such a step leaves the average as it is": averaged(skip=False),
    "a step that was left out still counts in the correction: it gave no weight either": averaged(skip="weight"),
    "in a step that is left out, average and weight both shrink by the momentum; they stay as they are": averaged(
        skip="shrink"
    ),
    "in a step that is left out, the average still shrinks by the momentum; it stays as it is": averaged(skip="total"),
    "numbers that are not finite are left out one by one; a student that holds one is left out whole": number_by_number,
    "what is not finite is replaced by 0 and taken in; the student is left out": averaged(
        skip=False, clean=lambda x: x.nan_to_num(0, 0, 0)
    ),
    "∞ is taken in, because only NaN is looked for; isfinite finds both": averaged(finite=lambda x: not x.isnan().any()),
    "the row of a step that is left out is 0; it repeats the one before": averaged(blank=lambda total: 0 * total),
    "the row of a step that is left out holds the average without its correction; it repeats the one before": averaged(
        blank=lambda total: total
    ),
    "0 is divided by 0 as long as nothing has been taken in, which is NaN; the row is 0 there": averaged(
        correct=lambda total, weight, t, momentum: total / torch.tensor(weight, dtype=total.dtype)
    ),
    "the average is divided by the sum of all 1 − m; later momenta make the weight of earlier students smaller, so the sum is 1 minus the product": (
        added_up
    ),
}
