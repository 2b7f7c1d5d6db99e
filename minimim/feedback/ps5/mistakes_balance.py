"""The mistakes that people make in ps5.3 and ps5.4, the slow average and the balanced assignment: what a check says of each, and a
function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.feedback.check import only

# ps5.3


def averaged(
    *,
    correct=lambda total, weight, t, momentum: total / weight if weight else 0 * total,
    begin=None,
    turned=False,
    late=False,
    skip=True,
) -> Callable:
    """A mistake: correct(total, weight, steps taken, momentum) → the row; begin(first student) → where it begins; the momentum weighs the
    student (turned), or comes one step late; skip: steps that are not finite leave the average alone, "weight" counts them all the same."""

    def mistaken(students, momenta):
        x, rows = students.double(), []
        weight, taken, before = 0.0, 0, 0.0
        total = begin(x[0]) if begin else torch.zeros_like(x[0])
        only(not begin or bool(x[0].isfinite().all()))
        for student, momentum in zip(x, momenta.double().tolist(), strict=True):
            m = before if late else momentum
            m = 1 - m if turned else m
            fine = bool(student.isfinite().all()) or not skip
            if fine:
                total, taken = m * total + (1 - m) * student, taken + 1
            if fine or skip == "weight":
                weight = m * weight + (1 - m)
            before = momentum
            rows.append(correct(total, weight, taken, momentum))
        return torch.stack(rows).to(students.dtype)

    return mistaken


def divided(total: Tensor, weight: float, taken: int, momentum: float) -> Tensor:
    only(weight > 0)
    return total / weight


def as_it_is(total: Tensor, weight: float, taken: int, momentum: float) -> Tensor:
    return total


def power(total: Tensor, weight: float, taken: int, momentum: float) -> Tensor:
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
        correct=power
    ),
    "the correction is that of the step before: this step's 1 − m belongs to it": averaged(correct=one_less),
    "the corrected average is what the next step begins with: keep the plain one beside it, and divide only what is returned": fed_back,
    "the momentum weighs the student; it weighs the average, and 1 − m the student": averaged(turned=True),
    "each step uses the momentum of the step before": averaged(late=True),
    "the momenta are not used: all students so far weigh the same": plain_mean,
    "a student that is not finite was taken in: such a step leaves the average as it is": averaged(skip=False),
    "a step that was left out still counts in the correction: it gave no weight either": averaged(skip="weight"),
}


# ps5.4


def balancing(
    *,
    real=lambda valid: valid,
    scale=lambda scores, t: scores / t,
    order="cr",
    rounds=lambda n: n,
    end=None,
    used=None,
    blank=0.0,
) -> Callable:
    """A mistake: other rows count (real), another scale, rows before columns, another number of rounds, end(assigned) changes the
    result, used(assigned, valid) is another, blank stands in the rows of padding."""

    def mistaken(scores, valid, temperature, rounds_asked):
        here = real(valid)
        only(bool(scores[here].isfinite().all()))
        logs = scale(scores.double(), temperature)[here]
        logs = logs - logs.amax()
        for _ in range(rounds(rounds_asked)):
            for step in order:
                logs = logs.log_softmax(dim=0 if step == "c" else 1)
        assigned = torch.full_like(scores, blank, dtype=torch.float64)
        assigned[here] = logs.exp()
        if end:
            assigned = end(assigned)
        fair = int(valid.sum()) / scores.shape[1]
        told = used(assigned, valid) if used else assigned[here].sum(0) / fair
        return assigned.to(scores.dtype), told.to(scores.dtype)

    return lambda scores, valid, temperature, rounds: mistaken(scores, valid, temperature, rounds)


def softmax_alone(scores, valid, temperature, rounds):
    return balancing(order="r", rounds=lambda n: 1)(scores, valid, temperature, rounds)


def half_padded(scores, valid, temperature, rounds):
    """Padding is left in while the columns are balanced, and wiped out at the end."""
    only(bool(scores.isfinite().all()))
    assigned, _ = balancing(real=torch.ones_like)(scores, valid, temperature, rounds)
    assigned = assigned.masked_fill(~valid.unsqueeze(1), 0)
    return assigned, assigned.sum(0) / (valid.sum() / scores.shape[1])


def multiplied(scores, valid, temperature, rounds):
    """Padding is multiplied by 0."""
    weight = valid.unsqueeze(1).to(scores.dtype)
    powers = (scores / temperature).exp() * weight
    for _ in range(rounds):
        powers = powers / powers.sum(0)
        powers = powers / powers.sum(1, keepdim=True).where(weight > 0, 1)
    return powers, powers.sum(0) / (valid.sum() / scores.shape[1])


def overflowing(shift: Callable) -> Callable:
    """exp of scores, less a shift, before anything is balanced: ∞, or rows of zeros."""

    def mistaken(scores, valid, temperature, rounds):
        x = scores[valid] / temperature
        powers = (x - shift(x)).exp()
        for _ in range(rounds):
            powers = powers / powers.sum(0)
            powers = powers / powers.sum(1, keepdim=True)
        assigned = torch.zeros_like(scores)
        assigned[valid] = powers
        return assigned, powers.sum(0) / (len(x) / scores.shape[1])

    return mistaken


def before_the_rows(scores, valid, temperature, rounds):
    """What the columns hold after their own step: all that they should."""
    assigned, used = balancing()(scores, valid, temperature, rounds)
    return assigned, torch.ones_like(used)


BALANCED = {
    "padding takes part: leave its rows out before the first round": balancing(real=torch.ones_like),
    "padding takes part while the columns are balanced, and is set to 0 only at the end: leave its rows out before the first round": half_padded,
    "each row is a softmax of its own, and the columns are not balanced": softmax_alone,
    "each round does the rows first and then the columns; columns first and then rows was asked for, so that rows sum to 1 at the end": balancing(
        order="rc"
    ),
    "only the columns are balanced": balancing(order="c"),
    "there is one round too many": balancing(rounds=lambda n: n + 1),
    "there is one round too few": balancing(order="cr", rounds=lambda n: max(1, n - 1)),
    "the first round is preceded by a softmax of each row, which changes what the columns hold": (
        lambda scores, valid, temperature, rounds: balancing(scale=lambda x, t: (x / t).log_softmax(1))(
            scores, valid, temperature, rounds
        )
    ),
    "the temperature is multiplied with; the scores are divided by it": balancing(scale=lambda x, t: x * t),
    "the temperature is not used": balancing(scale=lambda x, t: x),
    "the assignment is cut to the highest of each row; it stays soft": balancing(
        end=lambda x: F.one_hot(x.argmax(1), x.shape[1]) * x.any(1, keepdim=True).double()
    ),
    "the rows sum to 1 over V, the number of valid rows; they should sum to 1": (
        lambda scores, valid, temperature, rounds: (
            (found := balancing()(scores, valid, temperature, rounds))[0] / valid.sum(),
            found[1],
        )
    ),
    "used holds the sums of the columns; each over V / K was asked for": balancing(used=lambda x, valid: x.sum(0)),
    "used is divided by B / K, and padding rows hold nothing: divide by V / K, with V the valid rows": balancing(
        used=lambda x, valid: x.sum(0) / (len(valid) / x.shape[1])
    ),
    "used holds the fraction of all rows, which sums to 1; over V / K was asked for, so that 1 is a fair part": balancing(
        used=lambda x, valid: x.sum(0) / valid.sum()
    ),
    "used is 1 everywhere, as after the step of the columns: measure the result, after the last step of the rows": before_the_rows,
    "used counts the rows whose highest is this prototype; the sums of the soft assignment were asked for": balancing(
        used=lambda x, valid: torch.bincount(x[valid].argmax(1), minlength=x.shape[1]) / (valid.sum() / x.shape[1])
    ),
    "padding is multiplied by 0, and NaN · 0 and ∞ · 0 are NaN: leave its rows out, by scores[valid] or torch.where": multiplied,
    "exp of a score over a low temperature is ∞ in float32: work with logarithms, where a division is a subtraction": overflowing(
        lambda x: 0
    ),
    "only the highest of all scores is taken off before exp, so that a row far below it becomes 0 and its division NaN: work with logarithms": (
        overflowing(lambda x: x.max())
    ),
}
