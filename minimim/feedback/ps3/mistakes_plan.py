"""The mistakes that people make in problem set 3, task 4, the plan: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

from minimim.feedback.check import only


def planned(*, climb=None, fade=None, decays=None, stable=True, longer=0, plain=False) -> Callable:
    """A mistake: another climb(s, warmup) or fade(left, fall), left = steps from this one to the end; no plateau (stable);
    or decays(name, parameter, module that holds it) → whether it decays; a climb that is some steps longer; plain: stated
    where no name of a parameter ends in `weight` or `bias` but these two."""

    def mistaken(model, total, warmup, fall, peak, decay):
        only(stable or total > warmup + fall)
        only(not (plain and isinstance(model, nn.MultiheadAttention)))
        rates = []
        for s in range(total):
            rate = peak
            if warmup and s < warmup + longer:
                rate = peak * (climb(s, warmup) if climb else (s + 1) / warmup)
            elif (total - s <= fall and fall) or not stable:
                length = fall if stable else total - warmup
                rate = peak * (fade(total - s, length) if fade else (total - s) / length)
            rates.append(rate)
        chosen = decays or (lambda name, p, holder: isinstance(holder, nn.Linear | nn.Conv2d) and name == "weight")
        held = [(name, p, holder) for holder in model.modules() for name, p in holder.named_parameters(recurse=False)]
        which = {p: decay * chosen(name, p, holder) for name, p, holder in held}
        return torch.tensor(rates), torch.tensor([float(which[p]) for p in model.parameters() if p.requires_grad])

    return mistaken


def grouped(model, total, warmup, fall, peak, decay):
    rates, decays = planned()(model, total, warmup, fall, peak, decay)
    return rates, decays.sort(descending=True).values


def frozen_too(model, total, warmup, fall, peak, decay):
    return planned()(model.requires_grad_(), total, warmup, fall, peak, decay)


def half_a_cosine(left: int, fall: int) -> float:
    return (1 + math.cos(math.pi * (fall - left) / fall)) / 2


def from_0(s: int, warmup: int) -> float:
    return s / warmup


def to_0(left: int, fall: int) -> float:
    return (left - 1) / fall


PLAN = {
    "the climb begins at 0, and the first step learns nothing: step s climbs to (s + 1) / warmup": planned(climb=from_0),
    "the climb begins at 0 and the fall ends at 0: step s climbs to (s + 1) / warmup, and the last step is at peak / fall": (
        planned(climb=from_0, fade=to_0)
    ),
    "the climb is linspace(0, peak, warmup), which begins at 0; its first step is at peak / warmup": planned(
        climb=lambda s, n: s / max(1, n - 1)
    ),
    "the fall is linspace(peak, 0, fall), which ends at 0; its last step is at peak / fall": planned(
        fade=lambda left, n: (left - 1) / (n - 1) if n > 1 else 1
    ),
    "climb and fall are linspace from 0 and to 0; the first step is at peak / warmup, the last at peak / fall": planned(
        climb=lambda s, n: s / max(1, n - 1), fade=lambda left, n: (left - 1) / (n - 1) if n > 1 else 1
    ),
    "the climb reaches its height one step too late": planned(climb=lambda s, n: (s + 1) / (n + 1)),
    "the fall ends at 0, and the last step learns nothing: it is at peak / fall": planned(fade=to_0),
    "the fall is one step too early: its first step is still at the peak": planned(fade=lambda left, n: left / (n + 1)),
    "the fall is half a cosine; a straight line was asked for": planned(fade=half_a_cosine),
    "half a cosine leads from the climb to the end; a plateau and a straight line were asked for": planned(
        fade=half_a_cosine, stable=False
    ),
    "climb and fall are one step too long: the first step is at peak / warmup, the last at peak / fall": planned(
        climb=lambda s, n: (s + 1) / (n + 1), fade=lambda left, n: left / (n + 1)
    ),
    "the climb goes on at step s = warmup, above the peak; its last step is s = warmup − 1": planned(longer=1),
    "there is no plateau: the fall begins where the climb ends": planned(stable=False),
    "everything decays; biases, norms, tokens and positions do not": planned(decays=lambda name, p, holder: True),
    "all but biases decays; norms, tokens and positions do not": planned(
        decays=lambda name, p, holder: name != "bias", plain=True
    ),
    "everything with more than one axis decays; tokens, positions and some norms have several too": planned(
        decays=lambda name, p, holder: p.dim() > 1
    ),
    "what decays is chosen by how many axes it has and by the name `weight`; a norm's weight can have several axes": planned(
        decays=lambda name, p, holder: p.dim() > 1 and name == "weight", plain=True
    ),
    "what decays is chosen by a name that ends in `weight`; norms and embeddings have a weight too": planned(
        decays=lambda name, p, holder: name == "weight", plain=True
    ),
    "what is neither norm, token nor position by its name decays; only the weights of nn.Linear and nn.Conv2d do": planned(
        decays=lambda name, p, holder: (
            p.dim() > 1
            and not isinstance(holder, nn.LayerNorm)
            and not any(word in name for word in ("token", "pos", "cls"))
        )
    ),
    "a class that is made from nn.Linear or nn.Conv2d is one too: ask isinstance(module, …), and not type(module)": planned(
        decays=lambda name, p, holder: type(holder) in (nn.Linear, nn.Conv2d) and name == "weight"
    ),
    "only what is nn.Linear and nothing else decays; nn.Conv2d decays, and classes that are made from the two": planned(
        decays=lambda name, p, holder: type(holder) is nn.Linear and name == "weight"
    ),
    "the weights of convolutions do not decay, and they should": planned(
        decays=lambda name, p, holder: isinstance(holder, nn.Linear) and name == "weight"
    ),
    "the biases of maps decay, and they should not": planned(
        decays=lambda name, p, holder: isinstance(holder, nn.Linear | nn.Conv2d)
    ),
    "nothing decays": planned(decays=lambda name, p, holder: False),
    "the decays are sorted; they come in the order of model.parameters()": grouped,
    "frozen parameters are in the list; only those that learn belong there": frozen_too,
}
