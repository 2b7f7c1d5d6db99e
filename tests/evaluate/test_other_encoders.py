"""Encoders in stages are probed, fine-tuned, diagnosed and drawn by what was written for a ViT."""

import pytest
import torch
from helpers import build, raw, toy
from PIL import Image
from torch import nn

import minimim
from minimim.cli import main
from minimim.commands.weights import Start, begin
from minimim.diagnose import gradient_by_block
from minimim.errors import UserError
from minimim.evaluate import (
    FinetuneConfig,
    OfficialConfig,
    attentive_probe,
    extract,
    finetune,
    knn,
    linear_probe,
    load_classifier,
    official_probe,
    sweep,
)
from minimim.evaluate.finetune import classifier, groups
from minimim.methods import create
from minimim.norms import BatchNorm
from minimim.train import checkpoint

ENCODERS = [("simmim", {"encoder": "swin"}), ("spark", {}), ("spark", {"encoder": "resnet"})]
each = pytest.mark.parametrize("name, more", ENCODERS, ids=["swin", "convnext", "resnet"])


def settings(**more):
    return FinetuneConfig(**{"epochs": 4, "batch_size": 8, "lr": 1e-2, "device": "cpu", "log_every": 1, **more})


def tune(encoder, out=None, resume=False, **more):
    return finetune(encoder, toy(24), toy(16, seed=1), settings(**more), out=out, resume=resume, bar=False)


# Fine-tuning


@each
def test_it_is_fine_tuned_and_comes_back(name, more, tmp_path):
    encoder = build(name, **more).encoder
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    score = tune(encoder, tmp_path)
    assert score.value > 0.9
    assert all(torch.equal(tensor, before[key]) for key, tensor in encoder.state_dict().items())  # a copy was tuned
    again = load_classifier(tmp_path)
    test = toy(16, seed=1)
    right = again.scores(test.images).argmax(1) == test.labels
    assert float(right.float().mean()) == pytest.approx(score.value)


@each
def test_a_stopped_fine_tuning_goes_on_to_the_same_weights(name, more, tmp_path):
    encoder = build(name, **more).encoder
    tune(encoder, tmp_path / "whole", epochs=2)
    assert tune(encoder, tmp_path / "parts", epochs=2, max_minutes=1e-9) is None  # the clock stops it after a look
    tune(encoder, tmp_path / "parts", resume=True, epochs=2)
    whole, parts = (checkpoint.read(tmp_path / part)[0] for part in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[key], parts[key]) for key in whole)


@each
def test_each_earlier_block_learns_more_slowly_and_what_is_in_no_block_slowest(name, more):
    one = classifier(build(name, **more).encoder, 3, config := settings(layer_decay=0.5, weight_decay=0.1))
    depth = len(one.encoder.blocks)
    given = {id(p): (g["scale"], g["weight_decay"]) for g in groups(one, config) for p in g["params"]}
    assert len(given) == sum(p.requires_grad for p in one.parameters())
    for key, p in one.named_parameters():
        if key == "encoder.mask_token":
            assert not p.requires_grad and id(p) not in given
            continue
        parts = key.split(".")
        if parts[:2] == ["encoder", "blocks"]:
            scale = 0.5 ** (depth - int(parts[2]))
        elif key.startswith(("head.", "encoder.norm.")):
            scale = 1.0
        else:
            assert key.startswith(("encoder.stem", "encoder.patch_")), key
            scale = 0.5 ** (depth + 1)
        bare = key.endswith(("bias", "gamma", "attn.table")) or "norm" in parts[-2] or parts[-3:-1] in (["halve", "0"], ["shortcut", "1"])
        assert given[id(p)] == (scale, 0.0 if bare else 0.1), key


@each
@pytest.mark.parametrize("blocks", [0, 1])
def test_frozen_blocks_stay_as_they_were_their_statistics_too(name, more, blocks, tmp_path):
    encoder = build(name, **more).encoder
    with torch.no_grad():
        for buffer in encoder.buffers():
            buffer.add_(0.1)
    tune(encoder, tmp_path, blocks=blocks, epochs=1)
    after, depth = checkpoint.read(tmp_path)[0], len(encoder.blocks)
    for key, before in encoder.state_dict().items():
        parts = key.split(".")
        learns = parts[0] == "blocks" and int(parts[1]) >= depth - blocks or parts[0] == "norm" and blocks > 0
        assert torch.equal(after[f"method.encoder.{key}"], before) != learns, key


@each
def test_paths_are_dropped_in_all_its_blocks(name, more):
    one = classifier(build(name, **more).encoder, 2, settings(drop_path=0.3))
    depth = len(one.encoder.blocks)
    assert [block.drop_path.rate for block in one.encoder.blocks] == pytest.approx([0.3 * i / (depth - 1) for i in range(depth)])
    one.train()
    torch.manual_seed(0)
    first = one.scores(raw())
    torch.manual_seed(1)
    assert not torch.equal(one.scores(raw()), first)


def test_blocks_that_can_drop_no_path_are_left_as_they_are():
    encoder = build("mae").encoder
    for block in encoder.blocks:
        del block.drop_path
        block.forward = lambda x: x
    assert classifier(encoder, 2, settings()).scores(raw()).shape == (4, 2)


def test_batch_norms_of_an_encoder_refuse_accumulation_only_where_they_look_at_the_batch():
    encoder = build("spark", encoder="resnet").encoder
    with pytest.raises(UserError, match="BatchNorm of this method looks at all images"):
        tune(encoder, accumulate=2)
    assert tune(encoder, accumulate=2, blocks=0, epochs=1) is not None
    assert tune(build("spark").encoder, accumulate=2, epochs=1) is not None


# Probes


@each
def test_every_probe_reads_it(name, more):
    encoder = build(name, **more).encoder
    train, test = toy(24), toy(16, seed=1)
    pair = [extract(encoder, images) for images in (train, test)]
    assert pair[0].x.shape == (24, 128) and pair[0].x.isfinite().all()
    assert linear_probe(*pair).value > 0.9 and knn(*pair).value > 0.6
    tokens = [extract(encoder, images, pool="patches") for images in (train, test)]
    assert tokens[0].x.shape == (24, 16, 128) and attentive_probe(*tokens, steps=20).value > 0.5
    rows = sweep(encoder, train, test, pools=("mean",))
    assert [row["layer"] for row in rows] == list(range(encoder.depth))
    assert extract(encoder, train, layer=0).x.shape == (24, 64)  # the width of the first stage


@each
def test_the_official_probe_leaves_it_alone(name, more):
    encoder = build(name, **more).encoder.train()
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    config = OfficialConfig(epochs=2, batch_size=8, pool="mean", device="cpu")
    assert official_probe(encoder, toy(24), toy(16, seed=1), config, bar=False).n == 16
    assert all(torch.equal(tensor, before[key]) for key, tensor in encoder.state_dict().items())


def test_a_cls_token_that_is_not_there_is_told():
    with pytest.raises(UserError, match='no CLS token: use pool="mean"'):
        tune(build("spark").encoder, pool="cls")


@each
def test_gradients_are_told_block_by_block(name, more):
    method = build(name, **more)
    told = gradient_by_block(method, raw())
    assert len(told) == method.encoder.depth and all(norm > 0 for norm in told)


# Commands


@each
def test_weights_begin_another_run_of_the_same_encoder_at_another_size(name, more):
    trained, fresh = build(name, **more), create(name, image_size=32, **more)
    assert begin(fresh, Start(trained, "there")) == "all weights"
    assert torch.equal(fresh.eval().encoder.features(raw()), trained.eval().encoder.features(raw()))


@pytest.mark.parametrize("one, two", [(("simmim", {"encoder": "swin"}), ("simmim", {})), (("mae", {}), ("spark", {})), (ENCODERS[1], ENCODERS[0])])
def test_weights_of_another_kind_of_encoder_are_refused(one, two):
    trained, method = (create(name, image_size=16, **more) for name, more in (one, two))
    theirs, ours = (type(each.encoder).__name__ for each in (trained, method))
    with pytest.raises(UserError, match=f"are of a {theirs}, and the encoder of {two[0]} here is a {ours}"):
        begin(method, Start(trained, "there"))
    with pytest.raises(UserError, match="do not fit spark"):
        begin(create("spark", image_size=16), Start(create("spark", image_size=16, encoder="resnet"), "there"))


@pytest.mark.parametrize("channels", [1, 3])
@each
def test_pictures_are_filled_in(name, more, channels, tmp_path, capsys):
    minimim.save(tmp_path / "it.safetensors", build(name, channels=channels, **more))
    Image.fromarray(raw()[0].permute(1, 2, 0).numpy()).save(tmp_path / "picture.png")
    words = [str(tmp_path / "picture.png"), "--checkpoint", str(tmp_path / "it.safetensors"), "--out", str(tmp_path / "out.png"), "--device", "cpu"]
    assert main(["fill", *words]) == 0, capsys.readouterr().err
    assert Image.open(tmp_path / "out.png").width > 3 * 16


def test_what_is_tested_here_has_the_batch_norms_that_it_is_about():
    count = {str(more): sum(isinstance(m, BatchNorm) for m in build(name, **more).encoder.modules()) for name, more in ENCODERS}
    assert list(count.values()) == [0, 0, 6] and not any(isinstance(m, nn.BatchNorm2d) for m in build("spark").modules())
