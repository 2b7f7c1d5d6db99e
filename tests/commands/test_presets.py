"""Presets: each is whole, its numbers are what its paper and its operations say, and its three stages run."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from minimim import presets
from minimim.cli import main
from minimim.commands import Probe
from minimim.commands.probe import labelled
from minimim.data import Images, scenes
from minimim.errors import UserError
from minimim.methods import create
from minimim.presets import PRESETS, STAGES, images_of, preset
from minimim.train import Run

pytestmark = pytest.mark.usefixtures("alone")

LARGE = [name for name, one in PRESETS.items() if "H100" in one.needs.get("pretrain", presets.Needs(0, {})).minutes]
IMAGES = {  # train images of each set: to pretrain on, and with labels
    "cifar10": (50_000, 50_000),
    "stl10": (100_000, 5_000),
    "imagenette": (9_469, 9_469),
    "tiny-imagenet": (100_000, 100_000),
    "imagenet": (1_281_167, 1_281_167),
}
SHARES = {"tiny": 0.05, "small": 0.15, "base": 0.4}  # of 989 TFLOP/s


def ask(capsys, *arguments):
    """Exit code, and what was printed to either side."""
    code = main([str(a) for a in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def on_paper(one):
    """A preset's method, without numbers in its weights."""
    with torch.device("meta"):
        return create(one.method, **one.sizes, **one.options)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_whole(name, fast):
    one = preset(name, fast)
    encoder = on_paper(one).encoder
    assert encoder.home_grid == (one.image_size // one.patch_size,) * 2 and min(encoder.home_grid) >= 8
    for config in (one.train, one.probe, one.finetune):
        assert config.batch_size % config.accumulate == 0 and config.device == "auto"
        assert replace(config) == config  # passes its own checks
    assert one.probe.pool in ("mean", "cls") and one.finetune.pool in ("mean", "cls")
    assert {*one.needs, *one.expected} <= set(STAGES) and (one.read_size or one.image_size) >= one.image_size
    if one.read_size:
        assert one.finetune.crop < 1 and one.probe.crop < 1  # what is read larger is cut
    if fast:
        assert one.size == "micro" and not one.train.compile and one.count == 2000 and max(encoder.home_grid) == 8


def test_the_official_maes_numbers():
    one = PRESETS["imagenet"]
    method = on_paper(one)
    assert (method.masking.ratio, method.target.normalize, method.views.scale) == (0.75, True, (0.2, 1.0))
    assert (method.encoder.dim, method.encoder.depth, len(method.decoder.blocks), method.decoder.embed.out_features) == (768, 12, 8, 512)
    train, probe, tune = one.train, one.probe, one.finetune
    assert (train.lr, train.batch_size, train.epochs, train.weight_decay, train.betas) == (1.5e-4, 4096, 1600, 0.05, (0.9, 0.95))
    assert (probe.lr, probe.batch_size, probe.epochs, probe.weight_decay, probe.pool) == (0.1, 16384, 90, 0, "cls")
    assert (tune.lr, tune.batch_size, tune.epochs, tune.weight_decay, tune.betas) == (5e-4, 1024, 100, 0.05, (0.9, 0.999))
    assert (tune.layer_decay, tune.drop_path, tune.mixup, tune.cutmix, tune.smoothing, tune.pool) == (0.65, 0.1, 0.8, 1, 0.1, "mean")
    assert [config.warmup * config.epochs for config in (train, probe, tune)] == pytest.approx([40, 10, 5])


# What is said of them


def operations(model, images) -> int:
    """Operations of the matrix products of one image."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # the fused kernels hide theirs
        model(images)
    return counter.get_total_flops()


@pytest.mark.parametrize("name", LARGE)
def test_the_minutes_are_those_of_the_operations_at_a_part_of_the_gpus_rate(name):
    one, (unlabelled, labels) = PRESETS[name], IMAGES[PRESETS[name].data]
    method = on_paper(one).to("meta").train()
    images = torch.empty(1, 3, one.image_size, one.image_size, device="meta")
    places = (one.image_size // one.patch_size) ** 2

    def pretraining(x):
        method(x, noise=torch.empty(1, places, device="meta")).loss.backward()

    with torch.no_grad():
        frozen = operations(method.encoder, images)
    work = {
        "pretrain": operations(pretraining, images) * unlabelled * one.train.epochs,
        "probe": frozen * labels * one.probe.epochs,
        "finetune": operations(lambda x: method.encoder(x).patches.sum().backward(), images) * labels * one.finetune.epochs,
    }
    assert set(one.needs) == set(STAGES)
    for stage, needs in one.needs.items():
        minutes = work[stage] / (SHARES[one.size] * 989e12) / 60
        assert max(1, minutes) / 1.5 < needs.minutes["H100"] < max(1, minutes) * 1.5, (stage, minutes)
        assert needs.minutes["24 GiB consumer card"] == 4 * needs.minutes["H100"] and not needs.measured


def test_every_preset_is_listed_with_its_settings_and_what_it_needs(capsys):
    code, told, _ = ask(capsys, "presets")
    parts = dict(part.split("\n", 1) for part in told.split("\n\n"))
    assert code == 0 and list(parts)[:-1] == list(PRESETS)
    for name, one in PRESETS.items():
        part = parts[name]
        assert one.about in part and f"{one.method} {one.size}/{one.patch_size} on {one.data}, images of {one.image_size} pixels" in part
        for stage, config in (("pretrain", one.train), ("probe", one.probe), ("finetune", one.finetune)):
            assert re.search(rf"{stage} +epochs={config.epochs:g}, batch_size={config.batch_size}, lr={config.lr:g}", part)
        assert all(words in part for words in one.expected.values())
        for needs in one.needs.values():
            kind = "measured" if needs.measured else "estimate"
            assert all(f"{kind}: {needs.memory:g} GiB" in part and f"{minutes:g} min on {device}" in part for device, minutes in needs.minutes.items())
        assert ("estimate" in part, "measured" in part) == (name in LARGE, name in ("demo", "cifar10-cpu"))
    assert "an estimate is computed from" in told.splitlines()[-1]


# Their images


def test_a_part_of_the_images_is_drawn_alike_every_time_and_larger_ones_come_where_they_are_cropped(monkeypatch):
    asked = []

    def load(name, split, **more):
        asked.append((name, split, more))
        return Images(torch.arange(90, dtype=torch.uint8).view(90, 1, 1, 1), torch.arange(90) % 3)

    monkeypatch.setattr(presets, "load", load)
    base = replace(PRESETS["stl10"], read_size=128)
    for split, crops in (("pretrain", True), ("pretrain", False), ("train", True), ("train", False), ("test", False)):
        images_of(base, split, crops=crops)
    assert asked == [("stl10", split, {"image_size": side}) for split, side in [
        ("unlabeled", 128), ("unlabeled", 96), ("train", 128), ("train", 96), ("test", 96)
    ]]  # fmt: skip
    some = [images_of(replace(base, count=30), "train").images.flatten().tolist() for _ in range(2)]
    assert some[0] == some[1] != sorted(some[0]) and len(set(some[0])) == 30
    assert len(images_of(replace(base, count=900), "train")) == 90


def test_a_part_of_the_scenes_is_drawn_and_no_more():
    images = images_of(replace(PRESETS["demo"], count=7), "test")
    assert torch.equal(images.images, scenes("test", count=7).images)


@pytest.fixture
def pretraining(monkeypatch):
    """What a pretraining was begun with, instead of being done: its images, then its method and its settings."""
    seen = []

    def look(base, split, **more):
        seen.append((base.data, base.split, base.image_size, base.read_size, split, more["crops"]))
        return scenes(count=300, image_size=32)

    monkeypatch.setattr("minimim.commands.pretrain.images_of", look)

    def begin(method, images, config, **more):
        seen.extend([method.spec, config])
        return Run([], 1, 1, 0.0, None, True)

    monkeypatch.setattr("minimim.commands.pretrain.train", begin)
    return seen


@pytest.mark.parametrize("name, data, split", [("stl10", "stl10", "unlabeled"), ("imagenette-128", "imagenette", "train")])
def test_a_preset_on_other_sizes_keeps_its_part_of_the_data(pretraining, capsys, name, data, split):
    code, *_ = ask(capsys, "pretrain", "--preset", name, "--image-size", 64, "--batch-size", 64, "--size", "micro")
    images, spec, config = pretraining
    assert code == 0 and images == (data, split, 64, None, "pretrain", True)  # not read larger than it is wanted
    assert spec["image_size"] == (64, 64) and spec["patch_size"] == PRESETS[name].patch_size and spec["size"] == "micro"
    assert config == replace(PRESETS[name].train, batch_size=64)


def test_a_preset_on_other_data_takes_its_train_part(pretraining, capsys):
    code, *_ = ask(capsys, "pretrain", "--preset", "stl10", "--data", "fashion", "--batch-size", 64, "--size", "micro")
    assert code == 0 and pretraining[0] == ("fashion", "train", 96, None, "pretrain", True)


def test_another_method_keeps_a_presets_data_and_sizes_and_brings_its_own_options_and_schedule(pretraining, capsys):
    code, *_ = ask(capsys, "pretrain", "--preset", "demo", "--method", "simmim", "--batch-size", 64)
    _, spec, config = pretraining
    own = create("simmim", **PRESETS["demo"].sizes)
    assert code == 0 and spec == own.spec and config == replace(own.defaults, batch_size=64) != PRESETS["demo"].train


@pytest.mark.parametrize("side, read", [(128, 160), (64, None)])
def test_images_to_probe_by_come_at_the_methods_own_size(monkeypatch, side, read):
    asked = []
    monkeypatch.setattr("minimim.commands.probe.images_of", lambda base, split, **more: asked.append((split, base.image_size, base.read_size, more)))
    method = SimpleNamespace(spec={"image_size": [side, side], "patch_size": 16})
    labelled(SimpleNamespace(shots=0, image_size=None), PRESETS["imagenette-128"], method, 0, crops=True)
    assert asked == [("train", (side, side), read, {"crops": True}), ("test", (side, side), read, {})]


@pytest.mark.parametrize("name, crop, asked", [("imagenette-128", 0.08, [True]), ("imagenette-128", 1.0, []), ("cifar10", 0.08, [])])
def test_the_papers_probe_cuts_its_crops_from_images_that_are_read_larger(monkeypatch, name, crop, asked):
    base, seen, given = PRESETS[name], [], []
    base = replace(base, probe=replace(base.probe, crop=crop))

    def larger(command, base, method, seed, *, crops):
        seen.append(crops)
        return "larger", None

    monkeypatch.setattr("minimim.commands.probe.labelled", larger)
    monkeypatch.setattr("minimim.commands.probe.evaluate.official_probe", lambda encoder, train, test, config: given.append((train, test, config.crop)))
    Probe().official(SimpleNamespace(encoder=SimpleNamespace(cls_token=None)), "train", "test", base)
    assert seen == asked and given == [("larger" if asked else "train", "test", crop)]


@pytest.mark.parametrize("name, says", [("imagenet", "set MINIMIM_IMAGENET"), ("cifar10", "could not be downloaded"), ("stl10", "could not be downloaded")])
def test_a_preset_whose_data_are_missing_says_so_in_a_sentence(capsys, name, says):
    code, _, complaint = ask(capsys, "pretrain", "--preset", name)
    assert code == 2 and says in complaint and complaint.startswith("minimim: ") and complaint.count("\n") == 1


def test_an_unknown_preset_is_told_with_the_near_one():
    with pytest.raises(UserError, match="did you mean 'imagenet'"):
        preset("imagnet")


# In a minute on a CPU


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_seen_to_work(capsys, monkeypatch, name):
    shortened = presets.shortened
    monkeypatch.setattr(presets, "shortened", lambda base: replace(shortened(base), count=32))
    common, batch = ("--preset", name, "--fast", "--epochs", 1, "--device", "cpu"), ("--batch-size", 16)
    for stage, more, says in [
        ("pretrain", batch, f"next: minimim probe --preset {name} --fast --floors"),
        ("probe", ("--protocol", "both", "--floors", "--out", "probe.json"), "official protocol"),
        ("finetune", ("--out", "tuned", *batch), "fine-tuned from the pretrained encoder"),
    ]:
        code, told, _ = ask(capsys, stage, *common, *more)
        assert code == 0 and says in told, (stage, told)
        stand_in = f"{PRESETS[name].data} is not on this machine: the bundled scenes take its place" in told
        assert stand_in == (PRESETS[name].data != "scenes"), stage
    figures = json.loads(Path("probe.json").read_text())["figures"]
    assert set(figures) == {"linear_probe", "knn", "official"} and set(figures["knn"]) == {"pretrained", "random_init", "raw_pixels"}
    assert figures["knn"]["pretrained"]["n"] == 32
    kept = json.loads(Path("tuned/figures.json").read_text())
    assert kept["config"] == json.loads(json.dumps(asdict(replace(preset(name, fast=True).finetune, epochs=1.0, batch_size=16, device="cpu"))))
