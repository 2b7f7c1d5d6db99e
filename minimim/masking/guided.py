"""Masks that look: a teacher, which has seen the whole image, says what is worth hiding."""

from torch import Tensor, nn

from minimim.draws import for_all, uniform
from minimim.errors import UserError, unknown
from minimim.masking.mask import Mask, check_ratio, mask_by_noise, visible_count

KINDS = ("high", "low", "hint")


class HardestMasking(nn.Module):
    """Hide what the teacher expects to be hardest, more and more of it (HPM, arXiv 2304.05919).

    Of the hidden patches, a part that grows from 0 to `hardest` over the run is the teacher's choice, the rest random:
    easy to hard. The guide's "difficulty" stream, (B, N, 1), is the teacher's forecast of the loss of each patch.
    """

    def __init__(self, ratio: float = 0.75, hardest: float = 0.5):
        super().__init__()
        check_ratio(ratio)
        self.ratio, self.hardest = ratio, hardest

    def forward(self, inputs, grid, guide, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, N) in [0, 1), for the random rest."""
        difficulty = guide.streams["difficulty"].squeeze(-1)  # (B, N)
        visible = visible_count(difficulty.shape[1], self.ratio)
        if noise is None:
            noise = uniform(*difficulty.shape, generator=generator, device=difficulty.device)
        chosen = int((difficulty.shape[1] - visible) * self.hardest * progress)
        rank = difficulty.argsort(dim=1, descending=True).argsort(dim=1)  # (B, N): 0 is the hardest
        return [mask_by_noise(noise + (rank < chosen), visible)]


class AttentionMasking(nn.Module):
    """Hide what the teacher's CLS token attends to most (AttMask, arXiv 2203.12719).

    ratio: (low, high), drawn once for the whole batch. chance: the part of the samples that is masked at all. kind: "high" hides the
    most attended patches; "hint" too, but shows a few of the very first again; "low" hides the least attended, which is worse.
    hint: how many those first are, as a part of all; of them a part is shown again, drawn from `ratio` once more.

    The attention is that of the teacher's last block on the whole crop, CLS to patches, its mean over the heads.
    Differs: the official code draws the ratio once for all views of a batch, here each view has its own.
    """

    want = ("attention",)
    uneven = True  # some samples hide nothing

    def __init__(self, ratio: tuple[float, float] = (0.1, 0.5), kind: str = "high", chance: float = 0.5, hint: float = 0.1):
        super().__init__()
        for bound in ratio:
            check_ratio(bound)
        if kind not in KINDS:
            raise unknown("kind of attention mask", kind, KINDS)
        self.ratio, self.kind, self.chance, self.hint = tuple(ratio), kind, chance, hint

    def forward(self, inputs, grid, guide, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, 3 + N) in [0, 1): the first two of the first sample are the batch's ratios, then each
        sample's chance, then which patches are hints.

        Raises UserError where there is no teacher, or none with a CLS token.
        """
        attention = cls_attention(guide, grid).mean(dim=1)  # (B, N)
        batch, patches = attention.shape
        if noise is None:
            ratios = for_all(1, 2, generator=generator, device=attention.device)
            noise = uniform(batch, 1 + patches, generator=generator, device=attention.device)
        else:
            ratios, noise = noise[:1, :2], noise[:, 2:]
        ratios = self.ratio[0] + (self.ratio[1] - self.ratio[0]) * ratios  # (1, 2)
        rank = attention.argsort(dim=1, descending=self.kind != "low").argsort(dim=1)  # (B, N): 0 is hidden first
        hidden = rank < (ratios[:, :1] * patches).floor().clamp(min=1)  # (B, N)
        if self.kind == "hint":
            first = rank < int(self.hint * patches)  # (B, N)
            turn = (noise[:, 1:] + ~first).argsort(dim=1).argsort(dim=1)  # (B, N): the first patches in random order
            hidden = hidden & ~(first & (turn < (self.hint * ratios[:, 1:] * patches).floor()))
        return [Mask(hidden & (noise[:, :1] < self.chance))]


def cls_attention(guide, grid: tuple[int, int]) -> Tensor:
    """How much each head of a teacher's CLS attends to each patch, (B, heads, N). Raises UserError where nothing can say so."""
    if guide is None:
        raise UserError("a mask by attention needs a teacher that sees the same crop: give the method a Teacher")
    attention = guide.encoded.attention  # (B, heads, T, T)
    if attention is None or attention.shape[-1] != 1 + grid[0] * grid[1]:
        raise UserError("a mask by attention needs a teacher whose CLS token attends to every patch: a ViT with cls=True")
    return attention[:, :, 0, 1:].float()
