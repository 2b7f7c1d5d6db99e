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

    files: paths; labels: int64 (n,) or None; classes; image_size: (H, W). Item i is uint8 (3, H, W). No file is opened
    before it is asked for: one that is broken comes back as a grey picture, with a warning that names it.

    An item is cut from the middle of its picture, and RandomViews takes its random crops from that. So image_size may
    be somewhat larger than the method's, 256 for 224, where the method trains on crops: they come at the method's size.
    """

    def __init__(self, files: list[str | Path], labels: Tensor | None, classes: tuple[str, ...], image_size: tuple[int, int]):
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
    """One picture, a path or an open file, upright, RGB on white, cut to the shape from its middle: uint8 (3, H, W).

    A JPEG with at least twice the pixels on both sides is decoded at a half, a quarter or an eighth of its size.
    """
    with Image.open(source) as picture:
        draft = picture.draft("RGB", (max(size), max(size)))
        width, height = draft[1][2:] if draft else picture.size  # a draft's last row and column may be parts of a pixel
        upright = ImageOps.exif_transpose(picture)
        if upright.size != picture.size:
            width, height = height, width
        if upright.mode.startswith("I"):  # 16 bits of grey, which convert would clip to white
            upright = Image.fromarray((np.asarray(upright) >> 8).clip(0, 255).astype(np.uint8))
        if "A" in upright.getbands() or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        scale = min(height / size[0], width / size[1])
        left, top = max(0, (width - size[1] * scale) / 2), max(0, (height - size[0] * scale) / 2)
        middle = (left, top, width - left, height - top)
        picture = upright.convert("RGB").resize((size[1], size[0]), Image.Resampling.BICUBIC, middle)
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()  # (H, W, 3) → (3, H, W)


def folder(path, split: str, size: tuple[int, int], in_memory: bool | None = None) -> Images | OnDisk:
    """The pictures under a folder, those of its `train` or `test` part when it has one; `val` stands in for `test`.

    Labels are the names of the folders that hold the pictures; a folder with pictures of its own has none, and where its
    parts also have folders of classes, a warning names one of those that lie loose.
    in_memory: by default, whether they take at most 4 GiB. What is read into memory leaves broken pictures out, named and
    counted; what stays on disk is only listed, and OnDisk deals with a broken one when it meets it.
    Raises UserError for a folder or a part that is not there or holds no picture.
    """
    parts = part_folders(path, split)
    found = {part: list_images(base) for part, base in parts.items()}
    if not found[split]:
        kinds = ", ".join(IMG_EXTENSIONS)
        raise UserError(f"{parts[split]} holds no pictures: files that end in {kinds} were looked for, in all its folders")
    classes = sorted({name for by_class in found.values() for name in by_class})
    if len(parts) > 1 and len(classes) > 1 and "" in classes:
        loose = next(by_class[""][0] for by_class in found.values() if "" in by_class)
        lost = f"so the pictures of {path} have no labels: move it into one, or away"
        warnings.warn(f"{loose} lies in the folder of no class, {lost}", stacklevel=3)
    return as_images(found[split], () if "" in classes else tuple(classes), size, parts[split], in_memory)


def part_folders(path, split: str) -> dict[str, Path]:
    """The folders of a set's parts, train and test; a folder without parts is all train. `val` is the test part where there
    is no `test`, or where that one has no folders of classes and `val` has. Raises UserError for no `split`."""
    if not str(path):
        raise UserError("a folder of pictures needs its path, as folder:PATH")
    top = Path(path).expanduser()
    if not top.is_dir():
        raise UserError(f"there is no folder {top}: give the path of a folder with pictures, as folder:PATH")
    test, val = top / "test", top / "val"
    if not test.is_dir() or has_folders(val) and not has_folders(test):
        test = val
    parts = {part: place for part, place in (("train", top / "train"), ("test", test)) if place.is_dir()} or {"train": top}
    if split not in parts:
        raise UserError(f"{top} has no part '{split}': put pictures in {top}/train/CLASS/ and {top}/test/CLASS/ (or val/CLASS/)")
    return parts


def has_folders(place: Path) -> bool:
    """Whether there are folders in a folder, as classes are."""
    if not place.is_dir():
        return False
    with os.scandir(place) as entries:
        return any(entry.is_dir() and not entry.name.startswith(".") for entry in entries)


def list_images(base: Path) -> dict[str, list[str]]:
    """Every picture under a folder by the first folder on the way to it, "" for those in none, in an order that does not
    depend on the disk. Hidden files and folders are left out. One pass, and no file is opened."""
    found: dict[str, list[str]] = {}
    for here, folders, names in os.walk(base, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = sorted(name for name in names if not name.startswith(".") and name.lower().endswith(IMG_EXTENSIONS))
        if shown:
            first = "" if here == str(base) else os.path.relpath(here, base).split(os.sep)[0]
            found.setdefault(first, []).extend(os.path.join(here, name) for name in shown)
    return found


def as_images(found: dict[str, list[str]], classes: tuple[str, ...], size, base: Path, in_memory=None) -> Images | OnDisk:
    """Files by their class as images with labels; without classes there are no labels. base: what messages call the set."""
    files = [file for of_class in found.values() for file in of_class]
    labels = None
    if classes:
        place = {name: i for i, name in enumerate(classes)}
        labels = torch.tensor([place[name] for name, of_class in found.items() for _ in of_class])
    if in_memory is None:
        in_memory = len(files) * 3 * size[0] * size[1] <= IN_MEMORY
    if not in_memory:
        return OnDisk(files, labels, classes, size)
    images, broken = read_all(files, size)
    report_broken([(files[i], error) for i, error in broken.items()], len(files), base)
    data = Images(images, labels, classes)
    return data.take([i for i in range(len(files)) if i not in broken]) if broken else data


def read_all(files: list[str], size: tuple[int, int]) -> tuple[Tensor, dict[int, Exception]]:
    """Every file as uint8 (n, 3, H, W), and the errors of those that cannot be read, by their place."""
    images, broken = torch.zeros(len(files), 3, *size, dtype=torch.uint8), {}

    def one(i: int):
        try:
            images[i] = read_image(files[i], size)
        except BROKEN as error:
            broken[i] = error

    with ThreadPoolExecutor() as pool:
        steps = pool.map(one, range(len(files)))
        list(tqdm(steps, total=len(files), desc="reading", unit="img", disable=len(files) < 1000))
    return images, dict(sorted(broken.items()))


def report_broken(broken: list, total: int, base: Path) -> None:
    """Say which pictures were left out. Raises UserError when that is all of them."""
    if not broken:
        return
    names = ", ".join(str(file) for file, _ in broken[:5]) + (", …" if len(broken) > 5 else "")
    if len(broken) == total:
        raise UserError(f"none of the {total} pictures in {base} can be read ({names}): {broken[0][1]}")
    warnings.warn(f"{len(broken)} of {total} pictures in {base} cannot be read and are left out: {names}", stacklevel=5)
