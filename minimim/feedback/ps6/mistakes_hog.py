"""The mistakes that people make in problem set 6, task 1, histograms of directions: what a check says of each, and a function that
makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from minimim.feedback.check import only


def turned(across: Tensor, down: Tensor, bins: int) -> Tensor:
    """The direction of each gradient, 0 to `bins` for half a turn."""
    return (torch.atan2(down, across) / torch.pi * bins) % bins


def shared(turn: Tensor, votes: Tensor, bins: int) -> Tensor:
    """Votes divided between the two nearest directions: (B, bins, H, W)."""
    low, part = turn.floor(), turn - turn.floor()
    return one_hot(low, bins, votes * (1 - part)) + one_hot(low + 1, bins, votes * part)


def one_hot(number: Tensor, bins: int, votes: Tensor) -> Tensor:
    """Votes at one direction each: (B, bins, H, W)."""
    return (F.one_hot(number.long() % bins, bins) * votes.unsqueeze(-1)).permute(0, 3, 1, 2)


def pooled(maps: Tensor, patch_size: int, cells: tuple[int, int], margin: int) -> Tensor:
    """The sums over all cells: (B, bins, rows of cells, columns of cells)."""
    high, wide = patch_size // cells[0], patch_size // cells[1]
    window = (high + 2 * margin, wide + 2 * margin)
    return F.avg_pool2d(F.pad(maps, [margin] * 4), window, stride=(high, wide), divisor_override=1)


def invented(mode: str) -> Callable:
    """The sums where something stands around the image."""

    def pool(maps: Tensor, patch_size: int, cells: tuple[int, int], margin: int) -> Tensor:
        only(margin < min(maps.shape[2:]))
        high, wide = patch_size // cells[0], patch_size // cells[1]
        window = (high + 2 * margin, wide + 2 * margin)
        return F.avg_pool2d(F.pad(maps, [margin] * 4, mode=mode), window, stride=(high, wide), divisor_override=1)

    return pool


def one_sided(maps: Tensor, patch_size: int, cells: tuple[int, int], margin: int) -> Tensor:
    """The margin lies below and to the right alone."""
    high, wide = patch_size // cells[0], patch_size // cells[1]
    return F.avg_pool2d(
        F.pad(maps, [0, margin, 0, margin]), (high + margin, wide + margin), stride=(high, wide), divisor_override=1
    )


def without_corners(maps: Tensor, patch_size: int, cells: tuple[int, int], margin: int) -> Tensor:
    """The margin is a cross: rows above and below, columns beside the cell."""
    high, wide = patch_size // cells[0], patch_size // cells[1]
    sums = [
        F.avg_pool2d(F.pad(maps, [x, x, y, y]), (high + 2 * y, wide + 2 * x), stride=(high, wide), divisor_override=1)
        for y, x in ((margin, 0), (0, margin), (0, 0))
    ]
    return sums[0] + sums[1] - sums[2]


def mean_of_what_is_there(maps: Tensor, patch_size: int, cells: tuple[int, int], margin: int) -> Tensor:
    return pooled(maps, patch_size, cells, margin) / pooled(torch.ones_like(maps), patch_size, cells, margin)


def within_the_patch(maps: Tensor, patch_size: int, cells: tuple[int, int], margin: int) -> Tensor:
    """The margin ends at the patch's own edge."""
    rows, cols = (side // patch_size for side in maps.shape[2:])
    apart = rearrange(maps, "b n (u p) (v q) -> (b u v) n p q", u=rows, v=cols)
    return rearrange(pooled(apart, patch_size, cells, margin), "(b u v) n r c -> b n (u r) (v c)", u=rows, v=cols)


def around_the_patch(maps: Tensor, patch_size: int, cells: tuple[int, int], margin: int) -> Tensor:
    """The patch grows by the margin, and its cells grow with it, so that they still lie side by side."""
    only(margin > 0 and all((patch_size + 2 * margin) % c == 0 for c in cells))
    grown = patch_size + 2 * margin
    windows = F.pad(maps, [margin] * 4).unfold(2, grown, patch_size).unfold(3, grown, patch_size)  # (B, bins, u, v, P', P')
    u, v = windows.shape[2:4]
    sums = pooled(rearrange(windows, "b n u v p q -> (b u v) n p q"), grown, cells, 0)
    return rearrange(sums, "(b u v) n r c -> b n (u r) (v c)", u=u, v=v)


def scaled(x: Tensor) -> Tensor:
    """A patch's numbers (…, numbers) brought to length 1; zeros stay."""
    length = x.norm(dim=-1, keepdim=True)
    return x / torch.where(length > 0, length, 1)


def cell_by_cell(x: Tensor, bins: int) -> Tensor:
    return scaled(x.unflatten(-1, (-1, bins))).flatten(-2)


def added(small: float) -> Callable:
    return lambda x, bins: x / (x.norm(dim=-1, keepdim=True) + small)


def raised(least: float) -> Callable:
    return lambda x, bins: x / x.norm(dim=-1, keepdim=True).clamp(min=least)


def hog(
    *,
    turn=turned,
    vote=None,
    share=shared,
    pool=pooled,
    scale=lambda x, bins: scaled(x),
    order="b (u v) (r c n)",
    swapped=False,
    sized=False,
    length=None,
) -> Callable:
    """A mistake: another turn(across, down, bins), vote(length), share(turn, votes, bins) → (B, bins, H, W), pool(maps, patch_size,
    cells, margin), scale(numbers, bins), order of the result, rows and columns of cells exchanged, `cells` as the size of a cell, or
    another length(across, down)."""

    def mistaken(across, down, patch_size, cells, margin, bins):
        cells = cells[::-1] if swapped else cells
        cells = (patch_size // cells[0], patch_size // cells[1]) if sized else cells
        votes = length(across, down) if length else (across.square() + down.square()).sqrt()
        maps = share(turn(across, down, bins), vote(votes) if vote else votes, bins)
        sums = pool(maps, patch_size, cells, margin)
        return scale(rearrange(sums, f"b n (u r) (v c) -> {order}", r=cells[0], c=cells[1]), bins)

    return mistaken


def signed(across: Tensor, down: Tensor, bins: int) -> Tensor:
    """A whole turn."""
    return (torch.atan2(down, across) / torch.pi / 2 * bins) % bins


def whole(to: Callable) -> Callable:
    """Votes that are not divided, stated where no direction lies so near to where it changes sides that rounding decides."""

    def share(turn: Tensor, votes: Tensor, bins: int) -> Tensor:
        only(bool(((2 * turn - (2 * turn).round()).abs() > 1e-4)[votes > 0].all()))
        return one_hot(to(turn), bins, votes)

    return share


def exchanged(turn: Tensor, votes: Tensor, bins: int) -> Tensor:
    only(bool(((turn - turn.round()).abs() > 1e-4)[votes > 0].all()))
    return shared(2 * turn.floor() + 1 - turn, votes, bins)


def one_each(votes: Tensor) -> Tensor:
    only(bool((votes > 0).all()))
    return torch.ones_like(votes)


def cut_short(turn: Tensor, votes: Tensor, bins: int) -> Tensor:
    """What lies beyond the last direction goes to nobody."""
    low, part = turn.floor(), turn - turn.floor()
    return one_hot(low, bins, votes * (1 - part)) + one_hot(low + 1, bins, votes * part * (low + 1 < bins))


def lost_at_180(turn: Tensor, votes: Tensor, bins: int) -> Tensor:
    """Who has the number `bins` votes for nobody."""
    low, part = turn.floor(), turn - turn.floor()
    return one_hot(low, bins, votes * (1 - part) * (low < bins)) + one_hot(low + 1, bins, votes * part)


def unless_left(across: Tensor, down: Tensor, bins: int) -> Tensor:
    """The direction, stated where no gradient points to the left, because not everybody who loses the tiny angles loses 180° too."""
    only(not bool(((down == 0) & (across < 0)).any()))
    return turned(across, down, bins)


def rounded_towards_0(turn: Tensor, votes: Tensor, bins: int) -> Tensor:
    low, part = turn.trunc(), turn - turn.trunc()
    return one_hot(low, bins, votes * (1 - part)) + one_hot(low + 1, bins, votes * part)


def held_back(turn: Tensor, votes: Tensor, bins: int) -> Tensor:
    """What lies beyond the last direction stays with it."""
    low, part = turn.floor(), turn - turn.floor()
    return one_hot(low, bins, votes * (1 - part)) + one_hot((low + 1).clamp(max=bins - 1), bins, votes * part)


HOG = {
    "a gradient and its opposite go to different directions; the directions are those of half a turn, 0° to 180°": hog(
        turn=signed
    ),
    "the direction is measured from the vertical, atan2(across, down); 0° is a gradient that points across": hog(
        turn=lambda across, down, bins: turned(down, across, bins)
    ),
    "the slope down / across loses its sign, as with abs() before atan: 45° and 135° become one direction": hog(
        turn=lambda across, down, bins: turned(across.abs(), down.abs(), bins)
    ),
    "a gradient that points upwards loses its sign, as with abs() of the angle: −45° is 135°, and becomes 45°": hog(
        turn=lambda across, down, bins: turned(across, down.abs(), bins)
    ),
    "upwards and downwards are exchanged, so that 45° becomes 135°; (0, 1), which is 90°, points down": hog(
        turn=lambda across, down, bins: turned(across, -down, bins)
    ),
    "the direction is that of the edge, at a right angle to the gradient; a pixel's direction is that of its gradient": hog(
        turn=lambda across, down, bins: turned(down, -across, bins)
    ),
    "a direction a hair below 180° votes for nobody: in float32 the remainder of a tiny negative angle is the divisor itself, and its number is `bins`, which is direction 0 again": hog(
        turn=unless_left, share=lost_at_180
    ),
    "int() and .long() round towards 0, so a negative angle goes to a wrong direction, with a negative part; floor() rounds down": hog(
        turn=lambda across, down, bins: torch.atan2(down, across) / torch.pi * bins, share=rounded_towards_0
    ),
    "a vote goes whole to the direction below its own; it is divided between the two that are nearest": hog(
        share=whole(torch.floor)
    ),
    "a vote goes whole to the nearest direction; it is divided between the two that are nearest": hog(
        share=whole(torch.round)
    ),
    "the two parts of a vote are exchanged: the nearer direction gets the larger part": hog(share=exchanged),
    "direction b lies at (b + ½) · 180° / bins; it lies at b · 180° / bins, so that direction 0 is 0° itself": hog(
        turn=lambda across, down, bins: turned(across, down, bins) - 0.5
    ),
    "what lies between the last direction and 180° loses a part of its vote; direction 0 is the neighbour of the last, and gets it": hog(
        share=cut_short
    ),
    "what lies between the last direction and 180° stays with the last; direction 0 is its other neighbour, and gets its part": hog(
        share=held_back
    ),
    "every pixel has one vote; a vote weighs as much as its gradient is long": hog(vote=one_each),
    "the votes are squared lengths; the length was asked for": hog(vote=torch.square),
    "a vote is |across| + |down|; it is the length of the gradient, √(across² + down²)": hog(
        length=lambda across, down: across.abs() + down.abs()
    ),
    "the margin is not used: a cell also counts the pixels that lie up to `margin` around it": hog(
        pool=lambda maps, p, cells, margin: pooled(maps, p, cells, 0)
    ),
    "the margin ends at the edge of the patch; it reaches into the neighbouring patches, and ends at the edge of the image alone": hog(
        pool=within_the_patch
    ),
    "the patch is made larger by the margin and then cut into cells; each cell is made larger by itself, so that they overlap": hog(
        pool=around_the_patch
    ),
    "the margin lies on one side of the cell, below and to the right; it goes round it": hog(pool=one_sided),
    "the corners of the margin are missing; it goes round the cell, corners too": hog(pool=without_corners),
    "beyond the edge of the image, its other side begins again; there is nothing there, and it gives no votes": hog(
        pool=invented("circular")
    ),
    "beyond the edge of the image, pixels are invented (mirrored); there is nothing there, and it gives no votes": hog(
        pool=invented("reflect")
    ),
    "beyond the edge of the image, its last pixels are repeated; there is nothing there, and it gives no votes": hog(
        pool=invented("replicate")
    ),
    "cells at the edge of the image are averaged over fewer pixels than others; the votes are summed": hog(
        pool=mean_of_what_is_there
    ),
    "each cell is brought to length 1 by itself; the cells of a patch are brought to length 1 together": hog(
        scale=cell_by_cell
    ),
    "the patches of an image are scaled together; each patch has length 1 by itself": hog(
        scale=lambda x, bins: scaled(x.flatten(1)).view(x.shape)
    ),
    "the numbers of a patch add up to 1; the root of the sum of their squares is to be 1": hog(
        scale=lambda x, bins: x / torch.where(x.sum(-1, keepdim=True) > 0, x.sum(-1, keepdim=True), 1)
    ),
    "the votes are not scaled: the numbers of a patch are to have length 1": hog(scale=lambda x, bins: x),
    "a patch without any gradient gives NaN, 0 / 0; it is to be 0 throughout": hog(
        scale=lambda x, bins: x / x.norm(dim=-1, keepdim=True)
    ),
    "the order of a patch's numbers is direction, row, column, as in the library's HOG; here it is row, column, direction": hog(
        order="b (u v) (n r c)"
    ),
    "the cells of a patch come column by column; they come in reading order": hog(order="b (u v) (c r n)"),
    "the patches come column by column; they come in reading order": hog(order="b (v u) (r c n)"),
    "rows and columns of cells are exchanged: `cells` is (rows, columns)": hog(swapped=True),
    "`cells` is taken for the size of a cell in pixels; it is how many rows and columns of cells a patch has": hog(
        sized=True
    ),
}
HOG |= {
    f"a small number is added to the length, {small:g}, so that a faint patch stays below length 1; only a length of 0 needs another divisor": hog(
        scale=added(small)
    )
    for small in (1e-8, 1e-6, 1e-5, 1e-3)
}
HOG |= {
    f"a length below {least:g} is raised to {least:g}, so that a faint patch stays faint; only a length of 0 needs another divisor": hog(
        scale=raised(least)
    )
    for least in (1e-5, 1e-3, 1.0)
}
