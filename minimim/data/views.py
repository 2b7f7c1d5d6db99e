"""From raw images to the views that a method is trained on: all augmentation is done here.

One rule holds everywhere: uint8 means raw pixels, which are then normalised; float means that they are normalised already.
Augmentation works on whole batches, on their device, with separate parameters for each sample.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.images import check_batch, check_pixels
from minimim.draws import uniform

Inputs = dict[str, Tensor]  # {"image": (B, C, H, W), "depth": (B, 1, H, W), …}

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, red, green, blue in [0, 1]


def statistics_for(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation that normalise images of so many channels: ImageNet's for colour, else 0.5, 0.25."""
    return (MEAN, STD) if channels == 3 else ((0.5,) * channels, (0.25,) * channels)


def statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation that normalise these images, (C, 1, 1) each, on their device."""
    # Filled there: torch.tensor would copy its numbers to a GPU, and wait.
    numbers = statistics_for(images.shape[-3])
    return tuple(torch.stack([torch.full((1, 1), value, device=images.device) for value in s]) for s in numbers)


def normalize(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 (B, C, H, W) → floats of about zero mean and unit standard deviation, in this precision; floats pass unchanged. Raises
    UserError for other images."""
    check_pixels(images)
    if images.dtype != torch.uint8:
        return images
    mean, std = statistics(images)
    return ((images / 255 - mean) / std).to(dtype)


def denormalize(images: Tensor) -> Tensor:
    """The inverse of `normalize`, for pictures: float (B, C, H, W) → uint8, clipped to 0..255."""
    mean, std = statistics(images)
    return ((images.float() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def as_inputs(images: Tensor | Inputs) -> Inputs:
    """A plain tensor becomes {"image": tensor}. Raises UserError for anything but a tensor or a dict."""
    if isinstance(images, dict):
        return images
    check_pixels(images)
    return {"image": images}


@dataclass
class Views:
    """The views of one step. student: what is masked and encoded; teacher: what the teacher sees, unmasked; content: what the
    target is computed from. Teacher view v is of the same crop as content view v, perhaps in other colours.

    same: for each student view the content view of the same crop, or None where there is none; by default that of its number.
    boxes: (V, B, 4) crops of the student views as x0, y0, x1, y1 in [0, 1], where cut; x0 > x1 where mirrored.
    content_boxes: those of the content views, by default the same ones.
    """

    student: list[Inputs]
    teacher: list[Inputs]
    content: list[Inputs]
    boxes: Tensor | None = None
    content_boxes: Tensor | None = None
    same: list[int | None] | None = None

    def __post_init__(self):
        if self.same is None:
            self.same = [v if v < len(self.content) else None for v in range(len(self.student))]
        if self.content_boxes is None:
            self.content_boxes = self.boxes


class RandomViews(nn.Module):
    """`count` views of each image by random resized crop, flip and colour jitter; in eval the normalised image itself.

    scale: the smallest and largest part of the area that a crop takes (MAE: 0.2 to 1), or None for no crop.
    flip: whether half of the samples are mirrored. jitter: strength of brightness, contrast and saturation changes.
    image_size: (H, W) of the views. Crops are resized bilinearly; the official MAE resizes bicubically.
    """

    def __init__(self, image_size, *, count=1, scale=None, flip=True, jitter=0.0):
        super().__init__()
        self.image_size, self.count, self.scale, self.flip, self.jitter = image_size, count, scale, flip, jitter

    def forward(self, inputs: Tensor | Inputs, generator: torch.Generator | None = None) -> Views:
        """Draw the views of a batch. Student, teacher and content are the same views here."""
        inputs = as_inputs(inputs)
        if not self.training:
            views = [normalized(inputs)] * self.count
            return Views(views, views, views)
        views, boxes = zip(*(self.draw(inputs, generator) for _ in range(self.count)), strict=True)
        return Views(list(views), list(views), list(views), torch.stack(boxes))

    def draw(self, inputs: Inputs, generator) -> tuple[Inputs, Tensor]:
        """One view, and where it was cut: (B, 4), x0 > x1 where it is mirrored."""
        first = next(iter(inputs.values()))
        noise = uniform(len(first), 8, generator=generator, device=first.device)  # (B, 8)
        boxes = crop_boxes(noise[:, :4], self.scale)
        if self.flip:
            boxes = mirror(boxes, noise[:, 4] < 0.5)
        return render(inputs, boxes, self.image_size if self.scale is not None else None, noise[:, 5:], self.jitter), boxes


def render(inputs: Inputs, boxes: Tensor, size: tuple[int, int] | None, noise: Tensor, strength: float = 0.0, colour=None) -> Inputs:
    """One view of each image: its box (B, 4) cut out, mirrored where x0 > x1, resized to `size` (None: nothing is cut),
    jittered by noise (B, 3), normalised. colour: what changes the image, and by which part of the noise, in place of that jitter,
    (B, C, H, W) in [0, 1] and noise → (B, C, H, W) (`minimim.data.colour`).

    Pictures (B, C, H, W) are cut bilinearly; maps of whole numbers (B, H, W) take the nearest; labels (B,) and captions (B, L)
    pass untouched. Only raw "image"s are jittered. Raises UserError for other pictures.
    """
    view, mirrored = {}, boxes[:, 0] > boxes[:, 2]  # (B,)
    upright = mirror(boxes, mirrored)  # (B, 4)
    for name, x in inputs.items():
        if x.dim() == 3 and name != "image":
            x = x if size is None else crop_nearest(x, upright, size)
            view[name] = torch.where(mirrored.view(-1, 1, 1), x.flip(-1), x)
            continue
        if x.dim() < 3 and name != "image":
            view[name] = x
            continue
        check_batch(x)
        raw = x.dtype == torch.uint8
        x = x / 255 if raw else x
        if size is not None:
            x = crop(x, upright, size)
        x = torch.where(mirrored.view(-1, 1, 1, 1), x.flip(-1), x)
        if raw and name == "image" and (colour or strength):
            x = colour(x, noise) if colour else jitter(x, noise, strength)
        if raw:
            mean, std = statistics(x)
            x = (x - mean) / std
        view[name] = x
    return view


def normalized(inputs: Inputs) -> Inputs:
    """Images without augmentation: pictures are normalised, everything else is unchanged."""
    return {name: normalize(x) if x.dim() > 3 or name == "image" else x for name, x in inputs.items()}


def mirror(boxes: Tensor, where: Tensor) -> Tensor:
    """Boxes (B, 4) with left and right exchanged where `where` is True, (B,) bool."""
    x0, y0, x1, y1 = boxes.unbind(1)
    return torch.stack([torch.where(where, x1, x0), y0, torch.where(where, x0, x1), y1], dim=1)


def crop_boxes(noise: Tensor, scale: tuple[float, float] | None) -> Tensor:
    """Random crops from noise (B, 4): x0, y0, x1, y1 in [0, 1], area within `scale`, aspect 3/4 to 4/3 of the image's."""
    if scale is None:
        corner = torch.zeros_like(noise[:, :2])  # (B, 2)
        return torch.cat([corner, corner + 1], dim=1)  # (B, 4)
    area = scale[0] + (scale[1] - scale[0]) * noise[:, 0]
    aspect = torch.exp((2 * noise[:, 1] - 1) * math.log(4 / 3))
    width = (area * aspect).sqrt().clamp(max=1)
    height = (area / aspect).sqrt().clamp(max=1)
    x0, y0 = noise[:, 2] * (1 - width), noise[:, 3] * (1 - height)
    return torch.stack([x0, y0, x0 + width, y0 + height], dim=1)  # (B, 4)


def crop(images: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut each image's own box and resize it: (B, C, H, W), boxes (B, 4) in [0, 1] → (B, C, *size)."""
    height, width = size
    x0, y0, x1, y1 = (2 * boxes - 1).unbind(1)  # grid_sample counts from −1 to 1
    x = middles(x0, x1, width).unsqueeze(1).expand(-1, height, -1)  # (B, height, width)
    y = middles(y0, y1, height).unsqueeze(2).expand(-1, -1, width)
    grid = torch.stack([x, y], dim=-1).to(images.dtype)  # (B, height, width, 2); under autocast F.affine_grid would make it bf16
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def crop_nearest(maps: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """As `crop`, for maps of whole numbers: each new pixel takes the one that it lies in: (B, H, W) → (B, *size)."""
    (height, width), (rows, cols) = size, maps.shape[1:]
    x0, y0, x1, y1 = boxes.unbind(1)
    row = (middles(y0, y1, height) * rows).long().clamp(0, rows - 1)  # (B, height)
    col = (middles(x0, x1, width) * cols).long().clamp(0, cols - 1)  # (B, width)
    taken = maps.gather(1, row.unsqueeze(2).expand(-1, -1, cols))  # (B, height, W)
    return taken.gather(2, col.unsqueeze(1).expand(-1, height, -1))  # (B, height, width)


def middles(low: Tensor, high: Tensor, n: int) -> Tensor:
    """The middles of n equal parts of the way from low to high: (B,) each → (B, n)."""
    steps = torch.linspace(-1, 1, n, device=low.device) * (n - 1) / n
    return ((high - low) / 2).unsqueeze(1) * steps + ((low + high) / 2).unsqueeze(1)


def jitter(images: Tensor, noise: Tensor, strength: float) -> Tensor:
    """Change brightness, contrast and saturation, each by a factor in 1 ± strength: (B, C, H, W) in [0, 1], noise (B, 3)."""
    brightness, contrast, saturation = (1 + strength * (2 * noise - 1)).view(-1, 3, 1, 1, 1).unbind(1)
    images = (images * brightness).clamp(0, 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (mean + (images - mean) * contrast).clamp(0, 1)
    grey = images.mean(dim=1, keepdim=True)
    return (grey + (images - grey) * saturation).clamp(0, 1)
