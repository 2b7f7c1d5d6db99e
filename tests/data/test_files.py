"""Folders of pictures: every picture upright, in colour, at one size; what is broken is named and left out."""

import os
import struct
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader

from minimim.data import Images, OnDisk, files, load, scenes
from minimim.data.files import read_image
from minimim.data.views import RandomViews
from minimim.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:.* as one colour")  # as most pictures are here
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def picture(path, colour=RED, size=(12, 8), **more):
    """Save a picture of one colour, (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **more)
    return path


def sorted_folder(top):
    """Two classes, in a train part and a test part; one class is in train alone."""
    for part, name, colour in (("train", "apple", RED), ("train", "sky", BLUE), ("train", "leaf", GREEN), ("test", "sky", BLUE)):
        for i in range(2):
            picture(top / part / name / f"{i}.png", colour)
    return top


def whole(image, colour):
    """Whether all pixels of (3, H, W) have the colour."""
    return torch.equal(image, torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1).expand_as(image))


def quiet(*args, **more):
    """`load`, where a warning is an error, but for the one that names pictures of one colour."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".* as one colour: ")
        return load(*args, **more)


def others(told):
    """The warnings that are not about pictures of one colour."""
    return [warning for warning in told if " as one colour: " not in str(warning.message)]


# One picture


def saved(tmp_path, image, name="p.png", **more):
    """The bytes of a picture that went through a file, at its own size: (3, H, W)."""
    path = tmp_path / name
    image.save(path, **more)
    return read_image(path, image.size[::-1])


def test_a_picture_of_the_wanted_size_keeps_its_bytes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    got = saved(tmp_path, Image.fromarray(pixels))
    assert got.dtype == torch.uint8 and got.is_contiguous() and np.array_equal(got.permute(1, 2, 0), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path, orientation):
    upright = Image.new("RGB", (16, 8), WHITE)
    upright.paste(RED, (0, 0, 8, 4))  # at the top left alone
    turned = {  # how a camera that was held so stores it
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned.save(tmp_path / "p.png", exif=exif)
    got = read_image(tmp_path / "p.png", (8, 16))
    assert np.array_equal(got.permute(1, 2, 0), np.array(upright))


def test_what_is_transparent_becomes_white_and_half_of_it_half_white(tmp_path):
    pixels = np.array([[[255, 0, 0, 0], [255, 0, 0, 255], [0, 0, 255, 128]]], dtype=np.uint8)
    got = saved(tmp_path, Image.fromarray(pixels)).permute(1, 2, 0)[0].tolist()
    assert got[0] == [*WHITE] and got[1] == [*RED] and got[2] == pytest.approx([127, 127, 255], abs=1)
    grey = np.array([[[0, 0], [0, 255], [100, 128]]], dtype=np.uint8)
    got = saved(tmp_path, Image.fromarray(grey)).permute(1, 2, 0)[0].tolist()
    assert got[0] == [*WHITE] and got[1] == [0, 0, 0] and got[2] == pytest.approx([177] * 3, abs=1)


@pytest.mark.parametrize("name", ["p.png", "p.gif"])
def test_a_palette_with_a_transparent_colour_becomes_white_there(tmp_path, name):
    image = Image.new("P", (4, 2), 0)
    image.putpalette([*RED, *BLUE])
    image.paste(1, (2, 0, 4, 2))
    got = saved(tmp_path, image, name, transparency=1)
    assert whole(got[:, :, :2], RED) and whole(got[:, :, 2:], WHITE)
    assert whole(saved(tmp_path, image, name)[:, :, 2:], BLUE)


@pytest.mark.filterwarnings("ignore:.* what its white is")  # 32 bits do not
@pytest.mark.parametrize("mode, value", [("L", 90), ("1", 1), ("I;16", 90 * 256 + 17), ("I", 90 * 256 + 17)])
def test_grey_becomes_three_equal_channels_whatever_its_depth(tmp_path, mode, value):
    image = Image.new(mode, (5, 4), value)
    got = saved(tmp_path, image, "p.tif" if mode == "I" else "p.png")
    assert whole(got, (255, 255, 255) if mode == "1" else (90, 90, 90))


def test_print_colours_become_screen_colours(tmp_path):
    assert whole(saved(tmp_path, Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "p.tif"), RED)


@pytest.mark.parametrize("size, kept", [((8, 8), (4, 12, 0, 8)), ((4, 16), (0, 16, 2, 6)), ((16, 32), (0, 16, 0, 8))])
def test_a_picture_is_cut_from_its_middle_and_not_squeezed(tmp_path, size, kept):
    ramp = np.zeros((8, 16, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(16) * 16, np.arange(8)[:, None] * 32  # red: the column; green: the row
    Image.fromarray(ramp).save(tmp_path / "p.png")
    got = read_image(tmp_path / "p.png", size)
    x0, x1, y0, y1 = kept
    wanted = Image.fromarray(ramp[y0:y1, x0:x1]).resize(size[::-1], Image.Resampling.BICUBIC)
    assert got.shape == (3, *size) and np.abs(np.array(wanted, int) - got.permute(1, 2, 0).numpy()).max() <= 2


def drawn(tmp_path, size, **more):
    """A JPEG of a drawn scene, (width, height), and the scene as it is when all of the file is decoded."""
    scene = scenes("test", count=1, image_size=max(size)).images[0].permute(1, 2, 0).numpy()
    Image.fromarray(scene[: size[1], : size[0]]).save(tmp_path / "p.jpg", quality=95, **more)
    return tmp_path / "p.jpg", Image.open(tmp_path / "p.jpg").convert("RGB")


@pytest.mark.parametrize("side, divisor", [(40, 1), (31, 1), (30, 2), (16, 2), (15, 4), (8, 4), (7, 8), (3, 8)])
def test_a_jpeg_of_twice_the_wanted_size_is_decoded_smaller(tmp_path, monkeypatch, side, divisor):
    path, _ = drawn(tmp_path, (83, 61))
    decoded, resize = [], Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, *args: decoded.append(self.size) or resize(self, *args))
    read_image(path, (side, side))
    assert decoded == [(-(-83 // divisor), -(-61 // divisor))] and min(decoded[0]) >= side


@pytest.mark.parametrize("size", [(62, 62), (125, 125), (90, 120), (33, 20)])
def test_a_jpeg_decoded_smaller_looks_the_same(tmp_path, size):
    path, full = drawn(tmp_path, (403, 301))  # sides that no divisor divides
    wanted = np.array(ImageOps.fit(full, size[::-1], Image.Resampling.BICUBIC), int)
    got = read_image(path, size).permute(1, 2, 0).numpy()
    moved = np.abs(np.roll(wanted, 1, 1) - wanted).mean()  # what a cut that is one pixel off would give
    assert np.abs(got - wanted).mean() < min(moved / 4, 2)


def test_a_jpeg_that_is_not_twice_as_large_is_decoded_whole(tmp_path):
    path, full = drawn(tmp_path, (120, 90))
    wanted = np.array(ImageOps.fit(full, (60, 46), Image.Resampling.BICUBIC), int)
    assert np.abs(read_image(path, (46, 60)).permute(1, 2, 0).numpy() - wanted).max() <= 1


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_jpeg_is_decoded_smaller_too(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path, _ = drawn(tmp_path, (240, 160), exif=exif)
    upright = ImageOps.fit(ImageOps.exif_transpose(Image.open(path)), (24, 48), Image.Resampling.BICUBIC)
    assert np.abs(read_image(path, (48, 24)).permute(1, 2, 0).numpy() - np.array(upright, int)).mean() < 2


def test_a_turned_jpeg_is_large_enough_when_its_sides_have_changed_places(tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    path, _ = drawn(tmp_path, (120, 480), exif=exif)  # upright 480 wide and 120 high
    decoded, resize = [], Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, *args: decoded.append(self.size) or resize(self, *args))
    read_image(path, (60, 20))
    assert decoded == [(240, 60)]


# Folders


def test_a_sorted_folder_has_labels_and_classes(tmp_path):
    for name, colour in (("zebra", BLUE), ("ant", RED)):
        for i in range(3):
            picture(tmp_path / name / f"{i}.jpg", colour, quality=100)
    data = quiet(f"folder:{tmp_path}", image_size=(6, 10))
    assert isinstance(data, Images) and data.images.shape == (6, 3, 6, 10) and data.images.dtype == torch.uint8
    assert data.classes == ("ant", "zebra") and data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    for image, label in zip(data.images, data.labels, strict=True):
        assert (image[0].float().mean() > 200) == (label == 0) and (image[2].float().mean() > 200) == (label == 1)


def test_the_parts_of_a_folder_agree_on_what_a_label_means(tmp_path):
    train, test = (quiet(f"folder:{sorted_folder(tmp_path)}", split, image_size=8) for split in ("train", "test"))
    assert train.classes == test.classes == ("apple", "leaf", "sky")
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2] and test.labels.tolist() == [2, 2]
    assert whole(train.images[0], RED) and whole(train.images[2], GREEN) and whole(test.images[0], BLUE)


def test_val_is_the_test_part_where_there_is_no_test(tmp_path):
    picture(tmp_path / "train" / "apple" / "1.png"), picture(tmp_path / "train" / "sky" / "1.png", BLUE)
    picture(tmp_path / "val" / "sky" / "1.png", BLUE), picture(tmp_path / "val" / "leaf" / "1.png", GREEN)
    test = quiet(f"folder:{tmp_path}", "test", image_size=4)
    assert test.classes == ("apple", "leaf", "sky") and test.labels.tolist() == [1, 2] and whole(test.images[0], GREEN)
    picture(tmp_path / "test" / "apple" / "1.png"), picture(tmp_path / "test" / "apple" / "2.png")
    for split in ("train", "test"):  # now `val` counts for nothing
        data = quiet(f"folder:{tmp_path}", split, image_size=4)
        assert data.classes == ("apple", "sky") and data.labels.tolist() == ([0, 1] if split == "train" else [0, 0])


@pytest.mark.parametrize("loose", [0, 3])
def test_val_is_the_test_part_where_test_is_not_sorted_and_val_is(tmp_path, loose):
    sorted_folder(tmp_path)
    (tmp_path / "test").rename(tmp_path / "val")
    (tmp_path / "test" / ".thumbnails").mkdir(parents=True)
    for i in range(loose):
        picture(tmp_path / "test" / f"{i}.png")
    train, test = (quiet(f"folder:{tmp_path}", split, image_size=4) for split in ("train", "test"))
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2] and test.labels.tolist() == [2, 2] and whole(test.images[0], BLUE)


def test_a_test_part_that_is_not_sorted_is_itself_where_val_is_no_better(tmp_path):
    for part, colour in (("train", RED), ("test", GREEN), ("val", BLUE)):
        picture(tmp_path / part / "1.png", colour)
    assert whole(quiet(f"folder:{tmp_path}", "test", image_size=4).images[0], GREEN)


def test_a_loose_picture_beside_sorted_ones_costs_the_labels_and_is_named(tmp_path):
    picture(sorted_folder(tmp_path) / "test" / "cover.jpg")
    for split in ("train", "test"):
        with pytest.warns(UserWarning, match=rf"^{tmp_path}/test/cover\.jpg is in no folder of a class, .* have no labels: move it") as told:
            assert load(f"folder:{tmp_path}", split, image_size=4).labels is None
        assert len(others(told)) == 1 and {warning.filename for warning in told} == {__file__}


def test_files_come_in_an_order_that_follows_from_their_names(tmp_path):
    names = ["b/1.png", "a/c/2.png", "a/b/3.png", "a/10.png", "a/9.png", "a-b/1.png", "B/1.png"]
    for name in names:
        picture(tmp_path / name)
    found = files.list_images(tmp_path).by_class
    assert list(found) == ["B", "a", "a-b", "b"]
    assert found["a"] == [str(tmp_path / "a" / name) for name in ("10.png", "9.png", "b/3.png", "c/2.png")]


def test_a_folder_of_loose_pictures_has_no_labels(tmp_path):
    picture(tmp_path / "b.png", BLUE), picture(tmp_path / "a.png", RED), picture(tmp_path / "deep" / "c.png", GREEN)
    data = quiet(f"folder:{tmp_path}", image_size=4)
    assert data.labels is None and data.classes == ()
    assert whole(data.images[0], RED) and whole(data.images[1], BLUE) and whole(data.images[2], GREEN)  # by name


def test_pictures_may_lie_deeper_and_the_first_folder_is_the_class(tmp_path):
    picture(tmp_path / "cat" / "2024" / "may" / "1.png"), picture(tmp_path / "dog" / "1.png")
    data = quiet(f"folder:{tmp_path}", image_size=4)
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [0, 1]


def test_only_pictures_are_read_and_nothing_hidden(tmp_path):
    for name in ("1.PNG", "2.JPeG", "3.webp", "4.bmp", "5.tiff"):
        picture(tmp_path / "a" / name)
    picture(tmp_path / "a" / "._1.png"), picture(tmp_path / ".ipynb_checkpoints" / "1.png")
    picture(tmp_path / "a" / ".trash" / "1.png")
    (tmp_path / "a" / "notes.txt").write_text("not a picture")
    data = quiet(f"folder:{tmp_path}", image_size=4)
    assert len(data) == 5 and data.classes == ("a",)


def test_a_hidden_folder_can_be_asked_for(tmp_path):
    picture(tmp_path / ".cache" / "a" / "1.png")
    assert quiet(f"folder:{tmp_path / '.cache'}", image_size=4).classes == ("a",)


def test_a_link_to_a_folder_is_a_class_too(tmp_path):
    picture(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert quiet(f"folder:{tmp_path / 'set'}", image_size=4).classes == ("a",)


def test_folders_come_at_224_by_default_and_a_home_is_found(tmp_path, monkeypatch):
    picture(tmp_path / "pictures" / "a" / "1.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert quiet("folder:~/pictures").images.shape == (1, 3, 224, 224)


# In memory, or on disk


def test_on_disk_is_the_same_as_in_memory(tmp_path):
    top = sorted_folder(tmp_path)
    here, there = (quiet(f"folder:{top}", image_size=(6, 8), in_memory=where) for where in (True, False))
    assert isinstance(here, Images) and isinstance(there, OnDisk) and len(here) == len(there) == 6
    assert torch.equal(here.labels, there.labels) and here.classes == there.classes and there.image_size == (6, 8)
    assert torch.equal(torch.stack(list(there)), here.images)
    for where in (slice(1, 6, 2), [1, 3, 5], torch.tensor([1, 3, 5])):
        piece = there.take(where)
        assert torch.equal(torch.stack(list(piece)), here.take(where).images)
        assert torch.equal(piece.labels, here.take(where).labels) and piece.classes == here.classes


def test_what_is_too_large_for_memory_stays_on_disk(tmp_path, monkeypatch):
    top = sorted_folder(tmp_path)
    for allowed, kind in ((6 * 3 * 8 * 8, Images), (6 * 3 * 8 * 8 - 1, OnDisk)):
        monkeypatch.setattr(files, "IN_MEMORY", allowed)
        assert type(quiet(f"folder:{top}", image_size=8)) is kind


@pytest.mark.parametrize("in_memory, opened", [(False, 0), (True, 30)])
def test_what_stays_on_disk_is_listed_once_and_not_opened(tmp_path, monkeypatch, in_memory, opened):
    for i in range(30):
        picture(tmp_path / ("train" if i % 3 else "val") / "abc"[i % 3] / f"{i:02}.jpg")
        picture(tmp_path / "train" / "abc"[i % 3] / f"{i:02}.jpg")
    calls, walks = [], []
    for module, name, seen in ((Image, "open", calls), (os, "walk", walks)):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, real=real, seen=seen, **more: seen.append(a[0]) or real(*a, **more))
    data = quiet(f"folder:{tmp_path}", image_size=4, in_memory=in_memory)
    assert len(data) == 30 and len(calls) == opened
    assert sorted(walks) == [tmp_path / "train", tmp_path / "val"]  # each part once


def test_a_broken_picture_on_disk_is_met_when_it_is_asked_for(tmp_path):
    picture(tmp_path / "a" / "1.png"), picture(tmp_path / "b" / "1.png", BLUE)
    spoil(tmp_path / "a" / "1.png", "text")
    data = quiet(f"folder:{tmp_path}", image_size=4, in_memory=False)
    assert len(data) == 2 and data.labels.tolist() == [0, 1] and whole(data[1], BLUE)
    with pytest.warns(UserWarning, match=r"a.1\.png cannot be read .*grey picture"):
        assert whole(data[0], (128, 128, 128))


def test_random_crops_of_larger_pictures_come_at_the_size_of_the_method(tmp_path):
    data = quiet(f"folder:{sorted_folder(tmp_path)}", image_size=(12, 10), in_memory=False)
    batch = torch.stack([data[0], data[2], data[4]])
    views = RandomViews((8, 6), scale=(0.2, 1)).train()(batch)
    assert batch.shape == (3, 3, 12, 10) and views.student[0]["image"].shape == (3, 3, 8, 6)


def test_pictures_on_disk_can_have_no_labels(tmp_path):
    picture(tmp_path / "1.png"), picture(tmp_path / "2.png")
    data = quiet(f"folder:{tmp_path}", image_size=4, in_memory=False)
    assert data.labels is None and data.take([1]).labels is None and len(data.take([1])) == 1


def test_workers_read_what_one_process_reads(tmp_path):
    data = quiet(f"folder:{sorted_folder(tmp_path)}", image_size=8, in_memory=False)
    one, two = (torch.cat(list(DataLoader(data, 4, num_workers=workers))) for workers in (0, 2))
    assert torch.equal(one, two)


def test_a_picture_that_breaks_later_becomes_grey_and_is_named(tmp_path):
    top = sorted_folder(tmp_path)
    data = load(f"folder:{top}", image_size=8, in_memory=False)
    (top / "train" / "apple" / "1.png").write_bytes(b"broken")
    (top / "train" / "leaf" / "0.png").unlink()
    for i, name in ((1, r"apple.1\.png"), (2, r"leaf.0\.png")):
        with pytest.warns(UserWarning, match=f"{name} cannot be read .*grey picture"):
            assert whole(data[i], (128, 128, 128))
    assert whole(data[0], RED)
    with pytest.raises(IndexError):
        data[6]


# What is broken


def spoil(path, how):
    """Turn a good picture into a broken one."""
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"this is no picture", "cut": content[: len(content) // 2]}[how])


@pytest.mark.parametrize("how", ["empty", "text", "cut"])
@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "bmp", "webp"])
def test_a_broken_picture_is_named_counted_and_left_out(tmp_path, how, kind):
    for i, (name, colour) in enumerate((("a", RED), ("b", GREEN), ("b", BLUE))):
        picture(tmp_path / name / f"{i}.png", colour)
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a" / f"bad.{kind}")
    spoil(tmp_path / "a" / f"bad.{kind}", how)
    with pytest.warns(UserWarning) as told:
        data = load(f"folder:{tmp_path}", image_size=8)
    (warning,) = others(told)
    assert str(warning.message) == f"1 of 4 pictures in {tmp_path} cannot be read and are left out: {tmp_path}/a/bad.{kind}"
    assert data.labels.tolist() == [0, 1, 1] and data.classes == ("a", "b")
    for image, colour in zip(data.images, (RED, GREEN, BLUE), strict=True):
        assert whole(image, colour)


def test_many_broken_pictures_are_told_in_one_sentence(tmp_path):
    for i in range(9):
        path = picture(tmp_path / "a" / f"{i}.png")
        if i not in (2, 5):
            spoil(path, "text")
    with pytest.warns(UserWarning, match=r"^7 of 9 pictures .*0\.png, .*1\.png, .*3\.png, .*4\.png, .*6\.png, …$") as told:
        data = load(f"folder:{tmp_path}", image_size=8)
    assert len(others(told)) == 1 and told[0].filename == __file__ and len(data) == 2 and whole(data.images[0], RED)


@pytest.mark.parametrize("error", [OSError, ValueError, TypeError, SyntaxError, struct.error, Image.DecompressionBombError])
def test_whatever_pillow_raises_is_a_broken_picture(tmp_path, monkeypatch, error):
    picture(tmp_path / "1.png"), picture(tmp_path / "2.png", BLUE)
    opened = Image.open

    def refuse(path):
        if path.endswith("1.png"):
            raise error("no")
        return opened(path)

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.warns(UserWarning, match=r"1 of 2 .*1\.png"):
        assert len(load(f"folder:{tmp_path}", image_size=4)) == 1
    data = quiet(f"folder:{tmp_path}", image_size=4, in_memory=False)
    with pytest.warns(UserWarning, match=r"1\.png cannot be read .*grey picture"):
        assert len(data) == 2 and whole(data[0], (128, 128, 128)) and whole(data[1], BLUE)


def test_too_many_pixels_are_a_broken_picture(tmp_path, monkeypatch):
    picture(tmp_path / "1.png"), picture(tmp_path / "2.png", size=(400, 400))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.warns(UserWarning, match=r"1 of 2 .*2\.png"):
        assert len(load(f"folder:{tmp_path}", image_size=4)) == 1


def test_nothing_but_broken_pictures_is_an_error(tmp_path):
    for i in range(3):
        spoil(picture(tmp_path / f"{i}.png"), "text")
    with pytest.raises(UserError, match=rf"^none of the 3 pictures in {tmp_path} can be read \(.*0\.png, .*2\.png\)"):
        load(f"folder:{tmp_path}", image_size=4)


# What is not there


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=f"there is no folder {tmp_path}/nowhere: give the path"):
        load(f"folder:{tmp_path}/nowhere")
    with pytest.raises(UserError, match="there is no folder .*1.png"):
        load(f"folder:{picture(tmp_path / '1.png')}")


@pytest.mark.parametrize("name", ["folder", "folder:"])
def test_a_folder_without_a_path_is_not_the_folder_one_is_in(name, tmp_path, monkeypatch):
    picture(tmp_path / "1.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="needs its path, as folder:PATH"):
        load(name)
    assert len(load("folder:.", image_size=4)) == 1


def test_a_folder_without_pictures(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("not a picture")
    with pytest.raises(UserError, match=rf"{tmp_path} holds no pictures: files that end in \.jpg, .* were looked for"):
        load(f"folder:{tmp_path}")


def test_a_part_that_is_not_there(tmp_path):
    picture(tmp_path / "flat" / "a" / "1.png"), picture(tmp_path / "half" / "train" / "a" / "1.png")
    for name in ("flat", "half"):
        with pytest.raises(UserError) as told:
            load(f"folder:{tmp_path}/{name}", "test")
        top = tmp_path / name
        assert str(told.value) == (
            f"{top} has no part 'test': put pictures in {top}/train/CLASS/ and {top}/test/CLASS/ (or val/CLASS/)"
        )
    with pytest.raises(UserError, match="unknown split 'val'"):
        load(f"folder:{tmp_path}/half", "val")


@pytest.mark.parametrize("size", [0, (0, 8), (8, -1)])
def test_a_size_below_one_is_refused(tmp_path, size):
    picture(tmp_path / "1.png")
    with pytest.raises(UserError, match="image_size must be 1 or more"):
        load(f"folder:{tmp_path}", image_size=size)
