"""The mistakes that people make in problem set 6, task 5, blocks that are asked for: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def overlap(one: set, taken: list[set], before: list[set]) -> bool:
    """Right: with what is taken."""
    return any(one & other for other in taken)


def lowest(patches: set, noise: list[float], keep: int) -> list[int]:
    return sorted(patches, key=lambda n: noise[n])[:keep]


def targets_and_context(
    *, clash=overlap, stop=True, fill=None, minus="taken", order=lowest, keep=None, turned=False, room=None, upside_down=False,
    avoid=None, spend="", flipped=False
) -> Callable:  # fmt: skip
    """A mistake: another clash(block, taken, earlier candidates); no stop at T; fill(blocks of an image, how many were found) for those
    that were not found; the context is minus "taken", "all" candidates or "none"; order(patches, noise, keep); keep(sizes of what is
    free, sizes of the contexts) → (B,) how many; turned: (width, height); room(top, left, high, wide) → another context; upside_down: True = not shown;
    avoid: candidates that touch the "targets" or overlap with the "context" are passed over too; spend: one that is passed over costs
    its "place" among the targets or ends the "search"; flipped: corners are (column, row)."""

    def mistaken(corners, size, targets, context, noise, grid):
        def block(top, left, high, wide):
            return {
                r * grid[1] + c for r in range(top, min(top + high, grid[0])) for c in range(left, min(left + wide, grid[1]))
            }

        high, wide = size[::-1] if turned else size
        blocks, free, whole = torch.zeros(len(corners), targets, grid[0] * grid[1], dtype=torch.bool), [], []
        for b, candidates in enumerate(corners.tolist()):
            taken: list[set] = []
            before: list[set] = []
            for top, left in (corner[::-1] for corner in candidates) if flipped else candidates:
                one = block(top, left, high, wide)
                around = block(max(0, top - 1), max(0, left - 1), high + min(1, top) + 1, wide + min(1, left) + 1)
                near = {"targets": set().union(*taken) & around, "context": one & block(*context[b].tolist())}
                bad = clash(one, taken, before) or (avoid and near[avoid])
                if bad and spend == "search":
                    break
                if bad and spend == "place":
                    one = set()
                if (len(taken) < targets or not stop) and (not bad or spend == "place"):
                    taken.append(one)
                before.append(one)
            for t, one in enumerate(taken[:targets]):
                blocks[b, t, sorted(one)] = True
            if fill:
                fill(blocks[b], min(len(taken), targets), before, taken)
            whole.append(block(*(room(*context[b].tolist()) if room else context[b].tolist())))
            gone = {"taken": taken, "all": before, "none": []}[minus]
            free.append(whole[-1] - set().union(*gone))
        counts = keep(list(map(len, free)), list(map(len, whole))) if keep else [min(map(len, free))] * len(free)
        visible = torch.zeros(noise.shape, dtype=torch.bool)
        for b, patches in enumerate(free):
            visible[b, order(patches, noise[b].tolist(), counts[b])] = True
        return blocks, ~visible if upside_down else visible

    return mistaken


def repeat_the_last(blocks: Tensor, found: int, before: list, taken: list) -> None:
    blocks[found:] = blocks[found - 1 : found]


def take_the_first_after_all(blocks: Tensor, found: int, before: list, taken: list) -> None:
    """Candidates that overlap, where there is no other."""
    left = [one for one in before if one not in taken]
    for t, one in enumerate(left[: len(blocks) - found]):
        blocks[found + t, sorted(one)] = True


def in_front(patches: set, noise: list[float], keep: int) -> list[int]:
    return sorted(patches)[:keep]


def among_all(patches: set, noise: list[float], keep: int) -> list[int]:
    """Noise is ranked among all patches of the image."""
    return [n for n in sorted(range(len(noise)), key=lambda n: noise[n])[:keep] if n in patches]


TARGETS = {
    "the first candidates are taken, also where they overlap: one that shares a patch with a block that is taken is passed over": targets_and_context(
        clash=lambda one, taken, before: False
    ),
    "a candidate is compared with the last block that was taken; it may share no patch with any of them": targets_and_context(
        clash=lambda one, taken, before: bool(taken) and bool(one & taken[-1])
    ),
    "a candidate is compared with all candidates before it, also with those that were passed over; only the blocks that are taken count": (
        targets_and_context(clash=lambda one, taken, before: any(one & other for other in before))
    ),
    "a candidate is compared with the first block alone; it may share no patch with any block that is taken": targets_and_context(
        clash=lambda one, taken, before: bool(taken) and bool(one & taken[0])
    ),
    "a candidate that lies in the context is passed over; it is the context that gives way: patches of targets are not shown": (
        targets_and_context(avoid="context")
    ),
    "a candidate that touches a target is passed over; blocks may touch, if they share no patch": targets_and_context(
        avoid="targets"
    ),
    "a candidate that is passed over leaves an empty target behind; the next candidate that fits takes that place": targets_and_context(
        spend="place"
    ),
    "the first candidate that is passed over ends the search; the next one is tried": targets_and_context(spend="search"),
    "the numbers of `corners` are exchanged: the first is the row, the second the column": targets_and_context(flipped=True),
    "blocks beyond the number of targets are taken out of the context too; an image is done when it has `targets` of them": (
        targets_and_context(stop=False)
    ),
    "height and width are exchanged: size is (height, width)": targets_and_context(turned=True),
    "targets that could not be placed repeat the last one; they hold no patch at all": targets_and_context(
        fill=repeat_the_last
    ),
    "targets that could not be placed are filled with candidates that overlap; they hold no patch at all": targets_and_context(
        fill=take_the_first_after_all
    ),
    "the context still holds patches of targets": targets_and_context(minus="none"),
    "the context also lacks the patches of candidates that were passed over; only those of targets are taken out": targets_and_context(
        minus="all"
    ),
    "images show different numbers of patches; each shows as many as the image of the batch with the fewest": targets_and_context(
        keep=lambda free, whole: free
    ),
    "of a context that is too large the first patches in reading order stay, and the lower part is never shown; those with the lowest noise stay": (
        targets_and_context(order=in_front)
    ),
    "of a context that is too large the patches with the highest noise stay; those with the lowest noise stay": targets_and_context(
        order=lambda patches, noise, keep: lowest(patches, [-x for x in noise], keep)
    ),
    "noise is ranked among all patches, so that too few are shown: rank it among those that are free": targets_and_context(
        order=among_all
    ),
    "patches are counted before those of targets are taken out of the context": targets_and_context(
        keep=lambda free, whole: [min(whole)] * len(free)
    ),
    "the context is read as (top, left, bottom, right); it is (top, left, height, width)": targets_and_context(
        room=lambda top, left, high, wide: (top, left, max(0, high - top), max(0, wide - left))
    ),
    "the context is the whole image minus the targets; it is a block": targets_and_context(
        room=lambda top, left, high, wide: (0, 0, 10**6, 10**6)
    ),
    "height and width of the context are exchanged: it is (top, left, height, width)": targets_and_context(
        room=lambda top, left, high, wide: (top, left, wide, high)
    ),
    "visible is upside down: here True is shown": targets_and_context(upside_down=True),
}
