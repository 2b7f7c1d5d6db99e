"""SupMAE: an MAE of one decoder block, and a head that names the class from the visible patches alone."""

import math

import pytest
import torch
from helpers import build, calls, generator, raw
from torch import nn

from minimim.data import Images
from minimim.data.views import normalize
from minimim.errors import UserError


def inputs(n=4):
    return {"image": normalize(raw(n)).double(), "label": torch.tensor([3, 0, 9, 3, 7, 1])[:n]}


def test_the_loss_is_the_maes_and_a_hundredth_of_the_cross_entropy_of_a_tenth_of_the_scores():
    method, x = build("supmae").double().eval(), inputs()
    head = calls(method.decoder.decoders["head"])
    output = method(x, generator=generator())
    scores = head[0][1]["label"].tolist()
    errors = []
    for row, label in zip(scores, x["label"].tolist(), strict=True):
        row = [s / 10 for s in row]
        errors.append(math.log(sum(math.exp(s) for s in row)) - row[label])
    expected = output.metrics["patch"].item() + 0.01 * sum(errors) / 4
    assert output.loss.item() == pytest.approx(expected, rel=1e-12)
    assert output.metrics["label"].item() == pytest.approx(sum(errors) / 4, rel=1e-12)


def test_the_class_is_told_from_the_mean_of_the_visible_patches_without_cls():
    method, x = build("supmae").double().train(), inputs(6)
    method.views.eval()
    encoder, head = calls(method.encoder), calls(method.decoder.decoders["head"])
    method(x, generator=generator())
    latents = encoder[0][1].patches  # (6, 4, D): of 16
    assert latents.shape[1] == 4
    module = method.decoder.decoders["head"]
    hidden = latents.mean(dim=1) @ module.fc1.weight.T + module.fc1.bias
    norm = nn.BatchNorm1d(hidden.shape[1]).double()
    norm.load_state_dict({"num_batches_tracked": torch.tensor(0), **{k: v for k, v in build("supmae").decoder.decoders["head"].norm.state_dict().items()}})
    scores = norm.train()(hidden).relu() @ module.fc2.weight.T + module.fc2.bias
    torch.testing.assert_close(head[0][1]["label"], scores, atol=1e-9, rtol=1e-7)


def test_the_decoder_that_paints_is_one_block_and_the_label_reaches_the_encoder():
    method, x = build("supmae", class_weight=1.0).double().eval(), inputs()
    assert len(method.decoder.decoders["patch"].blocks) == 1
    method.terms[0].weight = 0.0
    method(x, generator=generator()).loss.backward()
    weight = method.encoder.blocks[0].attn.qkv.weight
    assert weight.grad.abs().max() > 0
    assert all(p.grad is None or not p.grad.any() for p in method.decoder.decoders["patch"].parameters())


def test_labels_are_needed_and_must_have_a_score():
    method = build("supmae", classes=3)
    assert method.needs == ("label",)
    with pytest.raises(UserError, match="learns from labels"):
        method(raw(), generator=generator())
    with pytest.raises(UserError, match="have 6 classes and this method was built for 3"):
        method.prepare(Images(raw(6), torch.arange(6)))
    method.prepare(Images(raw(6), torch.arange(6) % 3))
