"""What commands print: lines that can be pasted, on code pages that lack letters; and the sizes and encoders that they can be told."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import build_mae, timm
from PIL import Image
from safetensors.torch import save_file

import minimim
from minimim import prompt
from minimim.cli import main
from minimim.commands.pretrain import with_both_parts
from minimim.doctor.finding import INSTALL
from minimim.doctor.jupyter import KERNEL
from minimim.evaluate import load_classifier
from minimim.prompt import typed

SMALL = ("--image-size", 16, "--patch-size", 4, "--epochs", 1, "--batch-size", 8, "--device", "cpu")


def pictures(top, parts=("train", "test")):
    """TOP/PART/CLASS/*.png: a few pictures of two classes."""
    draw = np.random.default_rng(0)
    for part, count in zip(parts, (8, 4), strict=True):
        for number, kind in enumerate(("cat", "dog")):
            (top / part / kind).mkdir(parents=True)
            for i in range(count):
                Image.fromarray((draw.integers(0, 100, (16, 16, 3)) + 150 * number).astype(np.uint8)).save(top / part / kind / f"{i}.png")


def ask(capsys, *arguments):
    code = main([str(a) for a in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


# The line that is pasted


@pytest.mark.parametrize(
    "top, data, out, work",
    [
        ("s", "s/train", "r", "."),
        ("s", "s/train/", "r/", "."),
        ("my pics", "my pics/train//", "my run", "."),
        ("it's", "it's/train", "r'n", "."),
        ("s", "train", "r", "s"),
        ("s", ".", "r", "s/train"),
        ("s", "./", "r", "s/train"),
        ("s", "s/train", "~run", "."),
        ("$HOME (1)", "$HOME (1)/train", "a&b", "."),
        ("s", "{top}/s/train", "r", "."),
        ("s", "~/s/train", "r", "."),
        ("s", "s", "r", "."),
    ],
)
def test_the_next_line_works_when_it_is_pasted(capsys, tmp_path, monkeypatch, top, data, out, work):
    monkeypatch.setenv("HOME", str(tmp_path))
    pictures(tmp_path / top)
    monkeypatch.chdir(tmp_path / work)
    code, told, _ = ask(capsys, "pretrain", "--data", f"folder:{data.format(top=tmp_path)}", *SMALL, "--out", out)
    line = told.splitlines()[-1]
    assert code == 0 and line.startswith("next: minimim probe --checkpoint ")
    code, told, _ = ask(capsys, *shlex.split(line.removeprefix("next: minimim ")))
    assert code == 0 and "16 train and 8 test images" in told and "random init" in told


@pytest.mark.slow
def test_a_shell_reads_the_line_as_it_was_meant(tmp_path):
    words = ["folder:my pics", "it's", "~/x", "$HOME", "a&b;c", '"q"', "*", "", "folder:~/pics", "\\"]
    shell = subprocess.run(["sh", "-c", f"printf '%s\\n' {typed(*words)}"], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert shell.stdout.splitlines() == words


def test_on_windows_blanks_stand_between_double_quotes(monkeypatch):
    monkeypatch.setattr(prompt.os, "name", "nt")
    assert typed("minimim", "--data", r"folder:C:\my pics", "--out", "runs") == r'minimim --data "folder:C:\my pics" --out runs'


@pytest.mark.parametrize("parts", [("Train", "Test"), ("training", "validation"), ("TRAIN", "VAL")])
def test_other_spellings_of_the_parts_are_known(tmp_path, parts):
    pictures(tmp_path / "s", parts)
    assert with_both_parts(f"folder:{tmp_path}/s/{parts[0]}", True) == f"folder:{tmp_path}/s"


def test_of_a_folder_that_cannot_be_probed_it_is_said_what_is_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "s")
    for data in ("folder:s/train/cat", "folder:s/test"):  # without labels; with labels, and no part to judge by
        code, told, _ = ask(capsys, "pretrain", "--data", data, *SMALL[:-4], "--batch-size", 4, "--device", "cpu", "--out", f"r{len(data)}")
        assert code == 0 and told.splitlines()[-1].startswith("to measure it, sort labelled pictures into PATH/train/CLASS/ and PATH/test/CLASS/")
    assert with_both_parts("folder:s/train", labelled=False) is None and with_both_parts("cifar10", labelled=False) == "cifar10"


def test_what_the_doctor_advises_is_a_command_of_this_python():
    words = shlex.split(KERNEL)
    assert words[0] == sys.executable and words[1:] == ["-m", "ipykernel", "install", "--sys-prefix"]
    words = shlex.split(INSTALL.partition(": ")[2])
    assert words == [sys.executable, "-m", "pip", "install", "-c", "requirements.lock", "-e", ".[lab]"] and "'.[lab]'" in INSTALL


# Code pages


@pytest.mark.slow
@pytest.mark.parametrize("page", ["ascii:strict", "cp1252:strict", "cp437:strict"])
def test_no_run_ends_because_a_code_page_lacks_a_letter(tmp_path, page):
    pictures(tmp_path / "wörter ×")
    (tmp_path / "wörter ×" / "train" / "cat" / "кот.png").write_bytes(b"broken")  # is named in a warning
    commands = [
        ["pretrain", "--data", "folder:wörter ×/train", *SMALL, "--out", "läufe ±"],
        ["probe", "--checkpoint", "läufe ±", "--data", "folder:wörter ×", "--protocol", "both", "--epochs", 1, "--batch-size", 8],
        ["finetune", "--checkpoint", "läufe ±", "--data", "folder:wörter ×", "--epochs", 1, "--batch-size", 8],
        ["fill", "wörter ×/test/cat/0.png", "--checkpoint", "läufe ±", "--out", "füllung ×.png"],
        ["methods"],
        ["presets"],
        ["pretrain", "--help"],
        ["probe", "--checkpoint", "кот"],
    ]
    script = "import sys, json\nfrom minimim.cli import main\nfor words in json.loads(sys.argv[1]):\n    try:\n        print(main(words))\n"
    script += "    except SystemExit as ended:\n        print(ended.code)\n"
    told = json.dumps([[str(word) for word in words] for words in commands])
    env = {**os.environ, "PYTHONIOENCODING": page, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"}
    done = subprocess.run([sys.executable, "-c", script, told], capture_output=True, cwd=tmp_path, env=env, check=False)
    printed = done.stdout.decode(page.partition(":")[0])
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    assert re.findall(r"^\d+$", printed, re.MULTILINE) == ["0"] * 7 + ["2"]
    assert (b"?" in done.stdout) == (page != "cp1252:strict") or b"?" in done.stderr
    assert b"Traceback" not in done.stderr and (tmp_path / "füllung ×.png").is_file()


# Sizes, and encoders of a file that holds several


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run on 16 pixels, and pictures: what a command is told to find them."""
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "s")
    torch.manual_seed(0)
    minimim.save("mae.safetensors", minimim.methods.create("mae", image_size=16))
    return "--checkpoint", "mae.safetensors", "--data", "folder:s", "--device", "cpu"


@pytest.fixture
def seen(monkeypatch):
    """(H, W) of everything that an encoder looks at."""
    from minimim.encoders import ViT

    sizes, forward = set(), ViT.forward
    monkeypatch.setattr(ViT, "forward", lambda self, x, *args, **more: sizes.add(tuple(x.shape[-2:])) or forward(self, x, *args, **more))
    return sizes


@pytest.mark.parametrize("asked, size", [((), (16, 16)), ((24,), (24, 24)), ((20, 32), (20, 32))])
def test_probe_and_finetune_take_images_of_the_size_that_is_asked_for(capsys, run, seen, asked, size):
    more = ("--image-size", *asked) if asked else ()
    assert ask(capsys, "probe", *run, *more, "--protocol", "both", "--floors", "--epochs", 1, "--batch-size", 8)[0] == 0
    assert seen == {size}
    seen.clear()
    assert ask(capsys, "finetune", *run, *more, "--epochs", 1, "--batch-size", 8, "--out", "tuned")[0] == 0
    kept = json.loads(Path("tuned/figures.json").read_text())
    assert seen == {size} and kept["image_size"] == list(size) and kept["classes"] == ["cat", "dog"]
    model = load_classifier("tuned")
    assert model.views.image_size == size and model.classes == ("cat", "dog")


def test_the_size_of_the_raw_pixels_is_that_of_the_images_that_were_asked_for(capsys, run):
    assert "raw pixels: at 32×32" in ask(capsys, "probe", *run, "--image-size", 40, "--floors")[1]
    assert "raw pixels: at" not in ask(capsys, "probe", *run, "--floors")[1]


@pytest.mark.parametrize("command", ["probe", "finetune"])
def test_a_size_that_the_patches_do_not_divide_is_told_before_an_image_is_read(capsys, run, monkeypatch, command):
    monkeypatch.setattr("minimim.commands.probe.data.load", lambda *_, **__: pytest.fail("an image was read"))
    code, _, told = ask(capsys, command, *run, "--image-size", 18)
    assert code == 2 and "18×18 pixels cannot be cut into patches of 4" in told


@pytest.mark.parametrize(
    "more, says",
    [
        (("--batch-size", 1), "leaves it a single one"),
        (("--batch-size", 4, "--accumulate", 4), "leaves it a single one"),
        (("--batch-size", 5, "--accumulate", 2), "cannot be cut into 2 equal parts"),
        (("--epochs", 0), "epochs must be above 0"),
        (("--pool", "patches"), "unknown pooling 'patches'"),
    ],
)
def test_what_the_official_protocol_cannot_do_is_told_before_hours_of_features(capsys, run, monkeypatch, more, says):
    monkeypatch.setattr("minimim.evaluate.compare", lambda *_, **__: pytest.fail("features were made"))
    code, _, told = ask(capsys, "probe", *run, "--protocol", "both", *more)
    assert code == 2 and says in told and told.count("\n") == 1


@pytest.mark.parametrize("command", ["probe", "finetune"])
def test_an_encoder_is_taken_by_its_key(capsys, run, monkeypatch, command):
    save_file({n: t.contiguous() for n, t in timm(build_mae()).items()}, "w.safetensors")
    asked = []
    from minimim import interop

    load_file = interop.load_file
    monkeypatch.setattr("minimim.interop.load_file", lambda path, key="": asked.append(key) or load_file(path))
    assert ask(capsys, command, "--weights", "w.safetensors", "--key", "student", *run[2:], *(("--epochs", 1) if command == "finetune" else ()))[0] == 0
    assert asked == ["student"]
    code, _, told = ask(capsys, command, *run, "--key", "student")
    assert code == 2 and "leave it out" in told


@pytest.mark.parametrize("command", ["probe", "finetune"])
def test_each_kind_of_weights_has_its_own_option(capsys, run, command):
    save_file({n: t.contiguous() for n, t in timm(build_mae()).items()}, "w.safetensors")
    assert "mae.safetensors was written by minimim: give it as --checkpoint" in ask(capsys, command, "--weights", "mae.safetensors", *run[2:])[2]
    assert "give foreign weights as --weights" in ask(capsys, command, "--checkpoint", "w.safetensors", *run[2:])[2]


# Output that nobody reads


@pytest.mark.slow
@pytest.mark.parametrize("into, code, says", [("| true", 141, ""), ("> /dev/full", 2, "No space left on device: free some space")])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a shell and its devices")
def test_output_that_goes_nowhere_ends_a_command_in_peace(into, code, says):
    line = f"{shlex.quote(sys.executable)} -m minimim methods {into}; exit ${{PIPESTATUS[0]}}"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == code and says in done.stderr and len(done.stderr.splitlines()) == bool(says)
