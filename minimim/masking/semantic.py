"""Masks by semantic parts: at first some patches of every part are hidden, at the end whole parts (SemMAE, arXiv 2206.10207)."""

import torch
from torch import Tensor, nn

from minimim.draws import uniform
from minimim.errors import UserError, unknown
from minimim.masking.guided import cls_attention
from minimim.masking.mask import Mask, check_ratio, mask_by_noise, visible_count

SOURCES = ("attention", "truth")


class SemanticMasking(nn.Module):
    """Hide some patches of each semantic part at first, and whole parts at the end of the run (SemMAE, arXiv 2206.10207).

    ratio: the fraction of the patches that is hidden, the same number in each sample. parts: where the parts come from: "attention", one
    part for each head of the teacher's last block, made of the patches to which this head attends more than the others do; or "truth",
    the true objects of a scene, for which the inputs need a "segmentation", (B, H, W). most: the number of true parts that are
    distinguished, the background included. Raises UserError for an unknown source of parts, a ratio that is not between 0 and 1, and
    fewer than one part.

    From easy to hard, as in the official code: with s = 1 − progress², each part hides s · a + (1 − s) · b patches. Here a is the ratio
    times the size of the part. For b, parts are hidden whole in random order until the ratio of the image is reached, the last one
    only in part. A few random patches correct for rounding, so that the total is exact.

    Differs: the paper trains a separate network for its parts beforehand and stores them for each image, so its code cannot take random
    crops; here a teacher that is trained at the same time makes parts for each crop, or the true segmentation is cropped with the image.
    """

    def __init__(self, ratio: float = 0.75, parts: str = "attention", most: int = 7):
        super().__init__()
        check_ratio(ratio)
        if parts not in SOURCES:
            raise unknown("source of parts", parts, SOURCES)
        if most < 1:
            raise UserError(f"most, the number of parts of an image, must be one or more, not {most}")
        self.ratio, self.parts, self.most = ratio, parts, most
        self.want = ("attention",) if parts == "attention" else ()

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, P + 2·N) in [0, 1) for P parts: the order of the parts, that of the patches in a part, and which
        patches correct for rounding.

        Raises UserError if the teacher or the segmentation that defines the parts is missing.
        """
        patches = grid[0] * grid[1]
        part, count = self.part_of(inputs, grid, guide)  # (B, N)
        if noise is None:
            noise = uniform(part.shape[0], count + 2 * patches, generator=generator, device=part.device)
        turns, ties, last = noise.split([count, patches, patches], dim=1)
        visible = visible_count(patches, self.ratio)
        sizes = torch.zeros_like(turns).scatter_add_(1, part, torch.ones_like(ties))  # (B, P)
        wanted = part_counts(sizes, turns, self.ratio, patches - visible, 1 - progress**2)  # (B, P)
        # Patches are sorted by part, in random order within each part; the first `wanted` of each part are hidden.
        place = (part + ties).argsort(dim=1).argsort(dim=1)  # (B, N)
        begins = sizes.cumsum(dim=1) - sizes  # (B, P)
        hidden = place < (begins + wanted).gather(1, part)  # (B, N)
        return [mask_by_noise(hidden + last, visible)]

    def part_of(self, inputs, grid: tuple[int, int], guide) -> tuple[Tensor, int]:
        """The part that each patch belongs to, (B, N) from 0, and the largest possible number of parts."""
        if self.parts == "attention":
            attention = cls_attention(guide, grid)  # (B, heads, N)
            return attention_parts(attention), attention.shape[1]
        if "segmentation" not in inputs:
            raise UserError('true parts come from the "segmentation" of the images, and these have none: train on data that has it, such as scenes')
        return true_parts(inputs["segmentation"], grid, self.most), self.most


def part_counts(sizes: Tensor, turns: Tensor, ratio: float, hidden: int, inside: float) -> Tensor:
    """How many patches are hidden in each part of an image: (B, P), whole numbers, 0 for an empty part.

    sizes: (B, P), patches in each part. turns: (B, P), random numbers that decide the order in which whole parts are hidden. hidden:
    how many patches an image hides in total. inside: 1 hides the ratio of each part, 0 whole parts, values between them a mixture.
    """
    order = turns.argsort(dim=1)  # (B, P)
    before = sizes.gather(1, order).cumsum(dim=1) - sizes.gather(1, order)  # (B, P): patches in the parts that come earlier in the order
    before = torch.zeros_like(before).scatter_(1, order, before)
    whole = torch.minimum((hidden - before).clamp(min=0), sizes)
    return (inside * (ratio * sizes).round() + (1 - inside) * whole).round()


def true_parts(segmentation: Tensor, grid: tuple[int, int], count: int) -> Tensor:
    """The object that covers most of each patch, 0 for the background: (B, H, W) whole numbers → (B, N). Objects with a number of
    `count` − 1 or more are one part."""
    height, width = (side // n for side, n in zip(segmentation.shape[1:], grid, strict=True))  # of a patch, in pixels
    numbers = torch.arange(count, device=segmentation.device).view(1, -1, 1, 1)
    covers = segmentation.long().clamp(0, count - 1).unsqueeze(1) == numbers  # (B, count, H, W)
    pixels = covers.unflatten(3, (grid[1], width)).unflatten(2, (grid[0], height)).sum(dim=(3, 5))  # (B, count, rows, cols)
    return pixels.flatten(2).argmax(dim=1)


def attention_parts(attention: Tensor) -> Tensor:
    """The head that attends to each patch most, after each head's weights are scaled to sum 1: attention (B, heads, N) → (B, N), from 0
    to heads − 1. The parts are meaningful if the heads have learned to attend to different things."""
    return (attention / attention.sum(dim=2, keepdim=True)).argmax(dim=1)
