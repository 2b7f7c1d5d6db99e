"""One step of training: the loop that it is a round of, and what AdamW does to single weights with what it remembers of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from minimim.methods import Method
from minimim.show.drawing import INK, Drawing
from minimim.train.schedule import cosine

SHOWN, CELL = 4, (1.6, 0.9)  # pictures that stand for a batch; units of a number's cell
STATE = "kept for the next step"


def training_loop(method: Method, images: Tensor, *, rate: float, step: int, steps: int, warmup: int, max_norm: float = 1.0, generator=None) -> Drawing:
    """The five moves of a training step, with the numbers of a real one, and the way back to the weights.

    method: is asked for its loss and gradients, and left as it is. images: the batch, uint8 (B, C, H, W), of which SHOWN are drawn.
    rate: the height of the learning rate; step of steps, with so many of warmup: where on its way it is. max_norm: of the gradient.
    """
    learning = [p for p in method.parameters() if p.requires_grad]
    loss = method(images, generator=generator).loss
    gradients = [g for g in torch.autograd.grad(loss, learning, allow_unused=True) if g is not None]
    norm, count = torch.stack([g.norm() for g in gradients]).norm().item(), sum(p.numel() for p in learning)
    drawing = Drawing(
        25, 9.6,
        "One training step as a round: a batch goes forward through the masked autoencoder to a loss, backward gives a gradient for every weight, "
        "the gradient is clipped, and AdamW, which keeps two moving averages and is told a learning rate by the schedule, changes the weights.",
    )  # fmt: skip
    top, middle = 1.2, 2.7
    for n, image in enumerate(images[:SHOWN]):
        drawing.picture(0.5 + n % 2 * 1.55, top + n // 2 * 1.55, 1.45, image)
    drawing.text(2.0, top - 0.45, f"a batch of {len(images)} images")

    drawing.arrow((3.7, middle), (5.5, middle), "2 forward")
    drawing.box(5.6, top, 4.6, 3.0, "lit")
    drawing.text(7.9, top - 0.45, "masked autoencoder", bold=True)
    drawing.text(7.9, top + 0.6, "mask, encoder, decoder")
    drawing.box(6.1, top + 1.15, 3.6, 1.4)
    drawing.text(7.9, top + 1.55, "weights θ")
    drawing.text(7.9, top + 2.15, f"{count:,} numbers", size=9)

    drawing.arrow((10.2, middle), (11.6, middle))
    drawing.box(11.7, middle - 0.75, 2.2, 1.5)
    drawing.text(12.8, top - 0.45, "loss")
    drawing.text(12.8, middle, f"{loss.item():.3f}", size=13)

    drawing.arrow((13.9, middle), (16.1, middle), "3 backward")
    drawing.box(16.2, top, 3.5, 3.0)
    drawing.text(17.95, top - 0.45, "gradient g")
    drawing.text(17.95, top + 0.8, "like θ:", size=9)
    drawing.text(17.95, top + 1.35, f"{count:,} numbers", size=9)
    drawing.text(17.95, top + 2.3, f"length {norm:.2f}", size=9)

    drawing.arrow((19.7, middle), (21.1, middle), "4 clip")
    drawing.box(21.2, top, 3.4, 3.0)
    drawing.text(22.9, top - 0.45, "clipped gradient")
    drawing.text(22.9, top + 0.8, "same direction", size=9)
    drawing.text(22.9, top + 2.3, f"length {min(norm, max_norm):.2f}", size=9)

    low = 6.0
    drawing.arrow((22.9, top + 3.0), (22.9, low - 0.05))
    drawing.box(16.2, low, 8.4, 2.9, "lit")
    drawing.text(20.4, low + 0.5, "5 step: AdamW", bold=True)
    for left, name, words in ((16.7, "m", "mean of g"), (20.6, "v", "mean of g²")):
        drawing.box(left, low + 1.0, 3.5, 1.4, "visible")
        drawing.text(left + 1.75, low + 1.4, name, size=12)
        drawing.text(left + 1.75, low + 2.0, f"{words}, like θ", size=9)
    schedule(drawing, (10.4, low + 0.35), (4.2, 1.9), rate, step, steps, warmup)
    drawing.arrow((14.75, low + 1.6), (16.1, low + 1.6))
    drawing.path((20.4, low + 2.9), (20.4, low + 3.3), (7.9, low + 3.3), (7.9, top + 3.05))
    drawing.text(7.6, low + 0.9, "new weights,", size=9, at="right")
    drawing.text(7.6, low + 1.4, "and the next batch", size=9, at="right")
    drawing.text(17.95, top + 3.45, "1 zero_grad: emptied first", size=9)
    return drawing


def schedule(drawing: Drawing, at: tuple[float, float], size: tuple[float, float], rate: float, step: int, steps: int, warmup: int) -> None:
    """The learning rate of a run as a small curve, with a dot where `step` of `steps` is."""
    (left, top), (width, height) = at, size

    def place(s: int) -> tuple[float, float]:
        return left + width * s / (steps - 1), top + height * (1 - cosine(s, steps, warmup))

    style = {"scalex": False, "scaley": False, "zorder": 3}
    drawing.axes.plot(*zip(*(place(s) for s in range(steps)), strict=True), color=INK, linewidth=1.4, **style)
    drawing.axes.plot([left, left + width], [top + height] * 2, color="#999999", linewidth=1, **style)
    drawing.axes.plot(*place(step), "o", color="#d55e00", markersize=7, **style | {"zorder": 4})
    drawing.text(left + width / 2, top + height + 0.35, f"learning rate, step {step + 1} of {steps}", size=9)
    drawing.text(left + width, top - 0.1, f"η = {rate * cosine(step, steps, warmup):.5f}".rstrip("0"), size=9, at="right")


def adamw_step(weights: Tensor, gradients: Sequence[Tensor], *, rate: float, betas=(0.9, 0.95), decay: float = 0.0, names: Sequence[str] = ()) -> Drawing:
    """What the last of several AdamW steps does to a few weights (Kingma and Ba, arXiv 1412.6980; Loshchilov and Hutter, 1711.05101).

    weights: (n,), before that step. gradients: one (n,) a step; all but the last are behind us and live on in m and v. rate: the
    learning rate η. decay: λ. names: of the weights.
    """
    t, (slow, slower) = len(gradients), betas
    m, v = torch.zeros_like(weights), torch.zeros_like(weights)
    for g in gradients[:-1]:
        m, v = slow * m + (1 - slow) * g, slower * v + (1 - slower) * g.square()
    g = gradients[-1]
    new_m, new_v = slow * m + (1 - slow) * g, slower * v + (1 - slower) * g.square()
    right_m, right_v = new_m / (1 - slow**t), new_v / (1 - slower**t)
    ratio = right_m / (right_v.sqrt() + 1e-8)
    after = weights - rate * (ratio + decay * weights)

    n, wide = len(weights), len(weights) * CELL[0]
    drawing = Drawing(
        3 * wide + 9.6, 10.4,
        f"AdamW's step {t} on {n} weights in numbers: the gradient goes into the moving averages m and v, both are corrected for their start at zero, "
        "their fraction is multiplied by the learning rate and taken from the weight; m and v are kept for the next step.",
    )  # fmt: skip
    x, row = [0.5 + column * (wide + 4.3) for column in range(3)], (1.9, 4.9, 7.9)

    def block(column: int, line: float, values: Tensor, title: str, kind: str = "plain") -> None:
        if title:
            drawing.text(x[column] + wide / 2, line - 0.45, title, size=11)
        for k, value in enumerate(values.tolist()):
            drawing.box(x[column] + k * CELL[0], line, *CELL, kind, written(value), size=10)

    block(0, row[0], m, f"m after step {t - 1}", "visible")
    block(0, row[1], g, f"gradient g of step {t}", "lit")
    block(0, row[2], v, f"v after step {t - 1}", "visible")
    block(1, row[0], new_m, f"m ← {slow:g} m + {1 - slow:g} g", "visible")
    block(1, row[1] - 0.5, weights, "weight θ, before and after")
    block(1, row[1] + 0.5, after, "", "lit")
    block(1, row[2], new_v, f"v ← {slower:g} v + {1 - slower:g} g²", "visible")
    block(2, row[0], right_m, f"m̂ = m / {1 - slow**t:.4g}")
    block(2, row[1], ratio, "m̂ / √v̂", "lit")
    block(2, row[2], right_v, f"v̂ = v / {1 - slower**t:.4g}")
    for line in (row[0], row[2]):
        for column in (0, 1):
            drawing.arrow((x[column] + wide + 0.1, line + CELL[1] / 2), (x[column + 1] - 0.1, line + CELL[1] / 2), "÷ (1 − βᵗ)" if column else "")
    out, middle = x[0] + wide + 0.1, row[1] + CELL[1] / 2
    drawing.arrow((out, middle - 0.2), (x[1] - 0.1, row[0] + CELL[1] + 0.1))
    drawing.arrow((out, middle + 0.2), (x[1] - 0.1, row[2] - 0.1))
    for start, end in ((row[0] + CELL[1] + 0.1, row[1] - 0.85), (row[2] - 0.85, row[1] + CELL[1] + 0.1)):
        drawing.arrow((x[2] + wide / 2, start), (x[2] + wide / 2, end))
    drawing.arrow((x[2] - 0.1, middle), (x[1] + wide + 0.1, middle), f"− η · …, η = {rate:g}")
    for k, name in enumerate(names):
        for column in range(3):
            drawing.text(x[column] + (k + 0.5) * CELL[0], row[0] - 1.15, name, size=10, bold=True, color="#555555")
    for left, kind, words in ((0.5, "visible", STATE), (7.0, "lit", "of this step"), (12.0, "plain", "on the way")):
        drawing.box(left, 9.6, 0.5, 0.5, kind)
        drawing.text(left + 0.7, 9.85, words, at="left")
    return drawing


def written(value: float) -> str:
    """A number in few letters: at most four digits after the point, and small ones by their power of ten."""
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        mantissa, power = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(power)}".replace("-", "−")
    return f"{value:.4f}".rstrip("0").rstrip(".").replace("-", "−")
