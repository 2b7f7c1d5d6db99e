"""Tokens as the target: each patch is one of K kinds, and the kind is predicted (BEiT, arXiv 2106.08254).

BEiT and MAGE take their tokens from a large autoencoder trained before, on other data. Here a small tokenizer is fitted in
`prepare`, on the images of the run, in under a minute: k-means of the patches, or an autoencoder with a codebook in its middle.
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

CROPS = (0.2, 1.0)  # part of the area of the crops that a tokenizer is fitted on
PIECE = 8192  # patches that are compared with all codes at once


class Tokens(nn.Module):
    """What both tokenizers share: a codebook, ids of patches, and the refusal to answer before they are fitted.

    codebook: how many kinds of patches there are, K. perplexity: a saved number that says how many are in use, exp(entropy) of how
    often each was the nearest when it was fitted: K if all are as frequent, 1 if all patches are of one kind; 0 before.
    A tokenizer never learns from the method's loss.
    """

    predicts = "tokens"

    def __init__(self, image_size, patch_size: int, codebook: int, width: int):
        super().__init__()
        self.image_size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
        self.patch_size, self.codebook = patch_size, codebook
        self.register_buffer("codes", torch.zeros(codebook, width))  # (K, width)
        self.register_buffer("perplexity", torch.zeros(()))
        self.ready = False  # whether perplexity is known to be above 0: a look at it would wait for the device

    def extra_repr(self) -> str:
        """What is printed of it."""
        return f"codebook={self.codebook}, perplexity={float(self.perplexity):.1f}"

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N) ids} of the content view."""
        return {"patch": self.ids(content["image"])}

    @torch.no_grad()
    def ids(self, images: Tensor) -> Tensor:
        """The token of each patch, normalised images (B, C, H, W) → (B, N), int64, from 0 to K − 1.

        Raises UserError while the tokenizer is not fitted.
        """
        self.ready = self.ready or bool(self.perplexity > 0)
        if not self.ready:
            raise UserError("this tokenizer is not fitted yet, and knows no tokens: call method.prepare(images) first, as training does")
        with full_precision(images.device.type):
            patches = patchify(images.to(self.codes.dtype), self.patch_size)  # (B, N, P·P·C)
            return nearest(self.latents(patches), self.codes)

    def fitted(self, counts: Tensor) -> None:
        """Be ready, with codes that were the nearest so many times, (K,)."""
        part = counts / counts.sum()
        self.perplexity.copy_(torch.exp(-(part * part.clamp(min=1e-12).log()).sum()))
        self.ready = True

    def crops(self, data, count: int, generator) -> Tensor:
        """Random crops of random images, normalised, where the tokenizer is: (count, C, *image_size)."""
        ids = torch.randint(len(data), (count,), generator=generator)
        boxes = crop_boxes(torch.rand(count, 4, generator=generator), CROPS)
        images = {"image": read(data, ids).to(self.codes.device)}
        return render(images, boxes.to(self.codes.device), self.image_size, None)["image"].to(self.codes.dtype)


class KMeansTokens(Tokens):
    """The nearest of K mean patches. Without a network: what BEiT's tokens are worth can be told from what k-means gives.

    patches: how many are drawn to be clustered; rounds: of k-means. A codebook of more kinds than there are patches stays partly
    unused, and perplexity says so.
    """

    def __init__(self, image_size, patch_size: int, codebook: int = 512, *, channels=3, patches=20_000, rounds=10):
        super().__init__(image_size, patch_size, codebook, patch_size**2 * channels)
        self.patches, self.rounds = patches, rounds

    def latents(self, patches: Tensor) -> Tensor:
        """What is compared with the codes: the patches as they are, (B, N, P·P·C)."""
        return patches

    @torch.no_grad()
    def prepare(self, data, generator=None) -> None:
        """Cluster patches of random crops."""
        rows, cols = grid_of(*self.image_size, self.patch_size)
        count = min(-(-4 * self.patches // (rows * cols)), 10 * len(data))
        patches = patchify(self.crops(data, count, generator), self.patch_size).flatten(0, 1)  # (M, P·P·C)
        patches = patches[torch.randperm(len(patches), generator=generator)[: self.patches].to(patches.device)]
        codes, counts = kmeans(patches, self.codebook, self.rounds, generator)
        self.codes.copy_(codes)
        self.fitted(counts)

    @torch.no_grad()
    def paint(self, ids: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """The mean patch of each token at its place: ids (B, N) → normalised images (B, C, H, W). grid: (rows, cols), by default
        that of image_size."""
        return unpatchify(self.codes[ids], self.patch_size, grid or grid_of(*self.image_size, self.patch_size))


def nearest(x: Tensor, codes: Tensor) -> Tensor:
    """The number of the nearest code, x (…, width), codes (K, width) → (…), the first where several are as near. Many rows,
    (M, width), are compared piece by piece; patches of images, (B, N, width), at once, so that B may stay free in an export."""
    half = codes.square().sum(dim=1) / 2  # (K,)
    pieces = x.split(PIECE) if x.dim() == 2 else (x,)  # |x − c|² = |x|² + 2 (|c|²/2 − x·c)
    return torch.cat([(half - piece @ codes.T).argmin(dim=-1) for piece in pieces])


def sums_of(x: Tensor, ids: Tensor, codebook: int) -> tuple[Tensor, Tensor]:
    """The sum of the rows of x (M, width) that have each id (M,), and how many they are: (K, width), (K,).

    A product and no index_add, whose sums come in another order each time on a GPU.
    """
    total, counts = x.new_zeros(codebook, x.shape[1]), x.new_zeros(codebook)
    for rows, theirs in zip(x.split(PIECE), ids.split(PIECE), strict=True):
        chosen = F.one_hot(theirs, codebook).to(x.dtype)  # (PIECE, K)
        total, counts = total + chosen.T @ rows, counts + chosen.sum(dim=0)
    return total, counts


def kmeans(x: Tensor, codebook: int, rounds: int, generator=None) -> tuple[Tensor, Tensor]:
    """Means of K clusters of the rows of x (M, width), and how many rows are nearest to each: (K, width), (K,).

    Lloyd's rounds from K random rows; a mean that is nearest to none begins again at a random row, until the last round. Where
    there are fewer rows than means, some means stay without.
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
