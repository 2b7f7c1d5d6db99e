"""Known sets by name: read from packs if these are on this machine, or else downloaded by torchvision, which checks them.

Nothing is fetched before it is asked for. MINIMIM_DATA names the folder for downloads, MINIMIM_PACKS the one of packs,
MINIMIM_IMAGENET the one of ImageNet, which people must get themselves.
"""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image, ImageOps
from torchvision.datasets.utils import download_and_extract_archive

from minimim.data.files import OnDisk, as_images, folder, read_image
from minimim.data.folders import folders_in, list_images
from minimim.data.images import Images
from minimim.errors import UserError

PACKS = {  # name → file for train, file for test, prefix of the names in it
    "cifar10": ("cifar10/train_jpeg.npz", "cifar10/test_jpeg.npz", ""),
    "tiny-imagenet-50": ("tiny-imagenet-50/train_jpeg.npz", "tiny-imagenet-50/val_jpeg.npz", ""),
    "camvid": ("camvid/camvid_240x180.npz", "camvid/camvid_240x180.npz", "{split}_"),
}
SIZES = {
    "cifar10": (32, 32),
    "stl10": (96, 96),
    "imagenette": (160, 160),
    "tiny-imagenet": (64, 64),
    "tiny-imagenet-50": (64, 64),
    "imagenet": (224, 224),
    "camvid": (180, 240),
}
TINY_IMAGENET = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
TINY_IMAGENET_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
TRAIN_OR_VAL = {"train": "train", "test": "val"}  # the part of ImageNet, or of a set made from it, for each split


def home() -> Path:
    """The folder that downloads go to."""
    return Path(os.environ.get("MINIMIM_DATA", "~/.cache/minimim")).expanduser()


def packs() -> Path | None:
    """The folder of packs, if there is one."""
    places = [os.environ.get("MINIMIM_PACKS", ""), "../shared/data", "shared/data"]
    return next((Path(place) for place in places if place and Path(place).is_dir()), None)


def named(name: str, split: str, size: tuple[int, int] | None) -> Images | OnDisk:
    """A known set, resized to (H, W) if that is not its own size.

    Raises UserError when it is not on this machine and cannot be downloaded.
    """
    size = size or SIZES[name]
    if pack_file(name, split):
        return pack(name, split, size)
    if name == "imagenet":
        return imagenet(split, size)
    if name not in DOWNLOADS:
        file = PACKS[name][split == "test"]
        raise UserError(f"{name} is a pack that is not on this machine: set MINIMIM_PACKS to the folder that holds {file}")
    try:
        found = fetch(name, split)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{name} is not in {home()} and could not be downloaded ({error}): "
            "connect to the network, set MINIMIM_DATA to the folder that holds it, or take --data scenes"
        ) from error
    return DOWNLOADS[name](found, split, size)


def here(name: str, split: str) -> bool:
    """Whether a known set is on this machine; torchvision says so of its own, after it has checked them."""
    if pack_file(name, split):
        return True
    if name == "imagenet":
        return imagenet_part(split).is_dir()
    if name not in DOWNLOADS:
        return False
    try:
        fetch(name, split, download=False)
    except (OSError, RuntimeError, UserError):
        return False
    return True


def pack_file(name: str, split: str) -> Path | None:
    """The file of a set's pack, where there is one."""
    top = packs()
    file = top / PACKS[name][split == "test"] if top and name in PACKS else None
    return file if file and file.is_file() else None


def pack(name: str, split: str, size: tuple[int, int]) -> Images:
    """A set from its pack, which holds JPEG files end to end: image i is jpeg[offsets[i]:offsets[i+1]].

    Masks, where there are any, become truth["segmentation"], (n, H, W), cut as their images are and read at the nearest pixel.
    """
    prefix = PACKS[name][2].format(split=split)
    with np.load(pack_file(name, split), allow_pickle=False) as bundle:
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


def fetch(name: str, split: str, download: bool = True):
    """A set as torchvision returns it, or the folder that holds it. Raises OSError or RuntimeError when it is not available."""
    sets = torchvision.datasets
    if name == "cifar10":
        return sets.CIFAR10(home(), train=split == "train", download=download)
    if name == "stl10":
        return sets.STL10(home(), split=split, download=download)
    if name == "imagenette":
        return sets.Imagenette(home(), split=TRAIN_OR_VAL[split], size="160px", download=download)
    return tiny_imagenet_200(download)


def cifar10(found, split: str, size: tuple[int, int]) -> Images:
    """50,000 train and 10,000 test images of ten classes, 32×32 (Krizhevsky, 2009)."""
    return resized(torch.from_numpy(found.data).permute(0, 3, 1, 2), torch.tensor(found.targets), found.classes, size)


def stl10(found, split: str, size: tuple[int, int]) -> Images:
    """5,000 train and 8,000 test images of ten classes, 96×96, and 100,000 unlabelled ones as split "unlabeled"."""
    labels = None if split == "unlabeled" else torch.from_numpy(found.labels).long()
    return resized(torch.from_numpy(found.data), labels, found.classes, size)


def imagenette(found, split: str, size: tuple[int, int]) -> Images:
    """9,469 train and 3,925 test pictures of ten ImageNet classes, at most 160 pixels at their shorter side."""
    images = folder(Path(found._image_root), "train", size)  # WNID/*.JPEG, in the order of the classes
    images.classes = tuple(names[0] for names in found.classes)
    return images


def tiny_imagenet(top: Path, split: str, size: tuple[int, int]) -> Images | OnDisk:
    """100,000 train pictures of 200 ImageNet classes, 64×64, and the 10,000 of `val` as the test part: the official test
    part has no labels."""
    part, wnids = top / TRAIN_OR_VAL[split], tuple(folders_in(top / "train"))
    found = list_images(part).by_class if split == "train" else annotated(part)
    if not found or not set(found) <= set(wnids):
        raise not_whole(top)
    words = dict(line.split("\t", 1) for line in (top / "words.txt").read_text(encoding="utf-8").splitlines())
    images = as_images(found, wnids, size, part)
    images.classes = tuple(words[wnid].split(",")[0] for wnid in wnids)
    return images


def annotated(val: Path) -> dict[str, list[str]]:
    """The pictures of Tiny-ImageNet's val part by their class, which a file beside them states."""
    found: dict[str, list[str]] = {}
    for line in (val / "val_annotations.txt").read_text().splitlines():
        file, wnid, *_ = line.split("\t")
        found.setdefault(wnid, []).append(str(val / "images" / file))
    return dict(sorted(found.items()))


def tiny_imagenet_200(download: bool) -> Path:
    """The folder of Tiny-ImageNet; a download is unpacked elsewhere and then moved there, so that the folder is always complete."""
    top = home() / "tiny-imagenet-200"
    if not top.is_dir():
        if not download:
            raise FileNotFoundError(top)
        unpacked = home() / "tiny-imagenet-200.part"
        download_and_extract_archive(TINY_IMAGENET, home(), unpacked, md5=TINY_IMAGENET_MD5)
        (unpacked / top.name).rename(top)
        unpacked.rmdir()
    if not all((top / file).exists() for file in ("train", "val/images", "val/val_annotations.txt", "words.txt")):
        raise not_whole(top)
    return top


def not_whole(top: Path) -> UserError:
    """The error for a folder that lacks something of Tiny-ImageNet."""
    return UserError(
        f"{top} needs train/WNID/images/*.JPEG, val/images/*.JPEG, val/val_annotations.txt and words.txt, and does not have "
        "all of them: move it away, and the set is downloaded again"
    )


def imagenet(split: str, size: tuple[int, int]) -> OnDisk:
    """1,281,167 train pictures of 1,000 classes and the 50,000 of `val` as the test part (ILSVRC 2012), on disk.

    They are listed in one pass, and none is opened; the classes are WordNet ids. Never downloaded: the owners ask for an
    account and for consent. Raises UserError when the pictures are not there, or not sorted into their classes.
    """
    train, part = imagenet_part("train"), imagenet_part(split)
    wnids = tuple(folders_in(train))  # the classes, in the order of their labels
    found = list_images(part).by_class if part.is_dir() else {}
    if not found or not set(found) <= set(wnids):
        raise UserError(
            f"imagenet needs pictures in {train}/WNID/ and {train.parent}/val/WNID/, and {part} has none or not sorted so: "
            "get ILSVRC 2012 from image-net.org, which asks for an account, sort it into a folder for each class, "
            "and set MINIMIM_IMAGENET to the folder that holds train and val"
        )
    return as_images(found, wnids, size, part, in_memory=False)


def imagenet_part(split: str) -> Path:
    """Where a part of ImageNet is looked for."""
    top = Path(os.environ.get("MINIMIM_IMAGENET") or home() / "imagenet").expanduser()
    return top / TRAIN_OR_VAL[split]


DOWNLOADS = {"cifar10": cifar10, "stl10": stl10, "imagenette": imagenette, "tiny-imagenet": tiny_imagenet}


def resized(images: torch.Tensor, labels, classes, size: tuple[int, int]) -> Images:
    """Images (n, C, H, W) of one shape, at another size."""
    if tuple(images.shape[-2:]) != tuple(size):
        images = torchvision.transforms.v2.functional.resize(images, list(size), antialias=True)
    return Images(images.contiguous(), labels, tuple(classes))
