"""The mistakes that people make in problem set 2, tasks 1 to 3, attention: what a check says of each, and a function that
makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor

from minimim.feedback.check import only

SCALE = "the scale 1/√d is missing"
SCALE_SQUARED = "the scale is 1/√d, and you divide by d itself"
QUERIES = "softmax over the queries: the weights of one query must sum to 1 over the keys"


def mix(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None = None, dim: int = -1, power: float = -0.5) -> Tensor:
    """Attention with its softmax over `dim` and its scale d^power, where allowed."""
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** power
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    return scores.softmax(dim=dim) @ v


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


def clamped(q, k, v, valid):
    """Weights made by hand, divided by a sum that is 1 at least."""
    weights = ((q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5).exp() * valid[:, None, None]  # (B, heads, T, S)
    return weights @ v / weights.sum(-1, keepdim=True).clamp(min=1)


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
    "clamp(min=1) on the sum of the weights changes every sum below 1: clamp at a tiny number, or treat a sample without any "
    "valid key apart": clamped,
    "padded keys are set to 0 and still get weight: a score of 0 is a score like any other": where_any_valid(
        lambda q, k, v, valid: mix(q, k * valid.transpose(-2, -1), v * valid.transpose(-2, -1))
    ),
    "every sample has the valid keys of the first; each has its own": lambda q, k, v, valid: mix(
        q, k, v, valid[:1, None, None].expand(len(q), -1, -1, -1)
    ),
    "valid hides queries; it says which keys are real": where_any_valid(
        lambda q, k, v, valid: mix(q, k, v) * valid.transpose(-2, -1)
    ),
    "a sample without any valid key gives NaN, and zeros were asked for": lambda q, k, v, valid: mix(
        q, k, v, valid[:, None, None]
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
    "keys are shared in blocks and values in turn: both go by the group of the head": lambda q, k, v: mix(
        q, in_blocks(k, q.shape[1] // k.shape[1]), v.repeat(1, q.shape[1] // k.shape[1], 1, 1)
    ),
    "the groups are used in reverse; the first heads look at group 0": shared(lambda x, share: in_blocks(x.flip(1), share)),
    "the blocks are one head off: head heads/groups is the first that looks at group 1": shared(
        lambda x, share: in_blocks(x, share).roll(1, 1)
    ),
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


def cut_late(q, k, v, grid, window):
    """The softmax over all tokens, and then zeros outside the window."""
    row, col = torch.arange(q.shape[2]) // grid[1] // window, torch.arange(q.shape[2]) % grid[1] // window
    inside = (row[:, None] == row) & (col[:, None] == col)  # (N, N)
    return ((q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1) * inside) @ v


def ordered_again(q, k, v, grid, window):
    """The tokens are brought into the order of the windows, and into the same order once more."""
    sizes = {"p": window, "q": window, "s": grid[1] // window}
    order = rearrange(torch.arange(q.shape[2]), "(r p s q) -> (r s p q)", **sizes)
    q, k, v = (x[:, :, order].unflatten(2, (-1, window**2)) for x in (q, k, v))
    return mix(q, k, v).flatten(2, 3)[:, :, order]


WINDOWED = {
    "the weights outside the window are set to 0 after the softmax, and those inside no longer sum to 1": cut_late,
    "the tokens were not brought back: the way back is the inverse, order.argsort(), or writing with out[:, :, order] = …, and "
    "not reading by the same order again": ordered_again,
    "the tokens come out window by window, and reading order was asked for": left_in_windows,
    "a window is taken as a run of window² tokens in reading order; it is a square of the grid": (
        lambda q, k, v, grid, window: mix(*(x.unflatten(2, (-1, window**2)) for x in (q, k, v))).flatten(2, 3)
    ),
    "rows and columns have changed places: grid is (rows, cols), and either you read it as (cols, rows), or torch.meshgrid lists "
    'the tokens down the columns, as it does with indexing="xy"': (
        lambda q, k, v, grid, window: by_groups(WINDOWS)(q, k, v, grid[::-1], window)
    ),
    "a window takes every second or third row and column: its tokens lie side by side": by_groups("p r q s -> (r s) (p q)"),
    "window is the side of a window in tokens, and you read it as the number of windows along a side": as_many_windows,
    "the window is not used: every token attends to all": lambda q, k, v, grid, window: mix(q, k, v),
    "each token looks at a square around itself; the windows stand still, and their tokens share one": where_near(
        lambda r, r2, c, c2, w: ((r - r2).abs() <= w // 2) & ((c - c2).abs() <= w // 2)
    ),
    "each token looks at a square around itself, up to window − 1 to each side; the windows stand still": where_near(
        lambda r, r2, c, c2, w: ((r - r2).abs() < w) & ((c - c2).abs() < w)
    ),
    "each token looks at a square around itself, up to `window` to each side; the windows stand still": where_near(
        lambda r, r2, c, c2, w: ((r - r2).abs() <= w) & ((c - c2).abs() <= w)
    ),
    "the windows begin one row and one column late: the first one begins at row 0, column 0": where_near(
        lambda r, r2, c, c2, w: ((r + w - 1) // w == (r2 + w - 1) // w) & ((c + w - 1) // w == (c2 + w - 1) // w)
    ),
    "a token looks along the whole band of its columns: the rows must be cut as well": where_near(
        lambda r, r2, c, c2, w: c // w == c2 // w
    ),
    "a token looks along the whole band of its rows: the columns must be cut as well": where_near(
        lambda r, r2, c, c2, w: r // w == r2 // w
    ),
    SCALE: by_groups(WINDOWS, power=0.0),
    SCALE_SQUARED: by_groups(WINDOWS, power=-1.0),
    QUERIES: by_groups(WINDOWS, dim=-2),
}
