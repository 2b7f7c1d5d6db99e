"""From images to features: one function for train and test, so that nobody fits a probe on one thing and tests it on another."""

import hashlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.batches import in_order
from minimim.data.images import check_batch
from minimim.data.spelling import told_apart
from minimim.errors import UserError

SIDE = 32  # pixels, of the raw pixels' longer side


@dataclass
class Features:
    """One vector an image, worked out once and kept. x: (n, D) float32 on the CPU, or tokens, (n, N, D); labels: (n,) int64
    or None; made_by: which encoder, layer and pooling made them of images of which size: features made in different ways are not
    compared."""

    x: Tensor
    labels: Tensor | None
    made_by: str

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device) -> "Features":
        """The features on a device."""
        return Features(self.x.to(device), None if self.labels is None else self.labels.to(device), self.made_by)

    def take(self, ids: Tensor) -> "Features":
        """The features at these places, (k,)."""
        return Features(self.x[ids], None if self.labels is None else self.labels[ids], self.made_by)


@torch.no_grad()
def extract(encoder: nn.Module, images, *, layer=-1, pool="mean", batch_size=200, workers: int | None = None) -> Features:
    """The features of a set of Images (or OnDisk), by anything that has `features(images, layer, pool)`.

    pool: mean, cls, or patches for all tokens, which take 4·N·D bytes an image: 320 MB for 10,000 images of 64 tokens of
    width 128. workers: as `in_order` has them. The encoder works where it is, in eval mode, and is left as it was found.
    """
    parameter, training = next(encoder.parameters()), encoder.training
    encoder.eval()
    stream = in_order(images, batch_size, parameter.device, workers)
    height, width = image_size(images)
    rows = [encoder.features(x, layer=layer, pool=pool).float().cpu() for x in stream]
    encoder.train(training)
    return Features(torch.cat(rows), images.labels, f"{fingerprint(encoder)} at {height}×{width}, layer {layer}, {pool}")


def raw_pixels(images, batch_size: int = 200, workers: int | None = None) -> Features:
    """The first floor: the pixels themselves, in [0, 1], (n, C·H·W).

    Images of more than 32 pixels a side are shrunk to that first, each new pixel the mean of its area: the linear probe
    works with matrices of (C·H·W)² numbers, which for 224×224 are 90 GB each. workers: as `in_order` has them.
    """
    rows = []
    for x in in_order(images, batch_size, "cpu", workers):
        rows.append(F.interpolate(x.float() / 255, pixel_size(*x.shape[-2:]), mode="area").flatten(1))
    return Features(torch.cat(rows), images.labels, "raw pixels")


def image_size(images) -> tuple[int, int]:
    """(H, W) of a set of Images, or as those of OnDisk are read."""
    return tuple(images.image_size if hasattr(images, "files") else images.images.shape[-2:])


def pixel_size(height: int, width: int) -> tuple[int, int]:
    """(H, W) at which the raw pixels of such images are taken."""
    scale = min(1, SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def in_their_span(x: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The same features in as few numbers as there are rows, where these are fewer than D: x (n, D), others (m, D) → (n, n), (m, n).

    A classifier or a regression with an L2 penalty finds the same there: its weights are sums of rows of x, so what lies outside
    of their span counts for nothing. Twenty labels and 3,072 pixels would else cost as much as 3,072 labels.
    """
    if len(x) >= x.shape[1]:
        return x, others
    basis = torch.linalg.qr(x.T).Q  # (D, n)
    return x @ basis, others @ basis


def fingerprint(encoder: nn.Module) -> str:
    """Name of the class and the first letters of a hash of the weights."""
    sha = hashlib.sha256()
    for tensor in encoder.state_dict().values():
        sha.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return f"{type(encoder).__name__} {sha.hexdigest()[:8]}"


def check_labels(train, test) -> None:
    """Raise UserError unless both have labels, those of train more than one class, and those of test no other; and for images
    in memory of a kind that is not taken."""
    for name, data in (("train", train), ("test", test)):
        if hasattr(data, "images"):
            check_batch(data.images, torch.float32)
        if not len(data):
            raise UserError(f"there are no {name} images: give some of each class")
        if data.labels is None:
            raise UserError(f"the {name} images have no labels: put each class in a folder of its own")
    if len(train.labels.unique()) < 2:
        raise UserError("the train images are all of one class: at least two are needed to tell apart")
    strangers = set(test.labels.unique().tolist()) - set(train.labels.unique().tolist())
    if strangers:
        numbers, names = sorted(strangers)[:5], getattr(test, "classes", ())
        which = ", ".join(told_apart([names[i] for i in numbers], names)) if names else f"numbers {numbers}"
        raise UserError(f"the test images have classes that no train image has ({which})")


def check(train: Features, test: Features) -> None:
    """Raise UserError for labels that cannot be used, for tokens, and for train and test features not made in the same way."""
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
    """Raise UserError when train and test features were not made in the same way."""
    if train.made_by != test.made_by:
        raise UserError(
            f"train features were made by {train.made_by}, test features by {test.made_by}: "
            "extract both with the same encoder, layer and pool, from images of one size"
        )


def standardise(train: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Zero mean and unit spread in each dimension, by the statistics of the first: (n, D) each → the same."""
    mean, spread = train.mean(dim=0), train.std(dim=0, correction=min(1, len(train) - 1))  # of one row: 0
    spread = torch.where(spread > 1e-6, spread, 1)  # a dimension that never changes stays at zero
    return tuple((x - mean) / spread for x in (train, *others))
