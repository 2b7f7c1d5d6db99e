"""A folder of pictures as a set of images: FOLDER/CLASS/*.jpg, or FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg.

Pictures come in every shape. Each is turned upright (EXIF), converted to RGB, and cropped at its centre to the wanted shape.
"""

import struct
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from minimim.data.decode import GUESSED, by_ending, decoded, one_colour
from minimim.data.folders import Listing, beside, list_images, part_folders
from minimim.data.images import Images
from minimim.data.spelling import look_alikes
from minimim.errors import UserError

IN_MEMORY = 4 * 2**30  # bytes of pixels that are read at once; a larger folder stays on disk
BROKEN = (OSError, ValueError, TypeError, SyntaxError, struct.error, Image.DecompressionBombError)  # from Pillow, for bad files


class OnDisk(Dataset):
    """Images that do not fit in memory: the same attributes as Images, but each image is read when it is needed.

    files: paths; labels: int64 (n,) or None; classes; image_size: (H, W); truth: more that is known of each image, name → a tensor or
    a list with n rows, or MapsOnDisk. Item i is uint8 (3, H, W). No file is opened before it is needed: a broken one
    becomes a grey picture, with a warning that names it. The first one that comes out as one colour is named, too, and the
    first whose white had to be guessed.

    An item is cropped at the centre of its picture, and RandomViews takes its random crops from that. So image_size may
    be somewhat larger than the method's, such as 256 for 224, if the method trains on crops: these have the method's size.
    """

    def __init__(self, files: list[str | Path], labels: Tensor | None, classes: tuple[str, ...], image_size: tuple[int, int], truth=None):
        self.files, self.labels, self.classes, self.image_size, self.truth = files, labels, classes, image_size, truth or {}
        self.told = torch.zeros(2, dtype=torch.bool).share_memory_()  # what was warned of already, by any reading process

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        file = self.files[index]
        try:
            image, guess = decoded(file, self.image_size)
        except BROKEN as error:
            warnings.warn(f"{file} cannot be read ({error}): a grey picture takes its place", stacklevel=2)
            return torch.full((3, *self.image_size), 128, dtype=torch.uint8)
        guessed = f"does not say what its white is: {GUESSED} it was read {guess}"
        for i, (odd, what) in enumerate(((guess, guessed), (one_colour(image), "comes out as one colour"))):
            if odd and not self.told[i]:
                self.told[i] = True
                warnings.warn(f"{file} {what}; others like it are not named", stacklevel=2)
        return image

    def take(self, indices) -> "OnDisk":
        """The images at these places, (k,) integers or a slice, still on disk."""
        ids = torch.arange(len(self))[indices]
        labels = None if self.labels is None else self.labels[ids]
        truth = {name: rows_at(rows, ids) for name, rows in self.truth.items()}
        return OnDisk([self.files[i] for i in ids], labels, self.classes, self.image_size, truth)


def rows_at(rows, ids: Tensor):
    """The rows at these places, of a tensor, of a list, or of a set that lies on disk."""
    if isinstance(rows, list):
        return [rows[i] for i in ids.tolist()]
    return rows[ids] if isinstance(rows, Tensor) else rows.take(ids)


def read_image(source, size: tuple[int, int]) -> Tensor:
    """One picture, as `decoded` has it: uint8 (3, H, W). Warns where its white had to be guessed."""
    image, guess = decoded(source, size)
    if guess:
        warnings.warn(f"{source} does not say what its white is: {GUESSED} it was read {guess}", stacklevel=2)
    return image


def folder(path, split: str, size: tuple[int, int], in_memory: bool | None = None) -> Images | OnDisk:
    """The pictures under a folder, those of its `train` or `test` part when it has one; `val` stands in for `test`.

    Labels are the names of the folders that hold the pictures; a folder with pictures of its own has none, and where its
    parts also have folders of classes, a warning names one of those that lie loose. Other warnings say what was passed over
    or left out, which classes look alike, and where both parts are one.
    in_memory: by default, whether they take at most 4 GiB. When they are read into memory, broken pictures are left out, and a
    warning names and counts them; when they stay on disk they are only listed, and OnDisk replaces a broken one when it reads it.
    Raises UserError for a folder or a part that is not there or holds no picture, and for parts below the classes.
    """
    parts = part_folders(path, split)
    found = {part: list_images(base, (other for other in parts.values() if other != base)) for part, base in parts.items()}
    pictures = found[split].by_class
    for remark in (*found[split].remarks(parts[split]), *confusions(Path(path).expanduser(), parts, found)):
        warnings.warn(remark, stacklevel=3)
    if not pictures and found[split].passed:
        kinds = by_ending(found[split].passed.items())
        raise UserError(f"{parts[split]} holds no pictures that can be read here, only {kinds}: save them as .png or .jpg")
    if not pictures:
        kinds = "files that end in .jpg, .png, .gif, .tif, .webp or another ending that Pillow reads"
        raise UserError(f"{parts[split]} holds no pictures: {kinds} were looked for, in all its folders")
    classes = sorted({name for listing in found.values() for name in listing.by_class})
    if len(parts) > 1 and len(classes) > 1 and "" in classes:
        loose = next(listing.by_class[""][0] for listing in found.values() if "" in listing.by_class)
        lost = f"so the pictures of {path} have no labels: move it into such a folder, or out of {path}"
        warnings.warn(f"{loose} is in no folder of a class, {lost}", stacklevel=3)
    return as_images(pictures, () if "" in classes else tuple(classes), size, parts[split], in_memory)


def confusions(top: Path, parts: dict[str, Path], found: dict[str, Listing]) -> list[str]:
    """What may be mixed up in a set, one sentence each: folders beside its parts, a class with the name of a part, one folder in both
    parts, similar names."""
    told = []
    for name in found["train"].by_class if parts == {"train": top} else ():
        if name.casefold() in ("train", "val", "test"):
            told.append(f"{name} in {top} is taken for a class, because there are other folders beside it: if it is a part of the set, name the parts train and test")
    if len(parts) == 1 and top not in parts.values():
        (part,) = parts.values()
        names = ", ".join(beside(top)[:5])
        if names:
            told.append(f"{part} is taken for a part of the set, so the pictures beside it are not read ({names}): if it is a class, rename it")
    if len(parts) == 2:
        if names := ", ".join(beside(top)[:5]):
            told.append(f"the pictures beside the parts of {top} are not read ({names}): move them into a part, or elsewhere")
        train, test = (found[part].folders for part in ("train", "test"))
        both = next((known for known in train if known in test), None)
        if both:
            told.append(f"{train[both]} and {test[both]} are the same folder: the images for training are also those for testing")
    for names in look_alikes({name for listing in found.values() for name in listing.by_class}):
        told.append(f"{' and '.join(names)} look alike, but are different classes: rename a folder if they should be one")
    return told


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
    images, broken, odd = read_all(files, size)
    report_broken([(files[i], error) for i, error in broken.items()], len(files), base)
    report_odd(odd, len(files), base)
    data = Images(images, labels, classes)
    return data.take([i for i in range(len(files)) if i not in broken]) if broken else data


def read_all(files: list[str], size: tuple[int, int]) -> tuple[Tensor, dict[int, Exception], dict[str, list[str]]]:
    """Every file as uint8 (n, 3, H, W); the errors of those that cannot be read, by their place; and what is odd about others:
    a description → their names."""
    images, broken, odd = torch.zeros(len(files), 3, *size, dtype=torch.uint8), {}, {}

    def one(i: int):
        try:
            images[i], guess = decoded(files[i], size)
        except BROKEN as error:
            broken[i] = error
            return
        if guess:
            odd[i, f"do not say what their white is, and {GUESSED} were read {guess}"] = files[i]
        if one_colour(images[i]):
            odd[i, "come out as one colour"] = files[i]

    with ThreadPoolExecutor() as pool:
        steps = pool.map(one, range(len(files)))
        list(tqdm(steps, total=len(files), desc="reading", unit="img", disable=len(files) < 1000))
    kinds: dict[str, list[str]] = {}
    for (_, what), file in sorted(odd.items()):
        kinds.setdefault(what, []).append(file)
    return images, dict(sorted(broken.items())), kinds


def report_broken(broken: list, total: int, base: Path) -> None:
    """Warn which pictures were left out. Raises UserError when that is all of them."""
    if not broken:
        return
    names = some(file for file, _ in broken)
    if len(broken) == total:
        raise UserError(f"none of the {total} pictures in {base} can be read ({names}): {broken[0][1]}")
    warnings.warn(f"{len(broken)} of {total} pictures in {base} cannot be read and are left out: {names}", stacklevel=5)


def report_odd(odd: dict[str, list[str]], total: int, base: Path) -> None:
    """Warn which pictures may not have been read as intended."""
    for what, files in odd.items():
        warnings.warn(f"{len(files)} of {total} pictures in {base} {what}: {some(files)}", stacklevel=5)


def some(files: Iterable) -> str:
    """The first five names, and whether there are more."""
    first = [str(file) for file in files]
    return ", ".join(first[:5]) + (", …" if len(first) > 5 else "")
