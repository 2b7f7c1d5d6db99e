"""What every lesson opens with: one look for all pictures, and the map of the parts with this lesson's lit."""

from contextlib import suppress
from itertools import pairwise

import torch

PARTS = {  # the survey's component map: key → words in the box
    "input": "images",
    "patches": "patches",
    "masking": "mask",
    "encoder": "encoder\non the visible",
    "mask tokens": "mask\ntokens",
    "decoder": "decoder",
    "loss": "loss\non the hidden",
}
OPTIONAL = {"contrast": ("encoder", "contrast\nwith a teacher"), "modalities": ("input", "other\nmodalities")}  # hang below
INK, LIT, PALE = "#333333", "#f4b942", "#eeeeee"


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


def component_map(*lit: str) -> None:
    """Draw the strip of parts that every method here is made of, with those that this lesson is about lit.

    lit: keys of PARTS or OPTIONAL. Raises KeyError for another.
    """
    import matplotlib.pyplot as plt

    for key in lit:
        if key not in PARTS and key not in OPTIONAL:
            raise KeyError(f"no part '{key}': {', '.join([*PARTS, *OPTIONAL])}")
    axes = plt.figure(figsize=(9, 1.9)).subplots()
    places = {key: index * 1.45 for index, key in enumerate(PARTS)}
    for key, words in PARTS.items():
        box(axes, places[key], 1.0, words, key in lit)
    for here, there in pairwise(PARTS):
        arrow(axes, (places[here] + 1.1, 1.3), (places[there], 1.3))
    for key, (above, words) in OPTIONAL.items():
        box(axes, places[above], 0.0, words, key in lit, optional=True)
        arrow(axes, (places[above] + 0.55, 0.6), (places[above] + 0.55, 1.0), optional=True)
    axes.set(xlim=(-0.1, max(places.values()) + 1.2), ylim=(-0.1, 1.7))
    axes.axis("off")
    plt.show()


def box(axes, left: float, bottom: float, words: str, lit: bool, optional: bool = False) -> None:
    """One part."""
    from matplotlib.patches import FancyBboxPatch

    style = {"facecolor": LIT if lit else PALE, "edgecolor": INK, "linestyle": "--" if optional else "-"}
    axes.add_patch(FancyBboxPatch((left, bottom), 1.1, 0.6, boxstyle="round,pad=0,rounding_size=0.08", **style))
    axes.text(left + 0.55, bottom + 0.3, words, ha="center", va="center", fontsize=9, color=INK)


def arrow(axes, start: tuple, end: tuple, optional: bool = False) -> None:
    """The way of the data."""
    style = {"arrowstyle": "->", "color": INK, "linestyle": "--" if optional else "-"}
    axes.annotate("", xy=end, xytext=start, arrowprops=style)
