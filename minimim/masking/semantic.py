"""Masks by parts: an image is cut into parts, and what is hidden goes from some of every part to whole parts (SemMAE, arXiv 2206.10207)."""

import torch
from torch import Tensor, nn

from minimim.draws import uniform
from minimim.errors import UserError, unknown
from minimim.masking.guided import cls_attention
from minimim.masking.mask import Mask, check_ratio, mask_by_noise, visible_count

SOURCES = ("attention", "truth")


class SemanticMasking(nn.Module):
    """Hide a part of each part at first, and whole parts in the end (SemMAE, arXiv 2206.10207).

    ratio: what is hidden, the same number in each sample. parts: where the parts come from: "attention", one for each head of the
    teacher's last block, which is given the patches that its CLS attends to most; or "truth", the true objects of a scene, for which
    the inputs need a "segmentation", (B, H, W). most: how many true parts are told apart, the background among them.

    Easy to hard, as in the official code: with s = 1 − progress², each part hides s · a + (1 − s) · b of its patches, where a is the
    ratio of the part, and b all of it, or nothing, or for one part what is left: parts are taken in random order until the ratio
    of the image is reached. Rounding is mended by the last, random few, so that the count is exact.

    Differs: the paper learns its parts beforehand, with a network and losses of their own, and stores them for each image, which
    leaves no room for random crops; here a teacher that is trained at the same time makes them anew for each crop, or the truth is cut
    with it.
    """

    def __init__(self, ratio: float = 0.75, parts: str = "attention", most: int = 7):
        super().__init__()
        check_ratio(ratio)
        if parts not in SOURCES:
            raise unknown("source of parts", parts, SOURCES)
        if most < 1:
            raise UserError(f"an image has one part or more, not {most}")
        self.ratio, self.parts, self.most = ratio, parts, most
        self.want = ("attention",) if parts == "attention" else ()

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, P + 2·N) in [0, 1) for P parts: the order of parts, of the patches in them, of the last few.

        Raises UserError where what the parts come from is not there.
        """
        patches = grid[0] * grid[1]
        part, count = self.part_of(inputs, grid, guide)  # (B, N)
        if noise is None:
            noise = uniform(part.shape[0], count + 2 * patches, generator=generator, device=part.device)
        turns, ties, last = noise.split([count, patches, patches], dim=1)
        visible = visible_count(patches, self.ratio)
        sizes = torch.zeros_like(turns).scatter_add_(1, part, torch.ones_like(ties))  # (B, P)
        wanted = part_counts(sizes, turns, self.ratio, patches - visible, 1 - progress**2)  # (B, P)
        # Within the row sorted by part, and at random in each part, a patch's turn is its place after the beginning of its part.
        place = (part + ties).argsort(dim=1).argsort(dim=1)  # (B, N)
        begins = sizes.cumsum(dim=1) - sizes  # (B, P)
        hidden = place < (begins + wanted).gather(1, part)  # (B, N)
        return [mask_by_noise(hidden + last, visible)]

    def part_of(self, inputs, grid: tuple[int, int], guide) -> tuple[Tensor, int]:
        """The number of each patch's part, (B, N), and how many parts there may be."""
        if self.parts == "attention":
            attention = cls_attention(guide, grid)  # (B, heads, N)
            return attention_parts(attention), attention.shape[1]
        if "segmentation" not in inputs:
            raise UserError('true parts are read from the "segmentation" of the images: train on data that has it, such as scenes')
        return true_parts(inputs["segmentation"], grid, self.most), self.most


def part_counts(sizes: Tensor, turns: Tensor, ratio: float, hidden: int, inside: float) -> Tensor:
    """How many patches each part of an image hides: (B, P), whole numbers; an empty part hides none.

    sizes: (B, P) patches. turns: (B, P) random, the order in which whole parts are hidden. hidden: how many an image hides in all.
    inside: 1 hides the ratio of each part, 0 whole parts, between them a mixture.
    """
    order = turns.argsort(dim=1)  # (B, P)
    before = sizes.gather(1, order).cumsum(dim=1) - sizes.gather(1, order)  # (B, P): in the parts that had their turn
    before = torch.zeros_like(before).scatter_(1, order, before)
    whole = torch.minimum((hidden - before).clamp(min=0), sizes)
    return (inside * (ratio * sizes).round() + (1 - inside) * whole).round()


def true_parts(segmentation: Tensor, grid: tuple[int, int], count: int) -> Tensor:
    """The object that covers most of each patch, 0 for the background: (B, H, W) whole numbers → (B, N). Objects from number
    `count` on are one part."""
    height, width = (side // n for side, n in zip(segmentation.shape[1:], grid, strict=True))  # of a patch, in pixels
    numbers = torch.arange(count, device=segmentation.device).view(1, -1, 1, 1)
    covers = segmentation.long().clamp(0, count - 1).unsqueeze(1) == numbers  # (B, count, H, W)
    pixels = covers.unflatten(3, (grid[1], width)).unflatten(2, (grid[0], height)).sum(dim=(3, 5))  # (B, count, rows, cols)
    return pixels.flatten(2).argmax(dim=1)


def attention_parts(attention: Tensor) -> Tensor:
    """The head that looks at each patch most, of what it has to give to patches: attention (B, heads, N) → (B, N), from 0 to heads − 1.
    Nothing is drawn and nothing fitted: where heads have learnt to look at different things, these are the parts."""
    return (attention / attention.sum(dim=2, keepdim=True)).argmax(dim=1)
