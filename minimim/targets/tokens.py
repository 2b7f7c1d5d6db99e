"""Discrete tokens as the target: each patch is assigned to one of K codes, and the code is predicted (BEiT, arXiv 2106.08254).

BEiT and MAGE (2211.09117) take their tokens from a large autoencoder that was trained before, on other data. Here a small tokenizer is
fitted in `prepare`, on the images of the run, in under a minute: k-means of the patches, or an autoencoder with a codebook as bottleneck.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.batches import read
from minimim.data.views import Inputs, crop_boxes, render
from minimim.encoders.encoded import Streams
from minimim.errors import UserError
from minimim.patches import grid_of, patchify, unpatchify
from minimim.precision import full_precision

CROPS = (0.2, 1.0)  # area of the crops that a tokenizer is fitted on, as a fraction of the image
PIECE = 8192  # patches that are compared with all codes at once


class Tokens(nn.Module):
    """The common part of both tokenizers: a codebook, and the ids of patches.

    image_size: (H, W) or one side, patch_size: both in pixels. codebook: K, the number of codes; width: numbers in a code.
    perplexity, a buffer, is the effective number of codes in use, exp(entropy) of their frequencies when the tokenizer was fitted: K if
    all are equally frequent, 1 if all patches have the same one; 0 before. The method's loss does not train a tokenizer.
    """

    predicts = "tokens"

    def __init__(self, image_size, patch_size: int, codebook: int, width: int):
        super().__init__()
        self.image_size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
        self.patch_size, self.codebook = patch_size, codebook
        self.register_buffer("codes", torch.zeros(codebook, width))  # (K, width)
        self.register_buffer("perplexity", torch.zeros(()))
        self.ready = False  # whether perplexity is known to be above 0, because reading it waits for the device

    def extra_repr(self) -> str:
        """The codebook's size and perplexity, for `print`."""
        return f"codebook={self.codebook}, perplexity={float(self.perplexity):.1f}"

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N) int64 ids} of the content view."""
        return {"patch": self.ids(content["image"])}

    @torch.no_grad()
    def ids(self, images: Tensor) -> Tensor:
        """The token of each patch: normalised images (B, C, H, W) → (B, N), int64, from 0 to K − 1.

        Raises UserError if the tokenizer is not fitted yet.
        """
        self.ready = self.ready or bool(self.perplexity > 0)
        if not self.ready:
            raise UserError("this tokenizer is not fitted yet, and knows no tokens: call method.prepare(images) first, as training does")
        with full_precision(images.device.type):
            patches = patchify(images.to(self.codes.dtype), self.patch_size)  # (B, N, P·P·C)
            return nearest(self.latents(patches), self.codes)

    def fitted(self, counts: Tensor) -> None:
        """Mark the tokenizer as fitted, and set perplexity from counts (K,), how often each code was the nearest."""
        part = counts / counts.sum()
        self.perplexity.copy_(torch.exp(-(part * part.clamp(min=1e-12).log()).sum()))
        self.ready = True

    def crops(self, data, count: int, generator) -> Tensor:
        """Random crops of random images, normalised, on the tokenizer's device: (count, C, *image_size)."""
        ids = torch.randint(len(data), (count,), generator=generator)
        boxes = crop_boxes(torch.rand(count, 4, generator=generator), CROPS)
        images = {"image": read(data, ids).to(self.codes.device)}
        return render(images, boxes.to(self.codes.device), self.image_size, None)["image"].to(self.codes.dtype)


class KMeansTokens(Tokens):
    """Tokens by k-means: the code of a patch is the nearest of K mean patches. No network is needed, so it is a baseline for BEiT's tokens.

    codebook: K. patches: how many are drawn for the clustering; rounds: iterations of k-means. If there are fewer patches than codes,
    some codes stay unused, which perplexity shows.
    """

    def __init__(self, image_size, patch_size: int, codebook: int = 512, *, channels=3, patches=20_000, rounds=10):
        super().__init__(image_size, patch_size, codebook, patch_size**2 * channels)
        self.patches, self.rounds = patches, rounds

    def latents(self, patches: Tensor) -> Tensor:
        """The vectors that are compared with the codes: the patches themselves, (B, N, P·P·C)."""
        return patches

    @torch.no_grad()
    def prepare(self, data, generator=None) -> None:
        """Fit the codes to patches of random crops of the data."""
        rows, cols = grid_of(*self.image_size, self.patch_size)
        count = min(-(-4 * self.patches // (rows * cols)), 10 * len(data))
        patches = patchify(self.crops(data, count, generator), self.patch_size).flatten(0, 1)  # (M, P·P·C)
        patches = patches[torch.randperm(len(patches), generator=generator)[: self.patches].to(patches.device)]
        codes, counts = kmeans(patches, self.codebook, self.rounds, generator)
        self.codes.copy_(codes)
        self.fitted(counts)

    @torch.no_grad()
    def paint(self, ids: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """Images in which each token is drawn as its mean patch: ids (B, N) → normalised images (B, C, H, W). grid: (rows, cols), by
        default that of image_size."""
        return unpatchify(self.codes[ids], self.patch_size, grid or grid_of(*self.image_size, self.patch_size))


def nearest(x: Tensor, codes: Tensor) -> Tensor:
    """The index of the nearest code: x (…, width), codes (K, width) → (…), the first one if several are equally near. Rows (M, width)
    are compared in pieces, to save memory; patches of images (B, N, width) at once, so that B can be dynamic in an export."""
    half = codes.square().sum(dim=1) / 2  # (K,)
    pieces = x.split(PIECE) if x.dim() == 2 else (x,)  # |x − c|² = |x|² + 2 (|c|²/2 − x·c)
    return torch.cat([(half - piece @ codes.T).argmin(dim=-1) for piece in pieces])


def sums_of(x: Tensor, ids: Tensor, codebook: int) -> tuple[Tensor, Tensor]:
    """The sum of the rows of x (M, width) for each id (M,), and how many rows these are: (K, width), (K,).

    Computed as a matrix product, because index_add sums in an undefined order on a GPU.
    """
    total, counts = x.new_zeros(codebook, x.shape[1]), x.new_zeros(codebook)
    for rows, theirs in zip(x.split(PIECE), ids.split(PIECE), strict=True):
        chosen = F.one_hot(theirs, codebook).to(x.dtype)  # (PIECE, K)
        total, counts = total + chosen.T @ rows, counts + chosen.sum(dim=0)
    return total, counts


def kmeans(x: Tensor, codebook: int, rounds: int, generator=None) -> tuple[Tensor, Tensor]:
    """The means of K clusters of the rows of x (M, width), and how many rows are nearest to each: (K, width), (K,).

    Lloyd's algorithm from K random rows; a mean that is nearest to no row is moved to a random row, except in the last round. If there
    are fewer rows than means, some clusters stay empty.
    """

    def some(count: int) -> Tensor:
        return x[torch.randint(len(x), (count,), generator=generator).to(x.device)]

    first = torch.randperm(len(x), generator=generator)[:codebook].to(x.device)
    means = torch.cat([x[first], some(codebook - len(first))])  # (K, width)
    for number in range(rounds):
        total, counts = sums_of(x, nearest(x, means), codebook)
        alone = means if number == rounds - 1 else some(codebook)
        means = torch.where(counts.unsqueeze(1) > 0, total / counts.clamp(min=1).unsqueeze(1), alone)
    return means, sums_of(x, nearest(x, means), codebook)[1]
