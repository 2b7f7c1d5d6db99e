"""The mistakes that people make in problem set 3, tasks 1 to 3, the decoder's input, the target and the loss: what a
check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

import math
from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor

from minimim.feedback.check import only

# ps3.1


def put(latents: Tensor, ids: Tensor, valid: Tensor, base: Tensor) -> Tensor:
    """Right: latents to their places, over base (B, N, D). A later one takes the place of an earlier."""
    x = base.clone()
    for b, k in valid.nonzero().tolist():
        x[b, ids[b, k]] = latents[b, k]
    return x


def masks(latents: Tensor, mask_token: Tensor, positions: Tensor) -> Tensor:
    """A mask token at every place, (B, N, D)."""
    return mask_token.expand(len(latents), *positions.shape)


def order_of(ids: Tensor, valid: Tensor, count: int) -> Tensor:
    """Which place each token fills, (B, N): the valid ones theirs, the padding and what comes after it what is left."""
    rows = []
    for here, real in zip(ids.tolist(), valid.tolist(), strict=True):
        taken = [place for place, is_real in zip(here, real, strict=True) if is_real]
        left = [place for place in range(count) if place not in taken]
        rows.append([place if is_real else left.pop(0) for place, is_real in zip(here, real, strict=True)] + left)
    return torch.tensor(rows)


def with_places(places: Callable) -> Callable:
    """A mistake: a sample's tokens go to the places places(ids (B, K), valid (B, K))."""
    return lambda latents, ids, valid, mask_token, positions: (
        put(latents, places(ids, valid), valid, masks(latents, mask_token, positions)) + positions
    )


def reading_order(ids: Tensor, valid: Tensor) -> Tensor:
    """The places of the valid tokens, the smallest for the first that arrives."""
    ids = ids.clone()
    for row, real in zip(ids, valid, strict=True):
        row[real] = row[real].sort().values
    return ids


def padding_placed(latents, ids, valid, mask_token, positions):
    only(bool((ids >= 0).all()))
    return put(latents, ids, torch.ones_like(valid), masks(latents, mask_token, positions)) + positions


def padding_instead(latents, ids, valid, mask_token, positions):
    """All tokens, padding too, and mask tokens after them, as where each sample keeps the same number."""
    order = order_of(ids, valid, len(positions))
    x = torch.cat([latents, masks(latents, mask_token, positions)], dim=1)[:, : len(positions)]  # (B, N, D)
    return put(x, order, torch.ones_like(order).bool(), x) + positions


def not_undone(latents, ids, valid, mask_token, positions):
    only(bool(valid.all()))
    x = torch.cat([latents, masks(latents, mask_token, positions)], dim=1)
    return torch.stack([row[order] for row, order in zip(x, order_of(ids, valid, len(positions)), strict=True)]) + positions


def on_arrival(latents, ids, valid, mask_token, positions):
    return put(latents + positions[: latents.shape[1]], ids, valid, masks(latents, mask_token, positions))


def positioned(visible: bool, hidden: bool) -> Callable:
    """A mistake: positions are added at some places only."""

    def mistaken(latents, ids, valid, mask_token, positions):
        base = masks(latents, mask_token, positions)
        seen = put(torch.ones_like(latents), ids, valid, torch.zeros_like(base))  # (B, N, D), 1 = visible
        return put(latents, ids, valid, base) + positions * (visible * seen + hidden * (1 - seen))

    return mistaken


RESTORE = {
    "padding was put in place: where valid is False, the token and its id count for nothing": padding_placed,
    "in short samples the padding fills hidden places: the mask token belongs there": padding_instead,
    "the tokens are put in reading order: the k-th that arrives belongs to place ids[b, k]": with_places(reading_order),
    "the shuffle is repeated, not undone: ids says where a token goes, not which token comes here": not_undone,
    "every sample uses the ids of sample 0": with_places(lambda ids, valid: ids[:1].expand_as(ids)),
    "valid is read upside down: True is a real token": lambda latents, ids, valid, mask_token, positions: (
        put(latents, ids, ~valid, masks(latents, mask_token, positions)) + positions
    ),
    "the mask token is missing: hidden places hold a position alone": lambda latents, ids, valid, mask_token, positions: (
        put(latents, ids, valid, masks(latents, 0 * mask_token, positions)) + positions
    ),
    "the mask token was added to the visible tokens as well; it stands in their place": (
        lambda latents, ids, valid, mask_token, positions: (
            put(latents + mask_token, ids, valid, masks(latents, mask_token, positions)) + positions
        )
    ),
    "positions were added in the order of arrival: a token gets that of the place it goes to, a mask token too": on_arrival,
    "the mask tokens have no position, and are all alike": positioned(visible=True, hidden=False),
    "the visible tokens have no position; the encoder's does not replace it": positioned(visible=False, hidden=True),
    "the positions are missing": positioned(visible=False, hidden=False),
}


# ps3.2


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
    "nothing keeps the spread of a flat window from 0: 1e-6 is missing under the root": normalised(spread=Tensor.std),
    "1e-6 goes under the root, to the variance, and not to the spread": normalised(spread=lambda x: x.std() + 1e-6),
    "you divide by the variance; std is its root": normalised(divide=lambda std: std.square() - 1e-6),
    "the spread is that within single patches; that from one patch of the window to another counts too": normalised(
        spread=lambda x: (x.var(dim=1).mean() + 1e-6).sqrt()
    ),
    "hidden patches count in the statistics; only the visible may": normalised(use=torch.ones_like),
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


# ps3.3


def loss(*, counts=lambda hidden: hidden, weigh=None, total=None, error=torch.square, over=torch.mean, mean=None):
    """A mistake, stated where all numbers are finite and each image hides something that weighs: other places count,
    weigh changes the weights (B, N), 0 at the others, total gives what an image is divided by (weights, hidden, all weights)
    → (B,), another error, summed over T by `over`, or another mean(sums (B,), totals (B,))."""

    def mistaken(prediction, target, hidden, weights):
        only(bool(target.isfinite().all() and (weights * hidden).sum(1).all()))
        places = counts(hidden)
        errors = over(error(prediction - target), dim=-1)  # (B, N)
        used = torch.where(places, weigh(weights) if weigh else weights, 0)
        sums = (used * errors).sum(1)
        totals = total(used, places, weights) if total else used.sum(1)
        return mean(sums, totals) if mean else (sums / totals).mean()

    return mistaken


def empty(settle: Callable) -> Callable:
    """A mistake with images that have nothing to score, stated where all is finite: settle(sums (B,), totals (B,))."""

    def mistaken(prediction, target, hidden, weights):
        only(bool(target.isfinite().all()))
        used = weights * hidden
        return settle((used * (prediction - target).square().mean(-1)).sum(1), used.sum(1))

    return mistaken


def multiplied(prediction, target, hidden, weights):
    """Right, but for ∞ · 0."""
    used = weights * hidden
    sums, totals = (used * (prediction - target).square().mean(-1)).sum(1), used.sum(1)
    return (sums / totals.where(totals > 0, 1)).sum() / (totals > 0).sum().clamp(min=1)


IMAGE_LOSS = {
    "each patch counts the same, so that an image that hides more counts more: first a mean for each image": loss(
        mean=lambda sums, totals: sums.sum() / totals.sum()
    ),
    "an image is divided by how many patches it hides; with weights, by their sum": loss(
        total=lambda used, places, weights: places.sum(1)
    ),
    "an image is divided by all N patches; only the weights of the hidden count": loss(
        total=lambda used, places, weights: torch.full((len(used),), used.shape[1])
    ),
    "an image is divided by the weights of all its patches; only those of the hidden count": loss(
        total=lambda used, places, weights: weights.sum(1)
    ),
    "the weights are not used": loss(weigh=torch.ones_like),
    "visible patches count as well": loss(counts=torch.ones_like),
    "hidden is read upside down: True is hidden, and it is the hidden that count": loss(counts=lambda hidden: ~hidden),
    "the squares of a patch are summed; their mean over T was asked for": loss(over=torch.sum),
    "the error is the absolute one; the squared one was asked for": loss(error=torch.abs),
    "the images are summed; their mean was asked for": loss(mean=lambda sums, totals: (sums / totals).sum()),
    "an image with nothing to score gives NaN: 0 / 0": empty(lambda sums, totals: (sums / totals).mean()),
    "an image with nothing to score is counted, with loss 0; it is left out of the mean": empty(
        lambda sums, totals: (sums / totals.where(totals > 0, 1)).mean()
    ),
    "a batch with nothing to score gives NaN; its loss is 0": empty(lambda sums, totals: (sums / totals)[totals > 0].mean()),
    "∞ · 0 is NaN: visible places must be left out, not multiplied by 0": multiplied,
}
