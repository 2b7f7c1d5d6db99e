"""Scenes: the same bytes from the same seed everywhere, and a truth that says exactly what is in the picture."""

import colorsys
import hashlib
import importlib
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimim.data import load, scenes
from minimim.data.captions import NOUNS
from minimim.data.fashion import CLASSES, SHA256, arrays, digest
from minimim.errors import UserError

module = importlib.import_module("minimim.data.scenes")  # the name in the package is the function
TINTS = [*module.TINTS]
FIELDS = {"class", "garment", "size", "depth", "tint", "box", "segmentation", "count", "caption"}


@pytest.fixture(scope="module")
def many():
    """Scenes with one object."""
    return scenes("train", 1000)


@pytest.fixture(scope="module")
def crowd():
    """Scenes with one to four objects, on a canvas that is not square."""
    return scenes("test", 600, seed=1, image_size=(40, 56), objects=(1, 4))


def same(one, two):
    """Whether two sets of scenes are equal in all that they hold."""
    truths = all(
        torch.equal(one.truth[name], two.truth[name]) if torch.is_tensor(one.truth[name]) else one.truth[name] == two.truth[name]
        for name in FIELDS
    )
    return truths and torch.equal(one.images, two.images) and torch.equal(one.labels, two.labels)


def fingerprint(data):
    """A hash of pixels, labels and truth."""
    sha = hashlib.sha256(data.images.numpy().tobytes() + data.labels.numpy().tobytes())
    for name in sorted(FIELDS - {"caption"}):
        sha.update(data.truth[name].numpy().tobytes())
    sha.update("\n".join(data.truth["caption"]).encode())
    return sha.hexdigest()


# A seed is a set of bytes


@pytest.mark.parametrize(
    "asked, expected",
    [
        ({"split": "train"}, "545b338e62fbf61084b897d09213b8a94b772220ac4c8ece17e0729736b6497c"),
        ({"split": "test"}, "e01998769d0eec6202fd8978ba11e070eea3a49f975904eabd881e4a436f5c7a"),
        ({"split": "train", "seed": 7, "image_size": 64}, "b6a905626e6f013003854ee73fe402da830eb07a621278b3d3da19de3534fec6"),
        ({"split": "test", "seed": 1, "image_size": (24, 40), "objects": (1, 4)}, "38a072426b15208cae4ef4222e2fce8d18dd6f8bceb8174f62b9982db1262897"),
        ({"split": "train", "seed": -1, "image_size": 16, "objects": 20}, "9be690416e4c414a3dc67acac33fc258f4804529c2c7d42f52fb2970a331f388"),
    ],
)
def test_a_seed_gives_the_same_bytes_on_every_machine(asked, expected):
    assert digest(arrays()) == SHA256
    assert fingerprint(scenes(count=30, **asked)) == expected


@pytest.mark.parametrize("objects", [1, (1, 3)])
def test_the_first_of_a_larger_set_are_the_smaller_set(objects, monkeypatch):
    large = scenes("train", 45, seed=3, objects=objects)
    for chunk in (500, 7):
        monkeypatch.setattr(module, "CHUNK", chunk)
        for count in (1, 7, 20, 45):
            assert same(scenes("train", count, seed=3, objects=objects), large.take(slice(count)))


def test_each_seed_split_and_number_has_a_scene_of_its_own():
    sets = [scenes(split, 50, seed=seed) for seed in (0, 1, 2, -1, 2**40) for split in ("train", "test")]
    seen = [image.numpy().tobytes() for data in sets for image in data.images]
    assert len(set(seen)) == len(seen) == 500


def test_the_defaults_are_those_of_the_course(monkeypatch):
    assert module.COUNTS == {"train": 20_000, "test": 4_000}
    monkeypatch.setattr(module, "COUNTS", {"train": 30, "test": 20})
    for split, count in (("train", 30), ("test", 20)):
        data = load("scenes", split)
        assert data.images.shape == (count, 3, 32, 32) and torch.all(data.truth["count"] == 1)
        assert same(data, load("scenes", split, image_size=32, seed=0, objects=1, count=count))


def test_what_is_fixed_is_the_same_in_all_scenes_and_the_rest_stays():
    free = scenes("test", 40)
    for name in ("background", "place", "size", "tint"):
        held = scenes("test", 40, fixed=(name,))
        assert torch.equal(held.labels, free.labels) and torch.equal(held.truth["garment"], free.truth["garment"])
        assert (len(held.truth["tint"].unique()) == 1) == (name == "tint") and (len(held.truth["size"].unique()) == 1) == (name == "size")
        same_shape = torch.equal(held.truth["segmentation"], free.truth["segmentation"])
        assert same_shape == (name in ("background", "tint")) and not torch.equal(held.images, free.images)
    corner = scenes("test", 40, fixed=("background",)).images[:, :, 0, 0]
    empty = scenes("test", 40, fixed=("background",)).truth["segmentation"][:, 0, 0] == 0
    assert len(corner[empty].unique(dim=0)) == 1 and len(free.images[empty, :, 0, 0].unique(dim=0)) > 1
    both = scenes("test", 40, fixed=("place", "size")).truth["box"][:, 0].float()
    assert ((both[:, :2] + both[:, 2:]) / 2 - 16).abs().max() < 3  # in the middle of 32 pixels
    assert same(scenes("test", 40, objects=2, fixed=("size",)).take(slice(5)), scenes("test", 5, objects=2, fixed=("size",)))
    with pytest.raises(UserError, match="did you mean 'tint'"):
        scenes("test", 4, fixed=("tin",))


def test_no_scene_touches_the_global_generators():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    scenes("train", 3)
    assert torch.equal(before[0], torch.get_rng_state()) and np.array_equal(before[1], np.random.get_state()[1])


# What a set holds


@given(st.tuples(st.integers(16, 70), st.integers(16, 70)), st.integers(1, 6), st.integers(0, 3), st.sampled_from(["train", "test"]))
@settings(max_examples=25, deadline=None)
def test_any_canvas_and_any_number_of_objects(size, low, more, split):
    high, n = low + more, 3
    data = scenes(split, n, image_size=size, objects=(low, high))
    assert data.images.shape == (n, 3, *size) and data.images.dtype == torch.uint8 and data.images.is_contiguous()
    assert data.labels.shape == (n,) and data.labels.dtype == torch.int64 and data.classes == CLASSES
    assert data.truth.keys() == FIELDS and data.truth["box"].shape == (n, high, 4)
    assert data.truth["segmentation"].shape == (n, *size) and len(data.truth["caption"]) == n
    assert all(data.truth[name].shape == (n, high) for name in ("class", "garment", "size", "depth", "tint"))
    assert torch.all((low <= data.truth["count"]) & (data.truth["count"] <= high))


def test_every_ten_scenes_hold_every_class_once(many):
    assert torch.equal(many.labels.bincount(), torch.full((10,), 100))
    for ten in many.labels.split(10):
        assert ten.sort().values.tolist() == list(range(10))
    assert len({tuple(ten.tolist()) for ten in many.labels.split(10)}) == 10  # the ten begin anywhere


def test_with_more_objects_the_farthest_is_balanced_and_the_nearest_nearly(crowd):
    assert torch.equal(crowd.truth["class"][:, 0].bincount(), torch.full((10,), 60))
    assert crowd.labels.bincount(minlength=10).min() > 30


def test_everything_that_is_drawn_takes_all_its_values(many, crowd):
    for data in (many, crowd):
        there = data.truth["class"] >= 0
        assert data.truth["tint"][there].bincount(minlength=8).min() > there.sum() / 8 * 0.7
    assert crowd.truth["count"].bincount()[1:].min() > 600 / 4 * 0.7 and len(crowd.truth["count"].bincount()) == 5
    assert many.truth["size"].unique().tolist() == list(range(19, 31))  # 12/20 to 19/20 of 32
    assert crowd.truth["size"][crowd.truth["size"] >= 0].unique().tolist() == list(range(12, 25))  # 3/10 to 6/10 of 40
    x0, y0, x1, y1 = many.truth["box"][:, 0].unbind(1)
    assert x0.min() == y0.min() == 0 and x1.max() == y1.max() == 32
    assert len(many.truth["garment"].unique()) > 850  # of 5,000, in 1,000 draws


# Whose garments


def test_a_garment_is_one_of_its_split_and_of_its_class(many, crowd):
    for data, split in ((many, "train"), (crowd, "test")):
        there = data.truth["garment"] >= 0
        labels = torch.from_numpy(arrays()[f"{split}_labels"]).long()
        assert torch.equal(labels[data.truth["garment"][there]], data.truth["class"][there])


@pytest.mark.parametrize("split, other", [("train", "test"), ("test", "train")])
def test_scenes_use_the_garments_of_their_split_alone(split, other, monkeypatch):
    plain = scenes(split, 30, objects=2)
    for touched, unchanged in ((other, True), (split, False)):
        bundle = {**arrays(), f"{touched}_images": np.ascontiguousarray(arrays()[f"{touched}_images"][:, ::-1])}
        with monkeypatch.context() as patch:
            patch.setattr(module, "arrays", lambda bundle=bundle: bundle)
            assert torch.equal(scenes(split, 30, objects=2).images, plain.images) == unchanged


def test_a_garment_is_the_one_that_is_seen(monkeypatch):
    data = scenes("train", 20)
    blank = arrays()["train_images"].copy()
    blank[data.truth["garment"][::2, 0]] = 0  # every other scene loses its garment
    monkeypatch.setattr(module, "arrays", lambda: {**arrays(), "train_images": blank})
    left = scenes("train", 20).truth["segmentation"].flatten(1).any(1)
    lost = torch.isin(data.truth["garment"][:, 0], data.truth["garment"][::2, 0])
    assert torch.equal(left, ~lost) and left.any()


# Truth and picture


def tight(silhouette):
    """x0, y0, x1, y1 of what is True in (H, W), pixel by pixel."""
    places = [(x, y) for y, row in enumerate(silhouette.tolist()) for x, value in enumerate(row) if value]
    xs, ys = zip(*places, strict=True)
    return [min(xs), min(ys), max(xs) + 1, max(ys) + 1]


def test_the_box_of_one_object_is_tight_around_all_that_is_seen_of_it(many):
    for i in range(100):
        assert many.truth["box"][i, 0].tolist() == tight(many.truth["segmentation"][i] == 1)
    assert many.truth["segmentation"].unique().tolist() == [0, 1]


def test_nearer_objects_hide_farther_ones_and_boxes_hold_what_is_hidden_too():
    asked = {"split": "train", "count": 40, "seed": 5, "image_size": (32, 40)}
    data = scenes(**asked, objects=5)
    whole = [scenes(**asked, objects=k + 1).truth["segmentation"] == k + 1 for k in range(1, 5)]
    seen = torch.zeros(40, 32, 40, dtype=torch.uint8)
    for k, silhouette in enumerate(whole, start=1):  # painted from the farthest to the nearest
        seen = torch.where(silhouette, k + 1, seen)
        for i in range(40):
            assert data.truth["box"][i, k].tolist() == tight(silhouette[i])
    farthest = data.truth["segmentation"] == 1
    assert torch.equal(torch.where(farthest, 0, data.truth["segmentation"]), seen) and farthest.any()
    hidden = sum((data.truth["segmentation"][i] == k + 1).sum() < whole[k - 1][i].sum() for i in range(40) for k in range(1, 5))
    assert hidden > 20


def test_the_farthest_of_two_is_seen_whole_where_it_stands_alone():
    asked = {"split": "test", "count": 60, "image_size": 32}
    some, both = scenes(**asked, objects=(1, 2)), scenes(**asked, objects=2)
    alone = torch.nonzero(some.truth["count"] == 1).flatten().tolist()
    assert 15 < len(alone) < 45
    for i in alone:
        whole = some.truth["segmentation"][i] == 1
        assert some.truth["box"][i, 0].tolist() == both.truth["box"][i, 0].tolist() == tight(whole)
        second = both.truth["segmentation"][i] == 2
        assert torch.equal(both.truth["segmentation"][i] == 1, whole & ~second)
        assert some.labels[i] == both.truth["class"][i, 0] and both.labels[i] == both.truth["class"][i, 1]


def test_one_more_object_changes_the_picture_only_around_its_box():
    asked = {"split": "train", "count": 30, "image_size": 48, "seed": 2}
    for k in (2, 3):
        fewer, more = (scenes(**asked, objects=objects) for objects in (k, k + 1))
        for i in range(30):
            changed = tight((fewer.images[i] != more.images[i]).any(0))
            box, size = more.truth["box"][i, k].tolist(), more.truth["size"][i, k]
            assert changed[0] <= box[0] and changed[1] <= box[1] and changed[2] >= box[2] and changed[3] >= box[3]
            assert max(changed[2] - changed[0], changed[3] - changed[1]) <= size + 2  # a soft pixel on each side


def test_count_says_how_many_there_are_and_the_rest_is_minus_one(crowd):
    k = torch.arange(4)
    there = k < crowd.truth["count"].unsqueeze(1)  # (n, 4)
    for name in ("class", "garment", "size", "depth", "tint"):
        assert torch.equal(crowd.truth[name] >= 0, there) and torch.all(crowd.truth[name][~there] == -1)
    assert torch.equal((crowd.truth["box"] >= 0).all(2), there) and torch.all(crowd.truth["box"][~there] == -1)
    for i in range(600):
        seen = set(crowd.truth["segmentation"][i].unique().tolist()) - {0}
        assert seen <= set(range(1, crowd.truth["count"][i] + 1)) and int(crowd.truth["count"][i]) in seen


def test_depth_counts_from_the_nearest_whose_class_is_the_label(crowd):
    for i in range(600):
        count = int(crowd.truth["count"][i])
        assert crowd.truth["depth"][i, :count].tolist() == list(range(count))[::-1]
        nearest = crowd.truth["depth"][i].tolist().index(0)
        assert crowd.labels[i] == crowd.truth["class"][i, nearest]


def test_boxes_hold_what_is_seen_and_are_as_large_as_the_garment(crowd):
    n, height, width = crowd.truth["segmentation"].shape
    short = []
    for i in range(0, n, 3):
        for k in range(int(crowd.truth["count"][i])):
            x0, y0, x1, y1 = crowd.truth["box"][i, k].tolist()
            assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
            outside = crowd.truth["segmentation"][i] == k + 1
            outside[y0:y1, x0:x1] = False
            assert not outside.any()
            u0, v0, u1, v1 = tight(arrays()["test_images"][crowd.truth["garment"][i, k]] > 25)  # where a garment is solid
            scale = int(crowd.truth["size"][i, k]) / 28
            assert x1 - x0 <= scale * (u1 - u0 + 1) + 2 and y1 - y0 <= scale * (v1 - v0 + 1) + 2  # half a pixel on each side
            short += [scale * (u1 - u0) - (x1 - x0), scale * (v1 - v0) - (y1 - y0)]
    assert abs(sum(short) / len(short)) < 0.5


def test_the_tint_is_the_colour_that_one_sees(crowd):
    hues = [colorsys.rgb_to_hsv(*(c / 255 for c in colour))[0] for colour in module.TINTS.values()]
    right = total = 0
    for i in range(600):
        k = int(crowd.truth["count"][i]) - 1  # the nearest
        colour = crowd.images[i][:, crowd.truth["segmentation"][i] == k + 1].float().mean(1) / 255
        hue = colorsys.rgb_to_hsv(*colour.tolist())[0]
        away = [min(abs(hue - h), 1 - abs(hue - h)) for h in hues]
        right, total = right + (away.index(min(away)) == crowd.truth["tint"][i, k]), total + 1
    assert right > 0.85 * total


def test_captions_say_size_colour_class_and_place_of_each_object_from_the_nearest_on(many, crowd):
    nouns = [NOUNS.get(name, name) for name in CLASSES]
    pattern = re.compile(rf"a (small|mid-sized|large) ({'|'.join(TINTS)}) ({'|'.join(nouns)}) (at the ([a-z ]+)|in the centre)")
    sizes = set()
    for data in (many, crowd):
        _, height, width = data.truth["segmentation"].shape
        for i, text in enumerate(data.truth["caption"]):
            parts = text.split(", in front of ")
            assert len(parts) == data.truth["count"][i]
            for k, part in enumerate(reversed(parts)):
                size, tint, noun, _, place = pattern.fullmatch(part).groups()
                share = int(data.truth["size"][i, k]) / min(height, width)
                assert (size == "small", size == "large") == (share < 0.45, share > 0.8)
                assert TINTS.index(tint) == data.truth["tint"][i, k] and nouns.index(noun) == data.truth["class"][i, k]
                x0, y0, x1, y1 = data.truth["box"][i, k].tolist()
                words = set((place or "").split())
                assert ("left" in words, "right" in words) == ((x0 + x1) / 2 < width / 3, (x0 + x1) / 2 >= width * 2 / 3)
                assert ("top" in words, "bottom" in words) == ((y0 + y1) / 2 < height / 3, (y0 + y1) / 2 >= height * 2 / 3)
                sizes.add((size, place))
    assert len({size for size, _ in sizes}) == 3 and len({place for _, place in sizes}) == 9


# How they are painted


def test_a_garment_is_read_between_its_pixels():
    garment = arrays()["train_images"][3].astype(float)
    for top, left, scale, (height, width) in ((0, 0, 28, (28, 28)), (2, -1, 13, (16, 18)), (1, 3, 19, (20, 24))):
        got = module.resized(arrays()["train_images"][3:4], *(np.array([x]) for x in (top, left, scale)), (height, width))[0]

        def grey(y, x):
            """Bilinear, black outside: y and x are places in the garment, from its first corner."""
            y, x = y - 0.5, x - 0.5
            v, u = int(np.floor(y)), int(np.floor(x))
            return sum(
                garment[r, c] * (1 - abs(y - r)) * (1 - abs(x - c))
                for r in (v, v + 1) for c in (u, u + 1) if 0 <= r < 28 and 0 <= c < 28
            )

        for y in range(height):
            for x in range(width):
                samples = [grey((y + a - top) * 28 / scale, (x + b - left) * 28 / scale) for a in (0.25, 0.75) for b in (0.25, 0.75)]
                assert abs(got[y, x] - sum(samples) / 4) < 5


def test_the_background_is_smooth_and_pale():
    random = module.draw(4, "train", np.arange(6), module.SLOTS - 1)
    for size in ((32, 32), (17, 40)):
        ground = module.background(random, size)
        assert ground.shape == (6, *size, 3) and ground.min() >= 90 and ground.max() <= 255
        for axis in (1, 2):
            assert np.abs(np.diff(ground, axis=axis)).max() <= 72 * 1.5 * 2 / (size[axis - 1] - 1) + 3
    assert len({tuple(c) for c in module.background(random, (32, 32))[:, 16, 16].tolist()}) == 6


@given(st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_the_colours_of_the_background_are_blended_evenly(length):
    table = module.weights(length)
    assert table.shape == (length, 3) and table.min() >= 0 and np.all(table.sum(1) == 256)
    assert np.all(np.diff(table[:, 2]) >= 0) and np.abs(table - table[::-1, ::-1]).max() <= 4


@given(st.integers(-300, 300), st.integers(0, 400))
@settings(max_examples=50, deadline=None)
def test_between_reaches_both_ends_and_nothing_beyond(low, more):
    ends = module.between(np.array([0, 2**32 - 1]), low, low + more)
    assert ends.tolist() == [low, low + more]
    drawn = module.between(module.draw(0, "train", np.arange(50), 4), low, low + more)
    assert low <= drawn.min() and drawn.max() <= low + more


def test_draws_are_even_and_no_two_alike():
    drawn = module.draw(0, "train", np.arange(2000), 20)
    assert len(np.unique(drawn)) > 39_990 and 0 <= drawn.min() and drawn.max() < 2**32
    assert np.histogram(drawn, 16, (0, 2**32))[0].min() > 2300  # of 2,500
    assert np.abs(np.corrcoef(drawn.T) - np.eye(20)).max() < 0.12  # slots know nothing of each other
    for one, two in pairwise(drawn):
        assert abs(np.corrcoef(one, two)[0, 1]) < 0.9


# What cannot be


@pytest.mark.parametrize("objects", [0, -1, 21, (0, 2), (3, 2), (1, 21)])
def test_objects_out_of_range_are_refused(objects):
    with pytest.raises(UserError, match=rf"from 1 to 20 objects, .*not {re.escape(str(objects))}"):
        load("scenes", objects=objects)


@pytest.mark.parametrize("size", [0, -3, (0, 32), (32, -1)])
def test_a_size_below_one_is_refused(size):
    with pytest.raises(UserError, match=rf"image_size must be 1 or more, not {re.escape(str(size))}"):
        load("scenes", image_size=size)


@pytest.mark.parametrize("size", [15, (15, 32), (32, 8)])
def test_a_canvas_on_which_nothing_can_be_told_is_refused(size):
    with pytest.raises(UserError, match="at least 16 pixels"):
        load("scenes", image_size=size)


@pytest.mark.parametrize("count", [0, -5])
def test_no_scenes_are_refused(count):
    with pytest.raises(UserError, match=f"count must be 1 or more, not {count}"):
        load("scenes", count=count)


@pytest.mark.parametrize("split", ["val", "unlabeled", "Train", None])
def test_another_split_is_refused(split):
    for ask in (scenes, lambda split: load("scenes", split)):
        with pytest.raises(UserError, match=f"unknown split.* '{split}'.* Known: test, train"):
            ask(split)
