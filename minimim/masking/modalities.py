"""Masks over several modalities in one sequence: image patches, then those of depth and segmentation, or the words of a caption."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from minimim.data.views import Inputs
from minimim.draws import uniform
from minimim.errors import UserError
from minimim.masking.mask import Mask, check_ratio, visible_count


class SharedBudget(nn.Module):
    """Keep the same number of tokens in each sample, divided among its modalities at random (MultiMAE, arXiv 2204.01678).

    streams: names of the modalities, in the order of the sequence. ratio: the fraction of the whole sequence that is hidden, 490 of 588
    tokens in the paper. The fractions of the modalities are drawn from a symmetric Dirichlet distribution with parameter 1 (uniform over
    all divisions) and rounded to whole tokens; random tokens are added or removed so that the total is exact. A sample may show a single
    modality. Raises UserError for a ratio that is not between 0 and 1.
    """

    uneven = True  # samples hide different numbers of tokens of each modality

    def __init__(self, streams: tuple[str, ...], ratio: float = 5 / 6):
        super().__init__()
        check_ratio(ratio)
        self.streams, self.ratio = tuple(streams), ratio

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch, over the whole sequence of T tokens. noise: (B, S + T) in [0, 1), one for each stream and each token.

        Raises UserError if a stream is missing.
        """
        spans = spans_of(inputs, grid, self.streams)
        total, image = length_of(spans), inputs["image"]
        if noise is None:
            noise = uniform(image.shape[0], len(spans) + total, generator=generator, device=image.device)
        shares, ties = noise.split([len(spans), total], dim=1)
        visible = max(1, round(total * (1 - self.ratio)))
        waits = -torch.log1p(-shares)  # (B, S), exponential: divided by their sum, a Dirichlet draw
        counts = (visible * waits / waits.sum(dim=1, keepdim=True)).round()  # (B, S)
        return [mask_by_counts(inputs, ties, counts, spans, visible)]


class EachRatio(nn.Module):
    """Hide the same fraction of each modality (M3AE, arXiv 2205.14204). streams: names of the modalities, in the order of the sequence."""

    uneven = True  # captions differ in how many of their hidden places hold a word

    def __init__(self, streams: tuple[str, ...], ratio: float = 0.75):
        super().__init__()
        check_ratio(ratio)
        self.streams, self.ratio = tuple(streams), ratio

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch, over the whole sequence of T tokens. noise: (B, T) in [0, 1). Raises UserError if a stream is missing."""
        spans = spans_of(inputs, grid, self.streams)
        image = inputs["image"]
        if noise is None:
            noise = uniform(image.shape[0], length_of(spans), generator=generator, device=image.device)
        numbers = [visible_count(span.stop - span.start, self.ratio) for span in spans.values()]
        counts = torch.cat([noise.new_full((len(noise), 1), number) for number in numbers], dim=1)  # (B, S)
        return [mask_by_counts(inputs, noise, counts, spans, sum(numbers))]


def spans_of(inputs: Inputs, grid: tuple[int, int], streams: tuple[str, ...]) -> dict[str, slice]:
    """Which places of the sequence belong to each stream: one for each patch of an image or a map, one for each word of a caption.

    Raises UserError if a stream is missing.
    """
    missing = [stream for stream in streams if stream not in inputs]
    if missing:
        raise UserError(f"this method learns from {', '.join(streams)} together, and these inputs are without {', '.join(missing)}: give all of them")
    spans, start = {}, 0
    for stream in streams:
        length = inputs[stream].shape[1] if inputs[stream].dim() == 2 else grid[0] * grid[1]
        spans[stream] = slice(start, start + length)
        start += length
    return spans


def length_of(spans: dict[str, slice]) -> int:
    """T, the length of the sequence."""
    return max(span.stop for span in spans.values())


def mask_by_counts(inputs: Inputs, noise: Tensor, counts: Tensor, spans: dict[str, slice], visible: int) -> Mask:
    """Keep counts (B, S) tokens of each stream, those of lowest noise (B, T). If the counts do not sum to `visible`, tokens are added or
    removed by their noise until they do. Places of a caption without a word are not scored."""
    chosen = torch.cat(
        [noise[:, span].argsort(dim=1).argsort(dim=1) < counts[:, s : s + 1] for s, span in enumerate(spans.values())], dim=1
    )  # (B, T)
    order = (noise + ~chosen).argsort(dim=1)  # (B, T): noise is below 1, so the chosen come first
    hidden = torch.ones_like(chosen).scatter_(1, order[:, :visible], 0)
    scored = hidden
    if "caption" in spans:
        real = torch.ones_like(hidden)
        real[:, spans["caption"]] = inputs["caption"] != 0
        scored = hidden & real
    return Mask(hidden, scored=(scored,), order=order, visible=visible, spans=spans)


def scored_in(stream: str) -> Callable[[Mask], Tensor]:
    """For `Term.on`: a function that returns the scored places of one stream of a Mask, (B, N of that stream) bool."""
    return lambda mask: mask.scored[0][:, mask.spans[stream]]
