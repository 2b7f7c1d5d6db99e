"""MAE-GAN: the painter and the judge learn in one backward, and neither spoils what the other is."""

import copy
import math

import pytest
import torch
from helpers import build, calls, generator, raw
from torch import nn

from minimim.data.views import normalize
from minimim.losses.adversary import Adversary
from minimim.patches import patchify, unpatchify
from minimim.train import TrainConfig
from minimim.train.step import adamw


def ready(**more):
    return build("maegan", **more).double().eval(), normalize(raw(3)).double()


def softplus(x):
    return math.log1p(math.exp(-abs(x))) + max(x, 0)


def picture_of(output, x):
    """The image with the painted patches in it."""
    patches = torch.where(output.mask.unsqueeze(-1), output.prediction, patchify(x, 4))
    return unpatchify(patches, 4, (4, 4)).detach()


def adversary(method):
    return method.losses[0]


def test_the_loss_is_the_maes_and_what_the_two_players_want_of_the_whole_picture():
    method, x = ready(fool_weight=0.3, judge_weight=0.2)
    output = method(x, generator=generator())
    realness = adversary(method).judge(method.encoder(picture_of(output, x)).patches).squeeze(-1).tolist()
    fooled, judged = [], []
    for row, painted in zip(realness, output.mask.tolist(), strict=True):
        for d, p in zip(row, painted, strict=True):
            judged.append(softplus(d) if p else softplus(-d))
            fooled += [softplus(-d)] if p else []
    paint = (output.prediction - patchify(x, 4)).square().mean(-1)[output.mask].mean().item()
    assert len(fooled) == 36 and len(judged) == 48
    expected = paint + 0.3 * sum(fooled) / 36 + 0.2 * sum(judged) / 48
    assert output.loss.item() == pytest.approx(expected, rel=1e-9)


def gradients(module):
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in module.named_parameters() if p.requires_grad}


def test_the_painter_learns_against_a_judge_that_stands_still():
    method, x = ready(fool_weight=1.0, judge_weight=0.0)
    method.terms[0].weight = 0.0
    method(x, generator=generator()).loss.backward()
    other, frozen = ready()[0], copy.deepcopy(method).requires_grad_(False)
    (mask,) = other.masking({"image": x}, (4, 4), generator=generator())
    prediction = other.decoder(other.encoder(x, mask), mask)["patch"]
    picture = unpatchify(torch.where(mask.hidden.unsqueeze(-1), prediction, patchify(x, 4)), 4, (4, 4))
    realness = adversary(frozen).judge(frozen.encoder(picture).patches).squeeze(-1)
    nn.functional.softplus(-realness)[mask.hidden].mean().backward()
    for part in ("encoder", "decoder"):
        expected, found = gradients(getattr(other, part)), gradients(getattr(method, part))
        assert max(g.abs().max() for g in expected.values()) > 1e-6
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, atol=1e-12, rtol=1e-6, msg=name)
    assert all(p.grad is None or not p.grad.any() for p in adversary(method).judge.parameters())


def test_the_judge_learns_from_pictures_that_stand_still():
    method, x = ready(fool_weight=0.0, judge_weight=1.0)
    method.terms[0].weight = 0.0
    output = method(x, generator=generator())
    output.loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in method.decoder.parameters())
    other = ready()[0]
    realness = adversary(other).judge(other.encoder(picture_of(output, x)).patches).squeeze(-1)
    nn.functional.binary_cross_entropy_with_logits(realness, (~output.mask).double()).backward()
    for part, twin in ((method.encoder, other.encoder), (adversary(method).judge, adversary(other).judge)):
        expected, found = gradients(twin), gradients(part)
        assert max(g.abs().max() for g in expected.values()) > 1e-6  # the encoder is shared, and learns to judge
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, atol=1e-12, rtol=1e-6, msg=name)


def test_the_judge_is_a_player_of_its_own_and_the_encoder_is_not():
    method, _ = ready(judge_rate=0.5)
    groups = adamw(method, TrainConfig()).param_groups
    theirs = {id(p) for group in groups if group.get("player") == "Judge" for p in group["params"]}
    assert theirs == {id(p) for p in adversary(method).judge.parameters()}
    assert {group["scale"] for group in groups if "player" in group} == {0.5}
    assert not any(name.startswith("losses.0.encoder") for name in method.state_dict())
    copied = copy.deepcopy(method)
    assert adversary(copied).encoders[0] is copied.encoder


def test_real_patches_reach_the_judge_as_they_are_and_nothing_is_kept_after_a_step():
    method, x = ready()
    seen = calls(method.encoder)
    output = method(x, generator=generator())
    pictures = [args[0] for args, _ in seen if isinstance(args[0], torch.Tensor)]
    assert len(pictures) == 2
    for picture in pictures:
        patches = patchify(picture, 4)
        assert torch.equal(patches[~output.mask], patchify(x, 4)[~output.mask])
        torch.testing.assert_close(patches[output.mask], output.prediction[output.mask])
    assert adversary(method).fakes == [] and adversary(method).own_loss() is None


def test_a_judge_that_learns_alone_tells_the_painted_from_the_real():
    torch.manual_seed(0)
    method, x = ready()
    loss = Adversary(method.encoder, weight=1.0).double()
    target, where = patchify(x, 4), torch.arange(16).expand(3, -1) % 2 == 0
    optimizer = torch.optim.Adam([*method.encoder.parameters(), *loss.parameters()], 1e-3)
    said = []
    for _ in range(15):
        loss(torch.zeros_like(target), target, where)
        value = loss.own_loss()
        said.append(value.item())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert said[-1] < 0.2 < said[0]
