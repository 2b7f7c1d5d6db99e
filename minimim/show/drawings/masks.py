"""Masks: eight patches through the shuffle and back, what the hole-filler reads, and what MAE and SimMIM choose."""

import torch
from torch import Tensor

from minimim.data.views import denormalize, normalize
from minimim.errors import UserError
from minimim.hole_filler import HoleFiller, neighbours, visible_mean
from minimim.masking import mask_by_noise
from minimim.patches import patchify, unpatchify
from minimim.show.drawing import INK, Drawing

PALE_LINE, TILE = "#aaaaaa", 1.1
SIDES = ("up", "down", "left", "right")


def piece(image: Tensor, grid: tuple[int, int], n: int) -> Tensor:
    """Patch n of one image: (C, H, W) → (C, H / rows, W / cols)."""
    height, width = image.shape[-2] // grid[0], image.shape[-1] // grid[1]
    row, col = divmod(n, grid[1])
    return image[:, row * height : (row + 1) * height, col * width : (col + 1) * width]


def shuffle_and_restore(image: Tensor, grid: tuple[int, int], noise: Tensor, keep: int) -> Drawing:
    """A random mask by sorting: the patches of one image, (C, H, W), with their noise, (N,), sorted by it, cut after `keep`, encoded,
    filled up with mask tokens, and put back into reading order.

    Raises UserError for more than 8 patches, and for a noise of another length.
    """
    count = grid[0] * grid[1]
    if count > 8 or noise.shape != (count,):
        raise UserError(f"this drawing takes at most 8 patches, and one number of noise for each, not {count} and {tuple(noise.shape)}")
    mask = mask_by_noise(noise[None], keep)
    order, restore, hidden = mask.order[0].tolist(), mask.restore_ids[0].tolist(), mask.hidden[0]
    alt = (
        f"A random mask. Each of {count} numbered patches gets a number of noise. They are sorted by it, and the list is cut after the first {keep}. "
        f"These go through the encoder, the other {count - keep} are hidden. Behind the {keep} latents stand {count - keep} mask tokens, and restore_ids put all {count} back into reading order."
    )
    top, step = 2.3, 1.3
    y = [top + n * step for n in range(count)]
    drawing = Drawing(25, top + count * step + 1.4, alt, photo=True)
    drawing.text(2.6, 1.0, "picture", bold=True)
    drawing.patches(0.4, top, 4.4, image, grid, hidden, gap=0.1, numbers=True)
    drawing.text(2.6, top + 4.4 * grid[0] / grid[1] + 0.4, "hidden: " + ", ".join(map(str, hidden.nonzero().flatten().tolist())), size=9)

    def head(x, words, code, shape):
        drawing.text(x, 0.5, words, bold=True)
        drawing.text(x, 1.1, code, code=True, size=9)
        drawing.shape(x, 1.65, *shape)

    head(7.0, "list with noise", "noise", (1, count))
    for n in range(count):
        drawing.picture(6.1, y[n], TILE, piece(image, grid, n))
        number(drawing, 6.1, y[n], n)
        drawing.text(7.35, y[n] + TILE / 2, f"{noise[n]:.2f}", at="left", size=9)
    head(11.6, "sorted by noise", "order", (1, count))
    for place, n in enumerate(order):
        line(drawing, (8.35, y[n] + TILE / 2), (10.55, y[place] + TILE / 2), not hidden[n])
        drawing.text(10.8, y[place] + TILE / 2, str(place), size=8, color="#777777")
        if place < keep:
            drawing.picture(11.05, y[place], TILE, piece(image, grid, n))
            number(drawing, 11.05, y[place], n)
        else:
            drawing.box(11.05, y[place], TILE, TILE, "hidden")
            number(drawing, 11.05, y[place], n)
    cut = top + keep * step - (step - TILE) / 2
    drawing.axes.plot((10.5, 18.2), (cut, cut), color="#d55e00", linestyle="--", linewidth=1.6, zorder=4, scalex=False, scaley=False)
    drawing.text(13.9, cut + 0.35, f"cut after K = {keep}", size=9, color="#d55e00")
    head(16.9, "latents, mask tokens", "visible, filler", (1, count, "D"))
    for place, n in enumerate(order):
        if place < keep:
            drawing.arrow((12.35, y[place] + TILE / 2), (16.05, y[place] + TILE / 2), "encoder" if place == 0 else "")
        drawing.box(16.35, y[place], TILE, TILE, "latent" if place < keep else "mask token", str(n) if place < keep else "m")
    drawing.text(13.9, cut + 1.2, "hidden: not encoded", size=9)
    head(22.2, "reading order again", "restore_ids", (1, count))
    for n, place in enumerate(restore):
        line(drawing, (17.65, y[place] + TILE / 2), (20.75, y[n] + TILE / 2), not hidden[n])
        drawing.text(21.15, y[n] + TILE / 2, str(place), size=9, code=True)
        drawing.box(21.55, y[n], TILE, TILE, "mask token" if hidden[n] else "latent", "m" if hidden[n] else str(n))
        drawing.text(22.95, y[n] + TILE / 2, f"patch {n}", at="left", size=8, color="#777777")
    drawing.key(4.4, top + count * step + 0.55, "hidden", "latent", "mask token")
    return drawing


def number(drawing: Drawing, x: float, y: float, n: int) -> None:
    """The number of a patch, on its tile."""
    drawing.text(x + TILE / 2, y + TILE / 2, str(n), size=8, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8})


def line(drawing: Drawing, start: tuple[float, float], end: tuple[float, float], strong) -> None:
    """The way of one tile from column to column; pale where it is hidden."""
    drawing.arrow(start, end, color=INK if strong else PALE_LINE)


def filler_at(filler: HoleFiller, image: Tensor, mask: Tensor, n: int) -> Drawing:
    """What a fitted hole-filler reads for the hidden patch n of one image, uint8 (C, H, W), mask (N,) bool, and what it guesses.

    Raises UserError where patch n is visible.
    """
    if not mask[n]:
        raise UserError(f"patch {n} is visible, so there is nothing to guess: choose a hidden one")
    size = filler.patch_size
    grid = (image.shape[-2] // size, image.shape[-1] // size)
    patches = patchify(normalize(image[None]), size)  # (1, N, T)
    width = patches.shape[-1]
    around, there = neighbours(patches, mask[None], grid)
    mean, guess = visible_mean(patches, mask[None]), filler.fill(patches, mask[None], grid)[:, n : n + 1]

    def pixels(patch):  # (1, 1, T) → uint8 (C, P, P)
        return denormalize(unpatchify(patch, size, (1, 1)))[0]

    seen = [name for name, here in zip(SIDES, there[0, n].tolist(), strict=True) if here]
    alt = (
        f"The hole-filler at one hidden patch. It reads the patches above, below, left and right of it, of which here {len(seen)} are visible, and the mean x̄ of all visible patches of the image. "
        "One matrix W, chosen by which neighbours are there, turns them into a correction of x̄. The sum is the guess, beside the true patch."
    )
    drawing = Drawing(25, 8.3, alt)
    drawing.text(3.1, 0.6, "picture with hidden patches", bold=True)
    drawing.patches(0.5, 1.3, 5.2, image, grid, mask, gap=0.06)
    step, (row, col) = 5.26 / grid[1], divmod(n, grid[1])
    drawing.box(0.5 + col * step - 0.03, 1.3 + row * step - 0.03, step, step, "lit")
    drawing.text(0.5 + col * step + step / 2 - 0.03, 1.3 + row * step + step / 2 - 0.03, "?", bold=True)
    drawing.text(3.1, 7.0, f"patch {n} is to be guessed", size=9)

    drawing.text(9.1, 0.6, "what is read", bold=True)
    places = {"up": (8.3, 1.3), "down": (8.3, 4.7), "left": (6.6, 3.0), "right": (10.0, 3.0)}
    for k, (name, (x, y)) in enumerate(places.items()):
        if name in seen:
            drawing.picture(x, y, 1.5, pixels(around[:, n, k][:, None]))
            drawing.text(x + 0.75, y + 0.75, name, size=8, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8})
        else:
            drawing.box(x, y, 1.5, 1.5, "hidden")
            drawing.text(x + 0.75, y + 0.75, f"{name}: 0", size=8, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8})
    drawing.box(8.3, 3.0, 1.5, 1.5, "lit", "?", bold=True)
    drawing.picture(6.6, 6.5, 1.0, pixels(mean))
    drawing.text(7.8, 7.0, "x̄, the mean of all\nvisible patches", at="left", size=9)

    drawing.arrow((11.8, 3.75), (13.5, 3.75))
    case = int(there[0, n].long() @ torch.tensor([1, 2, 4, 8]))
    drawing.box(13.6, 2.4, 3.2, 2.7, "plain", f"W\ncase {case} of 0-15", size=9)
    drawing.shape(14.6, 5.5, 5 * width + 1, width)
    drawing.text(15.2, 1.9, "there: " + (", ".join(seen) or "none"), size=9)
    drawing.arrow((16.9, 3.75), (18.5, 3.75))
    drawing.text(19.0, 3.75, "+ x̄", size=12)
    drawing.path((7.1, 7.6), (7.1, 7.9), (19.0, 7.9), (19.0, 4.3))
    drawing.arrow((16.3, 7.9), (16.3, 5.2))  # x̄ is read by W, too
    drawing.arrow((19.6, 3.75), (20.4, 3.75))
    drawing.patches(20.5, 3.0, 1.6, pixels(guess), (1, 1), kind="prediction", gap=0)
    drawing.text(21.3, 2.6, "guess", size=9)
    drawing.patches(22.9, 3.0, 1.6, piece(image, grid, n), (1, 1), kind="target", gap=0)
    drawing.text(23.7, 2.6, "truth", size=9)
    return drawing


def three_choices(image: Tensor, grid: tuple[int, int], rows: dict[str, tuple[Tensor, bool]]) -> Drawing:
    """The three choices of masked methods side by side: how much is hidden, what the encoder reads, and where the loss counts.

    image: uint8 (C, H, W). rows: {name of the method: (hidden (N,) bool, whether its encoder reads mask tokens)}; at most two.
    """
    side, gap = 4.0, 0.1
    told = "; ".join(f"{name} hides {int(hidden.sum())} of {len(hidden)}, and its encoder reads {'all places, with mask tokens' if tokens else 'the visible patches only'}" for name, (hidden, tokens) in rows.items())
    drawing = Drawing(21.5, 1.4 + 5.3 * len(rows) + 0.7, f"Three choices. {told}. In each the loss counts the hidden patches only.", photo=True)
    for x, words in ((5.2, "(a) how much is hidden"), (11.8, "(b) what the encoder reads"), (18.4, "(c) where the loss counts")):
        drawing.text(x, 0.6, words, bold=True)
    for r, (name, (hidden, tokens)) in enumerate(rows.items()):
        top, step = 1.3 + r * 5.3, (side + gap) / grid[1]
        drawing.text(1.2, top + side / 2, name, bold=True, size=12)
        drawing.patches(3.2, top, side, image, grid, hidden, gap=gap)
        drawing.text(5.2, top + side + 0.4, f"{int(hidden.sum())} of {len(hidden)}", size=9)
        visible = (~hidden).nonzero().flatten().tolist()
        for place, n in enumerate(range(len(hidden)) if tokens else visible):
            here = (n // grid[1], n % grid[1]) if tokens else (place, (grid[1] - 1) / 2)
            left, high = 9.8 + here[1] * step, top + here[0] * step
            if hidden[n]:
                drawing.box(left, high, step - gap, step - gap, "mask token", "m", size=9)
            else:
                drawing.picture(left, high, step - gap, piece(image, grid, n))
        drawing.text(11.8, top + side + 0.4, f"{len(hidden) if tokens else len(visible)} tokens", size=9)
        drawing.patches(16.4, top, side, image, grid, left_out=~hidden, kind="target", gap=gap)
        drawing.text(18.4, top + side + 0.4, f"{int(hidden.sum())} patches", size=9)
        drawing.arrow((7.5, top + side / 2), (9.4, top + side / 2))
        drawing.arrow((14.1, top + side / 2), (16.0, top + side / 2))
    drawing.key(3.4, 1.4 + 5.3 * len(rows), "hidden", "mask token", "target")
    return drawing
