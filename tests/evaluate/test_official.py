"""The linear probe as papers do it: LARS against a slow loop, the head, its schedule, and that it stops and resumes."""

import math
import os
import signal

import pytest
import torch
from helpers import build, generator, toy
from torch import nn

from minimim import checkpoint
from minimim.errors import UserError
from minimim.evaluate import OfficialConfig, classify, official, official_probe
from minimim.evaluate.classify import Classifier, judge, linear_head
from minimim.evaluate.official import LARS
from minimim.train import logbook

RATE = 6.4 * 256 / 8  # so that batches of 8 learn at the paper's rate


def settings(**more):
    return OfficialConfig(**{"epochs": 6, "batch_size": 8, "device": "cpu", "log_every": 1, "crop": 0.5, **more})


def probe(encoder, out=None, resume=False, **more):
    return official_probe(encoder, toy(16), toy(12, seed=1), settings(**more), out=out, resume=resume, bar=False)


# LARS


def length(rows):
    return math.sqrt(sum(value * value for row in rows for value in row))


def papers_step(w, v, g, rate, decay, trust=0.001, momentum=0.9):
    """One step of the paper's algorithm 1 on a matrix, in plain numbers: v ← m·v + γ·λ·(g + β·w), w ← w − v, where
    λ = trust·‖w‖ / (‖g‖ + β·‖w‖). Returns w and v."""
    local = trust * length(w) / (length(g) + decay * length(w)) if length(w) and length(g) else 1.0
    v = [[momentum * b + rate * local * (c + decay * a) for a, b, c in zip(*rows, strict=True)] for rows in zip(w, v, g, strict=True)]
    return [[a - b for a, b in zip(*rows, strict=True)] for rows in zip(w, v, strict=True)], v


def maes_step(w, v, g, rate, decay):
    """The same, where decay is a part of the gradient: λ = trust·‖w‖ / ‖g + β·w‖."""
    return papers_step(w, v, [[c + decay * a for a, c in zip(*rows, strict=True)] for rows in zip(w, g, strict=True)], rate, 0.0)


@pytest.mark.parametrize("step, decay", [(papers_step, 0.0), (maes_step, 0.0), (maes_step, 0.3)])
def test_lars_steps_on_a_matrix_as_the_paper_has_it_and_on_a_bias_plainly(step, decay):
    weight, bias = (nn.Parameter(torch.randn(*shape, generator=generator(), dtype=torch.float64)) for shape in ((3, 4), (3,)))
    w, v, b, u = weight.tolist(), [[0.0] * 4] * 3, bias.tolist(), [0.0] * 3
    lars = LARS([weight, bias], lr=0.5, weight_decay=decay)
    for number in range(4):
        gradients = [torch.randn(p.shape, generator=generator(number), dtype=torch.float64) for p in (weight, bias)]
        weight.grad, bias.grad = gradients
        lars.step()
        w, v = step(w, v, gradients[0].tolist(), 0.5, decay)
        u = [0.9 * former + g for former, g in zip(u, gradients[1].tolist(), strict=True)]
        b = [value - 0.5 * former for value, former in zip(b, u, strict=True)]
    torch.testing.assert_close(weight.detach(), torch.tensor(w, dtype=torch.float64))
    torch.testing.assert_close(bias.detach(), torch.tensor(b, dtype=torch.float64))


def test_a_first_step_has_a_length_that_no_gradient_changes():
    for scale in (1e-6, 1.0, 1e6):
        weight = nn.Parameter(torch.randn(5, 4, generator=generator()))
        before, weight.grad = weight.detach().clone(), scale * torch.randn(5, 4, generator=generator(1))
        LARS([weight], lr=0.2).step()
        assert float((weight.detach() - before).norm()) == pytest.approx(0.2 * 0.001 * float(before.norm()), rel=1e-4)


@pytest.mark.parametrize("weight, gradient", [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_a_matrix_or_a_gradient_of_zeros_takes_a_plain_step(weight, gradient):
    p = nn.Parameter(torch.full((2, 3), weight))
    p.grad = torch.full((2, 3), gradient)
    LARS([p], lr=0.5).step()
    assert torch.equal(p.detach(), torch.full((2, 3), weight - 0.5 * gradient))


@pytest.mark.parametrize("first", [True, False])
def test_a_step_that_was_not_finite_leaves_weights_and_momentum_as_they_were(first):
    weight, bias = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    lars = LARS([weight, bias], lr=0.1, weight_decay=0.1)

    def step(gradient, bad):
        weight.grad, bias.grad = torch.full((2, 2), gradient), torch.full((2,), gradient)
        lars.found_inf = torch.tensor(float(bad))
        lars.step()
        momentum = [lars.state[p]["momentum"].clone() for p in (weight, bias)]
        return [weight.detach().clone(), bias.detach().clone(), *momentum]

    before = [torch.ones(2, 2), torch.ones(2), torch.zeros(2, 2), torch.zeros(2)] if first else step(2.0, False)
    for bad in (math.nan, math.inf, 3.0):
        assert all(torch.equal(a, b) for a, b in zip(step(bad, True), before, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(step(2.0, False), before, strict=True))


# The head


@pytest.fixture
def models(monkeypatch):
    """The models that come out of each probe."""
    seen = []
    monkeypatch.setattr(classify, "judge", lambda model, *args, **more: seen.append(model) or judge(model, *args, **more))
    return seen


def test_the_head_starts_near_zero():
    torch.manual_seed(0)
    head = linear_head(1000, 100)
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.02) and not head.bias.any()


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_the_head_is_a_norm_without_scale_and_shift_and_a_linear_map_on_what_the_encoder_gives(models, pool):
    encoder = build("mae").encoder
    before = {n: t.clone() for n, t in encoder.state_dict().items()}
    score = probe(encoder, pool=pool)
    (one,) = models
    norm, linear = one.head
    assert isinstance(norm, nn.BatchNorm1d) and not norm.affine and list(norm.parameters()) == [] and norm.eps == 1e-6
    assert norm.num_batches_tracked == 12 and norm.running_mean.abs().max() > 0.01 and not torch.equal(norm.running_var, torch.ones(128))
    test = toy(12, seed=1)
    features = encoder.eval().features(test.images, pool=pool)
    spread = (norm.running_var + 1e-6).sqrt()
    expected = ((features - norm.running_mean) / spread) @ linear.weight.T + linear.bias
    torch.testing.assert_close(one.eval().scores(test.images), expected, atol=1e-4, rtol=1e-4)
    assert score.value == float((expected.argmax(1) == test.labels).double().mean())
    for weights in (encoder.state_dict(), one.encoder.state_dict()):
        assert all(torch.equal(t, before[n]) for n, t in weights.items())


def test_the_head_starts_from_the_seed_and_its_images_are_cut_as_wanted(models):
    encoder = build("mae").encoder
    for seed, crop in ((0, 0.5), (0, 1.0), (1, 0.5)):
        probe(encoder, epochs=1, lr=1e-9, seed=seed, crop=crop, flip=crop < 1)
    first, whole, other = (one.head[1].weight for one in models)
    assert torch.allclose(first, whole, atol=1e-6) and not torch.allclose(first, other, atol=1e-3)
    assert [(one.views.scale, one.views.flip) for one in models] == [((0.5, 1.0), True), (None, False), ((0.5, 1.0), True)]


def test_in_training_the_norm_takes_the_statistics_of_the_batch():
    torch.manual_seed(0)
    head = nn.Sequential(nn.BatchNorm1d(128, affine=False, eps=1e-6), linear_head(128, 2))
    encoder, images = build("mae").encoder, toy(10).images
    one = Classifier(encoder, head, views=None, pool="cls", optimizer_of=None, spec={}, frozen=True).train()
    x = encoder.features(images, pool="cls").detach()
    spread = ((x - x.mean(0)).square().mean(0) + 1e-6).sqrt()
    expected = (x - x.mean(0)) / spread @ head[1].weight.T
    torch.testing.assert_close(one.scores(images), expected, atol=1e-5, rtol=1e-4)


# A whole run


def test_what_can_be_told_is_told_and_everything_else_is_left_alone():
    encoder = build("mae", image_size=16).encoder
    for block in encoder.blocks:
        block.drop_path.rate = 0.5  # of no effect: the encoder does not learn
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    score = probe(encoder, epochs=20, lr=RATE)
    assert torch.equal(torch.rand(2), expected)
    assert score.value > 0.9 and score.n == 12 and score.details["steps"] == 40 and score.details["loss"] < math.log(2)
    for block in encoder.blocks:
        block.drop_path.rate = 0.0
    assert probe(encoder, epochs=20, lr=RATE) == score
    assert probe(encoder, epochs=20, lr=RATE, seed=1).details["loss"] != score.details["loss"]
    assert encoder.training and all(p.grad is None and p.requires_grad == (n != "pos_embed") for n, p in encoder.named_parameters())


def test_each_step_is_taken_at_the_schedules_rate_on_the_head_alone(monkeypatch):
    rates, step = [], LARS.step

    def watched(self, *args):
        (group,) = self.param_groups
        rates.append(group["lr"])
        assert [tuple(p.shape) for p in group["params"]] == [(2, 128), (2,)]
        assert (group["momentum"], group["trust"], group["weight_decay"]) == (0.9, 0.001, 0.0)
        return step(self, *args)

    monkeypatch.setattr(official.LARS, "step", watched)
    probe(build("mae").encoder, epochs=2, lr=0.4, warmup=0.5)
    peak = 0.4 * 8 / 256
    assert rates == pytest.approx([peak / 2, peak, peak, peak * (1 + math.cos(math.pi / 2)) / 2])


def test_a_batch_that_is_more_than_the_images_is_cut_to_them_and_keeps_its_rate(tmp_path):
    score = probe(build("mae").encoder, tmp_path, epochs=2, batch_size=512, lr=3.2, warmup=0.0)
    first, _ = (line["lr"] for line in logbook.read_metrics(tmp_path))
    assert score.details["steps"] == 2 and first == pytest.approx(6.4)


def test_by_default_small_sets_have_the_learning_rate_of_the_paper():
    config = OfficialConfig()
    assert config.lr * config.batch_size == pytest.approx(0.1 * 16384)
    assert (config.epochs, config.weight_decay, config.pool) == (90, 0.0, "cls") and config.warmup * config.epochs == pytest.approx(10)


def test_a_probe_that_is_stopped_and_resumed_ends_bit_for_bit_as_one_that_was_not(tmp_path, monkeypatch):
    straight = probe(build("mae").encoder, tmp_path / "straight")
    calls = []

    def press(self, progress):
        calls.append(progress)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "after_step", press)
        assert probe(build("mae").encoder, tmp_path / "stopped") is None
    about = checkpoint.read(tmp_path / "stopped")[1]
    assert about["step"] == 5 and probe(build("mae").encoder, tmp_path / "stopped", resume=True) == straight
    one, two = (checkpoint.read(tmp_path / name)[0] for name in ("straight", "stopped"))
    assert one.keys() == two.keys() and {"method.head.0.running_var", "optimizer.0.momentum"} <= one.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    for name, value in (("crop", 0.9), ("flip", False), ("pool", "mean")):
        with pytest.raises(UserError, match=f"was begun with {name}={getattr(settings(), name)}, not {value}: "):
            probe(build("mae").encoder, tmp_path / "stopped", resume=True, **{name: value})


@pytest.mark.parametrize("more, says", [({"crop": 0}, "crop must be above 0"), ({"crop": 1.5}, "crop must be"), ({"pool": "patches"}, "one vector")])
def test_what_cannot_be_is_refused_in_a_sentence(more, says):
    with pytest.raises(UserError, match=says):
        probe(build("mae").encoder, **more)
