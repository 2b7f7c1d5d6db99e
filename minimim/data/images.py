"""Images in memory: what every source returns, and what training and evaluation take."""

import warnings
from dataclasses import dataclass, field

import torch
from torch import Tensor

from minimim.draws import mix
from minimim.errors import UserError


def check_pixels(images: Tensor, dtype: torch.dtype | None = None) -> None:
    """Raise UserError unless images are uint8 from 0 to 255, or floats that are normalised: these are what the whole library takes.

    dtype: of the floats, which should be that of the weights; by default any.
    """
    if not isinstance(images, Tensor):
        raise UserError(f"images are a torch.Tensor (B, C, H, W), not of type {type(images).__name__}: make one with torch.as_tensor, or with torch.stack of several")
    if images.dtype == torch.uint8 or images.is_floating_point() and dtype in (None, images.dtype):
        return
    kind, wanted = (str(of).removeprefix("torch.") for of in (images.dtype, dtype or torch.float32))
    raise UserError(
        f"these images are {kind}, and what is taken is uint8 from 0 to 255, or {wanted} that is normalised already: scale numbers "
        f"of another range to 0..255 and round them to torch.uint8, or bring normalised images to torch.{wanted}"
    )


def check_batch(images: Tensor, dtype: torch.dtype | None = None) -> None:
    """`check_pixels`; raises UserError also for anything but (B, C, H, W), and for channels that come last."""
    check_pixels(images, dtype)
    shape = tuple(images.shape)
    if len(shape) != 4:
        raise UserError(f"images are (B, C, H, W), and these are {shape}: one image is images[None], and grey ones are images[:, None]")
    if shape[3] in (1, 3) and shape[1] > 4:
        raise UserError(f"images are (B, C, H, W), and these are {shape}, which looks like (B, H, W, C): give images.permute(0, 3, 1, 2)")


def check_set(images: Tensor, dtype: torch.dtype | None = None) -> None:
    """`check_batch`, with a warning if the first floats are clearly not normalised."""
    check_batch(images, dtype)
    if not images.is_floating_point() or not images.numel():
        return
    least, most = (float(bound) for bound in images[:16].detach().aminmax())
    reach = f"reach {max(most, -least):g}" if max(most, -least) > 50 else "all lie from 0 to 1" if 0 <= least < most <= 1 else ""
    if reach:
        told = f"images in floats are taken as normalised, and these {reach}: give uint8 from 0 to 255, or normalise them"
        warnings.warn(told, stacklevel=4)


def few(images, shots: int, *, seed: int = 0):
    """`shots` images of each class (or all, if there are fewer), drawn at random by the seed: Images or OnDisk → the same kind.

    Raises UserError for images without labels, and for fewer than one.
    """
    if shots < 1:
        raise UserError(f"shots must be 1 or more, not {shots}: leave it out to take all images")
    if images.labels is None:
        raise UserError("a few images of each class can be taken only where there are labels: put each class in a folder of its own")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(mix(seed)))  # (n,)
    labels = images.labels[order]
    return images.take(torch.cat([order[labels == label][:shots] for label in labels.unique()]))


@dataclass
class Images:
    """A set of images in memory.

    images: uint8 (n, C, H, W), or float32 where they are normalised already; labels: int64 (n,), or None; classes: the name of each label; truth: what else is known
    of each image, name → tensor or list with n rows.
    """

    images: Tensor
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    truth: dict[str, Tensor | list] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices) -> "Images":
        """The images at these indices, (k,) integers or a slice, with all that is known of them."""
        if isinstance(indices, slice):
            indices = range(*indices.indices(len(self)))
        ids = torch.as_tensor(indices)
        truth = {
            name: rows[ids] if isinstance(rows, Tensor) else [rows[i] for i in ids.tolist()]
            for name, rows in self.truth.items()
        }
        return Images(self.images[ids], None if self.labels is None else self.labels[ids], self.classes, truth)
