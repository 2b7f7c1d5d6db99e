"""The command line: what a learner types, and the one sentence that a mistake gets."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from minimim.cli import main, parse
from minimim.commands import COMMANDS, Pretrain
from minimim.methods import names
from minimim.presets import PRESETS


@pytest.fixture
def pictures(tmp_path):
    """PICS/train and PICS/test, two classes that can be told apart by their brightness."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 6)):
        for number, kind in enumerate(("dark", "light")):
            folder = tmp_path / "PICS" / part / kind
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 100, (20, 24, 3)) + 150 * number
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.jpg")
    return tmp_path / "PICS"


def ask(capsys, *arguments):
    """Exit code, and what was printed to either side."""
    code = main([str(a) for a in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def pretrain(pictures, *more):
    return ("pretrain", "--data", f"folder:{pictures}/train", "--image-size", 16, "--patch-size", 4, "--batch-size", 8,
            "--epochs", 1, "--out", pictures / "run", *more)  # fmt: skip


def test_the_way_of_a_learner_from_a_folder_to_a_table(capsys, pictures):
    code, told, _ = ask(capsys, *pretrain(pictures))
    assert code == 0 and "3 steps" in told and f"probe --checkpoint {pictures}/run --data folder:{pictures} --floors" in told
    code, told, _ = ask(capsys, *pretrain(pictures, "--resume"))
    assert code == 0 and "3 steps" in told
    figures = pictures / "figures.json"
    told = ("--checkpoint", pictures / "run", "--data", f"folder:{pictures}", "--out", figures)
    code, told, _ = ask(capsys, "probe", *told, "--floors")
    assert code == 0 and all(row in told for row in ("pretrained", "random init", "raw pixels", "chance is 1 in 2"))
    kept = json.loads(figures.read_text())["figures"]
    assert set(kept) == {"linear_probe", "knn"} and kept["linear_probe"]["raw_pixels"]["value"] == 1.0
    code, told, _ = ask(capsys, "probe", "--checkpoint", pictures / "run", "--data", f"folder:{pictures}", "--sweep")
    assert code == 0 and len(told.splitlines()) == 2 + 4 * 2
    code, told, _ = ask(capsys, "finetune", "--checkpoint", pictures / "run", "--data", f"folder:{pictures}", "--epochs", 1)
    assert code == 0 and "12 test images" in told


def test_options_go_where_they_belong_and_only_those_that_were_given():
    command = parse(["pretrain", "--mask-ratio", "0.5", "--epochs", "3", "--betas", "0.9", "0.99", "--crop-scale", "0.5", "1"])
    assert isinstance(command, Pretrain) and command.method is None
    assert command.options == {"mask_ratio": 0.5, "crop_scale": (0.5, 1.0)}
    assert command.train == {"epochs": 3.0, "betas": (0.9, 0.99)}
    assert parse(["pretrain", "--image-size", "48", "64"]).image_size == (48, 64)
    assert parse(["pretrain", "--no-flip"]).options == {"flip": False}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_every_option(capsys, name):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert " ".join(COMMANDS[name].__doc__.split()) in told


def test_help_shows_the_defaults_of_the_method_that_is_asked_for(capsys):
    for method, rate in (("simmim", "0.0002"), ("ibot", "0.0005")):
        with pytest.raises(SystemExit):
            main(["pretrain", "--method", method, "--help"])
        assert f"scaled with the batch size ({rate})" in " ".join(capsys.readouterr().out.split())


def test_methods_are_listed(capsys):
    code, told, _ = ask(capsys, "methods")
    assert code == 0 and all(f"\n{name}\n" in f"\n{told}" for name in names())


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["pretrain", "--method", "mea"], "did you mean 'mae'"),
        (["pretrain", "--data", "scene"], "did you mean 'scenes'"),
        (["pretrain", "--size", "mikro", "--data", "fashion"], "did you mean 'micro'"),
        (["pretrain", "--preset", "dmo"], "did you mean 'demo'"),
        (["pretrain", "--image-size", "30", "--patch-size", "4", "--data", "fashion"], "choose a patch size that divides"),
        (["pretrain", "--mask-ratio", "1.5", "--data", "fashion"], "between 0 and 1"),
        (["pretrain", "--mask-ratio", "0.999", "--data", "fashion"], "leaves nothing visible"),
        (["pretrain", "--mask-ratio", "half"], "invalid number value: 'half'"),
        (["pretrain", "--epochs", "none"], "invalid float value: 'none'"),
        (["pretrain", "--mask-ration", "0.5"], "--mask-ration"),
        (["pretrain", "--resume", "--data", "fashion", "--out", "nowhere"], "no checkpoint at nowhere"),
        (["probe", "--checkpoint", "nowhere"], "no checkpoint at nowhere"),
        (["fly"], "invalid choice: 'fly'"),
        (["demo", "--device", "cuda:7"], "no cuda device"),
    ],
)
def test_a_mistake_gets_one_sentence_and_a_non_zero_exit(capsys, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, told = ask(capsys, *arguments)
    last = told.strip().splitlines()[-1]
    assert code == 2 and sentence in last and last.startswith("minimim: ") and "Traceback" not in told


def test_a_broken_picture_is_named_counted_and_left_out(capsys, pictures):
    (pictures / "train" / "dark" / "bad.jpg").write_bytes(b"not a picture")
    code, _, told = ask(capsys, *pretrain(pictures))
    assert code == 0 and "note: 1 of 25 pictures" in told and "bad.jpg" in told


def test_a_folder_without_classes_pretrains_but_cannot_be_probed(capsys, pictures):
    for part in ("train", "test"):
        for file in list((pictures / part).rglob("*.jpg")):
            file.rename(pictures / part / f"{file.parent.name}-{file.name}")
    assert ask(capsys, *pretrain(pictures))[0] == 0
    code, _, told = ask(capsys, "probe", "--checkpoint", pictures / "run", "--data", f"folder:{pictures}")
    assert code == 2 and "have no labels" in told


def test_a_run_folder_that_cannot_be_written_is_told_in_a_sentence(capsys, pictures):
    (pictures / "run").write_text("a file where a folder is wanted")
    code, _, told = ask(capsys, *pretrain(pictures))
    assert code == 2 and str(pictures / "run") in told and "Traceback" not in told


def test_bench_prints_a_rate_for_each_setting_and_names_the_fastest(capsys):
    code, told, _ = ask(capsys, "bench", "--batch-size", 4, "--image-size", 16, "--rounds", 2)
    rates = dict(re.findall(r"(--precision \w+) +([\d.]+) images/s", told))
    assert code == 0 and set(rates) == {"--precision fp32", "--precision bf16"} and "GFLOP" in told
    assert f"fastest here: {max(rates, key=lambda flags: float(rates[flags]))}" in told
    code, _, told = ask(capsys, "bench", "--precision", "fp64")
    assert code == 2 and "fp64" in told and "bf16" in told


def test_presets_are_listed_with_what_they_do(capsys):
    code, told, _ = ask(capsys, "presets")
    for name, one in PRESETS.items():
        part = told.partition(f"{name}\n")[2].partition("\n\n")[0]
        assert one.about in part and f"{one.method} {one.size}/{one.patch_size} on {one.data}" in part
        assert f"epochs={one.train.epochs:g}, batch_size={one.train.batch_size}, lr={one.train.lr:g}" in part
    assert code == 0
