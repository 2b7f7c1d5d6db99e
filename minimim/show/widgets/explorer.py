"""Mask explorer: every way of hiding, on photographs."""

import copy
from functools import lru_cache

import torch
from torch import Tensor

import minimim
from minimim import data, masking
from minimim.data.views import denormalize, normalize
from minimim.masking.frequency import FrequencyMasking
from minimim.methods import Method
from minimim.show.guide import guide_for
from minimim.show.widgets.live import BOARD, Live, Seen, choice, slider, widgets
from minimim.show.widgets.paper import LINE, Paper, enlarged, hatched

SIDE, GRID = 336, (14, 14)  # pixels of a photograph on the page, and its patches
STRATEGIES = {  # name → how it is made for a ratio, and what it does, in words
    "random": (masking.RandomMasking, "each patch on its own, as MAE does it"),
    "random, unit 2": (lambda ratio: masking.RandomMasking(ratio, unit=2), "squares of 2×2 patches, as SimMIM does it"),
    "grid": (lambda ratio: masking.GridMasking(2), "one patch stays in each square of 2×2, whatever the ratio"),
    "block": (masking.BlockMasking, "rectangles until enough is hidden, as BEiT does it"),
    "inverse block": (lambda ratio: masking.InverseBlockMasking(ratio, 1.0), "all but one rectangle, which may leave at one edge and enter at the other, as CAPI does it"),
    "several blocks": (lambda ratio: masking.MultiBlockMasking(), "a large block stays, less four smaller ones, as I-JEPA does it, whatever the ratio"),
    **{
        f"{colour} noise": (lambda ratio, colour=colour: masking.ColourMasking(colour, ratio), f"filtered noise, as ColorMAE does it: {words}")
        for colour, words in {"red": "large areas", "green": "spots", "blue": "evenly scattered", "purple": "large areas with holes in them"}.items()
    },
    "attention": (lambda ratio: masking.AttentionMasking((ratio, ratio), chance=1.0), "what a teacher attends to most, as AttMask does it"),
    "attention, hints": (lambda ratio: masking.AttentionMasking((ratio, ratio), "hint", chance=1.0), "the same, and a few of the most attended patches are shown again"),
    "difficulty": (lambda ratio: masking.HardestMasking(ratio, hardest=1.0), "where a teacher's guess is worst, as HPM does it at the end of its run"),
    "parts": (masking.SemanticMasking, "whole parts, which are a teacher's heads, as SemMAE does it at the end of its run"),
    "high frequencies": (lambda ratio: FrequencyMasking(chance=1.0), "hides fine waves in place of patches, as MFM does it, whatever the ratio"),
    "low frequencies": (lambda ratio: FrequencyMasking(chance=0.0), "hides slow waves in place of patches, as MFM does it, whatever the ratio"),
}
GUIDED = ("attention", "attention, hints", "difficulty", "parts")  # those that ask a teacher
QUARTERS = ("upper left", "upper right", "lower left", "lower right")


def mask_explorer(method: Method | None = None) -> Live:
    """Every masking of the library on the six bundled photographs: choose how, how much, and another draw.

    method: an MAE, which is the teacher of the masks that need one; by default the bundled one, which was trained on scenes alone.
    """
    photos = data.load("photos")
    teacher = copy.deepcopy(method or minimim.load(minimim.bundled("mae-scenes"))).eval().requires_grad_(False)
    small = data.load("photos", image_size=GRID[0] * teacher.encoder.patch_size).images  # as many patches as the photographs have
    guide = lru_cache(len(photos))(lambda n: guide_for(teacher, small[n : n + 1]))
    how = widgets.Select(options=list(STRATEGIES), value="random", rows=8, description="mask", layout=widgets.Layout(width="19em"))
    ratio, draw = slider("hidden", 0.75, 0.0, 1.0, 0.05, readout_format=".0%"), slider("draw", 0, 0, 19)
    which = choice("photograph", photos.classes, "coffee")

    def look() -> Seen:
        n = photos.classes.index(which.value)
        make, words = STRATEGIES[how.value]
        dice = torch.Generator().manual_seed(draw.value)
        image = photos.images[n : n + 1]
        waves = how.value.endswith("frequencies")
        (mask,) = make(ratio.value)({"image": normalize(image) if waves else image}, GRID, guide=guide(n) if how.value in GUIDED else None, progress=1.0, generator=dice)
        return seen(which.value, how.value, words, image[0], None if waves else mask.hidden[0], denormalize(mask.inputs["image"])[0] if waves else None)

    return Live(look, [[how, widgets.VBox([which, ratio, draw])]])


def seen(name: str, how: str, words: str, photo: Tensor, hidden: Tensor | None, left: Tensor | None) -> Seen:
    """A photograph beside what a mask leaves of it. hidden: (N,) bool, or None where frequencies are hidden; left: what is left then."""
    paper = Paper(2 * SIDE + 3 * BOARD, SIDE + LINE + BOARD)
    paper.picture(BOARD, LINE, SIDE, photo, name)
    beside = SIDE + 2 * BOARD
    if hidden is None:
        paper.picture(beside, LINE, SIDE, left, how)
        return Seen(paper, f"The photograph {name}, and beside it what is left without its {how}.", f"{how}: {words}", photo=True)
    paper.picture(beside, LINE, SIDE, hatched(enlarged(photo, SIDE), hidden, GRID), how)
    quarters = (~hidden).view(2, GRID[0] // 2, 2, GRID[1] // 2).sum((1, 3)).flatten().tolist()
    where = ", ".join(f"{count} of {len(hidden) // 4} {quarter}" for count, quarter in zip(quarters, QUARTERS, strict=True))
    count = f"{int(hidden.sum())} of {len(hidden)} patches"
    alt = f"The photograph {name}, and beside it the mask {how}: {count} are hidden. Visible are {where}."
    return Seen(paper, alt, f"{how}: {words}. Hidden: {count}, {float(hidden.float().mean()):.0%}", photo=True)
