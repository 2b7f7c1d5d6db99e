"""Guided masks: a teacher that sees the whole image determines which patches are hidden."""

from torch import Tensor, nn

from minimim.draws import for_all, uniform
from minimim.errors import UserError, unknown
from minimim.masking.mask import Mask, check_ratio, mask_by_noise, visible_count

KINDS = ("high", "low", "hint")


class HardestMasking(nn.Module):
    """Hide the patches that the teacher predicts to be hardest, a growing number of them (HPM, arXiv 2304.05919).

    ratio: the fraction of the patches that is hidden. hardest: the fraction of the hidden patches that are the teacher's hardest at the
    end of the run; it grows from 0, and the other hidden patches are random. The guide's "difficulty" stream, (B, N, 1), is the
    teacher's prediction of the loss of each patch. Raises UserError for a ratio that is not between 0 and 1.
    """

    def __init__(self, ratio: float = 0.75, hardest: float = 0.5):
        super().__init__()
        check_ratio(ratio)
        self.ratio, self.hardest = ratio, hardest

    def forward(self, inputs, grid, guide, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch. noise: (B, N) in [0, 1), for the patches that are hidden at random."""
        difficulty = guide.streams["difficulty"].squeeze(-1)  # (B, N)
        visible = visible_count(difficulty.shape[1], self.ratio)
        if noise is None:
            noise = uniform(*difficulty.shape, generator=generator, device=difficulty.device)
        chosen = int((difficulty.shape[1] - visible) * self.hardest * progress)
        rank = difficulty.argsort(dim=1, descending=True).argsort(dim=1)  # (B, N): 0 is the hardest
        return [mask_by_noise(noise + (rank < chosen), visible)]


class AttentionMasking(nn.Module):
    """Hide the patches to which the teacher's CLS token attends most (AttMask, arXiv 2203.12719).

    ratio: (low, high), drawn once for the whole batch. chance: the probability that a sample is masked. kind: "high" hides the most
    attended patches; "hint" does so, too, but shows a few of the most attended ones again; "low" hides the least attended ones, the
    paper's negative control. hint: the fraction of all patches from which hints are chosen, the most attended ones; the fraction of
    these that is shown is a second draw from `ratio`.

    The attention is that of the teacher's last block on the whole crop, from CLS to the patches, averaged over the heads.
    Raises UserError for an unknown kind, and for ratios that are not between 0 and 1.
    Differs: the official code draws the ratio once for all views of a batch; here each view has its own.
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
        """One Mask for a batch. noise: (B, 3 + N) in [0, 1): the first two numbers of the first sample decide the ratios of the batch, the
        third whether a sample is masked, the others which patches are hints.

        Raises UserError if there is no teacher, or no CLS token in it.
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
    """The attention weights from a teacher's CLS token to each patch, (B, heads, N). Raises UserError if there is no teacher, or it has
    no such attention map."""
    if guide is None:
        raise UserError("a mask by attention needs a teacher that sees the same crop: give the method a Teacher")
    attention = guide.encoded.attention  # (B, heads, T, T)
    if attention is None or attention.shape[-1] != 1 + grid[0] * grid[1]:
        raise UserError("a mask by attention needs a teacher whose CLS token attends to every patch: a ViT with cls=True")
    return attention[:, :, 0, 1:].float()
