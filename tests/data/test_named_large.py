"""Tiny-ImageNet and ImageNet, in small: where they are looked for, how they are read; and what is here without a download."""

import zipfile
from hashlib import md5
from importlib import import_module

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from minimim.data import Images, OnDisk, available, load
from minimim.data.named import PACKS, SIZES
from minimim.errors import UserError

pytestmark = [pytest.mark.usefixtures("alone"), pytest.mark.filterwarnings("ignore:.* as one colour")]  # as all pictures are here
named = import_module("minimim.data.named")  # the package has a function of this name
FISH, DOG, BUS = "n01443537", "n02099712", "n04146614"
COLOURS = {FISH: (250, 0, 0), DOG: (0, 250, 0), BUS: (0, 0, 250)}
NAMES = {FISH: "goldfish", DOG: "Labrador retriever", BUS: "school bus"}


def picture(path, colour, size=(64, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, "JPEG", quality=100)
    return path


def tiny_imagenet(top):
    """The layout of tiny-imagenet-200: three classes, two train pictures of each, four in val, one in test."""
    for wnid, colour in COLOURS.items():
        for i in range(2):
            picture(top / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", colour)
        (top / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t10\t63\t58\n")
    lines = []
    for i, wnid in enumerate((BUS, FISH, BUS, DOG)):
        picture(top / "val" / "images" / f"val_{i}.JPEG", COLOURS[wnid])
        lines.append(f"val_{i}.JPEG\t{wnid}\t0\t32\t44\t62\n")
    (top / "val" / "val_annotations.txt").write_text("".join(lines))
    picture(top / "test" / "images" / "test_0.JPEG", (0, 0, 0))
    words = {"n00001740": "entity", **NAMES, FISH: "goldfish, Carassius auratus"}
    (top / "words.txt").write_text("".join(f"{wnid}\t{words[wnid]}\n" for wnid in sorted(words)))
    return top


def imagenet(top, shown=3):
    """The layout of ImageNet as it is usually sorted, with a flat test part beside it."""
    for wnid, colour in COLOURS.items():
        for i in range(shown):
            picture(top / "train" / wnid / f"{wnid}_{i}.JPEG", colour, (50, 40))
        picture(top / "val" / wnid / f"ILSVRC2012_val_{wnid}.JPEG", colour, (40, 50))
    picture(top / "test" / "ILSVRC2012_test_1.JPEG", (0, 0, 0))
    return top


def is_of(image, wnid):
    """Whether a picture (3, H, W) has the colour of its class, but for what JPEG changes."""
    return (image.float().mean((1, 2)) - torch.tensor(COLOURS[wnid])).abs().max() < 4


# Tiny-ImageNet


def test_tiny_imagenet_is_read_from_its_folder(alone):
    tiny_imagenet(alone / "tiny-imagenet-200")
    train, test = load("tiny-imagenet"), load("tiny-imagenet", "test")
    for data, labels in ((train, [0, 0, 1, 1, 2, 2]), (test, [0, 1, 2, 2])):
        assert isinstance(data, Images) and data.images.dtype == torch.uint8
        assert data.images.shape == (len(labels), 3, 64, 64) and data.labels.tolist() == labels
        assert data.classes == ("goldfish", "Labrador retriever", "school bus")
        for image, label in zip(data.images, data.labels, strict=True):
            assert is_of(image, list(COLOURS)[label])
    assert load("tiny-imagenet", "test", image_size=(16, 24)).images.shape == (4, 3, 16, 24)


def test_broken_pictures_of_tiny_imagenet_are_named_and_left_out(alone):
    top = tiny_imagenet(alone / "tiny-imagenet-200")
    (top / "train" / DOG / "images" / f"{DOG}_0.JPEG").write_bytes(b"broken")
    (top / "val" / "images" / "val_2.JPEG").unlink()
    with pytest.warns(UserWarning, match=f"^1 of 6 pictures in {top}/train cannot be read .*{DOG}_0.JPEG$"):
        assert load("tiny-imagenet").labels.tolist() == [0, 0, 1, 2, 2]
    with pytest.warns(UserWarning, match=f"^1 of 4 pictures in {top}/val cannot be read .*val_2.JPEG$"):
        assert load("tiny-imagenet", "test").labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("lost", ["train", "val/images", "val/val_annotations.txt", "words.txt", f"train/{DOG}"])
def test_half_of_tiny_imagenet_is_one_sentence(alone, lost):
    top = tiny_imagenet(alone / "tiny-imagenet-200")
    (top / lost).rename(alone / "lost")
    with pytest.raises(UserError, match=f"^{top} needs train/WNID/images/.*, and does not have all of them: move it away"):
        load("tiny-imagenet", "test")


@pytest.fixture
def offered(alone, tmp_path, monkeypatch):
    """A download that works: the archive lies already where torchvision would put it."""
    tiny_imagenet(tmp_path / "elsewhere" / "tiny-imagenet-200")
    alone.mkdir()
    archive = alone / "tiny-imagenet-200.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((tmp_path / "elsewhere").rglob("*")):
            file.write(path, path.relative_to(tmp_path / "elsewhere"))
    monkeypatch.setattr(named, "TINY_IMAGENET_MD5", md5(archive.read_bytes()).hexdigest())
    return archive


def test_tiny_imagenet_is_unpacked_after_its_download(alone, offered):
    assert not available("tiny-imagenet")
    assert len(load("tiny-imagenet")) == 6
    assert available("tiny-imagenet") and available("tiny-imagenet", "test")
    assert sorted(path.name for path in alone.iterdir()) == ["tiny-imagenet-200", "tiny-imagenet-200.zip"]
    offered.unlink()
    assert len(load("tiny-imagenet", "test")) == 4


def test_unpacking_that_is_cut_off_leaves_nothing_that_looks_whole(alone, offered, monkeypatch):
    extract = zipfile.ZipFile.extractall

    def cut(self, path):
        extract(self, path, self.namelist()[:5])
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile.ZipFile, "extractall", cut)
    with pytest.raises(KeyboardInterrupt):
        load("tiny-imagenet")
    assert not available("tiny-imagenet")
    monkeypatch.setattr(zipfile.ZipFile, "extractall", extract)
    assert len(load("tiny-imagenet")) == 6


def test_an_archive_that_is_not_the_right_one_is_not_unpacked(alone, offered, monkeypatch):
    monkeypatch.setattr(named, "TINY_IMAGENET_MD5", "0" * 32)
    with pytest.raises(UserError, match=f"^tiny-imagenet is not in {alone} and could not be downloaded"):
        load("tiny-imagenet")
    assert not (alone / "tiny-imagenet-200").exists()


# ImageNet


@pytest.mark.parametrize("told", [True, False])
def test_imagenet_is_read_from_where_one_is_told_or_from_the_folder_of_data(alone, tmp_path, monkeypatch, told):
    imagenet(tmp_path / "elsewhere" if told else alone / "imagenet")
    if told:
        monkeypatch.setenv("MINIMIM_IMAGENET", str(tmp_path / "elsewhere"))
    for split, labels in (("train", [0, 0, 0, 1, 1, 1, 2, 2, 2]), ("test", [0, 1, 2])):
        data = load("imagenet", split, image_size=(24, 32))
        assert isinstance(data, OnDisk) and data.image_size == (24, 32)
        assert data.classes == (FISH, DOG, BUS) and data.labels.tolist() == labels
        for image, label in zip(data, labels, strict=True):
            assert image.shape == (3, 24, 32) and is_of(image, data.classes[label])
    assert load("imagenet").image_size == (224, 224)


def test_imagenet_is_listed_and_not_opened(alone, monkeypatch):
    imagenet(alone / "imagenet", shown=10)
    opened, real = [], Image.open
    monkeypatch.setattr(Image, "open", lambda source: opened.append(source) or real(source))
    data = load("imagenet")
    assert len(data) == 30 and not opened
    assert data[3].shape == (3, 224, 224) and opened == [data.files[3]]


def test_labels_of_imagenet_are_the_same_where_val_has_some_of_the_classes(alone):
    top = imagenet(alone / "imagenet")
    (top / "val" / FISH).rename(alone / "lost")
    data = load("imagenet", "test")
    assert data.classes == (FISH, DOG, BUS) and data.labels.tolist() == [1, 2]


def test_train_needs_no_val(alone):
    top = imagenet(alone / "imagenet")
    (top / "val").rename(alone / "lost")
    assert len(load("imagenet")) == 9 and available("imagenet") and not available("imagenet", "test")


def unsorted(top):
    for path in (top / "val").rglob("*.JPEG"):
        path.rename(top / "val" / path.name)


@pytest.mark.parametrize(
    "spoil, split",
    [
        (lambda top: top.rename(top.with_name("other")), "train"),
        (lambda top: (top / "val").rename(top / "other"), "test"),
        (lambda top: (top / "train").rename(top / "other"), "test"),
        (lambda top: (top / "val" / DOG).rename(top / "val" / "dog"), "test"),
        (unsorted, "test"),
    ],
    ids=["nothing", "no val", "no train", "another class", "unsorted"],
)
def test_imagenet_that_is_not_there_or_not_sorted_is_one_sentence(alone, spoil, split):
    top = imagenet(alone / "imagenet")
    spoil(top)
    with pytest.raises(UserError) as told:
        load("imagenet", split)
    part = top / ("train" if split == "train" else "val")
    assert str(told.value) == (
        f"imagenet needs pictures in {top}/train/WNID/ and {top}/val/WNID/, and {part} has none or not sorted so: "
        "get ILSVRC 2012 from image-net.org, which asks for an account, sort it into a folder for each class, "
        "and set MINIMIM_IMAGENET to the folder that holds train and val"
    )


# What is here


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_bundled_sets_are_always_available(split):
    assert available("scenes", split) and available("fashion", split) and available("photos", split)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("split", ["train", "test"])
def test_nothing_else_is_available_on_an_empty_machine_and_looking_makes_nothing(alone, name, split):
    assert available(name, split) is False
    assert not alone.exists()


@pytest.mark.parametrize("name", ["cifar10", "tiny-imagenet-50"])
def test_a_pack_is_available_where_its_file_lies(alone, tmp_path, monkeypatch, name):
    monkeypatch.setenv("MINIMIM_PACKS", str(tmp_path / "packs"))
    for split in ("test", "train"):
        assert not available(name, split)
        path = tmp_path / "packs" / PACKS[name][split == "test"]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path)
        assert available(name, split)


@pytest.mark.parametrize("name, kind", [("cifar10", "CIFAR10"), ("stl10", "STL10"), ("imagenette", "Imagenette")])
def test_a_download_is_available_where_torchvision_finds_it_whole(monkeypatch, name, kind):
    asked = []

    class Set:
        def __init__(self, root, *, download, **more):
            asked.append(download)
            if len(asked) == 1:
                raise RuntimeError("Dataset not found or corrupted.")

    monkeypatch.setattr(torchvision.datasets, kind, Set)
    assert not available(name) and available(name, "test")
    assert asked == [False, False]


def test_imagenette_is_available_where_it_is_unpacked(alone):
    picture(alone / "imagenette2-160" / "train" / "n01440764" / "1.JPEG", (0, 0, 0))
    assert available("imagenette") and not available("imagenette", "test")


def test_tiny_imagenet_is_available_where_it_is_whole(alone):
    top = tiny_imagenet(alone / "tiny-imagenet-200")
    assert available("tiny-imagenet") and available("tiny-imagenet", "test")
    (top / "words.txt").unlink()
    assert not available("tiny-imagenet")


def test_a_folder_is_available_where_it_has_the_part(tmp_path):
    assert not available(f"folder:{tmp_path / 'nowhere'}") and not available("folder:")
    picture(tmp_path / "flat" / "a" / "1.jpg", (0, 0, 0))
    assert available(f"folder:{tmp_path / 'flat'}") and not available(f"folder:{tmp_path / 'flat'}", "test")
    picture(tmp_path / "parted" / "val" / "a" / "1.jpg", (0, 0, 0))
    assert not available(f"folder:{tmp_path / 'parted'}") and available(f"folder:{tmp_path / 'parted'}", "test")


def test_an_unknown_name_or_split_is_told_and_not_merely_unavailable():
    with pytest.raises(UserError, match="unknown data 'ciafr10': did you mean 'cifar10'"):
        available("ciafr10")
    with pytest.raises(UserError, match="unknown split 'val'"):
        available("scenes", "val")
