"""The bundled photographs are those that the build script cuts, carry their notice, and come as they were stored."""

import hashlib
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import TOP, script
from PIL import Image

from minimim.cli import main
from minimim.data import available, load, photos
from minimim.data.photos import FILE, NAMES, SHA256, pixels
from minimim.errors import UserError

ASSETS = TOP / "minimim" / "assets"


def build(module, monkeypatch, source, root):
    """The pixels that the script stores from the pictures in `source`, (6, 224, 224, 3)."""
    (root / "minimim" / "assets").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(root / "scripts" / "build_photos.py"))
    monkeypatch.setattr(sys, "argv", ["build_photos.py", "--source", str(source)])
    module.main()
    with Image.open(root / "minimim" / "assets" / FILE) as strip:
        return np.asarray(strip.convert("RGB")).reshape(6, 224, 224, 3)


def test_the_pixels_have_the_hash_that_is_written_down():
    assert hashlib.sha256(pixels().tobytes()).hexdigest() == SHA256


def test_they_are_six_colour_pictures_of_224_pixels_each_with_its_name():
    data = load("photos")
    assert data.images.shape == (6, 3, 224, 224) and data.images.dtype == torch.uint8
    assert data.labels.tolist() == [0, 1, 2, 3, 4, 5] and data.classes == NAMES
    assert np.array_equal(data.images.permute(0, 2, 3, 1).numpy(), pixels())


def test_each_is_the_picture_that_its_name_says():
    colour = dict(zip(NAMES, pixels().astype(float), strict=True))
    red, blue = (0, 2)
    assert colour["rocket"][:100, ..., blue].mean() > 1.5 * colour["rocket"][:100, ..., red].mean()  # an evening sky
    assert colour["retina"][60:160, 60:160, red].mean() > 2 * colour["retina"][60:160, 60:160, blue].mean()
    assert colour["retina"][:20, :20].max() < 40 and np.median(colour["galaxies"]) < 40  # black corners, black sky
    assert colour["coffee"][30:90, 60:70].mean() > 150  # the rim of the cup
    assert colour["astronaut"][100:200, :20, red].mean() > 2 * colour["astronaut"][100:200, :20, blue].mean()  # an orange suit
    greys = colour["cat"].mean(axis=-1)
    assert 20 < greys.std() < 45 and 100 < greys.mean() < 160  # fur: neither black nor white


def test_both_splits_hold_the_same_and_nothing_is_downloaded():
    assert torch.equal(load("photos", "test").images, load("photos", "train").images)
    assert available("photos") and available("photos", "test")


@pytest.mark.parametrize("size, shape", [(32, (32, 32)), ((64, 96), (64, 96)), (224, (224, 224))])
def test_they_come_at_any_size(size, shape):
    data = load("photos", image_size=size)
    assert data.images.shape == (6, 3, *shape) and data.images.dtype == torch.uint8
    for i, photo in enumerate(pixels()):
        wanted = np.array(Image.fromarray(photo).resize(shape[::-1], Image.Resampling.BILINEAR), int)  # (H, W, 3)
        assert np.abs(wanted - data.images[i].permute(1, 2, 0).numpy()).max() <= 1


def test_what_is_done_to_loaded_images_does_not_reach_the_bundle():
    load("photos").images.zero_()
    assert pixels().any() and not pixels().flags.writeable


def test_another_split_or_an_option_that_is_none_is_refused():
    for ask in (photos, lambda split: load("photos", split)):
        with pytest.raises(UserError, match="unknown split.* 'trian': did you mean 'train'"):
            ask("trian")


def test_the_file_is_small_and_the_notice_names_each_photograph_and_its_licence():
    assert (ASSETS / FILE).stat().st_size <= 400_000
    notice = (ASSETS / "PHOTOS-LICENSE.txt").read_text()
    for name in NAMES:
        about = re.search(rf"^{name} .*(\n .*)*", notice, re.MULTILINE).group()
        assert re.search(r"CC0|public domain", about), name


def test_they_are_measured_by_no_probe(capsys):
    for command in ("probe", "finetune"):
        assert main([command, "--checkpoint", str(ASSETS / "mae-scenes.safetensors"), "--data", "photos"]) == 2
        told = capsys.readouterr().err
        assert "photos are six pictures to look at, the same in train and test" in told and "folder:PATH" in told


@pytest.mark.slow
def test_a_method_can_be_trained_on_them_when_the_batch_is_no_larger(tmp_path, capsys):
    asked = ["pretrain", "--data", "photos", "--image-size", "32", "--epochs", "3", "--out", str(tmp_path / "run")]
    assert main(asked) == 2 and "a batch of 256 is more than the 6 images there are: choose a smaller one" in capsys.readouterr().err
    assert main([*asked, "--batch-size", "6"]) == 0
    assert (tmp_path / "run" / "last.safetensors").exists()


def test_the_script_cuts_the_square_that_it_says_and_refuses_other_files(tmp_path, monkeypatch):
    module, rng = script("build_photos"), np.random.default_rng(0)
    wanted = {}
    for i, (name, (file, _, _)) in enumerate(module.PICTURES.items()):
        file = Path(file).with_suffix(".png").name
        picture = rng.integers(0, 256, (300, 260, 3), dtype=np.uint8)  # (rows, columns, 3)
        Image.fromarray(picture).save(tmp_path / file)
        sha = hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()
        monkeypatch.setitem(module.PICTURES, name, (file, sha, (i, 20 + i, 224)))
        wanted[name] = picture[20 + i : 244 + i, i : i + 224]
    made = build(module, monkeypatch, tmp_path, tmp_path / "root")
    assert tuple(module.PICTURES) == NAMES
    for photo, name in zip(made, NAMES, strict=True):
        assert np.array_equal(photo, wanted[name]), name
    Image.new("RGB", (9, 9)).save(tmp_path / "chelsea.png")
    with pytest.raises(SystemExit, match=r"chelsea.png is not scikit-image's file"):
        build(module, monkeypatch, tmp_path, tmp_path / "again")


def test_the_bundle_is_what_the_script_makes_of_the_official_pictures(tmp_path, monkeypatch):
    pytest.importorskip("skimage")
    source = Path(importlib.util.find_spec("skimage").origin).parent / "data"
    missing = [file for file, *_ in script("build_photos").PICTURES.values() if not (source / file).exists()]
    if missing:
        pytest.skip(f"this scikit-image has no {missing[0]} beside it")
    made = build(script("build_photos"), monkeypatch, source, tmp_path)
    assert np.abs(made.astype(int) - pixels().astype(int)).max() <= 2  # decoders of JPEG differ by their rounding
