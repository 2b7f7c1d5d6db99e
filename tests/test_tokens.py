"""Tokens of patches: k-means and the autoencoder's codes by slow loops, and what a tokenizer must and must not see."""

import copy
import math
from functools import cache

import pytest
import torch
from helpers import N, generator, images, raw, toy

import minimim
from minimim.data.scenes import scenes
from minimim.data.views import normalize
from minimim.errors import UserError
from minimim.methods import create
from minimim.patches import patchify
from minimim.targets import tokens
from minimim.targets.tokens import KMeansTokens, kmeans, nearest
from minimim.targets.vq import VQTokens

BOTH = pytest.mark.parametrize("kind", [KMeansTokens, VQTokens])


@cache
def fitted(kind):
    tokenizer = kind(16, 4, 32)
    tokenizer.prepare(toy(), generator())
    return tokenizer


def fit(kind):
    """A tokenizer that was fitted on a few images, one's own."""
    return copy.deepcopy(fitted(kind))


def closest(point, codes):
    """The number of the nearest code, by a loop over numbers."""
    return min(range(len(codes)), key=lambda k: sum((p - c) ** 2 for p, c in zip(point, codes[k], strict=True)))


# k-means


def test_the_nearest_code_is_that_of_a_slow_loop(monkeypatch):
    monkeypatch.setattr(tokens, "PIECE", 4)  # many pieces, the last one short
    x, codes = torch.randn(2, 5, 3, dtype=torch.float64), torch.randn(7, 3, dtype=torch.float64)
    found = nearest(x, codes)
    assert found.tolist() == [[closest(point, codes.tolist()) for point in row] for row in x.tolist()]
    assert nearest(codes[[3, 3]], codes[[3, 3, 1]]).tolist() == [0, 0]  # the first of equals


def test_a_round_of_kmeans_is_lloyds(monkeypatch):
    monkeypatch.setattr(tokens, "PIECE", 8)
    x = torch.randn(30, 2, generator=generator(), dtype=torch.float64)
    begin = x[torch.randperm(30, generator=generator(5))[:4]].tolist()
    owner = [closest(point, begin) for point in x.tolist()]
    expected = [[sum(v) / owner.count(k) for v in zip(*(p for p, o in zip(x.tolist(), owner, strict=True) if o == k), strict=True)] for k in range(4)]
    means, counts = kmeans(x, 4, 1, generator(5))
    torch.testing.assert_close(means, torch.tensor(expected, dtype=torch.float64))
    again = [closest(point, expected) for point in x.tolist()]
    assert counts.tolist() == [again.count(k) for k in range(4)]


def test_after_many_rounds_each_mean_is_that_of_its_own_rows():
    x = torch.randn(300, 2, generator=generator(), dtype=torch.float64)
    means, counts = kmeans(x, 5, 60, generator())
    ids = nearest(x, means)
    torch.testing.assert_close(means, torch.stack([x[ids == k].mean(0) for k in range(5)]))
    assert counts.sum() == 300 and counts.min() > 0


def test_a_mean_without_rows_begins_again_elsewhere():
    x = torch.cat([torch.zeros(20, 2), torch.full((1, 2), 9.0), torch.full((1, 2), -9.0)])  # most starts lie in one point
    for seed in range(4):
        assert sorted(kmeans(x, 3, 100, generator(seed))[1].tolist()) == [1, 1, 20]


def test_a_codebook_may_be_larger_than_the_patches_are_many():
    means, counts = kmeans(torch.randn(5, 2, generator=generator()), 12, 4, generator())
    assert means.isfinite().all() and counts.sum() == 5 and (counts > 0).sum() <= 5


def test_kmeans_tokens_are_the_nearest_mean_patch_and_are_painted_as_that():
    tokenizer, x = fit(KMeansTokens), images()
    ids = tokenizer({"image": x})["patch"]
    assert ids.shape == (3, N) and ids.dtype == torch.int64
    patches = patchify(x, 4)
    assert ids.tolist() == [[closest(p.tolist(), tokenizer.codes.tolist()) for p in row] for row in patches]
    torch.testing.assert_close(patchify(tokenizer.paint(ids), 4), tokenizer.codes[ids])


# Both tokenizers


def test_perplexity_says_how_many_codes_are_in_use():
    tokenizer = KMeansTokens(16, 4, 4)
    for counts, expected in (([5, 5, 5, 5], 4.0), ([9, 0, 0, 0], 1.0), ([1, 1, 0, 0], 2.0), ([1, 3, 0, 0], math.exp(0.25 * math.log(4) + 0.75 * math.log(4 / 3)))):
        tokenizer.fitted(torch.tensor(counts, dtype=torch.float32))
        assert tokenizer.perplexity.item() == pytest.approx(expected, rel=1e-5)
    assert f"codebook=4, perplexity={expected:.1f}" in repr(tokenizer)


@BOTH
def test_a_tokenizer_that_is_not_fitted_refuses(kind):
    tokenizer = kind(16, 4, 8)
    with pytest.raises(UserError, match="not fitted yet.*call method.prepare"):
        tokenizer({"image": images()})
    fit(kind)({"image": images()})


@BOTH
def test_all_that_is_fitted_comes_from_the_generator_whatever_was_before(kind):
    expected = fit(kind).state_dict()
    torch.manual_seed(1)
    tokenizer = kind(16, 4, 32)  # other weights to begin with
    torch.manual_seed(2)
    before = torch.rand(3)
    torch.manual_seed(2)
    for _ in range(2):  # fitted again: from the beginning
        tokenizer.prepare(toy(), generator())
        assert all(torch.equal(t, expected[name]) for name, t in tokenizer.state_dict().items())
    tokenizer.prepare(toy(), generator(1))
    assert not torch.equal(tokenizer.codes, expected["codes"])
    assert torch.equal(torch.rand(3), before)  # nothing came from the global generator


@BOTH
def test_fitting_leaves_nothing_that_learns_and_no_gradient(kind):
    tokenizer = fit(kind)
    assert all(not p.requires_grad and p.grad is None for p in tokenizer.parameters())
    assert not tokenizer.codes.requires_grad and 1 < tokenizer.perplexity.item() <= 32


@BOTH
def test_the_token_of_a_patch_depends_on_that_patch_alone(kind):
    tokenizer, x = fit(kind), normalize(raw())
    changed = x.clone()
    changed[:, :, 4:8, 8:12] = normalize(raw(seed=9))[:, :, 4:8, 8:12]  # patch 6
    same = tokenizer.ids(x) == tokenizer.ids(changed)
    assert same[:, torch.arange(N) != 6].all() and not same[:, 6].all()


@BOTH
def test_tokens_are_not_rounded_under_autocast(kind):
    tokenizer, x = fit(kind), normalize(raw(64))
    expected = tokenizer.ids(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(tokenizer.ids(x), expected)


@BOTH
def test_images_of_another_size_have_tokens_and_can_be_painted(kind):
    tokenizer = fit(kind)
    ids = tokenizer.ids(torch.randn(2, 3, 8, 24))
    assert ids.shape == (2, 12) and tokenizer.paint(ids, (2, 6)).shape == (2, 3, 8, 24)
    assert tokenizer.paint(torch.zeros(1, N, dtype=torch.long)).shape == (1, 3, 16, 16)


@BOTH
def test_few_grey_or_normalised_images_are_enough(kind):
    tokenizer = kind(16, 4, 8, channels=1)
    data = toy(5)
    data.images = data.images[:, :1]
    tokenizer.prepare(data, generator())
    assert tokenizer.ids(data.images.float()).shape == (5, N)
    data.images = normalize(data.images)
    tokenizer.prepare(data, generator())
    assert tokenizer.perplexity > 1


@pytest.mark.parametrize("kind", ["kmeans", "vq"])
def test_a_saved_method_has_its_tokens_without_data(kind, tmp_path):
    method = create("beit", image_size=16, tokenizer=kind, codebook=16)
    method.prepare(toy(), generator())
    minimim.save(tmp_path / "beit.safetensors", method)
    loaded, x = minimim.load(tmp_path / "beit.safetensors"), normalize(raw())
    assert torch.equal(loaded.target.ids(x), method.target.ids(x))
    assert loaded.target.perplexity == method.target.perplexity > 0


# The autoencoder


def test_pictures_can_be_painted_from_few_tokens():
    more, x = scenes("train", 200, image_size=16), normalize(scenes("test", 64, image_size=16).images)
    tokenizer = VQTokens(16, 4, 64, steps=80)
    tokenizer.prepare(more, generator())
    painted = tokenizer.paint(tokenizer.ids(x))
    assert (painted - x).square().mean() < 0.3 * x.var() and tokenizer.perplexity > 30
    torch.testing.assert_close(tokenizer.codes.norm(dim=1), torch.ones(64))


def test_the_gradient_passes_the_choice_of_a_code_and_latents_are_drawn_to_theirs():
    tokenizer, x = fit(VQTokens).double(), images().double()
    tokenizer.requires_grad_(True)
    loss, _ = tokenizer.error(x)
    loss.backward()
    found = {name: p.grad.clone() for name, p in tokenizer.named_parameters()}
    tokenizer.zero_grad()
    # Again, in two halves: what the loss says to the codes, told to the latents as it is; and the commitment.
    latents = tokenizer.latents(patchify(x, 4))
    chosen = torch.tensor([[closest(p, tokenizer.codes.tolist()) for p in row] for row in latents.tolist()])
    codes = tokenizer.codes[chosen].requires_grad_()
    painted = (tokenizer.decode(codes, (4, 4)) - x).square().mean()
    painted.backward()
    away = (latents - codes.detach()).square().sum(-1).mean()
    assert loss.item() == pytest.approx((painted + 0.25 * away).item())
    torch.autograd.backward([latents, 0.25 * away], [codes.grad, None])
    for name, p in tokenizer.named_parameters():
        torch.testing.assert_close(p.grad, found[name], msg=name)
    assert found["encoder.0.weight"].abs().max() > 0


def unit(degrees):
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


def test_codes_move_a_tenth_of_the_way_to_their_latents_and_idle_ones_begin_again():
    tokenizer = VQTokens(16, 4, 3, code_dim=2)
    tokenizer.codes.copy_(torch.tensor([unit(0), unit(90), unit(270)]))
    latents = torch.tensor([unit(10), unit(30), unit(80)])
    usage = torch.tensor([1.0, 1.0, 0.05])
    tokenizer.move_codes(latents, usage, generator(), revive=True)
    expected = []
    for code, theirs in ((unit(0), [unit(10), unit(30)]), (unit(90), [unit(80)])):
        moved = [0.9 * c + 0.1 * sum(v) / len(theirs) for c, v in zip(code, zip(*theirs, strict=True), strict=True)]
        expected.append([v / math.hypot(*moved) for v in moved])
    torch.testing.assert_close(tokenizer.codes[:2], torch.tensor(expected))
    assert any(torch.allclose(tokenizer.codes[2], latent, atol=1e-6) for latent in latents)  # nobody had chosen it
    torch.testing.assert_close(usage, torch.tensor([1.1, 1.0, 1.0]))
    tokenizer.codes[2], before = torch.tensor(unit(270)), tokenizer.codes[0].clone()
    tokenizer.move_codes(latents, torch.zeros(3), generator(), revive=False)
    torch.testing.assert_close(tokenizer.codes[2], torch.tensor(unit(270)))
    assert not torch.equal(tokenizer.codes[0], before)


def test_neighbours_are_painted_to_fit():
    tokenizer = fit(VQTokens)
    ids = tokenizer.ids(normalize(raw()))
    other = ids.clone()
    other[:, 5] = (ids[:, 5] + 1) % 32
    change = (patchify(tokenizer.paint(ids), 4) - patchify(tokenizer.paint(other), 4)).abs().sum((0, 2))
    assert change[5] > 0 and change[6] > 0 and change[9] > 0
