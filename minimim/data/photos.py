"""Six real colour photographs, 224×224, to look at in the lessons: CC0 or public domain, each with its source in assets/PHOTOS-LICENSE.txt.

They are cut from scikit-image's sample pictures by `scripts/build_photos.py`, and stored without loss in one picture, one below the other.
"""

from functools import lru_cache
from importlib.resources import files

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2.functional import resize

from minimim.data.images import Images
from minimim.errors import unknown

FILE = "photos-6.webp"
SHA256 = "968172fd176350c30d2fe96633e4ebdd6100622e1e8d02de2a8880c244341128"  # of the pixels, (6, 224, 224, 3)
NAMES = ("astronaut", "cat", "coffee", "rocket", "retina", "galaxies")
SIDE = 224
SPLITS = ("train", "test")


@lru_cache(maxsize=1)
def pixels() -> np.ndarray:
    """The bundled photographs in the order of NAMES, (6, 224, 224, 3) uint8, channels last."""
    with (files("minimim") / "assets" / FILE).open("rb") as file, Image.open(file) as strip:
        return np.asarray(strip.convert("RGB")).reshape(len(NAMES), SIDE, SIDE, 3)


def photos(split: str = "train", *, image_size: int | tuple[int, int] | None = None) -> Images:
    """The six photographs, (6, 3, 224, 224) uint8, or resized to image_size; label i is photograph i, and classes are their names.

    Both splits hold the same photographs: they are for looking, not for measuring.
    Raises UserError for another split.
    """
    if split not in SPLITS:
        raise unknown("split of photos", split, SPLITS)
    images = torch.tensor(pixels()).permute(0, 3, 1, 2).contiguous()  # (6, 3, 224, 224), a copy
    if image_size is not None:
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        images = resize(images, list(size), antialias=True)
    return Images(images, torch.arange(len(NAMES)), NAMES)
