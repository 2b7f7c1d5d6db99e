"""The bundled garments are the ones that the build script picks, and come as they were packed."""

import gzip
import hashlib
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from helpers import script
from PIL import Image

from minimim.data import fashion, load
from minimim.data.fashion import CLASSES, FILE, SHA256, arrays, digest
from minimim.data.named import packs
from minimim.errors import UserError


def build(module, monkeypatch, source, root):
    """What the script makes from the files in `source`, written under `root`."""
    (root / "minimim" / "assets").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(root / "scripts" / "build_fashion.py"))
    monkeypatch.setattr(sys, "argv", ["build_fashion.py", "--source", str(source)])
    module.main()
    with np.load(root / "minimim" / "assets" / FILE) as bundle:
        return {name: bundle[name] for name in bundle.files}


def test_the_arrays_have_the_hash_that_is_written_down():
    sha = hashlib.sha256()
    for name in ("test_images", "test_labels", "train_images", "train_labels"):
        sha.update(arrays()[name].tobytes())
    assert sha.hexdigest() == digest(arrays()) == SHA256


def test_the_digest_sees_every_byte_and_which_array_it_is_in():
    content = {name: array.copy() for name, array in arrays().items()}
    content["test_images"][-1, 27, 27] ^= 1
    assert digest(content) != SHA256
    swapped = {**arrays(), "test_labels": arrays()["train_labels"], "train_labels": arrays()["test_labels"]}
    assert digest(swapped) != SHA256


@pytest.mark.parametrize("split, per_class", [("train", 500), ("test", 100)])
def test_each_class_has_as_many(split, per_class):
    data = load("fashion", split)
    assert data.images.shape == (10 * per_class, 1, 28, 28) and data.images.dtype == torch.uint8
    assert data.labels.dtype == torch.int64 and data.classes == CLASSES
    assert torch.equal(data.labels.bincount(), torch.full((10,), per_class))
    assert np.array_equal(data.images[:, 0], arrays()[f"{split}_images"])


def test_no_garment_is_in_both_splits():
    both = [{image.tobytes() for image in arrays()[f"{split}_images"]} for split in ("train", "test")]
    assert not both[0] & both[1]


def test_the_script_picks_the_first_of_each_class_in_the_official_order(tmp_path, monkeypatch):
    module = script("build_fashion")
    monkeypatch.setattr(module, "PER_CLASS", {"train": 3, "test": 2})
    rng, wanted = np.random.default_rng(0), {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = rng.integers(0, 256, (90, 28, 28), dtype=np.uint8), rng.integers(0, 10, 90, dtype=np.uint8)
        taken, kept = Counter(), []
        for image, label in zip(images, labels, strict=True):
            if taken[label] < module.PER_CLASS[split]:
                taken[label] += 1
                kept.append((image, label))
        wanted[f"{split}_images"], wanted[f"{split}_labels"] = map(np.array, zip(*kept, strict=True))
        for kind, header, content in (("images-idx3", 16, images), ("labels-idx1", 8, labels)):
            packed = gzip.compress(bytes(header) + content.tobytes())
            (tmp_path / f"{prefix}-{kind}-ubyte.gz").write_bytes(packed)
            monkeypatch.setitem(module.OFFICIAL, f"{prefix}-{kind}-ubyte.gz", hashlib.md5(packed).hexdigest())
    made = build(module, monkeypatch, tmp_path, tmp_path / "root")
    assert made.keys() == wanted.keys() and all(np.array_equal(made[name], wanted[name]) for name in wanted)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(98)))
    with pytest.raises(SystemExit, match="t10k-labels-idx1-ubyte.gz is not the official file"):
        build(module, monkeypatch, tmp_path, tmp_path / "again")


def test_the_bundle_is_what_the_script_makes_of_the_official_files(tmp_path, monkeypatch):
    source = packs() and packs() / "FashionMNIST" / "raw"
    if not (source and source.is_dir()):
        pytest.skip("the four official files are not on this machine: MINIMIM_PACKS names a folder with FashionMNIST/raw/")
    assert digest(build(script("build_fashion"), monkeypatch, source, tmp_path)) == SHA256


@pytest.mark.parametrize("size, shape", [(14, (14, 14)), ((32, 40), (32, 40)), ((28, 28), (28, 28))])
def test_garments_come_at_any_size(size, shape):
    data = load("fashion", "test", image_size=size)
    assert data.images.shape == (1000, 1, *shape) and data.images.dtype == torch.uint8
    for i in (0, 7):
        image = Image.fromarray(arrays()["test_images"][i]).resize(shape[::-1], Image.Resampling.BILINEAR)
        assert np.abs(np.array(image, int) - data.images[i, 0].numpy()).max() <= 1


def test_what_is_done_to_loaded_images_does_not_reach_the_bundle():
    data = load("fashion", "test")
    data.images.zero_(), data.labels.zero_()
    assert digest(arrays()) == SHA256


def test_a_piece_keeps_all_that_is_known():
    data = fashion("test")
    for where in (slice(3, 9, 2), [3, 5, 7], torch.tensor([3, 5, 7])):
        piece = data.take(where)
        assert len(piece) == 3 and piece.classes == CLASSES
        assert torch.equal(piece.images, data.images[3:9:2]) and torch.equal(piece.labels, data.labels[3:9:2])


def test_another_split_is_refused():
    for ask in (fashion, lambda split: load("fashion", split)):
        with pytest.raises(UserError, match="unknown split.* 'trian': did you mean 'train'"):
            ask("trian")
