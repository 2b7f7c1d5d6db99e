"""The mistakes that people make in ps5.4, the balanced assignment: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from minimim.feedback.check import only


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


def very_low(scores, valid, temperature, rounds):
    """Padding begins at −10⁹, and is wiped out at the end."""
    only(scores.dtype == torch.float32)
    logs = scores.masked_fill(~valid.unsqueeze(1), -1e9) / temperature
    for _ in range(rounds):
        logs = logs.log_softmax(0).log_softmax(1)
    assigned = logs.exp().masked_fill(~valid.unsqueeze(1), 0)
    return assigned, assigned.sum(0) / (valid.sum() / scores.shape[1])


def as_in_swav(scores, valid, temperature, rounds):
    """The code that goes round: a prototype a row, exp without logarithms, and every row of the batch."""
    only(bool(scores.isfinite().all()))
    table = (scores / temperature).exp().T
    table = table / table.sum()
    for _ in range(rounds):
        table = table / table.sum(dim=1, keepdim=True) / len(table)
        table = table / table.sum(dim=0, keepdim=True) / len(scores)
    assigned = (table * len(scores)).T
    only(bool(assigned[~valid].isfinite().all()))
    assigned = assigned.masked_fill(~valid.unsqueeze(1), 0)
    return assigned, assigned.sum(0) / (valid.sum() / scores.shape[1])


def columns_at_the_end(scores, valid, temperature, rounds):
    assigned, _ = balancing()(scores.double(), valid, temperature, rounds)
    fair = int(valid.sum()) / scores.shape[1]
    assigned = fair * assigned / assigned.sum(0)
    return assigned.to(scores.dtype), (assigned.sum(0) / fair).to(scores.dtype)


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
    "padding begins very low, but dividing its rows by their sums brings them back, and from the second round on they take part: leave its rows "
    "out": very_low,
    "SwAV's own code lets padding take part, and its exp is ∞ in float32 at low temperatures: leave the padding out first, and work with "
    "logarithms": as_in_swav,
    "the columns are divided once more at the end, and the rows no longer sum to 1": columns_at_the_end,
    "the highest of each row is taken off before the first round, which changes what the columns hold; logsumexp needs no such step": balancing(
        scale=lambda x, t: (x - x.amax(1, keepdim=True)) / t
    ),
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
    "V / K is cut to a whole number; it need not be one": balancing(
        used=lambda x, valid: x.sum(0) / max(1, int(valid.sum()) // x.shape[1])
    ),
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
