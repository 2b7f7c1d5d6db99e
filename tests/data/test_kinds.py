"""What images may be made of: one sentence at every door of the library for tensors of another kind, never torch's own error."""

import re
import warnings

import numpy as np
import pytest
import torch
from helpers import build, images, raw, toy

from minimim.data import Images
from minimim.data.views import RandomViews, normalize
from minimim.errors import UserError
from minimim.evaluate import FinetuneConfig, extract, finetune, official_probe
from minimim.evaluate.features import raw_pixels
from minimim.evaluate.official import OfficialConfig
from minimim.hole_filler import HoleFiller
from minimim.show import as_pixels, fill_in, grey_out, strip
from minimim.train import settled, train

WHOLE = [torch.uint16, torch.int16, torch.int32, torch.int64, torch.int8, torch.bool]
OTHER_FLOATS = [torch.float64, torch.float16, torch.bfloat16]
LABELS = torch.arange(8) % 2
ONE_STEP = {"epochs": 1, "batch_size": 8}


def of(kind):
    """Images of a kind, (8, 3, 16, 16)."""
    return raw(8).to(kind) if kind in WHOLE else (raw(8) / 255).to(kind)


def whole_set(kind):
    return Images(of(kind), LABELS, ("dark", "bright"))


DOORS = {  # that learn or look: name → what is done with images of a kind
    "train": lambda kind: train(build("mae"), whole_set(kind), settled(build("mae").defaults, **ONE_STEP), bar=False),
    "features": lambda kind: build("mae").encoder.features(of(kind)),
    "forward": lambda kind: build("mae")(of(kind)),
    "eval": lambda kind: build("mae").eval()(of(kind)),
    "extract": lambda kind: extract(build("mae").encoder, whole_set(kind)),
    "finetune": lambda kind: finetune(build("mae").encoder, whole_set(kind), toy(8), FinetuneConfig(**ONE_STEP), bar=False),
    "finetune, test": lambda kind: finetune(build("mae").encoder, toy(8), whole_set(kind), FinetuneConfig(**ONE_STEP), bar=False),
    "official": lambda kind: official_probe(build("mae").encoder, whole_set(kind), toy(8), OfficialConfig(**ONE_STEP), bar=False),
    "fill_in": lambda kind: fill_in(build("mae"), of(kind)),
}
ANY_FLOAT = {  # where floats of any precision will do
    "views": lambda kind: RandomViews((8, 8), scale=(0.2, 1)).train()(of(kind)),
    "normalize": lambda kind: normalize(of(kind)),
    "raw pixels": lambda kind: raw_pixels(whole_set(kind)),
    "hole-filler": lambda kind: HoleFiller(4).fit(of(kind), build("mae").masking),
    "as_pixels": lambda kind: as_pixels(of(kind)),
    "strip": lambda kind: strip([of(kind)]),
    "grey_out": lambda kind: grey_out(of(kind), torch.ones(8, 16, dtype=torch.bool), 4),
}


@pytest.mark.parametrize("kind", [*WHOLE, *OTHER_FLOATS], ids=str)
@pytest.mark.parametrize("door", DOORS)
def test_another_kind_is_one_sentence_that_says_what_is_taken(door, kind):
    name = str(kind).removeprefix("torch.")
    with pytest.raises(UserError, match=f"^these images are {name}, and what is taken is uint8 from 0 to 255, or float32 that is normalised"):
        DOORS[door](kind)


@pytest.mark.parametrize("kind", WHOLE, ids=str)
@pytest.mark.parametrize("door", ANY_FLOAT)
def test_whole_numbers_other_than_bytes_are_one_sentence_everywhere(door, kind):
    with pytest.raises(UserError, match=f"^these images are {str(kind).removeprefix('torch.')}, and what is taken is uint8 from 0 to 255, or float32"):
        ANY_FLOAT[door](kind)


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32], ids=str)
@pytest.mark.parametrize("door", [*DOORS, *ANY_FLOAT])
def test_bytes_and_normalised_floats_are_taken(door, kind):
    {**DOORS, **ANY_FLOAT}[door](kind)


def test_weights_in_another_precision_take_floats_of_that_one():
    method = build("mae").double()
    assert method.encoder.features(images().double()).dtype == torch.float64
    torch.testing.assert_close(method.encoder.features(raw()), method.encoder.features(normalize(raw()).double()))
    with pytest.raises(UserError, match="^these images are float32, and what is taken is uint8 from 0 to 255, or float64 that"):
        method.encoder.features(images())


def test_what_is_no_tensor_and_what_is_no_batch_are_one_sentence():
    encoder = build("mae").encoder
    with pytest.raises(UserError, match=r"^images are a torch\.Tensor \(B, C, H, W\), not of type ndarray: make one with torch\.as_tensor, or"):
        encoder.features(np.zeros((2, 3, 16, 16), np.float32))
    for picture in (torch.zeros(3, 16, 16), torch.zeros(16, 16)):
        for look in (encoder.features, as_pixels):
            with pytest.raises(UserError, match=re.escape(f"(B, C, H, W), and these are {tuple(picture.shape)}: one image is images[None]")):
                look(picture)


@pytest.mark.parametrize("shape, says", [((3, 16, 16), "one image is images[None]"), ((8, 16, 16, 3), "give images.permute(0, 3, 1, 2)")])
@pytest.mark.parametrize("door", ["train", "forward", "extract", "finetune", "official", "fill_in", "raw pixels", "views", "as_pixels", "strip"])
def test_a_batch_of_another_shape_is_one_sentence_at_every_door(door, shape, says, monkeypatch):
    monkeypatch.setattr(f"{__name__}.of", lambda kind: torch.zeros(shape, dtype=kind))
    doors = {**DOORS, **ANY_FLOAT}
    if door == "forward" and shape[-1] == 3:
        says = "(B, H, W, C)"
    with pytest.raises(UserError, match=re.escape(f"(B, C, H, W), and these are {shape}")) as caught:
        doors[door](torch.uint8)
    assert says in str(caught.value)


@pytest.mark.parametrize("door", ["train", "forward", "extract", "finetune", "official", "fill_in", "raw pixels", "strip"])
def test_what_is_no_tensor_is_one_sentence_at_every_door(door, monkeypatch):
    monkeypatch.setattr(f"{__name__}.of", lambda kind: list(raw(8)))
    with pytest.raises(UserError, match=r"not of type list: make one with torch\.as_tensor, or with torch\.stack"):
        {**DOORS, **ANY_FLOAT}[door](None)


@pytest.mark.parametrize("look", [strip, as_pixels])
def test_bands_that_are_no_three_channels_are_one_sentence(look):
    for bands in (0, "rgb", (0, 1), (0, 1, 3), (0.0, 1, 2)):
        with pytest.raises(UserError, match="^bands are three channels"):
            look([raw()] if look is strip else raw(), bands=bands)


NOT_NORMALISED = [(0, 255, "reach 255"), (0, 60, "reach 60"), (-90, 2, "reach 90"), (0, 1, "all lie from 0 to 1"), (-0.1, 1, ""), (0, 2.6, ""), (0, 0, "")]


@pytest.mark.parametrize("low, high, says", NOT_NORMALISED)
@pytest.mark.parametrize("door", ["train", "fill_in"])
def test_floats_that_are_not_normalised_are_told(door, low, high, says, monkeypatch):
    monkeypatch.setattr(f"{__name__}.of", lambda kind: low + raw(8).float() / raw(8).max() * (high - low))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        DOORS[door](None)
    said = [str(warning.message) for warning in told if warning.filename == __file__]
    assert said == [f"images in floats are taken as normalised, and these {says}: give uint8 from 0 to 255, or normalise them"] * bool(says)
