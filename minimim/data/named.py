"""Known sets by name: read from packs where they lie on this machine, else downloaded by torchvision, which checks them.

Nothing is fetched before it is asked for. MINIMIM_DATA names the folder for downloads, MINIMIM_PACKS the one of packs.
"""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image, ImageOps

from minimim.data.files import folder, read_image
from minimim.data.images import Images
from minimim.errors import UserError

PACKS = {  # name → file for train, file for test, prefix of the names in it
    "cifar10": ("cifar10/train_jpeg.npz", "cifar10/test_jpeg.npz", ""),
    "tiny-imagenet-50": ("tiny-imagenet-50/train_jpeg.npz", "tiny-imagenet-50/val_jpeg.npz", ""),
    "camvid": ("camvid/camvid_240x180.npz", "camvid/camvid_240x180.npz", "{split}_"),
}
SIZES = {"cifar10": (32, 32), "stl10": (96, 96), "imagenette": (160, 160), "tiny-imagenet-50": (64, 64), "camvid": (180, 240)}


def home() -> Path:
    """The folder that downloads go to."""
    return Path(os.environ.get("MINIMIM_DATA", "~/.cache/minimim")).expanduser()


def packs() -> Path | None:
    """The folder of packs, if there is one."""
    places = [os.environ.get("MINIMIM_PACKS", ""), "../shared/data", "shared/data"]
    return next((Path(place) for place in places if place and Path(place).is_dir()), None)


def named(name: str, split: str, size: tuple[int, int] | None) -> Images:
    """A known set, resized to (H, W) where that is not its own size.

    Raises UserError when it is not on this machine and cannot be downloaded.
    """
    size = size or SIZES[name]
    file = PACKS[name][split == "test"] if name in PACKS else ""
    if file and packs() and (packs() / file).is_file():
        return pack(name, split, size)
    if name in DOWNLOADS:
        try:
            return DOWNLOADS[name](split, size)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"{name} is not in {home()} and could not be downloaded ({error}): "
                "connect to the network, set MINIMIM_DATA to the folder that holds it, or take --data scenes"
            ) from error
    raise UserError(f"{name} is a pack that is not on this machine: set MINIMIM_PACKS to the folder that holds {file}")


def pack(name: str, split: str, size: tuple[int, int]) -> Images:
    """A set from its pack: JPEG files end to end, image i is jpeg[offsets[i]:offsets[i+1]].

    Masks, where there are any, become truth["segmentation"], (n, H, W), cut as their images are and read at the nearest pixel.
    """
    train, test, prefix = PACKS[name]
    prefix = prefix.format(split=split)
    with np.load(packs() / (train if split == "train" else test), allow_pickle=False) as bundle:
        content = {key: bundle[key] for key in bundle.files if key.startswith(prefix) or key == "classes"}
    jpeg, offsets = content[f"{prefix}jpeg"], content[f"{prefix}offsets"]

    def one(i: int) -> torch.Tensor:
        return read_image(io.BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes()), size)

    with ThreadPoolExecutor() as pool:
        images = torch.stack(list(pool.map(one, range(len(offsets) - 1))))
    labels = torch.from_numpy(content["labels"]).long() if "labels" in content else None
    truth = {}
    if f"{prefix}masks" in content:
        masks = [ImageOps.fit(Image.fromarray(mask), (size[1], size[0]), Image.Resampling.NEAREST) for mask in content[f"{prefix}masks"]]
        truth["segmentation"] = torch.from_numpy(np.stack(masks))
    return Images(images, labels, tuple(str(c) for c in content["classes"]), truth)


def cifar10(split: str, size: tuple[int, int]) -> Images:
    """50,000 train and 10,000 test images of ten classes, 32×32 (Krizhevsky, 2009)."""
    found = torchvision.datasets.CIFAR10(home(), train=split == "train", download=True)
    return resized(torch.from_numpy(found.data).permute(0, 3, 1, 2), torch.tensor(found.targets), found.classes, size)


def stl10(split: str, size: tuple[int, int]) -> Images:
    """5,000 train and 8,000 test images of ten classes, 96×96, and 100,000 unlabelled ones as split "unlabeled"."""
    found = torchvision.datasets.STL10(home(), split=split, download=True)
    labels = None if split == "unlabeled" else torch.from_numpy(found.labels).long()
    return resized(torch.from_numpy(found.data), labels, found.classes, size)


def imagenette(split: str, size: tuple[int, int]) -> Images:
    """9,469 train and 3,925 test pictures of ten ImageNet classes, at most 160 pixels at their shorter side."""
    part = "train" if split == "train" else "val"
    found = torchvision.datasets.Imagenette(home(), split=part, size="160px", download=True)
    images = folder(Path(found._image_root), "train", size)  # WNID/*.JPEG, in the order of the classes
    images.classes = tuple(names[0] for names in found.classes)
    return images


DOWNLOADS = {"cifar10": cifar10, "stl10": stl10, "imagenette": imagenette}


def resized(images: torch.Tensor, labels, classes, size: tuple[int, int]) -> Images:
    """Images (n, C, H, W) of one shape, at another size."""
    if tuple(images.shape[-2:]) != tuple(size):
        images = torchvision.transforms.v2.functional.resize(images, list(size), antialias=True)
    return Images(images.contiguous(), labels, tuple(classes))
