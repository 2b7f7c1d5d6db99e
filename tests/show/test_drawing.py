"""Drawings: things lie where they are put, what is unreadable is named, and a notebook gets a picture with words for it."""

import base64
import io
from itertools import combinations

import numpy as np
import pytest
import torch
from drawn import check
from matplotlib.colors import to_rgb
from PIL import Image

import minimim
from minimim.errors import UserError
from minimim.show import Drawing, mae
from minimim.show.charts import SERIES
from minimim.show.drawing import KINDS, UNIT

SEEN_BY = {  # linear RGB → what somebody without the red or the green cones sees (Machado, Oliveira and Fernandes, 2009)
    "all cones": np.eye(3),
    "no red": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "no green": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
}


def pixels(drawing):
    return np.asarray(Image.open(io.BytesIO(drawing.content())).convert("RGB"))


def test_a_tile_has_its_colour_at_its_place():
    drawing = Drawing(6, 3, "a mask token and a latent beside it")
    drawing.tiles(1, 1, ["mask token", "latent"], side=1, gap=1)
    there = pixels(drawing)
    assert there.shape == (3 * UNIT, 6 * UNIT, 3)
    for kind, x in (("mask token", 1.5), ("latent", 3.5)):
        assert there[int(1.5 * UNIT), int(x * UNIT)] / 255 == pytest.approx(to_rgb(KINDS[kind]["facecolor"]), abs=0.01)
    assert there[int(1.5 * UNIT), int(2.5 * UNIT)].tolist() == [255, 255, 255]


def test_a_box_may_have_a_colour_of_its_own():
    drawing = Drawing(3, 3, "one box in the colour of an axis")
    drawing.box(1, 1, 1, 1, fill="#0072b2")
    assert pixels(drawing)[int(1.5 * UNIT), int(1.5 * UNIT)].tolist() == [0x00, 0x72, 0xB2]


def test_a_picture_and_its_patches_have_their_own_pixels():
    image = torch.zeros(3, 4, 4, dtype=torch.uint8)
    image[0, :2, 2:] = 200  # patch 1 is red, the others black
    drawing = Drawing(10, 5, "a picture and its four patches")
    drawing.picture(0.5, 0.5, 4, image)
    drawing.patches(5.5, 0.5, 4, image, (2, 2), torch.tensor([True, False, False, False]), left_out=torch.tensor([False, False, False, True]))
    there = pixels(drawing)
    at = {(3.5, 1.5): [200, 0, 0], (1.5, 1.5): [0, 0, 0], (8.5, 1.5): [200, 0, 0], (6.5, 3.5): [0, 0, 0], (8.5, 3.5): [255, 255, 255]}
    for (x, y), colour in at.items():
        assert there[int(y * UNIT), int(x * UNIT)].tolist() == colour
    assert there[int(1.5 * UNIT) - 20 : int(1.5 * UNIT) + 20, int(6.5 * UNIT) - 20 : int(6.5 * UNIT) + 20].std() > 5  # hatched


@pytest.mark.parametrize(("spoil", "fault"), [
    (lambda d: d.text(2, 1, "one more word here"), "lies over"),
    (lambda d: d.text(5.9, 2.5, "leaving"), "leaves the paper"),
    (lambda d: d.box(2.2, 2, 1, 1, "latent", "much too long"), "crosses the edge"),
    (lambda d: d.arrow((1, 0.5), (1, 2)), "under an arrow"),
    (lambda d: d.path((0.2, 0.2), (1, 0.2), (1, 3), (4, 3)), "under an arrow"),
])  # fmt: skip
def test_what_cannot_be_read_is_named(spoil, fault):
    drawing = Drawing(6, 4, "two words")
    drawing.text(1, 1, "word")
    drawing.box(3, 2.8, 2, 1, "target", "inside")
    assert drawing.faults() == []
    spoil(drawing)
    assert any(fault in found for found in drawing.faults())


def test_the_words_of_an_arrow_stand_above_it_and_numbers_in_their_cells():
    drawing = Drawing(10, 5, "numbers, and an arrow with words")
    drawing.numbers(0.5, 1, torch.tensor([[0.123, 1.0], [-2.5, 3.0]]), marked=[(0, 1)])
    drawing.arrow((3.2, 2), (9, 2), "softmax of each row")
    drawing.key(0.5, 4, "hidden", "target")
    assert drawing.faults() == [] and [word.get_text() for word in drawing.words[:4]] == ["0.12", "1.00", "-2.50", "3.00"]


def test_an_unknown_kind_of_tile_gets_one_sentence():
    with pytest.raises(UserError, match="did you mean 'latent'"):
        Drawing(2, 2, "nothing").box(0, 0, 1, 1, "latnet")


def test_a_notebook_gets_the_picture_and_the_words():
    for photo, kind, begins in ((False, "image/png", b"\x89PNG"), (True, "image/jpeg", b"\xff\xd8")):
        drawing = Drawing(3, 2, "nothing but paper", photo)
        content, about = drawing._repr_mimebundle_()
        assert base64.b64decode(content[kind]).startswith(begins) and content["text/plain"] == "[nothing but paper]"
        assert about == {kind: {"alt": "nothing but paper"}}


@pytest.mark.parametrize("eyes", SEEN_BY)
def test_colours_are_told_apart(eyes):
    def seen(colour):
        light = np.array(to_rgb(colour))
        linear = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
        return np.clip(SEEN_BY[eyes] @ linear, 0, 1) ** (1 / 2.2)

    tiles = [KINDS[kind]["facecolor"] for kind in ("visible", "mask token", "latent", "target", "plain")]
    for group in (tiles, SERIES[:4]):
        for one, other in combinations(group, 2):
            assert np.abs(seen(one) - seen(other)).max() > 0.1, (one, other)


def test_mae_is_drawn_from_a_trained_model_and_readable():
    method = minimim.load(minimim.bundled("mae-scenes"))
    drawing = mae(method, minimim.data.load("scenes", "test", count=1).images[0])
    check(drawing)
    written = [word.get_text() for word in drawing.words]
    assert "64 patches, 16 visible" in written and "(1, 16, 128)" in written and written.count("m") + sum(w.isdecimal() for w in written) == 64 + 4
