"""`minimim fill`: one's own pictures as seen, filled in, and original, whatever they are; and the sentence where that cannot be."""

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import build_mae, official, timm
from helpers import build
from PIL import Image
from safetensors.torch import save_file

import minimim
from minimim.cli import main
from minimim.data.files import read_image
from minimim.masking import BlockMasking
from minimim.show import fill_in
from minimim.show.pictures import Filled
from minimim.show.sheet import GAP, LINE, SIDE, sheet, shortened

CELL = 192  # a picture of 16 or 32 pixels on the sheet


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with pictures of many kinds."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    picture = Image.fromarray(draw)
    picture.save("colour.png")
    picture.convert("L").save("grey.png")
    picture.resize((3, 90)).save("thin.jpg")
    clear = picture.convert("RGBA")
    clear.putalpha(0)
    clear.save("clear.png")
    picture.save("costs a$_$b.png")
    for name, normalize in (("raw", False), ("normal", True)):
        minimim.save(f"{name}.safetensors", build("mae", normalize_target=normalize))


def ask(capsys, *arguments):
    code = main(["fill", *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def cell(row, column, path="fill.png", side=CELL):
    """The pixels of a drawing at its place on the sheet, (side, side, 3)."""
    drawing = np.asarray(Image.open(path).convert("RGB"))
    top, left = LINE + row * (LINE + side + GAP) + LINE, GAP + column * (side + GAP)
    return drawing[top : top + side, left : left + side]


def enlarged(image, side=CELL):
    """An image (3, H, H), each pixel a square, by a slow loop."""
    zoom = side // image.shape[1]
    out = np.zeros((side, side, 3), dtype=np.uint8)
    for row in range(side):
        for col in range(side):
            out[row, col] = image[:, row // zoom, col // zoom].numpy()
    return out


def test_a_row_shows_the_picture_as_seen_filled_in_and_as_it_is(capsys):
    code, told, _ = ask(capsys, "colour.png", "grey.png", "--checkpoint", "raw.safetensors", "--seed", 3, "--device", "cpu")
    assert code == 0 and told == "fill.png: 2 pictures, as the encoder sees them, filled in, and as they are\n"
    images = torch.stack([read_image(name, (16, 16)) for name in ("colour.png", "grey.png")])
    expected = fill_in(build("mae", normalize_target=False), images, generator=torch.Generator().manual_seed(3))
    for row in range(2):
        for column, state in enumerate((expected.masked, expected.filled, expected.original)):
            assert np.array_equal(cell(row, column), enlarged(state[row])), (row, column)


def test_another_seed_hides_other_patches_and_the_same_seed_the_same(capsys):
    drawn = []
    for number, seed in enumerate((0, 0, 1)):
        assert ask(capsys, "colour.png", "--checkpoint", "raw.safetensors", "--seed", seed, "--out", f"{number}.png")[0] == 0
        drawn.append(cell(0, 0, f"{number}.png"))
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2])


def test_the_bundled_model_is_taken_where_none_is_named_and_what_it_has_seen_is_told(capsys):
    code, told, _ = ask(capsys, "colour.png", "--out", "deep/below/mine.png")
    assert code == 0 and "was trained only on drawn scenes" in told
    image = read_image("colour.png", (32, 32))
    assert np.array_equal(cell(0, 2, "deep/below/mine.png"), enlarged(image))


@pytest.mark.parametrize("name", ["grey.png", "thin.jpg", "clear.png", "costs a$_$b.png"])
def test_pictures_of_every_kind_and_name_are_drawn(capsys, name):
    assert ask(capsys, name, "--checkpoint", "raw.safetensors")[0] == 0
    assert np.array_equal(cell(0, 2), enlarged(read_image(name, (16, 16))))
    if name == "clear.png":
        assert (cell(0, 2) == 255).all()  # what is seen through is white


def test_a_model_of_grey_images_gets_grey_ones(capsys):
    minimim.save("one.safetensors", build("mae", channels=1))
    assert ask(capsys, "colour.png", "--checkpoint", "one.safetensors")[0] == 0
    original = cell(0, 2)
    assert (original == original[..., :1]).all() and original.std() > 0
    minimim.save("four.safetensors", build("mae", channels=4))
    assert "takes images of 4 channels" in ask(capsys, "colour.png", "--checkpoint", "four.safetensors")[2]


def test_another_size_is_drawn_at_that_size(capsys):
    assert ask(capsys, "colour.png", "--checkpoint", "raw.safetensors", "--image-size", 32)[0] == 0
    assert np.array_equal(cell(0, 2), enlarged(read_image("colour.png", (32, 32))))
    code, _, told = ask(capsys, "colour.png", "--checkpoint", "raw.safetensors", "--image-size", 18)
    assert code == 2 and "cannot be cut into patches of 4" in told


# What is hidden


def hidden(path="fill.png", patches=4):
    """Which patches are grey in the first column, (rows, cols): the pictures here have no such grey."""
    seen, side = cell(0, 0, path), CELL // patches
    return np.array([[(seen[r * side : (r + 1) * side, c * side : (c + 1) * side] == 128).all() for c in range(patches)] for r in range(patches)])


@pytest.mark.parametrize("more, count", [((), 12), (("--mask-ratio", 0.5), 8), (("--mask", "block", "--mask-ratio", 0.5), 8), (("--mask", "grid"), 12)])
def test_as_much_is_hidden_as_is_asked_for(capsys, more, count):
    assert ask(capsys, "colour.png", "--checkpoint", "raw.safetensors", *more)[0] == 0
    assert hidden().sum() == count
    if "grid" in more:
        assert all(hidden()[r : r + 2, c : c + 2].sum() == 3 for r in (0, 2) for c in (0, 2))


@pytest.mark.parametrize("seed", [0, 1])
def test_blocks_are_hidden_as_block_masking_hides_them(capsys, seed):
    ask(capsys, "colour.png", "--checkpoint", "raw.safetensors", "--mask", "block", "--mask-ratio", 0.4, "--seed", seed, "--device", "cpu")
    (mask,) = BlockMasking(0.4)({"image": torch.zeros(1, 3, 16, 16)}, (4, 4), generator=torch.Generator().manual_seed(seed))
    assert np.array_equal(hidden(), mask.hidden[0].view(4, 4).numpy())


# Normalised targets


def test_the_true_mean_and_deviation_of_hidden_patches_are_put_back_unless_they_shall_not_be(capsys):
    """By a slow loop: the prediction of each patch, times its own deviation, plus its own mean."""
    method, image = build("mae", normalize_target=True).eval(), read_image("colour.png", (16, 16))
    with torch.no_grad():
        output = method(image.unsqueeze(0), generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected, normal = image.clone(), (image / 255 - mean) / std
    for n in range(16):
        if output.mask[0, n]:
            rows, cols = (slice(4 * place, 4 * place + 4) for place in divmod(n, 4))
            truth = normal[:, rows, cols].flatten()
            patch = output.prediction[0, n] * (truth.var() + 1e-6).sqrt() + truth.mean()  # (p q c)
            patch = patch.view(4, 4, 3).permute(2, 0, 1) * std + mean
            expected[:, rows, cols] = (patch * 255).round().clamp(0, 255).to(torch.uint8)
    assert ask(capsys, "colour.png", "--checkpoint", "normal.safetensors", "--device", "cpu")[0] == 0
    assert np.abs(cell(0, 1).astype(int) - enlarged(expected).astype(int)).max() <= 1
    assert ask(capsys, "colour.png", "--checkpoint", "normal.safetensors", "--no-truth", "--out", "around.png")[0] == 0
    around = fill_in(method, image.unsqueeze(0), generator=torch.Generator().manual_seed(0)).filled[0]
    assert np.array_equal(cell(0, 1, "around.png"), enlarged(around)) and not np.array_equal(cell(0, 1), cell(0, 1, "around.png"))


@pytest.mark.parametrize(
    "model, more, says",
    [
        ("raw", (), "predicts the pixels of hidden patches themselves, and nothing of the true ones was put back"),
        ("normal", (), "The true ones were put back, so the middle column contains a little of what was hidden"),
        ("normal", ("--no-truth",), "nothing of what was hidden is in the middle column"),
    ],
)
def test_the_caption_says_how_much_truth_is_in_it(capsys, monkeypatch, model, more, says):
    captions = []
    monkeypatch.setattr("minimim.commands.fill.sheet", lambda filled, names, caption: captions.append((names, caption)) or b"")
    ask(capsys, "colour.png", "--checkpoint", f"{model}.safetensors", "--mask-ratio", 0.5, *more)
    ((names, caption),) = captions
    assert names == ["colour.png"] and says in caption and "50% of the patches are hidden" in caption and "seed 0" in caption


# Foreign weights


def test_foreign_weights_fill_in_as_the_model_does_that_they_came_from(capsys):
    for normalize in (False, True):
        save_file({n: t.contiguous() for n, t in official(build_mae(normalize_target=normalize)).items()}, "w.safetensors")
        flag = "--normalize-target" if normalize else "--no-normalize-target"
        assert ask(capsys, "colour.png", "--weights", "w.safetensors", flag)[0] == 0
        theirs = cell(0, 1)
        ask(capsys, "colour.png", "--checkpoint", f"{'normal' if normalize else 'raw'}.safetensors", "--out", "ours.png")
        assert np.abs(theirs.astype(int) - cell(0, 1, "ours.png").astype(int)).max() <= 1


def test_an_encoder_alone_cannot_fill_in(capsys):
    save_file({n: t.contiguous() for n, t in timm(build_mae()).items()}, "w.safetensors")
    code, _, told = ask(capsys, "colour.png", "--weights", "w.safetensors")
    assert code == 2 and "holds an encoder without its decoder" in told and "Traceback" not in told


# What cannot be


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["nowhere.png"], "there is no file nowhere.png"),
        (["colour.png", "pics"], "pics is a folder: give the pictures in it, such as pics/*.jpg"),
        (["text.png"], "text.png cannot be read as a picture"),
        (["empty.jpg"], "empty.jpg cannot be read as a picture"),
        (["*.bmp"], "there is no file *.bmp"),
        ([], "the following arguments are required: PICTURE"),
        (["colour.png", "--checkpoint", "nowhere"], "there is no checkpoint at nowhere"),
        (["colour.png", "--mask", "blocks"], "did you mean 'block'"),
        (["colour.png", "--mask-ratio", "1.5"], "between 0 and 1"),
        (["colour.png", "--mask-ratio", "0.999"], "leaves nothing visible"),
        (["colour.png", "--mask", "grid", "--mask-ratio", "0.5"], "a grid always hides three patches in four"),
        (["colour.png", "--image-size", "0"], "image_size must be 1 or more"),
        (["colour.png", "--out", "fill.jpg"], "must end in .png"),
        (["colour.png", "--out", "colour.png"], "would overwrite colour.png"),
        (["colour.png", "--out", "text.png/fill.png"], "cannot write text.png/fill.png"),
        (["colour.png", "--checkpoint", "raw.safetensors", "--weights", "w.pth"], "give one of the two"),
        (["colour.png", "--key", "teacher"], "are about foreign weights"),
        (["colour.png", "--no-normalize-target"], "are about foreign weights"),
        (["colour.png", "--checkpoint", "ibot.safetensors"], "predicts CentredPrototypes, not pixels, so there is nothing to paint: give one that"),
        (["colour.png", "--checkpoint", "data2vec.safetensors"], "predicts LayerMean, not pixels"),
        (["colour.png"] * 201, "201 pictures are more than the 200 that fit"),
    ],
)
def test_what_cannot_be_gets_a_sentence_and_draws_nothing(capsys, arguments, sentence):
    os.mkdir("pics")
    for name, content in (("text.png", b"no picture"), ("empty.jpg", b"")):
        with open(name, "wb") as file:
            file.write(content)
    for name in {"ibot", "data2vec"} & {a.partition(".")[0] for a in arguments}:
        minimim.save(f"{name}.safetensors", build(name))
    before = sorted(os.listdir())
    code, _, told = ask(capsys, *arguments)
    assert code == 2 and sentence in told and told.startswith("minimim: ") and told.count("\n") == 1
    assert sorted(os.listdir()) == before


def test_a_disk_that_gets_full_leaves_the_last_drawing_whole(capsys, monkeypatch):
    Path("fill.png").write_bytes(b"the last one")

    def full(path, content):
        with open(path, "wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    before = sorted(os.listdir())
    code, _, told = ask(capsys, "colour.png", "--checkpoint", "raw.safetensors")
    assert code == 2 and "cannot write fill.png: the disk is full" in told
    assert Path("fill.png").read_bytes() == b"the last one" and sorted(os.listdir()) == before


@pytest.mark.parametrize("seed", [-1, 10**20])
def test_every_whole_number_is_a_seed(capsys, seed):
    assert ask(capsys, "colour.png", "--checkpoint", "raw.safetensors", "--seed", seed)[0] == 0


def test_a_picture_of_one_colour_is_told(capsys):
    Image.fromarray(np.full((16, 16), 9, dtype=np.uint8)).save("flat.png")
    assert "note: flat.png comes out as one colour" in ask(capsys, "flat.png", "colour.png", "--checkpoint", "raw.safetensors")[2]


def test_a_pattern_that_the_shell_left_alone_stands_for_its_files(capsys):
    code, told, _ = ask(capsys, "c*.png", "--checkpoint", "raw.safetensors")
    assert code == 0 and told.startswith("fill.png: 3 pictures")  # clear, colour, costs


# The sheet


@pytest.mark.parametrize("height, width, zoom", [(16, 16, 12), (32, 48, 6), (224, 224, 1), (192, 500, 1)])
def test_small_pictures_are_enlarged_and_large_ones_are_not(height, width, zoom):
    images = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)
    drawing = Image.open(io.BytesIO(sheet(Filled(images, images, images, torch.ones(2, 4, dtype=torch.bool)), ["a", "b"], "short")))
    assert drawing.width == 3 * width * zoom + 4 * GAP and min(height, width) * zoom >= SIDE >= 128


def test_a_long_name_is_cut_in_its_middle_and_what_cannot_be_drawn_is_asked_about():
    assert shortened("short.png", 20) == "short.png" and shortened("a\nb\udcff", 20) == "a?b?"
    assert len(shortened("x" * 500 + ".png", 40)) <= 40 and shortened("x" * 500 + ".png", 40).endswith(".png")
