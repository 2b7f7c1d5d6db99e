"""What a loss counts and what it prefers: hidden patches with their errors, a loss by hand, the mean, the median and the mode of a patch
that could hold several things, and the normalised target of one patch, step by step."""

from collections.abc import Sequence

import torch
from matplotlib import colormaps
from matplotlib.patches import Rectangle
from torch import Tensor

from minimim.errors import UserError
from minimim.patches import grid_of
from minimim.show.drawing import INK, KINDS, Drawing

HEAT = "inferno"  # colours of errors


def counted(image: Tensor, guess: Tensor, hidden: Tensor, errors: Tensor, patch_size: int) -> Drawing:
    """What the loss counts on one picture: at the hidden places the guess, the truth, and the error of each patch; their mean is the loss.

    image, guess: uint8 (C, H, W). hidden: (N,) bool. errors: (N,), the error of each patch, of which the hidden are drawn.
    """
    grid = rows, cols = grid_of(*image.shape[-2:], patch_size)
    count, kept = int(hidden.sum()), errors[hidden]
    alt = (
        f"A picture with {count} of {rows * cols} patches hidden. At the hidden places stand the guess and the truth, and beside them the error of each hidden patch as a colour. "
        "The visible patches have no error. The mean of the errors is the loss."
    )
    drawing, side, top = Drawing(25, 7.9, alt, photo=image.shape[-1] > 64), 5.2, 1.0
    x = [0.3 + n * (side + 0.85) for n in range(4)]
    drawing.patches(x[0], top, side, image, grid, hidden, gap=0.06)
    drawing.patches(x[1], top, side, guess, grid, left_out=~hidden, kind="prediction", gap=0.06)
    drawing.patches(x[2], top, side, image, grid, left_out=~hidden, kind="target", gap=0.06)
    step, most, colours = (side + 0.06) / cols, float(kept.max()), colormaps[HEAT]
    for n in hidden.nonzero().flatten().tolist():
        row, col = divmod(n, cols)
        place = (x[3] + col * step, top + row * step)
        drawing.axes.add_patch(Rectangle(place, step - 0.06, step - 0.06, facecolor=colours(float(errors[n]) / most), edgecolor="none", zorder=2))
    for left, words in zip(x, (f"visible: {rows * cols - count} of {rows * cols}", "prediction, where hidden", "target, where hidden", "error of each hidden patch"), strict=True):
        drawing.text(left + side / 2, top - 0.45, words)
    drawing.text(x[2] - 0.42, top + side / 2, "−", size=16)
    drawing.text(x[3] - 0.42, top + side / 2, "→", size=16)
    drawing.axes.imshow([[0, 1]], extent=(x[3], x[3] + side, top + side + 0.55, top + side + 0.25), aspect="auto", cmap=HEAT, interpolation="bilinear", zorder=2)
    drawing.axes.set(xlim=(0, 25), ylim=(7.9, 0))
    drawing.text(x[3], top + side + 0.85, "0", size=9, at="left")
    drawing.text(x[3] + side, top + side + 0.85, f"{most:.1f}", size=9, at="right")
    drawing.text(x[0], top + side + 0.85, f"loss = mean of the {count} errors = {float(kept.mean()):.2f}", at="left", bold=True)
    return drawing


def loss_by_hand(prediction: Tensor, target: Tensor, hidden: Tensor) -> Drawing:
    """A loss on a few patches of a few numbers: prediction, target (N, T), hidden (N,) bool; a row a patch, visible ones pale.

    Raises UserError for more than 4 patches or 4 numbers.
    """
    count, numbers = prediction.shape
    if count > 4 or numbers > 4:
        raise UserError(f"{count} patches of {numbers} numbers do not fit the page: give at most 4 of 4")
    squares = (prediction - target).square()
    errors, chosen = squares.mean(1), hidden.nonzero().flatten().tolist()
    alt = (
        f"A table for each step, a row for each of {count} patches: the prediction, the target, the squared differences, and their mean over {numbers} numbers. "
        f"The loss is the mean over the hidden patches {', '.join(map(str, chosen))}."
    )
    cell, top = (1.15, 0.85), 1.5
    wide = numbers * cell[0]
    drawing = Drawing(25, top + count * cell[1] + 1.6, alt)
    starts = [2.2 + n * (wide + 1.3) for n in range(4)]
    tables = zip(starts, ("prediction", "target", "squared difference"), (prediction, target, squares), ("prediction", "target", "plain"), strict=False)
    for x, title, values, kind in tables:
        drawing.text(x + wide / 2, top - 0.6, title)
        for n in range(count):
            drawing.numbers(x, top + n * cell[1], values[n : n + 1], kind=kind if hidden[n] else "plain", cell=cell, color=INK if hidden[n] else "#999999")
    for x, sign in zip(starts[1:], ("−", "square", "mean"), strict=True):
        drawing.text(x - 0.65, top + count * cell[1] / 2 - 0.35 * (sign != "−"), sign, size=14 if sign == "−" else 8.5)
        if sign != "−":
            drawing.arrow((x - 1.1, top + count * cell[1] / 2), (x - 0.2, top + count * cell[1] / 2))
    drawing.text(starts[3] + 0.75, top - 0.6, "error")
    for n in range(count):
        y = top + (n + 0.5) * cell[1]
        drawing.text(2.0, y, f"patch {n}", at="right", size=9, color=INK if hidden[n] else "#999999")
        if hidden[n]:
            drawing.box(starts[3], y - 0.42, 1.5, 0.85, "lit", f"{float(errors[n]):.3f}")
        else:
            drawing.text(starts[3] + 0.1, y, "visible: not counted", size=9, at="left", color="#777777")
    terms = " + ".join(f"{float(errors[n]):.3f}" for n in chosen)
    drawing.text(starts[3] + 1.5, top + count * cell[1] + 0.8, f"loss = ({terms}) / {len(chosen)} = {float(errors[hidden].mean()):.3f}", at="right", bold=True)
    return drawing


def weighted_median(contents: Tensor, odds: Tensor) -> Tensor:
    """The median of contents (K, …) with probabilities odds (K,), number by number: (…)."""
    values, order = contents.sort(dim=0)
    reached = odds[order].cumsum(0) >= 0.5 - 1e-6  # (K, …)
    return values.gather(0, reached.to(torch.uint8).argmax(0, keepdim=True))[0]


def doubt(scene: Tensor, contents: Tensor, odds: Tensor, corner: tuple[int, int]) -> Drawing:
    """A hole in a scene, what it may hold, and the three guesses: mean, median and mode of each number.

    scene: uint8 (C, H, W). contents: uint8 (K, C, h, w), with probabilities odds (K,). corner: (row, column) of the hole's upper left pixel.
    Raises UserError for more than 4 contents, and for probabilities that do not sum to 1.
    """
    if len(contents) > 4 or abs(float(odds.sum()) - 1) > 1e-5:
        raise UserError("give at most 4 contents, with probabilities that sum to 1")
    (row, col), (high, wide) = corner, contents.shape[-2:]
    values = contents.double()
    guesses = {
        "mean": ("smallest squared\nerror (l2)", torch.einsum("k,kchw->chw", odds.double(), values).round()),
        "median": ("smallest absolute\nerror (l1)", weighted_median(values, odds)),
        "mode": ("the likeliest\nof all", values[odds.argmax()]),
    }
    parts = ", ".join(f"{float(p):.0%}" for p in odds)
    alt = f"A scene with a square hole, and {len(contents)} things that it may hold with probabilities of {parts}. Beside them the mean of these, which mixes them, the median, and the mode, which is the likeliest."
    drawing, side, top = Drawing(25, 8.6, alt), 5.2, 2.2
    unit = side / scene.shape[-1]
    drawing.picture(0.4, top, side, scene)
    drawing.axes.add_patch(Rectangle((0.4 + col * unit, top + row * unit), wide * unit, high * unit, zorder=3, **KINDS["hidden"]))
    drawing.text(0.4 + side / 2, top - 0.45, "what is visible")
    tall = min(2.3, 7.2 / len(contents) - 0.3, 2.4 * high / wide)
    small, middle = tall * wide / high, top + side / 2
    drawing.text(9.0, 0.4, "what the hole may hold")
    for k, content in enumerate(contents):
        y = middle + (k - len(contents) / 2) * (tall + 0.3) + 0.15
        drawing.arrow((5.8, middle), (7.9, y + tall / 2))
        drawing.picture(8.1, y, small, content)
        drawing.text(8.1 + small + 0.25, y + tall / 2, f"{float(odds[k]):.0%}", at="left", size=12, bold=True)
    drawing.arrow((11.9, middle), (13.4, middle), "one guess")
    for n, (name, (words, guess)) in enumerate(guesses.items()):
        x = 13.7 + n * 3.8
        filled = scene.clone()
        filled[:, row : row + high, col : col + wide] = guess.to(torch.uint8)
        drawing.picture(x, middle - 1.8, 3.6, filled)
        drawing.text(x + 1.8, middle - 2.3, name, bold=True, size=11)
        drawing.text(x + 1.8, middle + 2.5, words, size=9)
    return drawing


def normalising(patches: Sequence[Tensor], digits: int = 2) -> Drawing:
    """The normalised target of patches of 2×2 numbers, a row a patch: the patch, less its mean, squared, and divided by its standard
    deviation, whose variance is taken with n − 1.

    Raises UserError for patches of another shape, or more than 3.
    """
    if len(patches) > 3 or any(patch.shape != (2, 2) for patch in patches):
        raise UserError("give at most 3 patches of 2×2 numbers")
    alt = "The normalised target step by step, a row for each patch of four numbers: the patch, the same less its mean, the squares, whose sum divided by three is the variance, and the target, which is divided by the standard deviation."
    cell, step, top = (1.45, 1.0), 3.5, 1.5
    drawing = Drawing(25, top + len(patches) * step - 0.6, alt)
    starts, wide = (0.5, 8.2, 12.9, 21.6), 2 * cell[0]
    for x, title in zip(starts, ("patch x", "x − μ", "(x − μ)²", "target (x − μ) / σ"), strict=True):
        drawing.text(x + wide / 2, 0.6, title, bold=True)
    for n, patch in enumerate(patches):
        y, mean, variance = top + n * step, float(patch.mean()), float(patch.var())
        shown = (patch, patch - mean, (patch - mean).square(), (patch - mean) / variance**0.5)
        for x, values, kind in zip(starts, shown, ("plain", "plain", "plain", "target"), strict=True):
            drawing.numbers(x, y, values, kind=kind, cell=cell, digits=digits)
        words = " + ".join(f"{float(number):.{digits}f}" for number in patch.flatten())
        drawing.arrow((starts[0] + wide + 0.15, y + 1), (starts[1] - 0.15, y + 1), f"μ = {mean:.{digits}f}")
        drawing.arrow((starts[1] + wide + 0.15, y + 1), (starts[2] - 0.15, y + 1), "square")
        squares = float((patch - mean).square().sum())
        drawing.arrow((starts[2] + wide + 0.15, y + 1), (starts[3] - 0.15, y + 1), f"σ² = {squares:.{digits}f} / 3 = {variance:.{digits}f},  σ = {variance**0.5:.{digits}f}")
        drawing.text(starts[0] + wide + 0.3, y + 1.45, f"({words}) / 4", size=7.5, at="left")
    return drawing
