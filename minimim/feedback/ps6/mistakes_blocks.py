"""The mistakes that people make in problem set 6, task 3, blocks that are hidden: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

import math
from collections.abc import Callable

import torch

from minimim.feedback.check import only


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
