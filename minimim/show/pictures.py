"""Masked images and what a method fills in, as pixels.

A prediction of normalised patches is no picture yet: it lacks each patch's own brightness and contrast. Taking these
from the hidden patch itself would leak what was to be guessed, and makes many published pictures too good. Here they are
taken from the visible patches around it, unless the true ones are asked for.
"""

import io
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop

from minimim.data.batches import read
from minimim.data.images import check_batch, check_pixels, check_set
from minimim.data.views import denormalize, normalize
from minimim.errors import UserError
from minimim.methods import Method
from minimim.patches import patchify, unpatchify


@dataclass
class Filled:
    """One batch of pictures, uint8 (B, C, H, W) each: the images, the same with hidden patches grey, and the same with
    hidden patches as predicted. mask: (B, N) bool, True = hidden. All channels are kept: `strip` chooses which are shown."""

    original: Tensor
    masked: Tensor
    filled: Tensor
    mask: Tensor


@torch.no_grad()
def fill_in(method: Method, images: Tensor, *, noise: Tensor | None = None, generator=None, truth: bool = False) -> Filled:
    """Mask images, let a method that predicts pixels fill them in, and leave what was visible as it is.

    images: (B, C, H, W), uint8 or normalised, shown as they are, without augmentation. noise, generator: of the mask.
    truth: give predictions of normalised patches the true mean and standard deviation of each hidden patch, and not those around.
    Raises UserError for a method that predicts something other than pixels, and for images of another kind.
    """
    check_set(images, next(method.parameters()).dtype)
    target = method.target
    if getattr(target, "predicts", None) != "pixels":
        raise UserError(f"this method predicts {type(target).__name__}, not pixels, so there is nothing to paint: give one that predicts pixels, as mae and simmim do")
    training = method.training
    device = next(method.parameters()).device
    output = method.eval()(images.to(device), noise=noise, generator=generator)
    method.train(training)
    mask, size, clean = output.mask, target.patch_size, normalize(images.to(device))
    grid = method.encoder.grid(clean)
    patches = patchify(clean, size)  # (B, N, P·P·C)
    painted = output.prediction.float()  # (B, N, P·P·C)
    if target.normalize:
        mean, spread = statistics_of(patches) if truth else borrowed(patches, mask, grid)
        painted = painted * spread + mean
    filled = unpatchify(torch.where(mask.unsqueeze(-1), painted, patches), size, grid)
    shown = as_bytes(images).cpu()
    return Filled(shown, grey_out(shown, mask.cpu(), size), denormalize(filled).cpu(), mask.cpu())


def filling(images, count: int = 6):
    """A function that `train` can call as its `pictures`: method → `count` of the images as the encoder sees them, filled in, and as they
    are, uint8 (H, W, 3), under the same masks each time; None for a method that predicts something other than pixels, and
    for one that takes more than images.

    images: Images or OnDisk, from all over the set; cropped at their centre where they are larger than the method's.
    """
    chosen = read(images, torch.arange(count) * len(images) // count)  # (count, C, H, W)

    def paint(method: Method) -> Tensor | None:
        if getattr(method.target, "predicts", None) != "pixels" or getattr(method, "needs", ()):
            return None
        size = [side * method.encoder.patch_size for side in method.encoder.home_grid]
        generator = torch.Generator(next(method.parameters()).device).manual_seed(0)
        filled = fill_in(method, center_crop(chosen, size), generator=generator)
        zoom = max(1, 128 // size[0])
        return strip([filled.masked, filled.filled, filled.original]).repeat_interleave(zoom, 0).repeat_interleave(zoom, 1)

    return paint


def borrowed(patches: Tensor, mask: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Mean and spread for each patch, (B, N, 1) both, from the visible patches alone, the near ones counting most."""
    rows, cols = torch.meshgrid(*(torch.arange(float(n), device=mask.device) for n in grid), indexing="ij")
    places = torch.stack([rows.flatten(), cols.flatten()], dim=1)  # (N, 2)
    nearness = torch.exp(-(torch.cdist(places, places) ** 2))  # (N, N)
    weights = nearness * ~mask.unsqueeze(1) + 1e-9 * ~mask.unsqueeze(1)  # (B, N, N), hidden ones count nothing
    weights = weights / weights.sum(dim=-1, keepdim=True)
    mean, spread = statistics_of(patches)
    return weights @ mean, weights @ spread


def statistics_of(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each patch, (B, N, 1) both, as the target of normalised pixels takes them out."""
    return patches.mean(dim=-1, keepdim=True), (patches.var(dim=-1, keepdim=True) + 1e-6).sqrt()


def grey_out(images: Tensor, mask: Tensor, patch_size: int) -> Tensor:
    """Hidden patches in mid-grey: (B, C, H, W), uint8 or normalised, mask (B, N) → uint8 (B, C, H, W)."""
    rows, cols = (side // patch_size for side in images.shape[-2:])
    hidden = mask.view(-1, 1, rows, cols).repeat_interleave(patch_size, 2).repeat_interleave(patch_size, 3)
    return torch.where(hidden, torch.tensor(128, dtype=torch.uint8), as_bytes(images))


def as_bytes(images: Tensor) -> Tensor:
    """Images (B, C, H, W), uint8 or normalised, as uint8. Raises UserError for other kinds."""
    check_pixels(images)
    return images if images.dtype == torch.uint8 else denormalize(images)


def as_pixels(images: Tensor, bands: tuple[int, int, int] | None = None) -> Tensor:
    """Images (B, C, H, W), uint8 or normalised, as what matplotlib shows: uint8 (B, H, W, 3).

    bands: the channels that are shown as red, green and blue; by default the first three, or the first alone in grey where
    there are one or two. Raises UserError for bands that are not there, and for images of another kind or shape.
    """
    check_batch(images)
    channels = images.shape[1]
    shown = ([0, 1, 2] if channels > 2 else [0, 0, 0]) if bands is None else bands
    if not isinstance(shown, list | tuple) or len(shown) != 3 or not all(isinstance(band, int) and -channels <= band < channels for band in shown):
        raise UserError(f"bands are three channels to be shown as red, green and blue, each from 0 to {channels - 1}, not {bands}")
    return as_bytes(images)[:, list(shown)].permute(0, 2, 3, 1).contiguous()


def strip(rows: list[Tensor], gap: int = 2, bands: tuple[int, int, int] | None = None) -> Tensor:
    """Several batches as rows of one picture on white: list of (B, C, H, W) → uint8 (H', W', 3). bands: as `as_pixels` has them."""
    check_batch(rows[0])
    height, width = rows[0].shape[-2:]
    across = max(len(row) for row in rows)
    canvas = torch.full((len(rows) * (height + gap) - gap, across * (width + gap) - gap, 3), 255, dtype=torch.uint8)
    for r, row in enumerate(rows):
        for c, image in enumerate(as_pixels(row, bands)):
            top, left = r * (height + gap), c * (width + gap)
            canvas[top : top + height, left : left + width] = image
    return canvas


def png(picture: Tensor, zoom: int = 1) -> bytes:
    """A picture (H, W, 3) as a PNG file, each pixel a square of `zoom`."""
    image = Image.fromarray(picture.numpy())
    image = image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
