"""The bundled garments: a class-balanced part of Fashion-MNIST (Xiao, Rasul & Vollgraf, arXiv 1708.07747; MIT licence).

The first 500 training and 100 test images of each class, in the official order, as `scripts/build_fashion.py` picks them.
"""

import hashlib
from functools import lru_cache
from importlib.resources import files

import numpy as np
import torch
from torchvision.transforms.v2.functional import resize

from minimim.data.images import Images
from minimim.errors import unknown

FILE = "fashion-mnist-6000.npz"
SHA256 = "e51025659409a778f6ba774cc8eb3ffb1c3eb83e2ea1387f107474750da975b6"  # of the arrays
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
SPLITS = ("train", "test")


@lru_cache(maxsize=1)
def arrays() -> dict[str, np.ndarray]:
    """The bundled arrays: {split}_images (n, 28, 28) and {split}_labels (n,), uint8."""
    with (files("minimim") / "assets" / FILE).open("rb") as file, np.load(file) as bundle:
        return {name: bundle[name] for name in bundle.files}


def digest(content: dict[str, np.ndarray]) -> str:
    """sha256 of the arrays themselves, independent of the file that held them."""
    sha = hashlib.sha256()
    for name in sorted(content):
        sha.update(np.ascontiguousarray(content[name]).tobytes())
    return sha.hexdigest()


def fashion(split: str = "train", *, image_size: int | tuple[int, int] | None = None) -> Images:
    """5,000 train or 1,000 test garments, grey, (n, 1, 28, 28) uint8, or resized to image_size.

    Raises UserError for another split.
    """
    if split not in SPLITS:
        raise unknown("split of fashion", split, SPLITS)
    images = torch.tensor(arrays()[f"{split}_images"]).unsqueeze(1)  # (n, 1, 28, 28), a copy: scenes use the bundle too
    if image_size is not None:
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        images = resize(images, list(size), antialias=True)
    labels = torch.from_numpy(arrays()[f"{split}_labels"]).long()
    return Images(images, labels, CLASSES)
