"""Pictures of every kind and depth: what Pillow reads is read, what it does not is counted, and no picture turns black in silence."""

import re
import struct
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from helpers import TOP
from PIL import Image
from torch.utils.data import DataLoader

from minimim.data import OnDisk, load
from minimim.data.decode import UNREAD, by_ending, endings
from minimim.data.files import read_image
from minimim.errors import UserError

RAMP = np.linspace(0, 1, 64).reshape(8, 8)
GREY = (RAMP * 255).round()


def read(path):
    """A picture at its own size as (8, 8), and the sentences that were said."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        image = read_image(path, (8, 8))
    assert torch.equal(image[0], image[1]) and torch.equal(image[0], image[2])
    return image[0].numpy().astype(int), [str(warning.message) for warning in told]


def noisy(path, **more):
    """A small picture in colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **more)


# Depth


@pytest.mark.parametrize(
    "values, name, guess",
    [
        (RAMP.astype(np.float32), "p.tif", ""),
        (RAMP.astype(np.float32) * 1.02 - 0.01, "p.tif", ""),
        (RAMP.astype(np.float32) * 255, "p.tif", "as 8 bits"),
        (RAMP.astype(np.float32) * 65535, "p.tif", "as 16 bits"),
        ((RAMP * 255).astype(np.int32), "p.tif", "as 8 bits"),
        ((RAMP * 4095).astype(np.int32), "p.tif", "as 12 bits"),
        ((RAMP * 65535).astype(np.int32), "p.tif", "as 16 bits"),
        ((RAMP * 2e9).astype(np.int32), "p.tif", "from its smallest to its greatest number"),
        ((RAMP * 4000 - 1000).astype(np.int32), "p.tif", "from its smallest to its greatest number"),
        (RAMP.astype(np.float32) * 2 - 1, "p.tif", "from its smallest to its greatest number"),
        (-RAMP[::-1, ::-1].astype(np.float32), "p.tif", "from its smallest to its greatest number"),
        ((RAMP * 65535).astype(np.uint16), "p.png", ""),
        ((RAMP * 65535).astype(np.uint16), "p.tif", ""),
        ((RAMP * 65535).astype(np.int32), "p.pgm", ""),
        ((RAMP * 4095).astype(np.uint16), "p.png", "as 12 bits"),
        ((RAMP * 4095).astype(np.uint16), "p.tif", "as 12 bits"),
        ((RAMP * 255).astype(np.uint16), "p.png", "as 8 bits"),
        ((RAMP * 1023).astype(np.uint16), "p.png", "as 10 bits"),
        ((RAMP * 16383).astype(np.uint16), "p.tif", "as 14 bits"),
        (RAMP.astype(np.float32) * 1e-3, "p.tif", "from its smallest to its greatest number"),
        (RAMP.astype(np.float32) * 70 + 230, "p.tif", "from its smallest to its greatest number"),
        ((RAMP * 400 + 7000).astype(np.uint16), "p.tif", "from its smallest to its greatest number"),
        (GREY.astype(np.uint8), "p.png", ""),
    ],
)
def test_a_ramp_from_black_to_white_is_one_whatever_its_numbers(tmp_path, values, name, guess):
    Image.fromarray(values).save(tmp_path / name)
    got, said = read(tmp_path / name)
    assert np.abs(got - GREY).max() <= 3 and got.min() <= 2 and got.max() == 255
    path = tmp_path / name
    assert said == ([f"{path} does not say what its white is: by the brightest pixel it was read {guess}"] if guess else [])


def test_a_pale_picture_of_16_bits_stays_pale(tmp_path):
    Image.fromarray((RAMP * 7000 + 40000).astype(np.uint16)).save(tmp_path / "p.png")
    got, said = read(tmp_path / "p.png")
    assert said == [] and got.min() == round(40000 / 257) and got.max() == round(47000 / 257)


def test_a_white_that_the_file_says_is_believed(tmp_path):
    """A TIFF of 12 bits a pixel, two pixels in three bytes, dark; and a PGM whose greatest value is 4095."""
    values = (RAMP * 2000).astype(int)
    pairs = [(values.flat[i], values.flat[i + 1]) for i in range(0, 64, 2)]
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
    tags = [(256, 8), (257, 8), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 8), (279, len(packed))]
    content = b"II" + struct.pack("<HI", 42, 8 + len(packed)) + packed + struct.pack("<H", len(tags))
    content += b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value) for tag, value in tags) + bytes(4)
    (tmp_path / "p.tif").write_bytes(content)
    (tmp_path / "p.pgm").write_bytes(b"P5\n8 8\n4095\n" + values.astype(">u2").tobytes())
    for name in ("p.tif", "p.pgm"):
        got, said = read(tmp_path / name)
        assert np.abs(got - values * 255 / 4095).max() <= 1 and not said


def test_big_endian_is_no_other_picture(tmp_path):
    picture = Image.new("I;16B", (8, 8))
    for i, value in enumerate((RAMP * 65535).astype(int).flat):
        picture.putpixel((i % 8, i // 8), int(value))
    picture.save(tmp_path / "p.tif")
    got, said = read(tmp_path / "p.tif")
    assert np.abs(got - GREY).max() <= 1 and not said


@pytest.mark.parametrize("most, wanted, guess", [(65535, GREY, ""), (4095, GREY, "as 12 bits")])
def test_colours_of_16_bits(tmp_path, most, wanted, guess):
    values = (RAMP * most).astype(np.uint16)
    content = b"II" + struct.pack("<HIH", 42, 8, 10)
    tags = [(256, 8), (257, 8), (258, 146), (259, 1), (262, 2), (273, 152), (277, 3), (278, 8), (279, 384), (284, 1)]
    counts = {258: 3}
    content += b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, counts.get(tag, 1), value) for tag, value in tags) + bytes(4)
    content = content.ljust(146, b"\0") + struct.pack("<HHH", 16, 16, 16) + np.repeat(values[..., None], 3, -1).tobytes()
    (tmp_path / "p.tif").write_bytes(content)
    got, said = read(tmp_path / "p.tif")
    assert np.abs(got - wanted).max() <= 17 and got.max() == 255 and [line.endswith(f"read {guess}") for line in said] == [True] * bool(guess)


def test_a_dark_picture_of_8_bits_stays_dark(tmp_path):
    for mode in ("L", "RGB"):
        Image.fromarray((RAMP * 12).round().astype(np.uint8)).convert(mode).save(tmp_path / "p.png")
        got, said = read(tmp_path / "p.png")
        assert np.array_equal(got, (RAMP * 12).round()) and not said


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_a_broken_picture(tmp_path, bad):
    values = RAMP.astype(np.float32)
    Image.fromarray(values).save(tmp_path / "good.tif")
    values[3, 4] = bad
    Image.fromarray(values).save(tmp_path / "bad.tif")
    with pytest.warns(UserWarning, match=r"^1 of 2 pictures .* cannot be read and are left out: .*bad\.tif$"):
        assert len(load(f"folder:{tmp_path}", image_size=8)) == 1
    (tmp_path / "good.tif").unlink()
    with pytest.raises(UserError, match=r"^none of the 1 pictures .* some of its pixels are not finite numbers, but NaN or infinite$"):
        load(f"folder:{tmp_path}", image_size=8)


# What comes out in a way that may not have been meant


def mixed(top):
    """Four coloured pictures, seven of one colour in two kinds, and two whose white must be guessed."""
    for i in range(4):
        noisy(top / f"a{i}.png")
    for i in range(6):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(top / f"b{i}.png")
    Image.new("I;16", (8, 8), 0).save(top / "b6.png")
    for i in range(2):
        Image.fromarray((RAMP * 4095).astype(np.uint16)).save(top / f"c{i}.png")


def test_pictures_of_one_colour_and_guesses_are_counted_and_kept(tmp_path):
    mixed(tmp_path)
    with pytest.warns(UserWarning) as told:
        data = load(f"folder:{tmp_path}", image_size=4)
    deep, flat = (", ".join(f"{tmp_path}/{letter}{i}.png" for i in range(n)) for letter, n in (("c", 2), ("b", 5)))
    assert sorted(str(warning.message) for warning in told) == [
        f"2 of 13 pictures in {tmp_path} do not say what their white is, and by the brightest pixel were read as 12 bits: {deep}",
        f"7 of 13 pictures in {tmp_path} come out as one colour: {flat}, …",
    ]
    assert len(data) == 13 and {warning.filename for warning in told} == {__file__} and int(data.images[10].max()) == 0


def test_on_disk_the_first_of_each_is_named(tmp_path):
    mixed(tmp_path)
    data = load(f"folder:{tmp_path}", image_size=4, in_memory=False)
    assert isinstance(data, OnDisk)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        images = [data[i] for i in (*range(13), *range(13))]
    assert [str(warning.message) for warning in told] == [
        f"{tmp_path}/b0.png comes out as one colour; others like it are not named",
        f"{tmp_path}/c0.png does not say what its white is: by the brightest pixel it was read as 12 bits; others like it are not named",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.equal(torch.stack(images[:13]), load(f"folder:{tmp_path}", image_size=4).images)


@pytest.mark.slow
def test_what_a_reading_process_has_said_is_not_said_by_the_next(tmp_path, recwarn):
    mixed(tmp_path)
    data = load(f"folder:{tmp_path}", image_size=4, in_memory=False)
    assert data.told.tolist() == [False, False]
    list(DataLoader(data, 4, num_workers=1))
    assert data.told.tolist() == [True, True] and len(recwarn) == 0
    list(data)
    assert len(recwarn) == 0


# Kinds of files

LOSSLESS = (".png", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pcx", ".tga", ".dib", ".apng", ".sgi", ".j2k", ".jp2")


@pytest.mark.parametrize("ending", [*LOSSLESS, ".jpg", ".jpeg", ".jpe", ".jfif", ".JPG", ".webp", ".avif", ".mpo", ".ico", ".dds", ".JFIF", ".qoi"])
def test_every_kind_that_pillow_opens_is_read(tmp_path, ending):
    name = tmp_path / "cat" / f"picture{ending}"
    kind = {".jfif": "JPEG", ".apng": "PNG"}.get(ending.lower())
    try:
        noisy(name, **({"format": kind} if kind else {}))
    except (KeyError, OSError, ValueError):
        pytest.skip(f"this Pillow does not write {ending}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(f"folder:{tmp_path}", image_size=8)
    assert len(data) == 1 and data.classes == ("cat",)
    if ending in LOSSLESS and ending != ".gif":
        assert np.array_equal(data.images[0].permute(1, 2, 0), np.array(Image.open(name).convert("RGB")))


def test_of_a_film_the_first_picture_is_taken(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    for name in ("p.gif", "p.webp", "p.png", "p.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        red, green, blue = read_image(tmp_path / name, (4, 4)).float().mean((1, 2)).tolist()
        assert red > 240 and green < 10 and blue < 10


def test_drawings_tables_and_films_are_no_pictures():
    assert not {".pdf", ".mpg", ".h5", ".hdf", ".eps", ".ps", ".wmf", ".grib", ".fits", ".txt", ".csv", ".json", ".xml", ".npy", ".mp4"} & endings()
    assert {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"} <= endings()  # as torchvision's folders have them


@pytest.mark.slow
def test_a_process_that_has_opened_no_picture_knows_its_endings():
    code = "from minimim.data.decode import endings; print(*endings())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TOP)
    assert {".jpg", ".png", ".gif", ".tif", ".jp2", ".bmp"} <= {*told.stdout.split()}


def test_a_plugin_that_is_registered_counts(monkeypatch):
    monkeypatch.setitem(Image.EXTENSION, ".heic", "PNG")
    assert ".heic" in endings()


def test_pictures_that_are_not_read_are_counted_by_ending(tmp_path):
    noisy(tmp_path / "cat" / "1.png")
    for name in ("1.heic", "2.HEIC", "3.heic", "1.svg", "1.cr2", "._2.svg", "1.txt", "1.csv", "1.json", "1.xml", "README", "1.mp4"):
        (tmp_path / "cat" / name).write_text("")
    with pytest.warns(UserWarning) as told:
        assert len(load(f"folder:{tmp_path}", image_size=4)) == 1
    (warning,) = told
    assert warning.filename == __file__
    assert str(warning.message) == (
        f"pictures in {tmp_path} that cannot be read here are skipped (3 .heic, 1 .cr2, 1 .svg): save them as .png or .jpg to use them"
    )
    (tmp_path / "cat" / "1.png").unlink()
    with pytest.raises(UserError) as error:
        load(f"folder:{tmp_path}", image_size=4)
    assert str(error.value) == (
        f"{tmp_path} holds no pictures that can be read here, only 3 .heic, 1 .cr2, 1 .svg: save them as .png or .jpg"
    )


def test_a_kind_that_this_pillow_lacks_is_passed_over_with_a_word(tmp_path, monkeypatch):
    noisy(tmp_path / "1.png"), (tmp_path / "2.avif").write_text("")
    monkeypatch.delitem(Image.EXTENSION, ".avif", raising=False)
    with pytest.warns(UserWarning, match=r"skipped \(1 \.avif\)"):
        assert len(load(f"folder:{tmp_path}", image_size=4)) == 1


def test_a_part_is_told_of_its_own_pictures_alone(tmp_path):
    for part in ("train", "test"):
        noisy(tmp_path / part / "cat" / "1.png")
    (tmp_path / "test" / "cat" / "2.svg").write_text("")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(f"folder:{tmp_path}", image_size=4)
        with pytest.raises(UserWarning, match=rf"^pictures in {tmp_path}/test .*\(1 \.svg\)"):
            load(f"folder:{tmp_path}", "test", image_size=4)


def test_the_sentence_about_no_pictures_stays_readable(tmp_path):
    with pytest.raises(UserError) as error:
        load(f"folder:{tmp_path}")
    assert len(re.findall(r"\.\w+", str(error.value).removeprefix(str(tmp_path)))) < 8


def test_endings_that_are_passed_over_are_spelt_as_they_are_compared():
    assert all(re.fullmatch(r"\.[a-z0-9]+", ending) for ending in UNREAD) and by_ending([(".b", 1), (".a", 1), (".c", 2)]) == "2 .c, 1 .a, 1 .b"
