"""Images by name. `load` gives Images in memory, or OnDisk for a folder that does not fit and for ImageNet."""

from pathlib import Path

from minimim.data.fashion import fashion
from minimim.data.files import OnDisk, folder
from minimim.data.folders import part_folders
from minimim.data.images import Images
from minimim.data.named import SIZES, here, named
from minimim.data.photos import photos
from minimim.data.scenes import scenes
from minimim.errors import UserError, unknown

SPLITS = ("train", "test")
BUNDLED = ("scenes", "fashion", "photos")

__all__ = ["Images", "OnDisk", "available", "fashion", "load", "names", "photos", "scenes"]


def names() -> list[str]:
    """What `load` knows by name; `folder:PATH` is any folder of pictures."""
    return [*BUNDLED, *SIZES, "folder:PATH"]


def load(name: str, split: str = "train", *, image_size: int | tuple[int, int] | None = None, **more) -> Images | OnDisk:
    """A named set of images.

    name: see `names()`. split: train or test (stl10 also has unlabeled; photos are the same six in both); for imagenet and its
    kin test is their `val`, and for a folder `val` serves where there is no `test` with classes. A folder's parts may be spelt in
    any case and by their usual synonyms (Training, validation, test_set), or differ in that word alone (seg_train, seg_test).
    image_size: (H, W) or one side, by default the set's own, 224 for folders; a set on disk may have it larger than the method,
    see OnDisk. more: for scenes count, seed, objects and fixed, for folders in_memory.
    Raises UserError for a name or a split that is not there, and for data that cannot be had.
    """
    size = None if image_size is None else (image_size, image_size) if hasattr(image_size, "__index__") else image_size
    if size is not None:
        if not isinstance(size, list | tuple) or len(size) != 2 or not all(hasattr(side, "__index__") for side in size):
            raise UserError(f"image_size is one side or (H, W), in whole pixels, not {image_size!r}")
        size = tuple(map(int, size))
        if min(size) < 1:
            raise UserError(f"image_size must be 1 or more, not {image_size}")
    kind, path = checked(name, split)
    if kind == "folder":
        return folder(path, split, size or (224, 224), **more)
    if name == "scenes":
        return scenes(split, image_size=size or 32, **more)
    if name == "fashion":
        return fashion(split, image_size=size, **more)
    if name == "photos":
        return photos(split, image_size=size, **more)
    return named(name, split, size, **more)


def available(name: str, split: str = "train") -> bool:
    """Whether `load` finds what it needs on this machine, without a download. Raises UserError for an unknown name or split."""
    kind, path = checked(name, split)
    if kind == "folder":
        try:
            return split in part_folders(path, split)
        except UserError:
            return False
    return kind in BUNDLED or here(kind, split)


def checked(name: str, split: str) -> tuple[str, str]:
    """The name, and the path where it is `folder:PATH`. Raises UserError for a name or a split that is not known."""
    if split not in SPLITS and (name, split) != ("stl10", "unlabeled"):
        raise unknown("split", split, SPLITS)
    kind, _, path = str(name).partition(":")
    if kind != "folder" and name and Path(str(name)).expanduser().is_dir() and name not in (*BUNDLED, *SIZES):
        raise UserError(f"{name} is a folder: give it as folder:{name}")
    if kind != "folder" and name not in (*BUNDLED, *SIZES):
        raise unknown("data", name, names())
    return kind, path
