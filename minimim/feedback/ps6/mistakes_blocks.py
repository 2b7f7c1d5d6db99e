"""The mistakes that people make in problem set 6, tasks 3 and 5, blocks that are hidden and blocks that are asked for: what a check
says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from minimim.feedback.check import only

# ps6.3


def right_corner(u: float, side: int, size: int) -> int:
    return 1 + math.floor(u * (side - 1 - size))


def rectangle(top: int, left: int, high: int, wide: int) -> list[tuple[int, int]]:
    return [(r, c) for r in range(top, top + high) for c in range(left, left + wide)]


def until_enough(rectangles: list, inner: list, count: int) -> list:
    """Right: patch by patch, none twice."""
    return list(dict.fromkeys([place for one in rectangles for place in one] + inner))[:count]


def inner_blocks(
    *,
    corner=right_corner,
    shape=None,
    place=None,
    choose=until_enough,
    lie=rectangle,
    first=1,
    upside_down=False,
    flat="rows",
) -> Callable:
    """A mistake: another corner(u, side, size); shape(height, width); place(u, v); choose(rectangles, inner, count) → places;
    rectangle's patches in another order, `lie`; inner patches from row `first` on; True = visible; patches numbered by columns."""

    def mistaken(sizes, corners, grid, count):
        rows, cols = grid
        inner = [(r, c) for r in range(first, rows - first) for c in range(first, cols - first)]
        masks = torch.zeros(len(sizes), rows * cols, dtype=torch.bool)
        for mask, shapes, places in zip(masks, sizes.tolist(), corners.tolist(), strict=True):
            made = []
            for (high, wide), (u, v) in zip(shapes, places, strict=True):
                high, wide = shape(high, wide) if shape else (high, wide)
                u, v = place(u, v) if place else (u, v)
                made.append(lie(corner(u, rows, high), corner(v, cols, wide), high, wide))
                only(all(0 <= r < rows and 0 <= c < cols for r, c in made[-1]))
            for r, c in choose(made, inner, count):
                mask[r * cols + c if flat == "rows" else c * rows + r] = True
        return ~masks if upside_down else masks

    return mistaken


def whole_rectangles(rectangles: list, inner: list, count: int) -> list:
    """Until there are enough, or more."""
    taken: dict = {}
    for one in rectangles:
        if len(taken) >= count:
            break
        taken |= dict.fromkeys(one)
    return until_enough([list(taken)], inner, max(count, len(taken)))


def those_that_fit(rectangles: list, inner: list, count: int) -> list:
    """A rectangle that would be too much is passed over."""
    taken: dict = {}
    for one in rectangles:
        if len(taken | dict.fromkeys(one)) <= count:
            taken |= dict.fromkeys(one)
    return until_enough([list(taken)], inner, count)


def stop_before(rectangles: list, inner: list, count: int) -> list:
    """The rectangle that would be too much is left out, and the rest is filled."""
    taken: dict = {}
    for one in rectangles:
        if len(taken | dict.fromkeys(one)) > count:
            break
        taken |= dict.fromkeys(one)
    return until_enough([list(taken)], inner, count)


def one_more(rectangles: list, inner: list, count: int) -> list:
    only(count < len(inner))
    return until_enough(rectangles, inner, count + 1)


def counted_twice(rectangles: list, inner: list, count: int) -> list:
    """A patch of two rectangles counts for each."""
    return list(dict.fromkeys([place for one in rectangles for place in one][:count]))


def not_filled(rectangles: list, inner: list, count: int) -> list:
    return list(dict.fromkeys(place for one in rectangles for place in one))[:count]


def all_in_reading_order(rectangles: list, inner: list, count: int) -> list:
    covered = sorted({place for one in rectangles for place in one})
    return until_enough([covered], inner, count)


def last_first(rectangles: list, inner: list, count: int) -> list:
    return until_enough(rectangles[::-1], inner, count)


def from_below(rectangles: list, inner: list, count: int) -> list:
    return until_enough(rectangles, inner[::-1], count)


def without_border(rectangles: list, inner: list, count: int) -> list:
    return until_enough([[place for place in one if place in inner] for one in rectangles], inner, count)


def trimmed_together(rectangles: list, inner: list, count: int) -> list:
    """Rectangles until there are enough; then the first of all their patches in reading order."""
    taken: set = set()
    for one in rectangles:
        if len(taken) < count:
            taken |= set(one)
    return until_enough([sorted(taken)], inner, count)


def trimmed_in_front(rectangles: list, inner: list, count: int) -> list:
    """The last rectangle keeps its end."""
    taken: list = []
    for one in [*rectangles, inner]:
        new = [place for place in one if place not in taken]
        excess = max(0, len(taken) + len(new) - count)
        taken += new[: count - len(taken)] if one is inner else new[excess:]
    return taken


def cut_too_early(rectangles: list, inner: list, count: int) -> list:
    """What comes twice is dropped after the cut."""
    return list(dict.fromkeys(([place for one in rectangles for place in one] + inner)[:count]))


def rest_again(rectangles: list, inner: list, count: int) -> list:
    """The rest begins with patches that are hidden already."""
    return (list(dict.fromkeys(place for one in rectangles for place in one)) + inner)[:count]


INNER_BLOCKS = {
    "True is visible; in this course True means hidden, see lesson 02": inner_blocks(upside_down=True),
    "rectangles touch the border: the row of `corners` is spread over all rows, and only the inner ones are free": inner_blocks(
        corner=lambda u, side, size: math.floor(u * (side - size + 1))
    ),
    "rectangles begin at row 0 and column 0: the inner patches begin at 1": inner_blocks(
        corner=lambda u, side, size: math.floor(u * (side - 1 - size))
    ),
    "rectangles lie anywhere in the grid, and lose what is on the border; they lie whole among the inner patches": inner_blocks(
        corner=lambda u, side, size: math.floor(u * (side - size + 1)), choose=without_border
    ),
    "the size is not taken off the number of places, so that rectangles reach over the border: a side of s in r inner rows has r − s + 1 places": inner_blocks(
        corner=lambda u, side, size: 1 + math.floor(u * (side - 2))
    ),
    "the places are counted in all rows and columns, so that rectangles reach over the border: a side of s in r inner rows has r − s + 1 places": inner_blocks(
        corner=lambda u, side, size: 1 + math.floor(u * (side - size + 1))
    ),
    "the last place is never reached: a side of s in r inner rows has r − s + 1 places": inner_blocks(
        corner=lambda u, side, size: 1 + math.floor(u * max(0, side - 2 - size))
    ),
    "the place is rounded to the nearest; it is rounded down, so that each place is equally likely": inner_blocks(
        corner=lambda u, side, size: 1 + round(u * (side - 2 - size))
    ),
    "the corner is drawn from all inner places and pushed back where the rectangle would stand out: places at the edge come more often": inner_blocks(
        corner=lambda u, side, size: min(1 + math.floor(u * (side - 2)), side - 1 - size)
    ),
    "height and width are exchanged: sizes[..., 0] is the height": inner_blocks(shape=lambda high, wide: (wide, high)),
    "the numbers of `corners` are exchanged: the first decides the row, the second the column": inner_blocks(
        place=lambda u, v: (v, u)
    ),
    "the last rectangle is kept whole, and more than `count` patches are hidden": inner_blocks(choose=whole_rectangles),
    "all rectangles are hidden whole, however many patches that are; exactly `count` are hidden": inner_blocks(
        choose=lambda rectangles, inner, count: until_enough(rectangles, inner, max(count, len(set().union(*rectangles))))
    ),
    "the patches of all rectangles that are needed are trimmed together, in reading order; only the last rectangle loses its end": inner_blocks(
        choose=trimmed_together
    ),
    "the last rectangle loses its beginning; its first patches are hidden, and it loses its end": inner_blocks(
        choose=trimmed_in_front
    ),
    "the order is cut after `count` entries, and only then what comes twice is dropped: drop it first": inner_blocks(
        choose=cut_too_early
    ),
    "the rest begins with inner patches that are hidden already, and these count twice": inner_blocks(choose=rest_again),
    "a rectangle that would be too large is passed over; its first patches are hidden until the count is reached": inner_blocks(
        choose=those_that_fit
    ),
    "the rectangle that would be too large is left out whole; its first patches are hidden until the count is reached": inner_blocks(
        choose=stop_before
    ),
    "one patch too many is hidden: ranks begin at 0, so those below `count` are hidden": inner_blocks(choose=one_more),
    "a patch that lies in two rectangles is counted twice, and fewer than `count` are hidden": inner_blocks(
        choose=counted_twice
    ),
    "where the rectangles are too small together, fewer than `count` patches are hidden: go on with the inner patches in reading order": inner_blocks(
        choose=not_filled
    ),
    "the patches of all rectangles are taken in reading order; first all of rectangle 0, then what rectangle 1 adds, and so on": inner_blocks(
        choose=all_in_reading_order
    ),
    "the rectangles are taken from the last to the first": inner_blocks(choose=last_first),
    "a rectangle is trimmed column by column; within a rectangle patches come in reading order, row by row": inner_blocks(
        lie=lambda top, left, high, wide: sorted(rectangle(top, left, high, wide), key=lambda place: place[::-1])
    ),
    "where the rectangles are too small together, the rest is taken from below; it comes in reading order, from the top": inner_blocks(
        choose=from_below
    ),
    "where the rectangles are too small together, the rest touches the border: only inner patches may be hidden": inner_blocks(
        first=0
    ),
    "patch (r, c) is put at c · rows + r; reading order goes row by row, r · cols + c": inner_blocks(flat="columns"),
}


# ps6.5


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
