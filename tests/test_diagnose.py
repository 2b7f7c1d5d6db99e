"""Verdicts: healthy things are called healthy, sick ones by the name of what ails them, and nothing is changed by looking."""

import copy
import math

import pytest
import torch
from helpers import build, generator, raw
from torch import nn

from minimim import bundled, data, load
from minimim.data.views import normalize
from minimim.diagnose import baseline, checkup, collapse, gradient_by_block, leak, mismatch, relative_std, stability
from minimim.errors import UserError
from minimim.evaluate import Features
from minimim.hole_filler import HoleFiller
from minimim.layers import Block
from minimim.losses import Term, l2
from minimim.masking import Mask, RandomMasking
from minimim.patches import patchify, take

NAMES = ["mae", "simmim", "data2vec", "ibot", "hpm"]


# Features


def test_the_relative_standard_deviation_is_that_of_a_slow_loop():
    x = torch.randn(20, 6) + 2
    mean = sum(x) / 20
    apart = sum(float((row - mean) @ (row - mean)) for row in x)
    length = sum(float(row @ row) for row in x)
    assert relative_std(x) == pytest.approx(math.sqrt(apart / length), rel=1e-5)


def test_the_relative_standard_deviation_runs_from_all_alike_to_no_common_part_and_knows_no_scale():
    x = torch.randn(50, 8)
    assert relative_std(torch.ones(50, 8)) == pytest.approx(0, abs=1e-6) and relative_std(torch.zeros(5, 8)) == 0
    assert relative_std(x - x.mean(0)) == pytest.approx(1, abs=1e-6)
    assert relative_std(100 * x + 700) == pytest.approx(relative_std(x + 7), rel=1e-4)


def test_features_in_many_directions_are_healthy_whatever_they_share():
    verdict = collapse(torch.randn(300, 32) + 3)
    assert verdict.healthy and str(verdict) == verdict.words and "no collapse" in verdict.words
    assert verdict.numbers["effective_rank"] > 25


def test_images_that_are_all_alike_have_collapsed():
    verdict = collapse(torch.randn(1, 32) + 1e-3 * torch.randn(300, 32))
    assert not verdict.healthy and "nearly the same" in verdict.words and verdict.numbers["effective_rank"] > 25


def test_images_on_a_line_have_collapsed_though_they_are_far_apart():
    verdict = collapse(torch.randn(300, 1) * torch.randn(1, 32) + 1e-3 * torch.randn(300, 32))
    assert not verdict.healthy and "few directions" in verdict.words and verdict.numbers["std"] > 0.5


@pytest.mark.parametrize("directions, healthy", [(6, False), (24, True)])
def test_a_random_encoder_says_how_many_directions_are_few(directions, healthy):
    features = torch.randn(300, directions) @ torch.randn(directions, 32)
    assert collapse(features).healthy
    assert collapse(features, random=torch.randn(300, 32)).healthy is healthy


def test_a_random_encoder_says_how_small_a_deviation_is_small():
    features = torch.randn(300, 32) + 10
    assert collapse(features).healthy and not collapse(features, random=torch.randn(300, 32)).healthy


# What the features are good for


def labelled(told: bool, n=400):
    """Features of 4 classes, which they tell or not, and a place, which they tell always: (train, test), places."""
    pairs, places = [], []
    for seed in (0, 1):
        g = generator(seed)
        labels, place = torch.arange(n) % 4, torch.randn(n, 2, generator=g)
        kind = torch.eye(4)[labels] if told else torch.randn(n, 4, generator=g)
        pairs.append(Features(torch.cat([kind, place], 1) + 0.05 * torch.randn(n, 6, generator=g), labels, "these"))
        places.append(place)
    return tuple(pairs), tuple(places)


def test_features_that_tell_classes_better_than_a_random_encoder_are_healthy():
    assert mismatch(labelled(True)[0], labelled(False)[0]).healthy


def test_features_that_know_where_and_not_what_show_a_mismatch():
    features, places = labelled(False)
    verdict = mismatch(features, features, places)
    assert not verdict.healthy and "task mismatch" in verdict.words and verdict.numbers["place"] > 0.9
    elsewhere = tuple(torch.randn(400, 2, generator=generator(9 + n)) for n in range(2))
    for verdict in (mismatch(features, features), mismatch(features, features, elsewhere)):
        assert not verdict.healthy and "task mismatch" not in verdict.words


# Leaks


@pytest.mark.parametrize("name", NAMES)
def test_no_recipe_leaks(name):
    verdict = leak(build(name).train(), raw(16))
    assert verdict.healthy, verdict.words
    assert verdict.numbers["moved"] == 0 and verdict.numbers["visible_credit"] == 0 and verdict.numbers["home"] > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_looking_for_a_leak_changes_nothing(name):
    method = build(name).train()
    before, state = copy.deepcopy(method.state_dict()), torch.get_rng_state()
    first, second = leak(method, raw()), leak(method, raw())
    assert first == second and method.training and not method.masking._forward_hooks
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in method.state_dict().items())
    assert all(p.grad is None for p in method.parameters())
    assert leak(method, raw(), generator(5)).numbers != first.numbers or first.numbers["home"] == 1


class Unshuffled(RandomMasking):
    """The encoder reads random patches, and the mask says that it read the first ones."""

    def forward(self, *args, **more):
        mask = super().forward(*args, **more)[0]
        hidden = torch.arange(mask.hidden.shape[1]).expand_as(mask.hidden) >= mask.visible
        return [Mask(hidden, order=mask.order, visible=mask.visible)]


def test_an_encoder_that_reads_what_the_mask_calls_hidden_is_found():
    method = build("mae")
    method.masking = Unshuffled(0.5)
    verdict = leak(method, raw(16))
    assert not verdict.healthy and "noise under the mask" in verdict.words and verdict.numbers["moved"] > 0.05


def test_a_faint_leak_is_found_too():
    method = build("simmim")
    embed = method.encoder.embed
    method.encoder.embed = lambda x, mask: embed(x, mask) + 0.01 * embed(x, None)
    verdict = leak(method, raw(16))
    assert not verdict.healthy and 1e-4 < verdict.numbers["moved"] < 0.2


@pytest.mark.parametrize("on", ["visible", "all"])
def test_credit_for_visible_places_is_found_and_measured(on):
    method = build("mae", mask_ratio=0.5, normalize_target=False)
    method.terms = [Term("patch", l2, on=on)]
    verdict = leak(method, raw(16))
    assert not verdict.healthy and "visible places" in verdict.words and verdict.numbers["moved"] == 0
    output = method.eval()(raw(16), generator=generator())
    error = (output.prediction - output.target).abs().sum(-1).detach()  # the slope of l2 is proportional to it
    share = 1.0 if on == "visible" else float(error[~output.mask].sum() / error.sum())
    assert verdict.numbers["visible_credit"] == pytest.approx(share, rel=1e-4)


def test_ids_that_are_not_restored_are_found():
    method = build("mae")

    def restore(x, mask):
        tokens = method.decoder.mask_token.expand(len(x), mask.hidden.shape[1] - x.shape[1], -1)
        return take(torch.cat([x, tokens], dim=1), mask.order)

    method.decoder.restore = restore
    verdict = leak(method, raw(64))
    assert not verdict.healthy and "ids are not restored" in verdict.words and verdict.numbers["moved"] == 0


def test_each_of_several_faults_is_named():
    method = build("mae")
    method.masking, method.terms = Unshuffled(0.5), [Term("patch", l2, on="all")]
    words = leak(method, raw(16)).words
    assert "noise under the mask" in words and "visible places" in words


# The hole-filler beside it


def slopes(batch, seed):
    """Images whose brightness is a slope, so that a neighbour gives away what comes next; as bytes."""
    slope, start = torch.rand(2, batch, 2, 1, 1, generator=generator(seed))
    line = torch.linspace(0, 1, 16)
    x = slope[:, :1] * line.view(1, 1, 16, 1) + slope[:, 1:] * line + start[:, :1]
    return (80 * x).expand(-1, 3, -1, -1).to(torch.uint8).contiguous()


class Says(nn.Module):
    """A decoder that answers with a function of the mask."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, encoded, mask=None, question=None):
        return {"patch": self.answer(mask.hidden)}


def saying(answer, ratio=0.25, **more):
    method = build("mae", normalize_target=False, mask_ratio=ratio, **more)
    method.decoder = Says(answer)
    return method


def test_what_beats_the_neighbours_is_healthy():
    train, test = slopes(200, 0), slopes(50, 1)
    patches = patchify(normalize(test), 4)
    verdict = baseline(saying(lambda hidden: patches + 0.001), train, test)
    assert verdict.healthy and verdict.numbers["over_hole_filler"] < 0.5
    assert verdict.numbers["error"] == pytest.approx(1e-6, rel=0.01)


def test_as_good_as_the_neighbours_means_too_little_masking_where_they_give_all_away():
    train, test = slopes(200, 0), slopes(50, 1)
    patches = patchify(normalize(test), 4)
    filler = HoleFiller(4).fit(train, RandomMasking(0.25), generator())  # the very one that `baseline` fits
    verdict = baseline(saying(lambda hidden: filler.fill(patches, hidden, (4, 4))), train, test)
    assert not verdict.healthy and "too little masking" in verdict.words
    assert verdict.numbers["over_hole_filler"] == pytest.approx(1, rel=1e-4) and verdict.numbers["given_away"] > 0.8


def test_worse_than_the_neighbours_means_too_little_training_where_they_give_nothing_away():
    train, test = raw(200), raw(50, seed=1)
    verdict = baseline(saying(lambda hidden: torch.full((50, 16, 48), 3.0)), train, test)
    assert not verdict.healthy and "trained too little" in verdict.words and verdict.numbers["given_away"] < 0.3


@pytest.mark.parametrize("normalized", [False, True])
def test_the_errors_are_those_of_a_walk_over_the_hidden_patches(normalized):
    train, test = slopes(100, 0), slopes(8, 1)
    method = build("mae", normalize_target=normalized)
    numbers = baseline(method.train(), train, test, generator(4)).numbers
    assert method.training
    g = generator(4)
    filler = HoleFiller(4).fit(train, method.masking, g)
    output = method.eval()(test, generator=g)
    patches = patchify(normalize(test), 4)
    filled = filler.fill(patches, output.mask, (4, 4))
    sums = torch.zeros(2)
    for b, n in output.mask.nonzero().tolist():
        wanted, guess = patches[b, n], filled[b, n]
        if normalized:
            wanted, guess = ((x - x.mean()) / (x.var() + 1e-6).sqrt() for x in (wanted, guess))
        sums += torch.stack([(output.prediction[b, n] - wanted).square().mean(), (guess - wanted).square().mean()]).detach()
    assert numbers["error"] == pytest.approx(float(sums[0] / output.mask.sum()), rel=1e-4)
    assert numbers["over_hole_filler"] == pytest.approx(float(sums[0] / sums[1]), rel=1e-4)


def test_a_method_that_predicts_features_has_no_hole_filler_beside_it():
    with pytest.raises(UserError, match="predicts LayerMean, not pixels"):
        baseline(build("data2vec"), raw(8), raw(8))


# The course of a run


class PostNorm(Block):
    def forward(self, x):
        x = self.norm1(x + self.attn(x))
        return self.norm2(x + self.mlp(x))


def test_gradients_by_block_are_those_of_backward_and_leave_none_behind():
    method = build("mae").train()
    found = gradient_by_block(method, raw(), generator())
    assert method.training and all(p.grad is None for p in method.parameters())
    method.eval()(normalize(raw()), generator=generator()).loss.backward()
    for norm, block in zip(found, method.encoder.blocks, strict=True):
        flat = torch.cat([p.grad.flatten() for p in block.parameters()])
        assert norm == pytest.approx(float(flat.norm()), rel=1e-4)


def course(*losses, norms=None, lr=None):
    lines = [{"step": 10 * (n + 1), "loss": loss, "grad_norm": 1.0} for n, loss in enumerate(losses)]
    for n, line in enumerate(lines):
        line |= {"grad_norm": norms[n]} if norms else {}
        line |= {"lr": lr[n]} if lr else {}
    return lines


FALLING = [2.0, 1.6, 1.3, 1.1, 1.0, 0.95, 0.9, 0.88, 0.86, 0.85]


def test_a_loss_that_comes_down_is_stable():
    verdict = stability(course(*FALLING))
    assert verdict.healthy and verdict.numbers["leap"] < 1 and verdict.numbers["fall"] == pytest.approx(1 - 0.855 / 1.2)


def test_noise_is_no_leap_and_looks_of_the_monitor_are_no_lines():
    lines = course(*[loss * (1 + 0.1 * (-1) ** n) for n, loss in enumerate(FALLING)])
    assert stability([*lines, {"step": 100, "knn": 0.3, "effective_rank": 9.0}]).healthy


def test_a_leap_is_found_where_it_was_with_the_learning_rate_of_the_time():
    losses = [*FALLING[:5], 4.0, 3.0, 2.0, 1.5, 1.2]
    verdict = stability(course(*losses, lr=[0.2, 0.4, 0.6, 0.8, 1, 1, 0.9, 0.5, 0.2, 0]))
    assert not verdict.healthy and verdict.numbers["leap"] == 4 and verdict.numbers["leap_step"] == 60
    assert verdict.numbers["leap_rate"] == 1 and "100% of the highest learning rate" in verdict.words
    assert "highest learning rate" not in stability(course(*losses)).words


def test_a_loss_that_stays_is_stuck():
    verdict = stability(course(2.0, *[1.0] * 9))
    assert not verdict.healthy and verdict.words.startswith("stuck") and "what settles it is the cause" in verdict.words


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_end_tells_an_overflow_from_a_learning_rate(bad):
    sudden = stability(course(*FALLING[:6], bad))
    assert not sudden.healthy and sudden.numbers["bad_step"] == 70 and "overflow" in sudden.words
    slow = stability(course(*FALLING[:5], 3.0, bad))
    assert not slow.healthy and "learning rate" in slow.words and "overflow" not in slow.words
    gradient = stability(course(*FALLING, norms=[*[1.0] * 9, bad]))
    assert not gradient.healthy and gradient.numbers["bad_step"] == 100


def test_a_few_lines_are_not_judged():
    with pytest.raises(UserError, match="5 lines"):
        stability(course(2.0, 1.0, 0.5, 0.4))


# All of it


@pytest.fixture(scope="module")
def pretrained():
    return load(bundled("mae-scenes"))


@pytest.fixture(scope="module")
def scenes():
    return data.load("scenes", count=1500), data.load("scenes", "test", count=300)


def test_the_bundled_encoder_is_healthy_in_every_respect(pretrained, scenes):
    found = checkup(pretrained, *scenes, course(*FALLING))
    assert len(found) == 5 and all(verdict.healthy for verdict in found), [str(v) for v in found]


def test_what_cannot_be_asked_is_left_out(scenes):
    method = build("data2vec", image_size=32)
    train, test = (x.take(slice(0, 100)) for x in scenes)
    assert len(checkup(method, train, test)) == 3
    method.spec = None
    assert [verdict.words.split(":")[0] for verdict in checkup(method, train, test)] == ["no collapse", "no leak"]


def test_an_untrained_encoder_is_no_better_than_an_untrained_encoder(scenes):
    method = build("mae", image_size=32)
    found = checkup(method, *scenes)
    assert [verdict.healthy for verdict in found] == [True, False, True, False]
