"""The bundled checkpoint: the very file, small, with its figures, and able to do what lessons show with it."""

import hashlib

import pytest
import torch

import minimim
from minimim import checkpoint
from minimim.errors import UserError
from minimim.presets import preset
from minimim.show import fill_in

SHA256 = "b58842108645713f9a8cd79a111e0a3be550517c36b9bd725ba1fd193c82d2d3"  # as scripts/build_checkpoint.py printed it


def test_it_is_the_file_that_was_made_and_says_how():
    path = minimim.bundled("mae-scenes")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256 and path.stat().st_size < 8e6
    _, header = checkpoint.read(path)
    about, chosen = header["about"], preset("bundled")
    assert about["command"] == "python scripts/build_checkpoint.py" and about["seed"] == 0
    assert header["spec"] == {"name": chosen.method, "image_size": [32, 32], "patch_size": 4, "size": "micro", **chosen.options}
    for kind in ("linear_probe", "knn"):
        assert set(about[kind]) == {"pretrained", "random_init", "raw_pixels"}


def test_it_fills_in_better_than_the_mean_of_what_is_visible():
    images = minimim.data.load("scenes", "test", count=200).images
    method = minimim.load(minimim.bundled("mae-scenes"))
    filled = fill_in(method, images, generator=torch.Generator().manual_seed(0))
    truth, painted = (minimim.patchify(x.float(), 4) for x in (filled.original, filled.filled))
    visible = (~filled.mask).unsqueeze(-1)
    mean = (truth * visible).sum(1, keepdim=True) / visible.sum(1, keepdim=True)  # (B, 1, 48)
    errors = [((guess - truth)[filled.mask] ** 2).mean().item() for guess in (painted, mean.expand_as(truth))]
    assert errors[0] < errors[1] / 2


def test_an_unknown_one_suggests_the_near_one():
    with pytest.raises(UserError, match="did you mean 'mae-scenes'"):
        minimim.bundled("mae-scene")
