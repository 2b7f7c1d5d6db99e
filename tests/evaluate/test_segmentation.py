"""The segmentation probe: tokens that tell the class of their pixels, the mean IoU, and floors by the same function."""

import pytest
import torch
import torch.nn.functional as F
from helpers import build, generator

from minimim import data
from minimim.data import Images, available, scenes
from minimim.errors import UserError
from minimim.evaluate import Features, compare_segmentation, patch_pixels, segmentation, segmentation_probe
from minimim.evaluate.segmentation import IGNORED, confusion, drawn_out, iou, learn, spread, square_places, truth

CLASSES = 3


def told(n=40, grid=(4, 4), zoom=1, noise=0.2, seed=0, made_by="a test"):
    """Tokens that say the class of their place, and maps `zoom` times as fine."""
    draw = generator(seed)
    coarse = torch.randint(CLASSES, (n, *grid), generator=draw)
    x = noise * torch.randn(n, grid[0] * grid[1], 6, generator=draw)
    x[..., :CLASSES] += F.one_hot(coarse.flatten(1), CLASSES)
    fine = coarse.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)
    return Features(x, None, made_by), fine.to(torch.uint8)


def probe(train, test, **more):
    return segmentation_probe(*train, *test, **{"steps": 100, **more})


# What it finds


def test_what_the_tokens_tell_is_found_and_what_they_do_not_is_not():
    score = probe(told(), told(30, seed=1))
    assert score.value > 0.97 and score.details["pixel_accuracy"] > 0.97 and score.n == 30
    x, maps = told(30, seed=1)
    blind = probe(told(), (Features(torch.randn(x.x.shape, generator=generator(2)), None, "a test"), maps))
    assert blind.value < 0.3


def test_finer_maps_are_reached_by_drawing_out_scores_bilinearly():
    scores = torch.randn(2, 6, 4, generator=generator())  # tokens of a 2×3 grid, 4 classes
    out = drawn_out(scores, (2, 3), (6, 9))
    assert out.shape == (2, 4, 6, 9)
    plane = scores.view(2, 2, 3, 4)
    for row in range(6):
        for col in range(9):
            y, x = min(max((row + 0.5) / 3 - 0.5, 0), 1), min(max((col + 0.5) / 3 - 0.5, 0), 2)  # among the middles of the tokens
            top, left = min(int(y), 0), min(int(x), 1)
            a, b = y - top, x - left
            mixed = (1 - a) * ((1 - b) * plane[:, top, left] + b * plane[:, top, left + 1])
            mixed = mixed + a * ((1 - b) * plane[:, top + 1, left] + b * plane[:, top + 1, left + 1])
            assert torch.allclose(out[:, :, row, col], mixed, atol=1e-5)
    assert probe(told(zoom=4), told(30, zoom=4, seed=1), steps=60).value > 0.5


def test_confusion_and_iou_are_those_of_a_loop_over_pixels():
    x, maps = told(5, zoom=2, noise=1.0)
    maps = truth(maps, ignore=2)
    head = learn(x.x, maps, CLASSES, (4, 4), steps=10, lr=0.1, weight_decay=0.0, seed=0)
    counts = confusion(head, x.x, maps, CLASSES, (4, 4))
    taken = drawn_out(head(x.x), (4, 4), (8, 8)).argmax(1)
    for image in range(5):
        for shown in range(CLASSES):
            for guess in range(CLASSES):
                pixels = [(r, c) for r in range(8) for c in range(8) if maps[image, r, c] == shown and taken[image, r, c] == guess]
                assert counts[image, shown, guess] == len(pixels)
    each, present = iou(counts.sum(0))
    for c in (0, 1):
        both = ((taken == c) & (maps == c)).sum()
        either = (((taken == c) | (maps == c)) & (maps != IGNORED)).sum()
        assert each[c].item() == pytest.approx(float(both / either))
    assert present.tolist() == [True, True, False]


def test_only_classes_that_the_test_maps_show_are_averaged():
    test, maps = told(30, seed=1)
    some = (maps != 2).flatten(1).all(1)
    maps[maps == 2] = 1  # nobody shows class 2, and it is still taken for some pixels
    score = probe(told(), (test, maps), names=("sky", "sea", "sand"))
    assert list(score.details["iou"]) == ["sky", "sea"] and not some.all()
    assert score.value == pytest.approx(sum(score.details["iou"].values()) / 2)


def test_ignored_pixels_are_neither_learnt_nor_judged():
    train, maps = told()
    test, judged = told(30, seed=1)
    spoilt, spoilt_judged = maps.clone(), judged.clone()
    spoilt[:, 0], spoilt_judged[:, 0] = 11, 11
    score = segmentation_probe(train, spoilt, test, spoilt_judged, ignore=11, steps=60)
    other = segmentation_probe(train, spoilt.masked_fill(spoilt == 11, 7), test, spoilt_judged.masked_fill(spoilt_judged == 11, 7), ignore=7, steps=60)
    assert score == other and list(score.details["iou"]) == ["0", "1", "2"] and score.value > 0.95
    with pytest.raises(UserError, match="every pixel .* is ignored"):
        segmentation_probe(train, torch.full_like(maps, 11), test, judged, ignore=11)


def test_the_same_seed_gives_the_same_figure_and_the_test_set_has_no_part_in_learning():
    train, test = told(noise=0.6), told(30, noise=0.6, seed=1)
    one = probe(train, test)
    assert one == probe(train, test)
    half = probe(train, (test[0].take(torch.arange(15)), test[1][:15]))
    rest = probe(train, (test[0].take(torch.arange(15, 30)), test[1][15:]))
    assert (half.details["pixel_accuracy"] + rest.details["pixel_accuracy"]) / 2 == pytest.approx(one.details["pixel_accuracy"])


def test_its_standard_error_is_that_of_many_test_sets():
    train, maps = told(noise=0.8)
    head = learn(train.x, maps.long(), CLASSES, (4, 4), steps=60, lr=0.05, weight_decay=0.0, seed=0)
    values, errors = [], []
    for seed in range(1, 41):
        test, judged = told(25, noise=0.8, seed=seed)
        counts = confusion(head, test.x, judged.long(), CLASSES, (4, 4))
        values.append(iou(counts.sum(0))[0].mean().item())
        errors.append(spread(counts, 0))
    assert 0.7 < sum(errors) / len(errors) / torch.tensor(values).std().item() < 1.4
    alike = torch.eye(CLASSES, dtype=torch.float64).repeat(10, 1, 1)
    assert spread(alike, 0) == 0


def test_grids_are_those_of_squares():
    assert square_places(64, 32, 32) == (8, 8) and square_places(12 * 16, 180, 240) == (12, 16)
    with pytest.raises(UserError, match=r"7 tokens make no grid .* grid=\(rows, cols\)"):
        square_places(7, 32, 32)
    train, test = told(grid=(2, 8)), told(20, grid=(2, 8), seed=1)
    tall = [(x, maps.repeat_interleave(4, 1)) for x, maps in (train, test)]  # 8×8 pixels for 2×8 tokens
    assert segmentation_probe(*tall[0], *tall[1], grid=(2, 8), steps=100).value > 0.6


# Sets of images, and floors


def test_an_encoder_stands_beside_its_floors_by_the_same_function(monkeypatch):
    method, train, test = build("mae"), scenes("train", 24, image_size=16), scenes("test", 10, image_size=16)
    scores = compare_segmentation(method, train, test, steps=10)
    assert list(scores) == ["pretrained", "random_init", "raw_pixels"]
    assert all(0 < score.value < 1 and score.stderr > 0 and score.n == 10 for score in scores.values())
    assert "background" in scores["pretrained"].details["iou"]
    assert list(compare_segmentation(method, train, test, steps=10, with_floors=False)) == ["pretrained"]
    pixels = [patch_pixels(images, 4) for images in (train, test)]
    maps = [data.beside.beside(images, "segmentation") for images in (train, test)]
    assert segmentation_probe(pixels[0], maps[0], pixels[1], maps[1], steps=10, names=("background", *train.classes)) == scores["raw_pixels"]


def test_the_pixels_of_each_patch_are_its_floor():
    images = scenes("train", 2, image_size=16)
    x = patch_pixels(images, 4).x
    assert x.shape == (2, 16, 48)
    assert torch.allclose(x[1, 6].view(4, 4, 3), images.images[1, :, 4:8, 8:12].permute(1, 2, 0) / 255)


def test_what_cannot_be_is_told():
    train, maps = told()
    test = told(30, seed=1)
    with pytest.raises(UserError, match="reads tokens"):
        segmentation_probe(Features(train.x.mean(1), None, "a test"), maps, *test)
    with pytest.raises(UserError, match=r"the train maps must be \(40, H, W\)"):
        segmentation_probe(train, maps[:3], *test)
    with pytest.raises(UserError, match="as a whole number"):
        segmentation_probe(train, maps.float(), *test)
    with pytest.raises(UserError, match="were made by"):
        segmentation_probe(train, maps, *told(30, seed=1, made_by="another"))
    method, plain = build("mae"), Images(torch.zeros(4, 3, 16, 16, dtype=torch.uint8), torch.arange(4))
    with pytest.raises(UserError, match="segmentation"):
        compare_segmentation(method, plain, plain)
    method.spec = None
    with pytest.raises(UserError, match="put together by hand"):
        compare_segmentation(method, scenes("train", 4, image_size=16), scenes("test", 4, image_size=16))


def test_camvid_is_told_of_where_it_is_not(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIMIM_PACKS", str(tmp_path))
    with pytest.raises(UserError, match="camvid is a pack that is not on this machine"):
        data.load("camvid", "train")


@pytest.mark.skipif(not available("camvid"), reason="camvid is not on this machine")
def test_camvid_is_segmented_and_its_void_does_not_count(monkeypatch):
    images = data.load("camvid", "test", image_size=(48, 64))
    train, test = images.take(slice(0, 200, 5)), images.take(slice(2, 200, 5))
    monkeypatch.setattr(segmentation, "tokens_of", lambda encoder, train, test, *_: tuple(patch_pixels(images, 8) for images in (train, test)))
    score = compare_segmentation(build("mae"), train, test, steps=60, with_floors=False)["pretrained"]
    assert "road" in score.details["iou"] and "void" not in score.details["iou"]
    assert score.details["iou"]["road"] > 0.3 > score.details["iou"]["pole"]
