"""The mistakes that people make in problem set 3, task 1, the decoder's input: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minimim.feedback.check import only


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


def taken_for_last(ids: Tensor, valid: Tensor) -> Tensor:
    """As many tokens as are valid, from the start of the row on."""
    return torch.arange(valid.shape[1]) < valid.sum(1, keepdim=True)


def multiplied(spread: bool) -> Callable:
    """A mistake: padding is multiplied by 0 and added, at all places (spread), as a product with a 0/1 matrix does it, or
    at the place that its id names."""

    def mistaken(latents, ids, valid, mask_token, positions):
        zeros = torch.where(valid.unsqueeze(-1), 0, 0 * latents)  # (B, K, D), 0 or NaN
        x = put(latents, ids, valid, masks(latents, mask_token, positions)) + positions
        for b, k in (~valid).nonzero().tolist():
            places = slice(None) if spread else max(0, int(ids[b, k]))
            x[b, places] += zeros[b, k]
        return x

    return mistaken


def written_as_masks(latents, ids, valid, mask_token, positions):
    """Padding writes a mask token to the place of its id, token after token."""
    only(bool((ids >= 0).all()))
    tokens = torch.where(valid.unsqueeze(-1), latents, mask_token)
    return put(tokens, ids, torch.ones_like(valid), masks(latents, mask_token, positions)) + positions


def written_as_zeros(latents, ids, valid, mask_token, positions):
    """Padding writes zeros to place 0."""
    only(bool(latents.isfinite().all()))
    zeroed, places = latents * valid.unsqueeze(-1), ids * valid
    return put(zeroed, places, torch.ones_like(valid), masks(latents, mask_token, positions)) + positions


def to_every_image(latents, ids, valid, mask_token, positions):
    x = masks(latents, mask_token, positions).clone()
    x[:, ids[valid]] = latents[valid]
    return x + positions


def found_by_zeros(latents, ids, valid, mask_token, positions):
    x = put(latents, ids, valid, 0 * masks(latents, mask_token, positions))
    return torch.where(x == 0, mask_token, x) + positions


RESTORE = {
    "padding was put in place: where valid is False, the token and its id count for nothing": padding_placed,
    "in short samples the padding fills hidden places: the mask token belongs there": padding_instead,
    "the tokens are put in reading order: the k-th that arrives belongs to place ids[b, k]": with_places(reading_order),
    "the shuffle is repeated, not undone: ids says where a token goes, not which token comes here": not_undone,
    "the padding is taken to stand at the end of the row; valid says where it stands": (
        lambda latents, ids, valid, mask_token, positions: (
            put(latents, ids, taken_for_last(ids, valid), masks(latents, mask_token, positions)) + positions
        )
    ),
    "NaN · 0 is NaN: the padding was multiplied by 0 and added everywhere, as a product with a 0/1 matrix does; leave it out": (
        multiplied(spread=True)
    ),
    "NaN · 0 is NaN: the padding was multiplied by 0 and added at the place of its id; leave it out": multiplied(
        spread=False
    ),
    "padding writes a mask token to the place of its id, where a real token may stand; padding writes nothing": written_as_masks,
    "padding writes zeros to place 0; padding writes nothing": written_as_zeros,
    "every image gets the tokens of all images: index the image as well as the place": to_every_image,
    "hidden places are found by looking for zeros; a token may hold zeros too": found_by_zeros,
    "places count from 0, and you count them from 1": with_places(lambda ids, valid: ids - 1),
    "the visible tokens get their position twice": lambda latents, ids, valid, mask_token, positions: (
        put(latents + positions[ids * valid], ids, valid, masks(latents, mask_token, positions)) + positions
    ),
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
