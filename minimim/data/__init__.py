"""Images by name. `load` gives Images in memory, or OnDisk for a folder that does not fit."""

from minimim.data.fashion import fashion
from minimim.data.files import OnDisk, folder
from minimim.data.images import Images
from minimim.data.named import SIZES, named
from minimim.data.scenes import scenes
from minimim.errors import UserError, unknown

SPLITS = ("train", "test")

__all__ = ["Images", "OnDisk", "fashion", "load", "names", "scenes"]


def names() -> list[str]:
    """What `load` knows by name; `folder:PATH` is any folder of pictures."""
    return ["scenes", "fashion", *SIZES, "folder:PATH"]


def load(name: str, split: str = "train", *, image_size: int | tuple[int, int] | None = None, **more) -> Images | OnDisk:
    """A named set of images.

    name: see `names()`. split: train or test (stl10 also has unlabeled). image_size: (H, W) or one side, by default the
    set's own, 224 for folders. more: for scenes count, seed and objects, for folders in_memory.
    Raises UserError for a name or a split that is not there, and for data that cannot be had.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if size is not None and min(size) < 1:
        raise UserError(f"image_size must be 1 or more, not {image_size}")
    if split not in SPLITS and (name, split) != ("stl10", "unlabeled"):
        raise unknown("split", split, SPLITS)
    kind, _, path = str(name).partition(":")
    if kind == "folder":
        return folder(path, split, size or (224, 224), **more)
    if name == "scenes":
        return scenes(split, image_size=size or 32, **more)
    if name == "fashion":
        return fashion(split, image_size=size, **more)
    if name not in SIZES:
        raise unknown("data", name, names())
    return named(name, split, size, **more)
