"""The mistakes that people make in problem set 2, tasks 4 and 5, positions and the encoder's input: what a check says of
each, and a function that makes it. `only` leaves a mistake that says nothing of an input."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange

from minimim.feedback.check import only

# ps2.4


def table(order=(0, 1, 2), tokens="f r c", layout="a w i", waves=(torch.sin, torch.cos), rate=None, first=0) -> Callable:
    """A mistake: axes encoded in another order, tokens counted in another order, waves laid out otherwise (a axis, w wave,
    i rate), other rates (by the number of them), or places counted from another first."""

    def mistaken(dim, grid):
        count = dim // 6
        rates = 10000.0 ** -(torch.arange(count) / count if rate is None else rate(count))  # (dim/6,)
        places = torch.meshgrid(*(first + torch.arange(float(n)) for n in grid), indexing="ij")
        angles = torch.stack([places[n] for n in order])[..., None] * rates  # (3, F, R, C, dim/6)
        both = torch.stack([wave(angles) for wave in waves])  # (2, 3, F, R, C, dim/6)
        return rearrange(both, f"w a f r c i -> ({tokens}) ({layout})")

    return mistaken


def other_rate(divisor: int) -> Callable:
    """Rates 10000^(-i / (dim / divisor))."""
    return table(rate=lambda count: torch.arange(count) / (6 * count / divisor))


def scaled(dim, grid):
    rates = 10000.0 ** -(torch.arange(dim // 6) / (dim // 6))  # (dim/6,)
    places = torch.meshgrid(*(torch.arange(n) / n for n in grid), indexing="ij")
    angles = [place.reshape(-1, 1) * rates for place in places]
    return torch.cat([part for a in angles for part in (a.sin(), a.cos())], dim=1)


POSITIONS_3D = {
    "the column comes first and the frame last; the thirds are frame, row, column": table(order=(2, 1, 0)),
    "the column comes before the row, as in the library's 2-D table; here the row does": table(order=(0, 2, 1)),
    "the frame comes last; the thirds are frame, row, column": table(order=(1, 2, 0)),
    "the column comes first; the thirds are frame, row, column": table(order=(2, 0, 1)),
    "the tokens are in another order: the column changes fastest, then the row, and the frame last": table(tokens="c r f"),
    "the tokens are in another order: within a frame it is row by row": table(tokens="f c r"),
    "the tokens are in another order: all of frame 0 comes before frame 1": table(tokens="r c f"),
    'the tokens are in another order: torch.meshgrid(…, indexing="xy") changes frame and row round; use indexing="ij"': table(
        tokens="r f c"
    ),
    "the cosines come first; each third begins with its sines": table(waves=(torch.cos, torch.sin)),
    "sine and cosine alternate; each third is all its sines, then all its cosines": table(layout="a i w"),
    "all sines, then all cosines: each third must hold its own sines and cosines": table(layout="w a i"),
    "the rates are 10000^(-i / (dim/6)), and you divide i by dim/2": other_rate(2),
    "the rates are 10000^(-i / (dim/6)), and you divide i by dim/3": other_rate(3),
    "the rates are 10000^(-i / (dim/6)), and you divide i by dim/4, as the 2-D table does": other_rate(4),
    "the last rate is 10000^(-(n - 1)/n) with n = dim/6, and yours is 1/10000": table(
        rate=lambda count: torch.linspace(0, 1, count)
    ),
    "the places count from 0, and yours from 1": table(first=1),
    "the rates begin with i = 1; they begin with i = 0, so that the first rate is 1": table(
        rate=lambda count: (1 + torch.arange(count)) / count
    ),
    "each place is divided by the length of its axis; it counts whole steps": scaled,
    "the cosines are sines: each third is all its sines, then all its cosines": table(waves=(torch.sin, torch.sin)),
}


# ps2.5


def encode(*, start=None, longest=max, blank=True) -> Callable:
    """A mistake: start counts positions among the visible from there, where each token should keep its own; longest: of
    the counts; blank=False leaves hidden tokens in the padding."""

    def mistaken(tokens, positions, hidden, registers):
        batch, _, dim = tokens.shape
        kept = (~hidden).sum(1)  # (B,)
        order = hidden.long().argsort(dim=1, stable=True)  # (B, N), visible ones first
        size = longest(kept.tolist())
        real = torch.arange(size) < kept.unsqueeze(1)  # (B, size)
        x = tokens + positions if start is None else tokens  # (B, N, D)
        x = x.gather(1, order.unsqueeze(-1).expand(-1, -1, dim))[:, :size]  # (B, size, D)
        if start is not None:
            only(bool(real.all()))
            x = x + positions[start : start + size]
        if blank:
            x = x * real.unsqueeze(-1)
        x = torch.cat([registers.expand(batch, -1, -1), x], dim=1)  # (B, R+size, D)
        return x, F.pad(real, (registers.shape[1], 0), value=True)

    return mistaken


def moved(tokens, positions, hidden, registers):
    """Positions are added last, to registers and visible alike."""
    lead = registers.shape[1]
    return encode(start=lead)(tokens, positions, hidden, registers + positions[:lead])


def at_the_end(tokens, positions, hidden, registers):
    """Registers behind the padding."""
    return tuple(part.roll(-registers.shape[1], dims=1) for part in encode()(tokens, positions, hidden, registers))


def not_dropped(tokens, positions, hidden, registers):
    """Hidden tokens stay as zeros, each in its place."""
    valid = F.pad(~hidden, (registers.shape[1], 0), value=True)  # (B, R+N)
    x, _ = encode()(tokens, positions, torch.zeros_like(hidden), registers)  # (B, R+N, D)
    return x * valid.unsqueeze(-1), valid


def read_there(tokens, positions, hidden, registers):
    """Each visible token's place in the result is where it is read from."""
    only(bool((~hidden).any()))
    place = ((~hidden).cumsum(1) - 1).clamp(min=0)[:, : int((~hidden).sum(1).max())]  # (B, Kmax)
    _, valid = encode()(tokens, positions, hidden, registers)
    x = (tokens + positions).gather(1, place.unsqueeze(-1).expand(-1, -1, tokens.shape[2]))
    x = x * valid[:, registers.shape[1] :, None]
    return torch.cat([registers.expand(len(x), -1, -1), x], dim=1), valid


def not_zero(tokens, positions, hidden, registers):
    """Right, but for valid where the sum is zero."""
    x, _ = encode()(tokens, positions, hidden, registers)
    return x, (x != 0).any(-1)


def not_zero_visible(tokens, positions, hidden, registers):
    """Registers are valid; of the others, those that are not zero."""
    x, valid = not_zero(tokens, positions, hidden, registers)
    return x, valid | (torch.arange(x.shape[1]) < registers.shape[1])


def padded_in_front(tokens, positions, hidden, registers):
    lead = registers.shape[1]
    x, valid = encode()(tokens, positions, hidden, registers)
    order = torch.cat([torch.zeros_like(valid[:, :lead]), valid[:, lead:]], 1).long()
    order[:, :lead] = -1
    ids = order.argsort(dim=1, stable=True)
    return x.gather(1, ids.unsqueeze(-1).expand_as(x)), valid.gather(1, ids)


def with_valid(change: Callable) -> Callable:
    """A mistake: x is right, and valid is change(valid, R)."""

    def mistaken(tokens, positions, hidden, registers):
        x, valid = encode()(tokens, positions, hidden, registers)
        return x, change(valid, registers.shape[1])

    return mistaken


ENCODE_VISIBLE = {
    "a token gets the position of its place among the visible; it keeps that of its place in the image": encode(start=0),
    "positions are added after the registers were put in front, and every token gets another's": moved,
    "the positions are missing": lambda tokens, positions, hidden, registers: encode()(
        tokens, 0 * positions, hidden, registers
    ),
    "registers carry no position, and yours do": lambda tokens, positions, hidden, registers: encode()(
        tokens, positions, hidden, registers + positions[: registers.shape[1]]
    ),
    "hidden is read upside down: True is hidden, and those tokens are dropped": lambda tokens, positions, hidden, registers: (
        encode()(tokens, positions, ~hidden, registers)
    ),
    "nothing is dropped: hidden tokens are still there, as zeros": not_dropped,
    "valid is read off the zeros, and a visible token or a register may be zero: valid follows from hidden": not_zero,
    "valid is read off the zeros, and a visible token may be zero: valid follows from hidden": not_zero_visible,
    "the filling stands between the registers and the tokens; it belongs at the end": padded_in_front,
    "cumsum says where in the result a visible token is to be written, and you read from there: scatter, or a stable argsort of "
    "hidden, which says what to read": read_there,
    "every sample drops the places that the first one hides; each has its own": lambda tokens, positions, hidden, registers: (
        encode()(tokens, positions, hidden[:1].expand_as(hidden), registers)
    ),
    "the registers are missing; they go in front": lambda tokens, positions, hidden, registers: encode()(
        tokens, positions, hidden, registers[:, :0]
    ),
    "the padded places still hold hidden tokens; they must be zeros": encode(blank=False),
    "the registers are at the end; they go in front": at_the_end,
    "the samples are cut to the smallest K, and visible tokens are lost; pad to the largest": encode(longest=min),
    "the samples are padded to N; pad to the largest K of the batch": lambda tokens, positions, hidden, registers: encode(
        longest=lambda _: tokens.shape[1]
    )(tokens, positions, hidden, registers),
    "valid is False at the registers, and they are always valid": with_valid(
        lambda valid, lead: valid & (torch.arange(valid.shape[1]) >= lead)
    ),
    "valid is upside down: True is a register or a visible token, False is padding": with_valid(lambda valid, lead: ~valid),
    "valid holds 0 and 1 where True and False were asked for": with_valid(lambda valid, lead: valid.long()),
}
