"""Maps of pixels that are stored on disk beside the images: depth and segmentation."""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

from minimim.data.files import BROKEN
from minimim.errors import unknown

KINDS = {"segmentation": Image.Resampling.NEAREST, "depth": Image.Resampling.BILINEAR}  # classes are never blended


class MapsOnDisk(Dataset):
    """One picture of a single channel for each image, read when it is asked for: `OnDisk(…, truth={"depth": MapsOnDisk(…)})`.

    files: paths, in the order of the images; image_size: (H, W), to which they are cut from the middle, as OnDisk cuts images;
    what: "segmentation", item i is uint8 (H, W), the class of each pixel, 0 = background; or "depth", uint8 (1, H, W).
    A file that cannot be read comes back as zeros, with a warning that names it. Raises UserError for another kind of map.
    """

    def __init__(self, files: list[str | Path], image_size: tuple[int, int], what: str = "segmentation"):
        if what not in KINDS:
            raise unknown("kind of map", what, KINDS)
        self.files, self.image_size, self.what = files, image_size, what

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        try:
            with Image.open(self.files[index]) as picture:
                plane = picture if picture.mode in ("L", "P") else picture.convert("L")
                plane = np.array(ImageOps.fit(plane, self.image_size[::-1], KINDS[self.what]))  # (H, W)
        except BROKEN as error:
            warnings.warn(f"{self.files[index]} cannot be read ({error}): zeros take its place", stacklevel=2)
            plane = np.zeros(self.image_size, np.uint8)
        pixels = torch.from_numpy(plane)
        return pixels if self.what == "segmentation" else pixels.unsqueeze(0)

    def take(self, indices) -> "MapsOnDisk":
        """The maps at these places, (k,) integers or a slice, still on disk."""
        ids = torch.arange(len(self))[indices]
        return MapsOnDisk([self.files[i] for i in ids.tolist()], self.image_size, self.what)
