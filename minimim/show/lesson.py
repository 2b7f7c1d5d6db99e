"""What every lesson opens with: one look for all pictures, the map of the parts with this lesson's lit; and what its claims stand on."""

from contextlib import suppress
from functools import lru_cache
from itertools import pairwise

import torch

from minimim import data
from minimim.errors import unknown
from minimim.show.drawing import Drawing

PARTS = {  # the survey's component map: key → words under the box
    "input": "images",
    "patches": "patches",
    "masking": "mask",
    "encoder": "encoder",
    "mask tokens": "mask tokens",
    "decoder": "decoder",
    "loss": "loss",
}
OTHERS = {"target": "target", "contrast": "teacher", "modalities": "modalities"}  # below the row
DASHED = ("contrast", "modalities")  # what only some methods have
VISIBLE = (1, 3, 8)  # patches of the small pictures
STEP, SIDE, TOP = 3.3, 2.4, 0.2  # units of the drawing


def setup(seed: int = 0) -> None:
    """Begin a lesson: one seed, two threads at most (fewer where OMP_NUM_THREADS says so), and pictures in one style.

    Prints nothing.
    """
    import matplotlib.pyplot as plt

    torch.manual_seed(seed)
    with suppress(RuntimeError):
        torch.set_num_threads(min(2, torch.get_num_threads()))
    plt.rcParams.update({
        "figure.figsize": (7, 3), "figure.dpi": 90, "figure.constrained_layout.use": True, "image.cmap": "gray",
        "image.interpolation": "nearest", "axes.spines.top": False, "axes.spines.right": False, "font.size": 10,
    })  # fmt: skip


def claim(holds, words: str) -> None:
    """Stop the lesson where something that its text says is not so; say nothing where it is. words: what the text says."""
    if not bool(holds):
        raise AssertionError(f"this run does not bear out what the lesson says: {words}")


def component_map(*lit: str) -> Drawing:
    """The parts that every method here is made of, in the order in which one image goes through them, with those that this lesson
    is about lit; what is dashed only some methods have.

    lit: keys of PARTS or OTHERS. Raises UserError for another.
    """
    for key in lit:
        if key not in PARTS and key not in OTHERS:
            raise unknown("part", key, [*PARTS, *OTHERS])
    about = f" Lit: {', '.join(lit)}." if lit else ""
    alt = f"Map of the parts: {', '.join(PARTS.values())}, and the target that the loss compares with.{about}"
    drawing = Drawing(len(PARTS) * STEP - 0.2, 2 * SIDE + 2.4, alt)
    x, low, middle = {key: 0.5 + n * STEP for n, key in enumerate(PARTS)}, TOP + SIDE + 1.5, SIDE / 2
    places = {key: (left, TOP) for key, left in x.items()} | {"modalities": (x["input"], low), "contrast": (x["encoder"], low), "target": (x["decoder"], low)}
    for key, (left, top) in places.items():
        kind = "lit" if key in lit else "prediction" if key in DASHED else "plain"
        drawing.box(left, top, SIDE, SIDE, kind)
        drawing.text(left + middle, top + SIDE + 0.32, (PARTS | OTHERS)[key], bold=key in lit)
        small_picture(drawing, key, left + 0.3, top + 0.3, SIDE - 0.6)
    for here, there in pairwise(x.values()):
        drawing.arrow((here + SIDE, TOP + middle), (there, TOP + middle))
    drawing.arrow((x["decoder"] + SIDE, low + middle), (x["loss"] + middle, TOP + SIDE + 0.7))
    drawing.arrow((x["encoder"] + SIDE, low + middle), (x["decoder"], low + middle), dashed=True)
    along = TOP + SIDE + 1.0
    drawing.path((x["patches"] + middle, TOP + SIDE + 0.65), (x["patches"] + middle, along), (x["decoder"] + middle, along), (x["decoder"] + middle, low))
    drawing.arrow((x["input"] + SIDE, low + middle), (x["patches"] + 0.3, TOP + SIDE + 0.7), dashed=True)
    return drawing


def small_picture(drawing: Drawing, key: str, x: float, y: float, side: float) -> None:
    """What a part does, on one bundled scene in 3×3 patches of which three are visible; side: units there are for it."""
    image, hidden, step = one_scene(), ~torch.isin(torch.arange(9), torch.tensor(VISIBLE)), (side + 0.1) / 3
    across = [(n, x + n % 3 * step, y + n // 3 * step) for n in range(9)]
    if key == "input":
        drawing.picture(x, y, side, image)
    elif key in ("patches", "masking", "target"):
        more = {"masking": {"hidden": hidden}, "target": {"left_out": ~hidden, "kind": "target"}}.get(key, {})
        drawing.patches(x, y, side, image, (3, 3), **more, gap=0.1)
    elif key in ("encoder", "contrast"):
        seen = across if key == "contrast" else [(n, x + side / 2 - step / 2, y + row * step) for row, n in enumerate(VISIBLE)]
        for _, left, top in seen:
            drawing.box(left, top, step - 0.1, step - 0.1, "latent")
    elif key in ("mask tokens", "decoder"):
        for n, left, top in across:
            drawing.box(left, top, step - 0.1, step - 0.1, ("mask token" if key == "mask tokens" else "prediction") if hidden[n] else "latent")
    elif key == "loss":
        drawing.box(x, y + 0.2, 0.7, 0.7, "prediction")
        drawing.text(x + side / 2, y + 0.55, "−", size=14)
        drawing.box(x + side - 0.7, y + 0.2, 0.7, 0.7, "target")
        drawing.text(x + side / 2, y + 1.4, "where hidden", size=8)
    else:
        drawing.text(x + side / 2, y + side / 2, "depth,\nwords, …", size=9)


@lru_cache(maxsize=1)
def one_scene() -> torch.Tensor:
    """The scene of the small pictures: uint8 (3, 48, 48)."""
    return data.load("scenes", "test", count=1, image_size=48).images[0]
