"""The mistakes that people make in problem set 2: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

SCALE = "the scale 1/√d is missing"
SCALE_SQUARED = "the scale is 1/√d, and you divide by d itself"
QUERIES = "softmax over the queries: the weights of one query must sum to 1 over the keys"


def mix(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None = None, dim: int = -1, power: float = -0.5) -> Tensor:
    """Attention with its softmax over `dim` and its scale d^power, where allowed."""
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** power
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    return scores.softmax(dim=dim) @ v


def only(condition: bool) -> None:
    """Leave a mistake that says nothing of this input."""
    if not condition:
        raise ValueError("another input")


# ps2.1


def on_all_valid(**wrong) -> Callable:
    """A mistake in the attention itself, seen where every key is valid."""

    def mistaken(q, k, v, valid):
        only(bool(valid.all()))
        return mix(q, k, v, **wrong)

    return mistaken


def where_any_valid(mistaken: Callable) -> Callable:
    """A mistake in the masking, (q, k, v, valid (B, 1, 1, S)), seen where each sample has a valid key."""

    def stated(q, k, v, valid):
        only(bool(valid.any(1).all()))
        return mistaken(q, k, v, valid[:, None, None])

    return stated


def upside_down(q, k, v, valid):
    """Seen where each sample has keys of both kinds."""
    only(bool((valid.any(1) & ~valid.all(1)).all()))
    return mix(q, k, v, ~valid[:, None, None])


def mean_of_all(q, k, v, valid):
    """A large negative score instead of −∞."""
    valid = valid[:, None, None]  # (B, 1, 1, S)
    some = valid.any(-1, keepdim=True)  # (B, 1, 1, 1)
    return torch.where(some, mix(q, k, v, valid | ~some), v.mean(2, keepdim=True))


ATTEND = {
    SCALE: on_all_valid(power=0.0),
    SCALE_SQUARED: on_all_valid(power=-1.0),
    QUERIES: on_all_valid(dim=-2),
    "the scale is taken from the full width, heads · d; each head divides by the root of its own d": (
        lambda q, k, v, valid: on_all_valid()(q / q.shape[1] ** 0.5, k, v, valid)
    ),
    "valid is not used: padded keys still get weight": where_any_valid(lambda q, k, v, valid: mix(q, k, v)),
    "valid is read upside down: True is a real key, and it is the others that get weight 0": upside_down,
    "padded keys get the score 0, which is a score like any other: their weight must be 0": where_any_valid(
        lambda q, k, v, valid: ((q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5 * valid).softmax(-1) @ v
    ),
    "the weights of padded keys are set to 0 after the softmax, and the others no longer sum to 1": where_any_valid(
        lambda q, k, v, valid: mix(q, k, v * valid.transpose(-2, -1))
    ),
    "valid hides queries; it says which keys are real": where_any_valid(
        lambda q, k, v, valid: mix(q, k, v) * valid.transpose(-2, -1)
    ),
    "a sample without any valid key gives NaN, and zeros were asked for": lambda q, k, v, valid: (
        mix(q, k, v, valid[:, None, None])
    ),
    "a sample without any valid key gives the mean of its padding, and zeros were asked for": mean_of_all,
}


# ps2.2


def shared(spread: Callable, **wrong) -> Callable:
    """A mistake: groups are spread over the heads by spread(x, heads / groups), or the attention is another."""

    def mistaken(q, k, v):
        share = q.shape[1] // k.shape[1]
        return mix(q, spread(k, share), spread(v, share), **wrong)

    return mistaken


def in_blocks(x: Tensor, share: int) -> Tensor:
    """Right: heads 0 … share − 1 see group 0."""
    return x.repeat_interleave(share, dim=1)


def other_order(q, k, v):
    """Right heads, put together again with groups and shares swapped."""
    return rearrange(shared(in_blocks)(q, k, v), "b (g r) t d -> b (r g) t d", g=k.shape[1])


SHARED_KEYS = {
    "heads are shared in turn (0, 1, 0, 1), not in blocks (0, 0, 1, 1)": shared(lambda x, share: x.repeat(1, share, 1, 1)),
    "every head sees group 0": shared(lambda x, share: x[:, :1]),
    "the groups are averaged: each block of heads has a group of its own": shared(lambda x, share: x.mean(1, keepdim=True)),
    "the heads come out in another order: head h of the output belongs to head h of q": other_order,
    SCALE: shared(in_blocks, power=0.0),
    SCALE_SQUARED: shared(in_blocks, power=-1.0),
    QUERIES: shared(in_blocks, dim=-2),
}


# ps2.3


def by_groups(pattern: str, **wrong) -> Callable:
    """A mistake: tokens are cut into groups by an einops pattern of r, p (rows) and s, q (columns), p and q of size
    window, and attend inside their group."""
    tokens, group = pattern.split(" -> ")

    def mistaken(q, k, v, grid, window):
        sizes = {"r": grid[0] // window, "p": window, "s": grid[1] // window, "q": window}
        parts = [rearrange(x, f"b h ({tokens}) d -> b h {group} d", **sizes) for x in (q, k, v)]
        return rearrange(mix(*parts, **wrong), f"b h {group} d -> b h ({tokens}) d", **sizes)

    return mistaken


WINDOWS = "r p s q -> (r s) (p q)"  # right


def where_near(near: Callable) -> Callable:
    """A mistake: token t looks at token s where near(rows (N, N) twice, cols (N, N) twice, window) is True."""

    def mistaken(q, k, v, grid, window):
        row, col = (x.flatten() for x in torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij"))
        return mix(q, k, v, near(row[:, None], row[None], col[:, None], col[None], window))

    return mistaken


def left_in_windows(q, k, v, grid, window):
    """Right inside each window, and never put back."""
    sizes = {"r": grid[0] // window, "p": window, "q": window}
    parts = [rearrange(x, "b h (r p s q) d -> b h (r s) (p q) d", **sizes) for x in (q, k, v)]
    return mix(*parts).flatten(2, 3)


def as_many_windows(q, k, v, grid, window):
    """window² windows."""
    rows, cols = grid[0] // window, grid[1] // window
    near = where_near(lambda r, r2, c, c2, _: (r // rows == r2 // rows) & (c // cols == c2 // cols))
    return near(q, k, v, grid, window)


WINDOWED = {
    "the tokens come out window by window, and reading order was asked for": left_in_windows,
    "a window is taken as a run of window² tokens in reading order; it is a square of the grid": (
        lambda q, k, v, grid, window: mix(*(x.unflatten(2, (-1, window**2)) for x in (q, k, v))).flatten(2, 3)
    ),
    "grid is (rows, cols), and you read it as (cols, rows)": (
        lambda q, k, v, grid, window: by_groups(WINDOWS)(q, k, v, grid[::-1], window)
    ),
    "a window takes every second or third row and column: its tokens lie side by side": by_groups("p r q s -> (r s) (p q)"),
    "window is the side of a window in tokens, and you read it as the number of windows along a side": as_many_windows,
    "the window is not used: every token attends to all": lambda q, k, v, grid, window: mix(q, k, v),
    "each token looks at a square around itself; the windows stand still, and their tokens share one": where_near(
        lambda r, r2, c, c2, w: ((r - r2).abs() <= w // 2) & ((c - c2).abs() <= w // 2)
    ),
    "a token looks along the whole band of its rows: the columns must be cut as well": where_near(
        lambda r, r2, c, c2, w: r // w == r2 // w
    ),
    SCALE: by_groups(WINDOWS, power=0.0),
    SCALE_SQUARED: by_groups(WINDOWS, power=-1.0),
    QUERIES: by_groups(WINDOWS, dim=-2),
}


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


POSITIONS_3D = {
    "the column comes first and the frame last; the thirds are frame, row, column": table(order=(2, 1, 0)),
    "the column comes before the row, as in the library's 2-D table; here the row does": table(order=(0, 2, 1)),
    "the frame comes last; the thirds are frame, row, column": table(order=(1, 2, 0)),
    "the column comes first; the thirds are frame, row, column": table(order=(2, 0, 1)),
    "the tokens are in another order: the column changes fastest, then the row, and the frame last": table(tokens="c r f"),
    "the tokens are in another order: within a frame it is row by row": table(tokens="f c r"),
    "the tokens are in another order: all of frame 0 comes before frame 1": table(tokens="r c f"),
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


def with_valid(change: Callable) -> Callable:
    """A mistake: x is right, and valid is change(valid, R)."""

    def mistaken(tokens, positions, hidden, registers):
        x, valid = encode()(tokens, positions, hidden, registers)
        return x, change(valid, registers.shape[1])

    return mistaken


ENCODE_VISIBLE = {
    "a token gets the position of its place among the visible; it keeps that of its place in the image": encode(start=0),
    "positions are added after the registers were put in front, and every token gets another's": moved,
    "the positions are missing": lambda tokens, positions, hidden, registers: (
        encode()(tokens, 0 * positions, hidden, registers)
    ),
    "registers carry no position, and yours do": lambda tokens, positions, hidden, registers: (
        encode()(tokens, positions, hidden, registers + positions[: registers.shape[1]])
    ),
    "hidden is read upside down: True is hidden, and those tokens are dropped": lambda tokens, positions, hidden, registers: (
        encode()(tokens, positions, ~hidden, registers)
    ),
    "nothing is dropped: hidden tokens are still there, as zeros": not_dropped,
    "the padded places still hold hidden tokens; they must be zeros": encode(blank=False),
    "the registers are at the end; they go in front": at_the_end,
    "the samples are cut to the smallest K, and visible tokens are lost; pad to the largest": encode(longest=min),
    "the samples are padded to N; pad to the largest K of the batch": lambda tokens, positions, hidden, registers: (
        encode(longest=lambda _: tokens.shape[1])(tokens, positions, hidden, registers)
    ),
    "valid is False at the registers, and they are always valid": with_valid(
        lambda valid, lead: valid & (torch.arange(valid.shape[1]) >= lead)
    ),
    "valid is upside down: True is a register or a visible token, False is padding": with_valid(lambda valid, lead: ~valid),
    "valid holds 0 and 1 where True and False were asked for": with_valid(lambda valid, lead: valid.long()),
}
