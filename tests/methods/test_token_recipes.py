"""MaskFeat, BEiT and MAGE: what is predicted, where it counts, and what may not be seen."""

import copy
import math
from functools import cache
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from helpers import N, build, calls, generator, mean_over, raw, toy

import minimim
from minimim.data.views import denormalize, normalize
from minimim.encoders import Encoded
from minimim.errors import UserError
from minimim.evaluate.compare import floors
from minimim.masking import Mask
from minimim.masking.variable import VariableMasking
from minimim.methods import anew, create
from minimim.methods.mage import gumbel, sample
from minimim.patches import patchify, unpatchify
from minimim.targets.handmade import HOG


@cache
def fitted(name, **more):
    method = build(name, codebook=32, **more)
    method.prepare(toy(), generator())
    return method


def ready(name, **more):
    """A small method whose tokenizer is fitted, one's own copy."""
    return copy.deepcopy(fitted(name, **more))


def repainted(x, places):
    """Other pixels at these places, (B, N) bool."""
    other = patchify(normalize(raw(len(x), seed=9)), 4)
    return unpatchify(torch.where(places.unsqueeze(-1), other, patchify(x, 4)), 4, (4, 4))


# MaskFeat


def test_maskfeat_predicts_histograms_of_the_very_input_at_hidden_patches_alone():
    method, x = build("maskfeat").eval(), normalize(raw())
    output = method(x, generator=generator())
    assert torch.equal(output.target, HOG(4)({"image": x})["patch"]) and output.target.shape == (4, N, 27)
    errors = (output.prediction - output.target).square().mean(-1)
    assert output.loss.item() == pytest.approx(mean_over(errors, output.mask), rel=1e-5)
    assert output.mask.sum(1).tolist() == [7] * 4  # 9 of 16 stay visible at 0.4


def test_maskfeats_student_sees_a_mask_token_in_place_of_hidden_patches():
    method, x = build("maskfeat").eval(), normalize(raw())
    seen = calls(method.encoder)
    one = method(x, generator=generator())
    assert seen[0][1].patches.shape[1] == N  # all places are read
    two = method(repainted(x, one.mask), generator=generator())
    assert torch.equal(one.prediction, two.prediction) and not torch.equal(one.target, two.target)


def test_maskfeats_head_is_one_norm_and_one_linear_map():
    method, x = build("maskfeat").eval(), normalize(raw())
    last = calls(method.encoder.blocks[-1])
    output = method(x, generator=generator())
    norm, head = method.encoder.norm, method.decoder.pred
    expected = F.linear(F.layer_norm(last[0][1][:, 1:], (128,), norm.weight, norm.bias, 1e-6), head.weight, head.bias)
    torch.testing.assert_close(output.prediction, expected)


def test_maskfeat_has_the_papers_settings_and_a_sentence_for_patches_without_cells():
    method = create("maskfeat", image_size=224, patch_size=16)
    assert method.decoder.pred.out_features == 108 and method.defaults.clip == 0.02 and method.defaults.lr == 2e-4 and method.masking.smallest == 15
    assert create("maskfeat", bins=6, cells=1, channels=1).decoder.pred.out_features == 6
    with pytest.raises(UserError, match="a patch of 9 pixels cannot be cut into 2×2 cells"):
        create("maskfeat", image_size=27, patch_size=9)


# BEiT


@pytest.mark.parametrize("kind", ["kmeans", "vq"])
def test_beit_names_the_tokens_of_hidden_patches(kind):
    method, x = ready("beit", tokenizer=kind).eval(), normalize(raw())
    output = method(x, generator=generator())
    assert torch.equal(output.target, method.target.ids(x)) and output.prediction.shape == (4, N, 32)
    errors = F.cross_entropy(output.prediction.transpose(1, 2), output.target, reduction="none")
    assert output.loss.item() == pytest.approx(mean_over(errors, output.mask), rel=1e-5)
    assert output.mask.sum(1).tolist() == [7] * 4


def test_beits_student_cannot_read_what_it_is_asked():
    method, x = ready("beit").eval(), normalize(raw())
    one = method(x, generator=generator())
    two = method(repainted(x, one.mask), generator=generator())
    assert torch.equal(one.prediction, two.prediction) and not torch.equal(one.target, two.target)


def test_beits_tokenizer_sees_the_colours_that_the_student_sees():
    method = ready("beit").train()
    seen, asked = calls(method.encoder), calls(method.target)
    method(raw(), generator=generator())
    assert seen[0][0][0]["image"] is asked[0][0][0]["image"]


def test_a_codebook_is_as_large_as_told_or_as_in_the_paper():
    assert create("beit").target.codebook == 512 and create("beit", size=(384, 1, 6)).target.codebook == 8192
    assert create("mage").target.codebook == 512 and create("mage", size=(384, 1, 6)).target.codebook == 1024
    beit = create("beit", codebook=20)
    assert beit.decoder.pred.out_features == beit.target.codebook == 20
    with pytest.raises(UserError, match="did you mean 'kmeans'"):
        create("beit", tokenizer="kmean")


@pytest.mark.parametrize("name", ["beit", "mage"])
def test_the_tokenizer_is_fitted_once_and_never_learns_from_the_loss(name):
    method = build(name, codebook=32)
    with pytest.raises(UserError, match="not fitted"):
        method(raw(), generator=generator())
    times, prepare = [], method.target.prepare
    method.target.prepare = lambda *given: (times.append(1), prepare(*given))
    method.prepare(toy(), generator())
    assert times == [1]
    before = copy.deepcopy(method.target.state_dict())
    method(raw(), generator=generator()).loss.backward()
    assert all(p.grad is None and not p.requires_grad for p in method.target.parameters())
    method.after_step(0.5)
    assert all(torch.equal(t, before[key]) for key, t in method.target.state_dict().items())


# MAGE: masks


def masks(seed, batch=5, grid=(4, 4), **more):
    (mask,) = VariableMasking(**more)({"image": torch.empty(batch, 3, 1, 1)}, grid, generator=generator(seed))
    return mask


def test_a_batch_shares_one_ratio_and_always_drops_the_same():
    counts = set()
    for seed in range(40):
        mask = masks(seed)
        (count,) = set(mask.hidden.sum(1).tolist())
        counts.add(count)
        assert mask.dropped.sum(1).tolist() == [8] * 5 and mask.visible == 8 and not (mask.dropped & ~mask.hidden).any()
        assert mask.scored[0] is mask.hidden
        read = torch.zeros_like(mask.hidden).scatter(1, mask.visible_ids, 1)
        assert torch.equal(read, ~mask.dropped)
    assert min(counts) <= 9 and max(counts) >= 14 and not torch.equal(mask.hidden[0], mask.hidden[1])
    assert masks(0, grid=(3, 3)).dropped.sum(1).tolist() == [5] * 5  # rounded up


def test_the_ratio_is_that_of_a_normal_cut_off_on_both_sides():
    masking, normal = VariableMasking(), torch.distributions.Normal(0.55, 0.25)
    chance = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    ratio = masking.ratio(chance)
    low, high = (normal.cdf(torch.tensor(v, dtype=torch.float64)) for v in (0.5, 1.0))
    torch.testing.assert_close((normal.cdf(ratio) - low) / (high - low), chance, atol=1e-5, rtol=1e-5)
    ends = masking.ratio(torch.tensor([0.0, 1 - 2**-24]))
    assert ends[0].item() == pytest.approx(0.5, abs=1e-5) and 0.999 < ends[1] <= 1


def test_what_is_dropped_is_hidden_whatever_the_rounding_and_a_ratio_is_between_zero_and_one():
    for dropped in (0.35, 0.3, 0.55, 0.7):
        mask = masks(0, grid=(4, 5), mean=0.01, spread=0.001, dropped=dropped)  # the ratio is cut off at what is dropped
        assert not (mask.dropped & ~mask.hidden).any() and mask.dropped.sum(1).tolist() == [20 - mask.visible] * 5
    for wrong in ({"mean": 55}, {"dropped": 0.0}):
        with pytest.raises(UserError, match="between 0 and 1"):
            VariableMasking(**wrong)
    with pytest.raises(UserError, match="a number above 0, not 0"):
        VariableMasking(spread=0)
    with pytest.raises(UserError, match="nothing visible among 16"):
        masks(0, dropped=0.97)


def test_noise_says_what_is_hidden_when_it_is_given():
    noise = torch.rand(3, 17, generator=generator(), dtype=torch.float64)
    noise[:, 0] = torch.tensor([0.6, 0.0, 0.9])  # the first row's counts, for all
    (mask,) = VariableMasking()({"image": torch.empty(3, 3, 1, 1)}, (4, 4), noise=noise)
    count = math.ceil(VariableMasking().ratio(noise[:1, 0]).item() * 16)
    for b in range(3):
        ranked = sorted(range(16), key=lambda n, b=b: noise[b, 1 + n].item())
        assert sorted(ranked[16 - count :]) == mask.hidden[b].nonzero().flatten().tolist()
        assert sorted(ranked[8:]) == mask.dropped[b].nonzero().flatten().tolist()


# MAGE: encoder and decoder


def half_hidden(batch=4):
    """A mask that hides 11 of 16 and drops 8 of these."""
    places = torch.rand(batch, N, generator=generator(3)).argsort(1).argsort(1)
    return Mask(places >= 5, dropped=places >= 8, visible=8)


def test_the_encoder_reads_tokens_mask_tokens_and_cls_but_nothing_that_is_dropped():
    method, x, mask = ready("mage").eval(), normalize(raw()), half_hidden()
    encoder, read = method.encoder, calls(method.encoder.blocks[0])
    encoder(x, mask)
    ids, places = encoder.tokenizer.ids(x), encoder.pos_embed[0]
    for b in range(4):
        expected = [encoder.cls_token[0, 0] + places[0]]
        for n in mask.visible_ids[b].tolist():
            token = encoder.mask_token[0, 0] if mask.hidden[b, n] else encoder.patch_embed.proj.weight[ids[b, n]]
            expected.append(token + places[1 + n])
        normed = F.layer_norm(torch.stack(expected), (128,), encoder.embed_norm.weight, encoder.embed_norm.bias, 1e-6)
        torch.testing.assert_close(read[0][0][0][b], normed)
    assert read[0][0][0].shape == (4, 9, 128)


def test_mage_cannot_read_what_it_is_asked_and_is_asked_for_all_that_is_hidden():
    method, x = ready("mage").eval(), normalize(raw())
    one = method(x, generator=generator())
    two = method(repainted(x, one.mask), generator=generator())
    assert torch.equal(one.prediction, two.prediction) and not torch.equal(one.target, two.target)
    smoothed = F.cross_entropy(one.prediction.transpose(1, 2), one.target, reduction="none", label_smoothing=0.1)
    assert one.loss.item() == pytest.approx(mean_over(smoothed, one.mask), rel=1e-5)
    assert torch.equal(one.target, method.encoder.tokenizer.ids(x)) and one.mask.sum() > 4 * 8


def test_the_decoder_fills_every_hidden_place_with_the_class_feature():
    method, mask = ready("mage").eval(), half_hidden()
    decoder, read = method.decoder, calls(method.decoder.blocks[0])
    encoded = Encoded(torch.randn(4, 8, 128, generator=generator()), cls=torch.randn(4, 128, generator=generator(1)), grid=(4, 4))
    decoder(encoded, mask)
    for b in range(4):
        ids = mask.visible_ids[b].tolist()
        expected = [decoder.embed(encoded.cls[b])]
        for n in range(N):
            shown = n in ids and not mask.hidden[b, n]
            expected.append(decoder.embed(encoded.patches[b, ids.index(n)] if shown else encoded.cls[b]))
        torch.testing.assert_close(read[0][0][0][b], torch.stack(expected) + decoder.pos_embed[0])


def test_scores_are_products_with_the_encoders_vectors_which_get_no_gradient_by_that():
    method = ready("mage")
    encoded = Encoded(torch.randn(2, N, 128), cls=torch.randn(2, 128), grid=(4, 4))
    last = calls(method.decoder.pred)
    scores = method.decoder(encoded)["patch"]
    table = method.encoder.patch_embed.proj.weight
    torch.testing.assert_close(scores, torch.einsum("bnd,kd->bnk", last[0][1], table) + method.decoder.bias)
    scores.sum().backward()
    assert table.grad is None and method.decoder.bias.grad is not None
    assert not any(p is table for p in method.decoder.parameters())


def test_features_are_the_mean_over_all_patches_of_the_unmasked_image():
    method, x = ready("mage").eval(), raw()
    encoder = method.encoder
    encoded = encoder.encode_ids(encoder.tokenizer.ids(normalize(x)), None, (4, 4))
    assert encoded.patches.shape == (4, N, 128)
    torch.testing.assert_close(encoder.features(x), encoded.patches.mean(1))
    assert encoder.features(torch.randn(2, 3, 8, 24), pool="patches").shape == (2, 12, 128)


def test_whatever_learns_the_tokenizer_does_not():
    encoder = ready("mage").encoder
    for learns in (True, False):
        assert encoder.requires_grad_(learns) is encoder
        assert encoder.mask_token.requires_grad == learns and not any(p.requires_grad for p in encoder.tokenizer.parameters())


def test_a_saved_mage_makes_the_same_pictures_without_data(tmp_path):
    method = ready("mage")
    minimim.save(tmp_path / "mage.safetensors", method)
    loaded = minimim.load(tmp_path / "mage.safetensors")
    assert loaded.encoder.tokenizer is loaded.target
    assert torch.equal(sample(loaded, 2, 3, generator()), sample(method, 2, 3, generator()))


# MAGE: pictures


def test_pictures_are_bytes_that_follow_from_the_generator_and_leave_the_method_as_it_was():
    method = ready("mage").train()
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    one, two, other = (sample(method, 3, 4, generator(s)) for s in (0, 0, 1))
    assert one.shape == (3, 3, 16, 16) and one.dtype == torch.uint8 and method.training
    assert torch.equal(one, two) and not torch.equal(one, other) and torch.equal(torch.rand(2), expected)


def test_fewer_and_fewer_tokens_are_hidden_and_what_was_kept_stays():
    method = ready("mage")
    hidden, ids, encode = [], [], method.encoder.encode_ids
    method.encoder.encode_ids = lambda given, mask, grid: (ids.append(given), hidden.append(mask.hidden), encode(given, mask, grid))[2]
    painted, paint = [], method.encoder.tokenizer.paint
    method.encoder.tokenizer.paint = lambda given: (painted.append(given), paint(given))[1]
    pictures = sample(method, 3, 5, generator())
    counts = [16, *(math.floor(16 * math.cos(math.pi / 2 * step / 5)) for step in range(1, 5))]
    assert [h.sum(1).tolist() for h in hidden] == [[count] * 3 for count in counts]
    assert not any((later & ~earlier).any() for earlier, later in pairwise(hidden))  # nothing is hidden again
    for before, after, kept in zip(ids[1:], [*ids[2:], painted[0]], hidden[1:], strict=True):
        assert torch.equal(before[~kept], after[~kept])
    assert torch.equal(pictures, denormalize(paint(painted[0])))


class Certain(torch.nn.Module):
    """A decoder that knows each token, and the surer, the later its place."""

    def __init__(self, ids):
        super().__init__()
        self.ids = ids

    def forward(self, encoded, mask=None, question=None):
        sure = torch.linspace(20, 40, N).view(1, N, 1)
        return {"patch": (F.one_hot(self.ids, 32) * sure).expand(len(encoded.patches), -1, -1)}


def test_a_decoder_that_knows_the_picture_gets_it_and_what_it_is_surest_of_first():
    method = ready("mage")
    method.decoder = Certain(method.target.ids(normalize(raw(1)))[0])
    hidden, encode = [], method.encoder.encode_ids
    method.encoder.encode_ids = lambda given, mask, grid: (hidden.append(mask.hidden), encode(given, mask, grid))[1]
    pictures = sample(method, 2, 4, generator(), temperature=0.0)
    assert torch.equal(pictures[0], pictures[1])
    assert torch.equal(pictures[0], denormalize(method.target.paint(method.decoder.ids[None]))[0])
    left = [h[0].nonzero().flatten().tolist() for h in hidden]
    assert left == [list(range(count)) for count in (16, 14, 11, 6)]


def test_gumbel_noise_draws_from_the_probabilities_that_it_is_added_to():
    part = torch.tensor([0.1, 0.2, 0.7])
    drawn = (part.log() + gumbel((20_000, 3), generator(), "cpu")).argmax(1)
    torch.testing.assert_close(drawn.bincount(minlength=3) / 20_000, part, atol=0.02, rtol=0)


def test_pictures_need_tokens_and_whole_numbers():
    with pytest.raises(UserError, match="ViT reads none"):
        sample(build("mae"), 2)
    for n, steps in ((0, 5), (2, 0)):
        with pytest.raises(UserError, match="1 or more, not"):
            sample(ready("mage"), n, steps)
    with pytest.raises(UserError, match="from 0 to below 1, not 1.5"):
        create("mage", smoothing=1.5)


def test_the_floor_under_a_token_encoder_reads_the_same_tokens_with_other_weights():
    method, data = ready("mage"), toy()
    fresh = anew(method, seed=3)
    assert torch.equal(fresh.target.ids(normalize(data.images)), method.target.ids(normalize(data.images)))
    assert not torch.equal(fresh.encoder.pos_embed, method.encoder.pos_embed)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = create(**method.spec).encoder.pos_embed
    assert torch.equal(fresh.encoder.pos_embed, expected)
    assert floors(method, data, data)["random_init"][0].x.shape == (24, 128)
