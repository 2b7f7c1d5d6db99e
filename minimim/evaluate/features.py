"""From images to features: one function for train and test, so that both are always made in the same way."""

import hashlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.batches import in_order
from minimim.data.images import check_batch
from minimim.data.spelling import told_apart
from minimim.errors import UserError

SIDE = 32  # pixels: the longer side to which raw_pixels shrinks images


@dataclass
class Features:
    """The features of a set of images, extracted once. x: (n, D) float32, one vector an image, or tokens, (n, N, D); labels: (n,)
    int64 or None; made_by: encoder, image size, layer and pooling in words, by which a probe refuses train and test features that
    were made differently."""

    x: Tensor
    labels: Tensor | None
    made_by: str

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device) -> "Features":
        """The features on a device."""
        return Features(self.x.to(device), None if self.labels is None else self.labels.to(device), self.made_by)

    def take(self, ids: Tensor) -> "Features":
        """The features of the images at these positions, (k,)."""
        return Features(self.x[ids], None if self.labels is None else self.labels[ids], self.made_by)


@torch.no_grad()
def extract(encoder: nn.Module, images, *, layer=-1, pool="mean", batch_size=200, workers: int | None = None) -> Features:
    """The features of a set of Images (or OnDisk), on the CPU, by an encoder: anything that has `features(images, layer, pool)`.

    pool: mean or cls, (n, D), or patches for all tokens, (n, N, D), which take 4·N·D bytes an image: 320 MB for 10,000 images of 64 tokens of
    width 128. workers: as `in_order` has them. The encoder runs on its own device in eval mode, and its mode is restored.
    """
    parameter, training = next(encoder.parameters()), encoder.training
    encoder.eval()
    stream = in_order(images, batch_size, parameter.device, workers)
    height, width = image_size(images)
    rows = [encoder.features(x, layer=layer, pool=pool).float().cpu() for x in stream]
    encoder.train(training)
    return Features(torch.cat(rows), images.labels, f"{fingerprint(encoder)} at {height}×{width}, layer {layer}, {pool}")


def raw_pixels(images, batch_size: int = 200, workers: int | None = None) -> Features:
    """The pixels themselves as features, in [0, 1], (n, C·H·W): the baseline without an encoder.

    Images of more than 32 pixels a side are shrunk to that first, each new pixel the mean of its area: the linear probe
    works with matrices of (C·H·W)² numbers, which for 224×224 are 90 GB each. workers: as `in_order` has them.
    """
    rows = []
    for x in in_order(images, batch_size, "cpu", workers):
        rows.append(F.interpolate(x.float() / 255, pixel_size(*x.shape[-2:]), mode="area").flatten(1))
    return Features(torch.cat(rows), images.labels, "raw pixels")


def image_size(images) -> tuple[int, int]:
    """(H, W) of a set of Images, or the size at which OnDisk reads them."""
    return tuple(images.image_size if hasattr(images, "files") else images.images.shape[-2:])


def pixel_size(height: int, width: int) -> tuple[int, int]:
    """(H, W) to which `raw_pixels` shrinks images of this size."""
    scale = min(1, SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def in_their_span(x: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Features in coordinates of the span of x's rows, where n < D: x (n, D), others (m, D) → (n, n), (m, n); else as they are.

    A classifier or a regression with an L2 penalty has the same solution there, because its weights are weighted sums of rows of x, so
    what lies outside of their span does not count. Without this, twenty labels and 3,072 pixels would cost as much as 3,072 labels.
    """
    if len(x) >= x.shape[1]:
        return x, others
    basis = torch.linalg.qr(x.T).Q  # (D, n)
    return x @ basis, others @ basis


def fingerprint(encoder: nn.Module) -> str:
    """The name of the encoder's class, and the first 8 digits of the SHA-256 of its weights."""
    sha = hashlib.sha256()
    for tensor in encoder.state_dict().values():
        sha.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return f"{type(encoder).__name__} {sha.hexdigest()[:8]}"


def check_labels(train, test) -> None:
    """Raise UserError unless both parts have images with labels, train has two classes or more, and test has no class that train
    lacks; also for images in memory that `check_batch` refuses."""
    for name, data in (("train", train), ("test", test)):
        if hasattr(data, "images"):
            check_batch(data.images, torch.float32)
        if not len(data):
            raise UserError(f"there are no {name} images: give some of each class")
        if data.labels is None:
            raise UserError(f"the {name} images have no labels: put each class in a folder of its own")
    if len(train.labels.unique()) < 2:
        raise UserError("the train images are all of one class: at least two are needed, so give images of another")
    strangers = set(test.labels.unique().tolist()) - set(train.labels.unique().tolist())
    if strangers:
        numbers, names = sorted(strangers)[:5], getattr(test, "classes", ())
        which = ", ".join(told_apart([names[i] for i in numbers], names)) if names else f"numbers {numbers}"
        raise UserError(
            f"the test images have classes that no train image has ({which}): leave these out, or add train images of them"
        )


def check(train: Features, test: Features) -> None:
    """Raise UserError for labels that cannot be used, for tokens, and for train and test features that were made differently."""
    check_labels(train, test)
    check_alike(train, test)
    check_vectors(train, test)


def check_vectors(*features: Features) -> None:
    """Raise UserError for features that are tokens where one vector an image is needed."""
    for each in features:
        if each.x.dim() != 2:
            raise UserError(
                f"this evaluation takes one vector an image, (n, D), and these features are {tuple(each.x.shape)}: "
                'extract them with pool="mean" or "cls", or use the attentive probe'
            )


def check_alike(train: Features, test: Features) -> None:
    """Raise UserError when train and test features were made differently."""
    if train.made_by != test.made_by:
        raise UserError(
            f"train features were made by {train.made_by}, test features by {test.made_by}: "
            "extract both with the same encoder, layer and pool, from images of one size"
        )


def standardise(train: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Bring each dimension to mean 0 and standard deviation 1, by the statistics of the first: (n, D) each → the same."""
    mean, spread = train.mean(dim=0), train.std(dim=0, correction=min(1, len(train) - 1))  # of one row: 0
    spread = torch.where(spread > 1e-6, spread, 1)  # a dimension that never changes becomes 0
    return tuple((x - mean) / spread for x in (train, *others))
