"""What belongs to the images of a set: labels, depth, segmentation and captions, as they are streamed to a method."""

import torch
from torch import Tensor

from minimim.data.captions import encode
from minimim.errors import UserError, unknown

NAMES = ("label", "depth", "segmentation", "caption")


def beside(data, name: str):
    """One row for each image: label int64 (n,); depth uint8 (n, 1, H, W), 255 = nearest, or as the set has it; segmentation uint8
    (n, H, W), the class of each pixel, 0 = background; caption int64 (n, L), ids of words, 0 = none.

    What is stored on disk comes as a set of its own, whose item i belongs to image i. Raises UserError for an unknown name, and for
    what this set does not have, or has for another number of images.
    """
    if name not in NAMES:
        raise unknown("thing to know of images", name, NAMES)
    truth = getattr(data, "truth", {})
    found = data.labels if name == "label" else truth.get(name)
    if found is None:
        raise UserError(f"this method learns from {name}s, and these images have none: {ADVICE[name]}")
    if len(found) != len(data):
        raise UserError(f"there are {len(data)} images and {len(found)} rows of what is known as their {name}: give one row for each image")
    if name == "caption" and not isinstance(found, Tensor):
        return encode(found)
    if not isinstance(found, Tensor):
        return found
    if name == "segmentation" and "class" in truth:
        return classes_of_pixels(truth)
    if name == "depth" and "segmentation" in truth and found.dim() == 2:
        return nearness(truth)
    return found


ADVICE = {
    "label": "sort them into folders of classes",
    "depth": "scenes has depth, or give Images with truth={'depth': (n, 1, H, W)}",
    "segmentation": "scenes has segmentation, or give Images with truth={'segmentation': (n, H, W)}",
    "caption": "scenes has captions, or give Images with truth={'caption': sentences}",
}


def classes_of_pixels(truth: dict) -> Tensor:
    """Of scenes: which object a pixel shows → 1 + the class of that object, uint8 (n, H, W); 0 stays background."""
    return of_pixels(truth["segmentation"], truth["class"].clamp(min=0) + 1)


def nearness(truth: dict) -> Tensor:
    """Of scenes: 0 for the background, 255 for the nearest object, equal steps between: uint8 (n, 1, H, W)."""
    count, depth = truth["count"].unsqueeze(1), truth["depth"].clamp(min=0)  # (n, 1), (n, objects)
    return of_pixels(truth["segmentation"], 255 * (count - depth) // count).unsqueeze(1)


def of_pixels(objects: Tensor, values: Tensor) -> Tensor:
    """A number for each object → one for each pixel: objects (n, H, W), 0 = none; values (n, objects) → uint8 (n, H, W)."""
    table = torch.cat([torch.zeros_like(values[:, :1]), values], dim=1).to(torch.uint8)  # (n, 1 + objects)
    return table.gather(1, objects.flatten(1).long()).view(objects.shape)
