"""Verdicts on every method of the registry: no false alarm, and faults that are put in are found."""

import copy

import pytest
import torch
from every_method import NAMES, data, small
from helpers import build, generator, raw
from torch import nn

from minimim.diagnose import baseline, checkup, collapse, gradient_by_block, head_output, leak
from minimim.diagnose.checkup import known
from minimim.encoders import Encoded
from minimim.masking import Mask, RandomMasking
from minimim.patches import patchify, unpatchify

PAINTERS = [name for name in NAMES if getattr(small(name).target, "predicts", None) == "pixels"]


def stirred(name):
    """A small method whose weights have left their start, its fitted parts fitted."""
    method = small(name)
    method.prepare(data(), generator())
    with torch.no_grad():
        for p in method.parameters():
            if p.requires_grad:
                p.add_(0.05 * torch.randn(p.shape))
    return method


@pytest.mark.parametrize("name", NAMES)
def test_no_method_leaks_and_looking_changes_nothing(name):
    method = stirred(name).train()
    before, state = copy.deepcopy(method.state_dict()), torch.get_rng_state()
    inputs = known(data(), 16, method.needs)
    verdict = leak(method, inputs)
    assert verdict.healthy, verdict.words
    assert verdict.numbers.get("moved", 0) == 0 and verdict.numbers.get("visible_credit", 0) == 0 and verdict.numbers.get("home", 1) > 0.5
    assert leak(method, inputs) == verdict and method.training
    assert torch.equal(torch.get_rng_state(), state) and all(p.grad is None for p in method.parameters())
    assert all(torch.equal(value, before[key]) for key, value in method.state_dict().items())


@pytest.mark.parametrize("name", PAINTERS)
def test_what_paints_pixels_stands_beside_the_hole_filler_under_its_own_masks_guided_ones_too(name):
    method = stirred(name)
    verdict = baseline(method, data().images, known(data(12, "test"), 12, method.needs))
    assert not verdict.healthy and verdict.numbers["over_hole_filler"] > 0.9 and verdict.numbers["error"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_gradients_by_block_are_those_of_every_block_of_its_encoder(name):
    method = stirred(name)
    norms = gradient_by_block(method, known(data(), 8, method.needs) if method.needs else data().images[:8])
    assert len(norms) == len(method.encoder.blocks) and all(0 <= norm < float("inf") for norm in norms) and sum(norms) > 0


class Dimmed(RandomMasking):
    """What is hidden is dimmed to a part, and everything is seen."""

    left = 0.0

    def forward(self, inputs, grid, *given, **more):
        (mask,) = super().forward(inputs, grid, *given, **more)
        patches = patchify(inputs["image"], 4)
        mask.inputs = {"image": unpatchify(torch.where(mask.hidden.unsqueeze(-1), self.left * patches, patches), 4, grid)}
        return [mask]


@pytest.mark.parametrize("left, healthy", [(0.0, True), (0.2, False)])
def test_pixels_that_are_left_under_a_corruption_are_seen(left, healthy):
    method = build("simmim")
    method.masking = Dimmed(0.5)
    method.masking.left = left
    verdict = leak(method, raw(16))
    assert verdict.healthy is healthy and ("moves what is predicted" in verdict.words) is not healthy


def test_a_leak_in_the_second_view_alone_is_found():
    class SecondView(RandomMasking):
        """In the second view, what is read is not what is said."""

        def forward(self, inputs, grid, *given, view=0, **more):
            (mask,) = super().forward(inputs, grid, *given, view=view, **more)
            return [mask if view == 0 else Mask(mask.hidden.roll(1, dims=1), order=mask.order, visible=mask.visible)]

    method = build("mae")
    method.views.count, method.masking = 2, SecondView(0.5)
    verdict = leak(method, raw(16))
    assert not verdict.healthy and verdict.numbers["moved"] > 0.05


def test_a_leak_under_the_second_mask_of_a_view_is_found():
    class Twice(RandomMasking):
        """Two masks of one view; of the second, what is read is not what is said."""

        def forward(self, *given, **more):
            first, second = (super(Twice, self).forward(*given, **more)[0] for _ in range(2))
            return [first, Mask(second.hidden.roll(self.shift, dims=1), order=second.order, visible=second.visible)]

    for shift in (0, 1):
        method = build("mae")
        method.masking = Twice(0.5)
        method.masking.shift = shift
        verdict = leak(method, raw(16))
        assert verdict.healthy is (shift == 0) and (verdict.numbers["moved"] > 0.05) is (shift == 1)


class Cross(nn.Module):
    """Answers for every place from a mean of all that is seen, as cross-attention does before it has learnt; draws noise."""

    def __init__(self):
        super().__init__()
        self.out, self.places = nn.Linear(128, 48), nn.Parameter(torch.randn(16, 128))

    def forward(self, encoded, mask=None, question=None):
        noise = 0.1 * torch.randn(len(encoded.patches), 16, 128)
        return {"patch": self.out(encoded.patches.mean(1, keepdim=True) + self.places + noise)}


def test_cross_attention_and_noise_in_the_decoder_raise_no_alarm():
    method = build("mae")
    method.decoder = Cross()
    verdict = leak(method, raw(16))
    assert verdict.healthy and verdict.numbers["moved"] == 0 and "home" not in verdict.numbers


def test_a_predictor_that_answers_what_is_asked_alone_has_no_home_and_its_leaks_are_found():
    method = stirred("crossmae")
    whole = method.encoder.forward

    def peeping(inputs, mask=None, want=()):
        seen, everything = whole(inputs, mask, want=want), whole(inputs, None, want=want)
        layers = [Encoded(s.patches + 0.01 * e.patches.mean(1, keepdim=True), s.cls) for s, e in zip(seen.layers, everything.layers, strict=True)]
        return Encoded(seen.patches, seen.cls, layers=layers, grid=seen.grid)

    method.encoder.forward = peeping
    verdict = leak(method, data().images[:16])
    assert not verdict.healthy and verdict.numbers["moved"] > 1e-4 and "home" not in verdict.numbers


def test_a_modality_that_shows_what_another_hides_is_found():
    method = stirred("multimae")
    inputs = known(data(), 16, method.needs)
    assert leak(method, inputs).healthy
    whole = method.encoder.forward

    def peeping(given, mask=None, want=()):
        encoded = whole(given, mask, want=want)
        encoded.patches = encoded.patches + 0.01 * given["depth"].mean(dim=(1, 2, 3)).view(-1, 1, 1)
        return encoded

    method.encoder.forward = peeping
    assert leak(method, inputs).numbers["moved"] > 1e-4


@pytest.mark.parametrize("name", ["ibot", "msn", "capi"])
def test_prototypes_that_collapse_are_seen_in_the_head_while_the_encoder_still_looks_healthy(name):
    method = stirred(name)
    answer = head_output(method, data())
    fresh = head_output(small(name), data())
    assert collapse(torch.randn(24, 128), head=answer, random_head=fresh).healthy

    def one_winner(module, args, output):
        return {stream: 0.001 * x + 5 * torch.eye(x.shape[-1])[0] for stream, x in output.items()}

    method.decoder.register_forward_hook(one_winner)
    verdict = collapse(torch.randn(24, 128), head=head_output(method, data()), random_head=fresh)
    assert not verdict.healthy and "the head gives all images nearly the same answer" in verdict.words


def test_a_head_beside_the_pixels_is_asked_and_one_of_pixels_alone_or_of_several_modalities_is_not():
    answer = head_output(small("cmae"), data())
    assert answer.shape[0] == len(data()) and answer.dim() == 2
    assert [head_output(small(name), data()) for name in ("mae", "hpm", "multimae")] == [None, None, None]


def test_the_words_say_which_of_the_two_measures_tells():
    verdict = collapse(torch.randn(1, 32) + 1e-3 * torch.randn(300, 32))
    assert "the standard deviation shows it" in verdict.words and "relative standard deviation 0.0" in verdict.words and verdict.numbers["effective_rank"] > 25


@pytest.mark.parametrize("name", ["multimae", "capi", "mfm"])
def test_a_checkup_asks_what_can_be_asked_of_any_method(name):
    found = checkup(stirred(name), data(), data(24, "test"))
    assert len(found) >= 3 and all(isinstance(verdict.words, str) for verdict in found)
