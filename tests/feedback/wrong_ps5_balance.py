"""Wrong answers to ps5.3 and ps5.4, as people write them: wrong_ps5_tables.py has a part of what the check must say."""

import math

import torch

from minimim.targets import sinkhorn

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


def average_by(loop):
    """loop(state, student, momentum) changes the state and gives the row."""

    def answer(students, momenta):
        x = students.detach()
        state = {"a": torch.zeros_like(x[0]), "w": torch.zeros_like(x[0])}
        return torch.stack([loop(state, s, m) for s, m in zip(x, momenta.tolist(), strict=True)])

    return answer


def taken(state, s, m, fine):
    state["a"], state["w"] = torch.where(fine, m * state["a"] + (1 - m) * s, state["a"]), torch.where(fine, m * state["w"] + 1 - m, state["w"])


def row(state):
    return torch.where(state["w"] > 0, state["a"] / state["w"], 0)


def one_by_one(state, s, m):
    taken(state, s, m, s.isfinite())
    return row(state)


def as_zero(state, s, m):
    taken(state, s.nan_to_num(0, 0, 0), m, torch.tensor(True))
    return row(state)


def nan_alone(state, s, m):
    taken(state, s, m, ~s.isnan().any())
    return row(state)


def no_guard(state, s, m):
    taken(state, s, m, s.isfinite().all())
    return state["a"] / state["w"]


def zero_row(state, s, m):
    taken(state, s, m, s.isfinite().all())
    return row(state) if s.isfinite().all() else 0 * state["a"]


def plain_row(state, s, m):
    taken(state, s, m, s.isfinite().all())
    return row(state) if s.isfinite().all() else state["a"]


def both_shrink(state, s, m):
    fine = s.isfinite().all()
    taken(state, s, m, fine)
    if not fine:
        state["a"], state["w"] = m * state["a"], m * state["w"]
    return row(state)


def average_shrinks(state, s, m):
    fine = s.isfinite().all()
    taken(state, s, m, fine)
    if not fine:
        state["a"] = m * state["a"]
    return row(state)


def sum_of_parts(state, s, m):
    if s.isfinite().all():
        state["a"], state["w"] = m * state["a"] + (1 - m) * s, state["w"] + 1 - m
    return row(state)


def average_by_place(students, momenta):
    """The momentum to the power of the row's number, steps that were left out counted."""
    a, out = 0 * students[0].detach().nan_to_num(0, 0, 0), []
    for t, (s, m) in enumerate(zip(students.detach(), momenta.tolist(), strict=True)):
        a = m * a + (1 - m) * s if s.isfinite().all() else a
        out.append(a / (1 - m ** (t + 1)) if m < 1 else a)
    return torch.stack(out)


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


def balanced_swav(scores, valid, temperature, rounds):
    q = torch.exp(scores.detach() / temperature).t()
    k, b = q.shape
    q = q / q.sum()
    for _ in range(rounds):
        q = q / q.sum(1, keepdim=True) / k
        q = q / q.sum(0, keepdim=True) / b
    out = (q * b).t() * valid[:, None]
    return out, out.sum(0) * k / valid.sum()


def balanced_columns_last(scores, valid, temperature, rounds):
    x = scores.detach()[valid] / temperature
    for _ in range(rounds):
        x = x.log_softmax(0).log_softmax(1)
    x = x.log_softmax(0) + math.log(len(x) / x.shape[1])
    out = torch.zeros_like(scores.detach())
    out[valid] = x.exp()
    return out, out.sum(0) * x.shape[1] / len(x)


def balanced_very_low(scores, valid, temperature, rounds):
    """Padding is filled with a low number, and its rows are cleared at the end."""
    x = scores.detach().masked_fill(~valid[:, None], -1e9) / temperature
    for _ in range(rounds):
        x = x.log_softmax(0).log_softmax(1)
    out = x.exp() * valid[:, None]
    return out, out.sum(0) * x.shape[1] / valid.sum()


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
