"""A folder of pictures as a set of images: FOLDER/CLASS/*.jpg, or FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg.

Pictures come in every shape. Each is turned upright (EXIF), made RGB, and cut to the wanted shape from its middle.
"""

import os
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets.folder import IMG_EXTENSIONS
from tqdm.auto import tqdm

from minimim.data.images import Images
from minimim.errors import UserError

IN_MEMORY = 4 * 2**30  # bytes of pixels that are read at once; a larger folder stays on disk
BROKEN = (OSError, ValueError, TypeError, SyntaxError, struct.error, Image.DecompressionBombError)  # from Pillow, for bad files


class OnDisk(Dataset):
    """Images that do not fit in memory: the same names as Images, but each is read when it is asked for.

    files: paths; labels: int64 (n,) or None; classes; image_size: (H, W). Item i is uint8 (3, H, W). A file that turns
    out to be broken only now comes back as a grey picture, with a warning that names it.
    """

    def __init__(self, files: list[Path], labels: Tensor | None, classes: tuple[str, ...], image_size: tuple[int, int]):
        self.files, self.labels, self.classes, self.image_size = files, labels, classes, image_size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        try:
            return read_image(self.files[index], self.image_size)
        except BROKEN as error:
            warnings.warn(f"{self.files[index]} cannot be read ({error}): a grey picture takes its place", stacklevel=2)
            return torch.full((3, *self.image_size), 128, dtype=torch.uint8)

    def take(self, indices) -> "OnDisk":
        """The images at these places, (k,) integers or a slice, still on disk."""
        ids = torch.arange(len(self))[indices]
        labels = None if self.labels is None else self.labels[ids]
        return OnDisk([self.files[i] for i in ids], labels, self.classes, self.image_size)


def read_image(source, size: tuple[int, int]) -> Tensor:
    """One picture, a path or an open file, upright, RGB on white, cut to the shape from its middle: uint8 (3, H, W)."""
    with Image.open(source) as picture:
        picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I"):  # 16 bits of grey, which convert would clip to white
            picture = Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))
        if "A" in picture.getbands() or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        picture = ImageOps.fit(picture.convert("RGB"), (size[1], size[0]), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()  # (H, W, 3) → (3, H, W)


def folder(path, split: str, size: tuple[int, int], in_memory: bool | None = None) -> Images | OnDisk:
    """The pictures under a folder, those of its `train` or `test` part when it has one.

    Labels are the names of the folders that hold the pictures; a folder with pictures of its own has none.
    Broken pictures are named, counted and left out. in_memory: by default, whether they take at most 4 GiB.
    Raises UserError for a folder that is not there or holds no picture.
    """
    if not str(path):
        raise UserError("a folder of pictures needs its path, as folder:PATH")
    top = Path(path).expanduser()
    if not top.is_dir():
        raise UserError(f"there is no folder {top}: give the path of a folder with pictures, as folder:PATH")
    parted = [part for part in ("train", "test") if (top / part).is_dir()]
    if parted and split not in parted:
        raise UserError(f"{top} has no folder '{split}': put pictures in {top / split}/CLASS/")
    if not parted and split != "train":
        raise UserError(f"{top} has no part '{split}': it needs the folders {top}/train/CLASS/ and {top}/test/CLASS/")
    base = top / split if parted else top
    files = list_images(base)
    if not files:
        kinds = ", ".join(IMG_EXTENSIONS)
        raise UserError(f"{base} holds no pictures: files that end in {kinds} were looked for, in all its folders")
    classes = class_names([top / part for part in parted] or [top])
    if in_memory is None:
        in_memory = len(files) * 3 * size[0] * size[1] <= IN_MEMORY
    labels = None
    if classes:
        labels = torch.tensor([classes.index(file.relative_to(base).parts[0]) for file in files])
    pictures = read_all(files, None if not in_memory else size)
    good = torch.tensor([i for i, picture in enumerate(pictures) if not isinstance(picture, Exception)])
    report_broken([(file, p) for file, p in zip(files, pictures, strict=True) if isinstance(p, Exception)], len(files), base)
    labels = labels[good] if classes else None
    if in_memory:
        return Images(torch.stack([pictures[i] for i in good]), labels, classes)
    return OnDisk([files[i] for i in good], labels, classes, size)


def list_images(base: Path) -> list[Path]:
    """Every picture under a folder, in an order that does not depend on the disk; hidden files and folders are left out."""
    found = (Path(root) / name for root, _, names in os.walk(base, followlinks=True) for name in names)
    found = (file for file in found if not any(part.startswith(".") for part in file.relative_to(base).parts))
    return sorted(file for file in found if file.suffix.lower() in IMG_EXTENSIONS)


def class_names(bases: list[Path]) -> tuple[str, ...]:
    """The folders that hold pictures, over all parts of a set; none when pictures lie outside of them."""
    parts = [file.relative_to(base).parts for base in bases for file in list_images(base)]
    return () if any(len(part) == 1 for part in parts) else tuple(sorted({part[0] for part in parts}))


def read_all(files: list[Path], size: tuple[int, int] | None) -> list:
    """Read every file, or with no size only look whether it is whole: for each a picture, None, or the error it gave."""

    def one(file: Path):
        try:
            if size is not None:
                return read_image(file, size)
            with Image.open(file) as picture:
                return picture.verify()
        except BROKEN as error:
            return error

    with ThreadPoolExecutor() as pool:
        return list(tqdm(pool.map(one, files), total=len(files), desc="reading", unit="img", disable=len(files) < 1000))


def report_broken(broken: list, total: int, base: Path) -> None:
    """Say which pictures were left out. Raises UserError when that is all of them."""
    if not broken:
        return
    names = ", ".join(str(file) for file, _ in broken[:5]) + (", …" if len(broken) > 5 else "")
    if len(broken) == total:
        raise UserError(f"none of the {total} pictures in {base} can be read ({names}): {broken[0][1]}")
    warnings.warn(f"{len(broken)} of {total} pictures in {base} cannot be read and are left out: {names}", stacklevel=3)
