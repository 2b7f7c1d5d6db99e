"""Sets by name: what is on this machine is read, the rest is fetched by torchvision, and what is wrong is told in a sentence."""

import io
import re
import socket
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from minimim import data
from minimim.data import load
from minimim.data.named import DOWNLOADS, PACKS, SIZES, home, packs
from minimim.errors import UserError, unknown

pytestmark = pytest.mark.filterwarnings("ignore:.* as one colour")  # as some pictures are here


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A machine with nothing on it, and no network."""

    def refuse(*args, **more):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    (tmp_path / "packs").mkdir()
    monkeypatch.setenv("MINIMIM_PACKS", str(tmp_path / "packs"))
    monkeypatch.setenv("MINIMIM_DATA", str(tmp_path / "data"))
    return tmp_path


def jpegs(pictures):
    """Pictures (H, W, 3) as JPEG files end to end, and where each begins and the last one ends."""
    files = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=100, subsampling=0)
        files.append(np.frombuffer(file.getvalue(), np.uint8))
    return np.concatenate(files), np.cumsum([0, *map(len, files)])


def ramps(n, size):
    """Smooth pictures (n, H, W, 3), which JPEG keeps well: red tells the row and the picture, green the column."""
    rows, cols = np.mgrid[0 : size[0], 0 : size[1]] * 200 // max(size)
    return np.stack([np.stack([rows + 10 * i, cols, (rows + cols) // 2], -1) for i in range(n)]).astype(np.uint8)


def pack(top, name, split, pictures, prefix="", **more):
    """Write a pack where `named` looks for it."""
    path = top / "packs" / PACKS[name][split == "test"]
    path.parent.mkdir(parents=True, exist_ok=True)
    jpeg, offsets = jpegs(pictures)
    old = dict(np.load(path)) if prefix and path.exists() else {}
    np.savez(path, **old, **{f"{prefix}jpeg": jpeg, f"{prefix}offsets": offsets}, **more)


def apart(got, pictures):
    """The largest difference between images (n, 3, H, W) and pictures (n, H, W, 3)."""
    return np.abs(got.permute(0, 2, 3, 1).numpy().astype(int) - pictures.astype(int)).max()


# Packs


@pytest.mark.parametrize("name, size", [("cifar10", (32, 32)), ("tiny-imagenet-50", (64, 64))])
def test_a_pack_is_read_where_it_lies(alone, name, size):
    pictures = {"train": ramps(5, size), "test": ramps(3, size)[::-1]}
    for split, there in pictures.items():
        labels = np.arange(len(there), dtype=np.uint8) % 2
        pack(alone, name, split, there, labels=labels, classes=np.array(["cat", "dog"]))
    for split, there in pictures.items():
        found = load(name, split)
        assert found.images.dtype == torch.uint8 and found.images.shape == (len(there), 3, *size)
        assert apart(found.images, there) <= 4
        assert found.labels.dtype == torch.int64 and found.labels.tolist() == [i % 2 for i in range(len(there))]
        assert found.classes == ("cat", "dog") and found.truth == {}


@pytest.fixture
def streets(alone):
    """A pack with masks: three and two pictures, whose masks say 0, 5, 10, 15 from left to right, and one more in test."""
    for split, n in (("train", 3), ("test", 2)):
        masks = np.tile(np.arange(240) // 60 * 5 + (split == "test"), (n, 180, 1)).astype(np.uint8)
        classes = {"classes": np.array(["sky", "road"])} if split == "train" else {}
        pack(alone, "camvid", split, ramps(n, (180, 240)), f"{split}_", **{f"{split}_masks": masks}, **classes)


@pytest.mark.parametrize("split, n", [("train", 3), ("test", 2)])
def test_a_pack_with_masks_has_a_segmentation_and_no_labels(streets, split, n):
    found = load("camvid", split)
    assert found.images.shape == (n, 3, 180, 240) and apart(found.images, ramps(n, (180, 240))) <= 4
    assert found.labels is None and found.classes == ("sky", "road")
    segmentation = found.truth["segmentation"]
    assert segmentation.dtype == torch.uint8 and segmentation.shape == (n, 180, 240)
    for x in range(240):
        assert torch.all(segmentation[:, :, x] == x // 60 * 5 + (split == "test"))


@pytest.mark.parametrize("size", [(45, 60), (90, 90), (60, 240), (180, 60), (360, 480)])
def test_masks_are_cut_as_their_images_are(streets, size):
    found = load("camvid", "train", image_size=size)
    column = found.images[:, 1].float() * 240 / 200  # green says which column a pixel comes from
    wrong = (column / 60).floor().clamp(0, 3) * 5 != found.truth["segmentation"]
    border = ((column % 60) < 6) | ((column % 60) > 54)
    assert found.truth["segmentation"].shape == (3, *size) and not (wrong & ~border).any()
    assert found.truth["segmentation"].unique().tolist() in ([0, 5, 10, 15], [5, 10])  # nothing in between


def test_a_pack_comes_at_any_size(alone):
    pack(alone, "cifar10", "train", ramps(2, (32, 32)), labels=np.zeros(2, np.uint8), classes=np.array(["cat"]))
    assert load("cifar10", image_size=16).images.shape == (2, 3, 16, 16)
    assert load("cifar10", image_size=(16, 24)).images.shape == (2, 3, 16, 24)


def test_half_a_pack_says_what_is_missing(alone):
    pack(alone, "tiny-imagenet-50", "train", ramps(2, (64, 64)), labels=np.zeros(2), classes=np.array(["cat"]))
    assert len(load("tiny-imagenet-50", "train")) == 2
    with pytest.raises(UserError, match="set MINIMIM_PACKS to the folder that holds tiny-imagenet-50/val_jpeg.npz"):
        load("tiny-imagenet-50", "test")


@pytest.mark.parametrize("name", sorted(set(PACKS) - set(DOWNLOADS)))
def test_a_pack_that_is_not_there_is_one_sentence(name):
    with pytest.raises(UserError) as told:
        load(name)
    assert str(told.value) == (
        f"{name} is a pack that is not on this machine: set MINIMIM_PACKS to the folder that holds {PACKS[name][0]}"
    )


def test_packs_are_looked_for_where_one_is_told_first(alone, monkeypatch):
    (alone / "here" / "shared" / "data").mkdir(parents=True)
    monkeypatch.chdir(alone / "here")
    assert packs() == alone / "packs"
    monkeypatch.setenv("MINIMIM_PACKS", str(alone / "nowhere"))
    assert packs().resolve() == alone / "here" / "shared" / "data"
    (alone / "here" / "shared" / "data").rmdir()
    assert packs() is None
    monkeypatch.delenv("MINIMIM_PACKS")
    assert packs() is None


def test_downloads_go_where_one_is_told(alone, monkeypatch):
    assert home() == alone / "data"
    monkeypatch.delenv("MINIMIM_DATA")
    monkeypatch.setenv("HOME", str(alone))
    assert home() == alone / ".cache" / "minimim"


# Downloads, by stand-ins for torchvision's classes


@pytest.fixture
def asked(monkeypatch):
    """Stand-ins that note what they are asked for."""
    seen = []

    def stand_in(name, **found):
        class Set:
            def __init__(self, root, **more):
                seen.append((name, root, more))
                self.__dict__.update({key: value(more) for key, value in found.items()})

        monkeypatch.setattr(torchvision.datasets, name, Set)

    stand_in(
        "CIFAR10",
        data=lambda more: ramps(4 if more["train"] else 2, (32, 32)),
        targets=lambda more: [1, 0, 1, 1][: 4 if more["train"] else 2],
        classes=lambda more: ["cat", "dog"],
    )
    stand_in(
        "STL10",
        data=lambda more: ramps(3, (96, 96)).transpose(0, 3, 1, 2),
        labels=lambda more: np.array([1, 0, 1]) if more["split"] != "unlabeled" else -np.ones(3),
        classes=lambda more: ["cat", "dog"],
    )
    return seen


@pytest.mark.parametrize("split, n", [("train", 4), ("test", 2)])
def test_cifar10_comes_from_torchvision(alone, asked, split, n):
    found = load("cifar10", split)
    assert asked == [("CIFAR10", alone / "data", {"train": split == "train", "download": True})]
    assert found.images.is_contiguous() and found.images.dtype == torch.uint8 and apart(found.images, ramps(n, (32, 32))) == 0
    assert found.labels.tolist() == [1, 0, 1, 1][:n] and found.classes == ("cat", "dog")
    assert load("cifar10", split, image_size=(16, 24)).images.shape == (n, 3, 16, 24)


@pytest.mark.parametrize("split", ["train", "test", "unlabeled"])
def test_stl10_comes_from_torchvision_and_has_a_part_without_labels(alone, asked, split):
    found = load("stl10", split)
    assert asked == [("STL10", alone / "data", {"split": split, "download": True})]
    assert apart(found.images, ramps(3, (96, 96))) == 0 and found.classes == ("cat", "dog")
    assert (found.labels is None) if split == "unlabeled" else found.labels.tolist() == [1, 0, 1]


def test_a_pack_saves_the_download(alone, asked):
    pack(alone, "cifar10", "train", ramps(5, (32, 32)), labels=np.zeros(5), classes=np.array(["cat"]))
    assert len(load("cifar10", "train")) == 5 and not asked
    assert len(load("cifar10", "test")) == 2 and len(asked) == 1  # the pack of this part is not there


@pytest.mark.parametrize("split, colour", [("train", 250), ("test", 120)])
def test_imagenette_is_read_from_the_folder_that_torchvision_unpacks(alone, split, colour):
    dogs, fish = "n02102040", "n01440764"
    for part, value in (("train", 250), ("val", 120)):
        for i, (wnid, rgb) in enumerate(((dogs, (value, 0, 0)), (fish, (0, 0, value)), (dogs, (value, 0, 0)))):
            path = alone / "data" / "imagenette2-160" / part / wnid / f"{part}_{i}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (200, 160), rgb).save(path, quality=100)
    found = load("imagenette", split)
    assert found.images.shape == (3, 3, 160, 160) and found.images.dtype == torch.uint8
    assert found.classes == ("tench", "English springer") and found.labels.tolist() == [0, 1, 1]
    for image, channel in zip(found.images, (2, 0, 0), strict=True):
        assert abs(float(image[channel].float().mean()) - colour) < 4
    assert load("imagenette", split, image_size=(32, 48)).images.shape == (3, 3, 32, 48)


@pytest.mark.parametrize("error", [URLError("no route"), RuntimeError("File not found or corrupted."), OSError("disk full")])
@pytest.mark.parametrize("name, kind", [("cifar10", "CIFAR10"), ("stl10", "STL10"), ("imagenette", "Imagenette")])
def test_a_download_that_fails_is_one_sentence(alone, monkeypatch, name, kind, error):
    def fail(*args, **more):
        raise error

    monkeypatch.setattr(torchvision.datasets, kind, fail)
    with pytest.raises(UserError) as told:
        load(name)
    assert str(told.value) == (
        f"{name} is not in {alone / 'data'} and could not be downloaded ({error}): "
        "connect to the network, set MINIMIM_DATA to the folder that holds it, or take --data scenes"
    )
    assert told.value.__cause__ is error


@pytest.mark.parametrize("name", DOWNLOADS)
def test_without_a_network_each_download_fails_in_that_sentence(alone, monkeypatch, name):
    def unreachable(*args, **more):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    with pytest.raises(UserError, match=rf"{name} is not in {alone}/data and could not be downloaded \(.*unreachable.*\): "):
        load(name)


# Names and splits


def test_the_bundled_sets_need_nothing():
    assert len(load("fashion", "test")) == 1000 and len(load("scenes", "test", count=5)) == 5 and len(load("photos")) == 6


def test_names_are_what_load_knows():
    assert data.names() == ["scenes", "fashion", "photos", *SIZES, "folder:PATH"]
    assert {*PACKS, *DOWNLOADS, "imagenet"} == set(SIZES)


@pytest.mark.parametrize(
    "wrong, right",
    [
        ("scense", "scenes"), ("Scenes", "scenes"), ("fashion-mnist", "fashion"), ("cifar", "cifar10"), ("CIFAR-10", "cifar10"),
        ("stl", "stl10"), ("imagenete", "imagenette"), ("tiny_imagenet", "tiny-imagenet"), ("camvit", "camvid"),
        ("folders:here", "folder:PATH"), ("photo", "photos"),
    ],
)  # fmt: skip
def test_an_unknown_name_suggests_the_near_one(wrong, right):
    with pytest.raises(UserError, match=rf"^unknown data '{re.escape(wrong)}': did you mean '{right}'\? Known: .*scenes"):
        load(wrong)


@pytest.mark.parametrize("wrong", ["zzz", "", 7])
def test_a_name_that_is_near_to_none_is_told_them_all(wrong):
    with pytest.raises(UserError, match=rf"^unknown data '{wrong}': Known: camvid, cifar10, fashion, folder:PATH, imagenet, imagenette, "):
        load(wrong)


@pytest.mark.parametrize("name", ["scenes", "fashion", "photos", *SIZES, "folder:anywhere", "zzz"])
def test_an_unknown_split_suggests_the_near_one(name):
    with pytest.raises(UserError, match=r"^unknown split 'tset': did you mean 'test'\? Known: test, train"):
        load(name, "tset")
    if name != "stl10":
        with pytest.raises(UserError, match="unknown split 'unlabeled'"):
            load(name, "unlabeled")


@pytest.mark.parametrize("name", ["scenes", "fashion", "photos", *SIZES])
@pytest.mark.parametrize("size", [0, -1, (32, 0), (-2, 32)])
def test_a_size_below_one_is_refused_before_anything_is_read(name, size):
    with pytest.raises(UserError, match=f"^image_size must be 1 or more, not {re.escape(str(size))}$"):
        load(name, image_size=size)


@pytest.mark.parametrize("name", ["scenes", "fashion", "photos", "cifar10", "camvid", "folder:."])
def test_no_option_is_ignored_in_silence(name):
    with pytest.raises(TypeError, match="unexpected keyword argument 'counts'"):
        load(name, counts=3)


def test_a_user_error_is_a_value_error_with_one_sentence():
    error = unknown("method", "mea", ["simmim", "mae"])
    assert isinstance(error, UserError) and isinstance(error, ValueError)
    assert str(error) == "unknown method 'mea': did you mean 'mae'? Known: mae, simmim"
    assert str(unknown("method", "xyz", iter(["b", "a"]))) == "unknown method 'xyz': Known: a, b"
