"""The masked autoencoder that a learner builds, with each task at the place where its part is at work."""

from collections.abc import Collection
from functools import lru_cache

import torch
from torch import Tensor

import minimim
from minimim import data
from minimim.errors import UserError
from minimim.show.drawing import Drawing
from minimim.show.pictures import Filled, fill_in

PARTS = (  # in the order of the tasks, which count from 1
    "patchify", "unpatchify", "random_mask", "restore", "attention", "MultiHeadAttention", "Block", "positions", "ViT",
    "encode_visible", "Decoder", "mae_loss", "training_step",
)  # fmt: skip
SIDE, TOP, LOW, TALL, LATENTS = 3.0, 1.0, 6.25, 0.8, 4  # units; the last: how many of the latents are drawn


def built(done: Collection[int] = (), of: str = "done") -> Drawing:
    """A masked autoencoder (He et al., arXiv 2111.06377) at work on a bundled scene, and in it the thirteen tasks of Build your MAE.

    done: the numbers of the tasks that are lit; of: what being lit means. What is filled in comes from the bundled encoder and decoder.
    Raises UserError for a task that is not there.
    """
    if strange := set(done) - set(range(1, len(PARTS) + 1)):
        raise UserError(f"there is no task {min(strange)}: they run from 1 to {len(PARTS)}")
    filled = one_scene()
    hidden, image, middle = filled.mask[0], filled.original[0], TOP + SIDE / 2
    words = f"{len(done)} of {len(PARTS)} are {of}." if done else ""
    alt = f"A masked autoencoder from the picture to the loss, with the {len(PARTS)} tasks at the places where their parts are used. {words}".strip()
    drawing = Drawing(25, 12.5 if done else 11.8, alt)

    def task(number: int, x: float, y: float, width: float) -> None:
        drawing.box(x, y, width, TALL, "lit" if number in done else "plain", f"{number} {PARTS[number - 1]}", size=8.4)

    drawing.picture(0.3, TOP, SIDE, image, "picture")
    drawing.arrow((3.4, middle), (6.2, middle))
    task(1, 3.45, middle - 1.0, 2.6)
    task(3, 3.45, middle + 0.2, 2.6)
    drawing.patches(6.3, TOP, SIDE, image, (8, 8), hidden, gap=0.05)
    drawing.text(6.3 + SIDE / 2, TOP - 0.35, "visible and hidden")
    drawing.arrow((9.4, middle), (12.4, middle))
    task(10, 9.4, middle - 1.0, 2.9)
    task(9, 9.4, middle + 0.2, 2.9)
    visible = (~hidden).nonzero().flatten().tolist()
    drawing.tiles(12.5, TOP, ["latent"] * LATENTS, visible[:LATENTS], side=0.69, down=True, size=8)
    drawing.text(12.85, TOP + SIDE + 0.2, "⋮", size=12)
    drawing.text(12.85, TOP - 0.35, "latents")
    drawing.arrow((13.3, middle), (15.5, middle))
    task(4, 13.4, middle - 1.0, 1.9)
    tokens(drawing, 15.6, hidden)
    drawing.text(15.6 + SIDE / 2, TOP - 0.35, "latents, mask tokens")
    drawing.arrow((18.7, middle), (21.4, middle))
    task(11, 18.8, middle - 1.0, 2.4)
    drawing.patches(21.5, TOP, SIDE, filled.filled[0], (8, 8), left_out=~hidden, kind="prediction", gap=0.05)
    drawing.text(21.5 + SIDE / 2, TOP - 0.35, "prediction")

    under, tag = TOP + SIDE + 0.1, TOP + SIDE + 0.8  # where arrows leave the prediction, and the tags that they lead to
    drawing.patches(21.5, LOW, SIDE, image, (8, 8), left_out=~hidden, kind="target", gap=0.05)
    drawing.text(21.5 + SIDE / 2, LOW + SIDE + 0.35, "target")
    task(12, 22.0, tag, 2.4)
    drawing.arrow((23.2, under), (23.2, tag - 0.05))
    drawing.arrow((23.2, LOW - 0.1), (23.2, tag + TALL + 0.05))
    drawing.path((21.8, under), (21.8, under + 0.25), (19.5, under + 0.25), (19.5, tag - 0.05))
    task(2, 18.1, tag, 2.8)
    drawing.arrow((19.5, tag + TALL), (19.5, LOW - 0.1))
    drawing.picture(18.0, LOW, SIDE, filled.filled[0])
    drawing.text(18.0 + SIDE / 2, LOW + SIDE + 0.35, "filled in")
    block(drawing, task)
    drawing.box(0.3, 10.5, 24.3, 1.0)
    task(13, 0.4, 10.6, 2.9)
    drawing.text(3.6, 11.0, "all this once for every batch: images → loss → gradients → AdamW moves the weights of encoder and decoder", size=9, at="left")
    if done:
        drawing.box(0.3, 11.85, 0.5, 0.5, "lit")
        drawing.text(1.0, 12.1, of, size=9, at="left")
    return drawing


def block(drawing: Drawing, task) -> None:
    """What encoder and decoder are made of: positions are added, then blocks follow. task: draws one, of (number, x, y, width)."""
    y = 7.75

    def plus(x: float) -> None:
        drawing.box(x, y - 0.25, 0.5, 0.5, "plain", "+", size=12)

    drawing.text(0.3, LOW - 0.55, "inside the encoder, and inside the decoder", at="left")
    drawing.text(0.9, y, "tokens", size=9)
    drawing.arrow((1.5, y), (1.95, y))
    plus(2.0)
    task(8, 0.9, 9.1, 2.2)
    drawing.arrow((2.25, 9.05), (2.25, y + 0.3))
    drawing.arrow((2.5, y), (4.45, y))
    drawing.box(3.5, LOW - 0.15, 13.7, 3.9, "plain")
    task(7, 3.6, LOW - 0.05, 1.8)
    drawing.text(16.95, LOW + 0.35, "several blocks, one after the other", size=9, at="right")
    drawing.box(4.5, y - TALL / 2, 1.3, TALL, "plain", "norm", size=9)
    drawing.arrow((5.8, y), (6.25, y))
    drawing.box(6.3, y - TALL / 2 - 0.2, 4.1, 2.1, "plain")
    task(6, 6.4, y - TALL / 2 - 0.1, 3.9)
    task(5, 7.2, y + 0.5, 2.3)
    drawing.arrow((10.4, y), (10.85, y))
    plus(10.9)
    drawing.arrow((11.4, y), (12.05, y))
    drawing.box(12.1, y - TALL / 2, 1.3, TALL, "plain", "norm", size=9)
    drawing.arrow((13.4, y), (13.85, y))
    drawing.box(13.9, y - TALL / 2, 1.2, TALL, "plain", "MLP", size=9)
    drawing.arrow((15.1, y), (15.55, y))
    plus(15.6)
    drawing.arrow((16.1, y), (17.6, y))
    for start, end in ((4.0, 11.15), (11.65, 15.85)):
        drawing.path((start, y), (start, y + 1.8), (end, y + 1.8), (end, y + 0.3))


def tokens(drawing: Drawing, x: float, hidden: Tensor) -> None:
    """All tokens in their grid: latents where patches are visible, and mask tokens."""
    step = (SIDE + 0.05) / 8
    for n in range(64):
        kind = "mask token" if hidden[n] else "latent"
        drawing.box(x + n % 8 * step, TOP + n // 8 * step, step - 0.05, step - 0.05, kind)


@lru_cache(maxsize=1)
def one_scene() -> Filled:
    """A bundled scene that the bundled method has filled in."""
    noise = torch.rand(1, 64, generator=torch.Generator().manual_seed(3))
    return fill_in(minimim.load(minimim.bundled("mae-scenes")), data.load("scenes", "test", count=6).images[5:6], noise=noise)
