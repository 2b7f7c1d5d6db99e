"""The mistakes that people make in problem set 3, task 2, the target: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

import math
from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor

from minimim.feedback.check import only


def home(grid: tuple[int, int], window: int) -> Tensor:
    """Right: the number of each patch's window, (N,)."""
    n = torch.arange(grid[0] * grid[1])
    return n // grid[1] // window * grid[1] + n % grid[1] // window


def spread_of(numbers: Tensor) -> Tensor:
    """Right: the standard deviation of some patches, (M, T) → ()."""
    return (numbers.var() + 1e-6).sqrt()


def normalised(*, use=lambda hidden: ~hidden, homes=home, spread=spread_of, fallback=None, divide=None) -> Callable:
    """A mistake: other patches count (use), other windows (homes), another spread, another way out (fallback(image (N, T),
    inside (N,), hidden (N,)) → patches that count, or None for mean 0 and spread 1), or division by divide(spread)."""

    def mistaken(patches, hidden, grid, window):
        only(bool(use(hidden).any(1).all()))
        places = homes(grid, window)
        mean, std = torch.empty(2, *hidden.shape, 1, dtype=patches.dtype)
        for b, n in torch.ones_like(hidden).nonzero().tolist():
            inside = places == places[n]  # (N,)
            counts = inside & use(hidden[b])
            numbers = patches[b, counts]
            if not counts.any():
                numbers = fallback(patches[b], inside, hidden[b]) if fallback else patches[b, use(hidden[b])]
            mean[b, n], std[b, n] = (0, 1) if numbers is None else (numbers.mean(), spread(numbers))
        return (patches - mean) / (divide(std) if divide else std), mean, std

    return mistaken


def by_place(place: Callable) -> Callable:
    """Windows from the rows and columns of the patches, (N,) each, the grid and the window."""

    def homes(grid, window):
        n = torch.arange(grid[0] * grid[1])
        return place(n // grid[1], n % grid[1], grid, window)

    return homes


def variance_of(std: Tensor) -> Tensor:
    """What a spread is the root of, stated where 1e-6 makes no difference."""
    only(bool((std > 0.1).all()))
    return std.square()


def told(change: Callable) -> Callable:
    """A mistake: the right (target, mean, std), changed at the end: change(target, mean, std, hidden)."""

    def mistaken(patches, hidden, grid, window):
        target, mean, std = normalised()(patches, hidden, grid, window)
        return change(target, mean, std, hidden)

    return mistaken


def zeros_counted(patches, hidden, grid, window):
    """Statistics of all numbers of a window, the hidden ones being 0."""
    shown = patches.masked_fill(hidden.unsqueeze(-1), 0)
    only(bool((~hidden).any(1).all()))
    _, mean, std = normalised(use=torch.ones_like)(shown, hidden, grid, window)
    return (patches - mean) / std, mean, std


def over_the_batch(patches, hidden, grid, window):
    """One image made of all."""
    batch = len(patches)
    wide = [rearrange(x.unflatten(1, grid), "b r s ... -> 1 (r b s) ...") for x in (patches, hidden)]
    homes = rearrange(home(grid, window).view(grid), "r s -> r 1 s").expand(-1, batch, -1).flatten()
    parts = normalised(homes=lambda *_: homes)(*wide, grid, window)
    return tuple(rearrange(x, "1 (r b s) t -> b (r s) t", b=batch, s=grid[1]) for x in parts)


WINDOW_TARGET = {
    "the variance is the biased one: divide by one less than the count of numbers": normalised(
        spread=lambda x: (x.var(correction=0) + 1e-6).sqrt()
    ),
    "nothing keeps the standard deviation of a flat window from 0: 1e-6 is missing under the root": normalised(
        spread=Tensor.std
    ),
    "1e-6 goes under the root, to the variance, and not to the standard deviation": normalised(
        spread=lambda x: x.std() + 1e-6
    ),
    "std is raised to at least 0.001; 1e-6 goes under the root, to the variance": normalised(
        spread=lambda x: x.std().clamp(min=1e-3)
    ),
    "you divide by the variance; std is its root": normalised(divide=variance_of),
    "the standard deviation is that within single patches; the patches of a window also differ from each other": normalised(
        spread=lambda x: (x.var(dim=1).mean() + 1e-6).sqrt()
    ),
    "the standard deviation is that of the patches' means; that of all their numbers was asked for": normalised(
        spread=lambda x: (x.mean(dim=1).var() + 1e-6).sqrt()
    ),
    "hidden patches count in the statistics; only the visible may": normalised(use=torch.ones_like),
    "the hidden numbers count as zeros in the statistics; they do not count at all": zeros_counted,
    "the target of hidden patches is set to 0; every patch is normalised, hidden or not": told(
        lambda target, mean, std, hidden: (target.masked_fill(hidden.unsqueeze(-1), 0), mean, std)
    ),
    "the result is (target, mean, std), and you return std before mean": told(
        lambda target, mean, std, hidden: (target, std, mean)
    ),
    "the third result is the variance; std, its root, was asked for": told(
        lambda target, mean, std, hidden: (target, mean, std.square())
    ),
    "hidden is read upside down: True is hidden, and the statistics are those of the others": normalised(
        use=lambda hidden: hidden
    ),
    "the window is not used: the statistics are those of the image": normalised(
        homes=lambda grid, _: torch.zeros(math.prod(grid))
    ),
    "each patch has statistics of its own; its window shares them": normalised(
        use=torch.ones_like, homes=lambda grid, _: torch.arange(math.prod(grid))
    ),
    "the statistics run over the images of the batch; each image has its own": over_the_batch,
    "a window is taken as a run of window² patches in reading order; it is a square of the grid": normalised(
        homes=lambda grid, window: torch.arange(math.prod(grid)) // window**2
    ),
    "grid is (rows, cols), and you read it as (cols, rows)": normalised(homes=lambda grid, window: home(grid[::-1], window)),
    "a window takes every second or third row and column: its patches lie side by side": normalised(
        homes=by_place(lambda row, col, grid, window: row % (grid[0] // window) * grid[1] + col % (grid[1] // window))
    ),
    "window is the side of a window in patches, and you read it as the number of windows along a side": normalised(
        homes=by_place(lambda row, col, grid, window: row // (grid[0] // window) * window + col // (grid[1] // window))
    ),
    "a window without a visible patch gives NaN; it borrows from the visible patches of its image": normalised(
        fallback=lambda image, inside, hidden: torch.full_like(image, torch.nan)
    ),
    "a window without a visible patch is left as it is; it borrows from the visible patches of its image": normalised(
        fallback=lambda *_: None
    ),
    "a window without a visible patch uses its hidden ones; it borrows from the visible patches of its image": normalised(
        fallback=lambda image, inside, hidden: image[inside]
    ),
    "a window without a visible patch borrows from all of its image; only the visible may count": normalised(
        fallback=lambda image, inside, hidden: image
    ),
}
