"""CrossMAE, I-JEPA, CAPI and Latent MIM: what makes each of them itself."""

import pytest
import torch
import torch.nn.functional as F
from helpers import N, build, calls, generator, raw

from minimim.data.views import normalize
from minimim.losses import SimilarityGoal, patch_discrimination
from minimim.masking import Mask
from minimim.methods import create
from minimim.patches import patchify
from minimim.train.step import Stepper, adamw

TAUGHT = ["ijepa", "capi", "latent_mim"]


def step(name, **more):
    """A method in eval mode, its output for a few images, and what its parts were asked."""
    method = build(name, **more).eval()
    with torch.no_grad():  # so that the teacher is not the student
        for p in method.teacher.parameters() if method.teacher else ():
            p.mul_(1.1)
    asked = {part: calls(getattr(method, part)) for part in ("encoder", "decoder")}
    if method.teacher:
        asked["teacher"] = calls(method.teacher.encoder)
    return method, method(raw(), generator=generator()), asked


@pytest.mark.parametrize("name", TAUGHT)
def test_no_gradient_reaches_the_teacher_and_the_target_has_none(name):
    method, output, _ = step(name)
    output.loss.backward()
    assert not output.target.requires_grad
    assert all(p.grad is None for p in method.teacher.parameters())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.encoder.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", TAUGHT)
def test_the_teacher_sees_the_whole_image_or_the_hidden_patches_and_the_student_the_rest(name):
    _, output, asked = step(name)
    assert len(asked["encoder"]) == len(asked["teacher"]) == 1
    (_, mask), _ = asked["encoder"][0]
    arguments, seen = asked["teacher"][0]
    if name == "latent_mim":
        assert torch.equal(arguments[1].hidden, ~mask.hidden) and seen.patches.shape[1] == N - mask.visible
    else:
        assert len(arguments) == 1 and seen.patches.shape[1] == N
    assert torch.equal(mask.hidden, output.mask) and asked["encoder"][0][1].patches.shape[1] == mask.visible


@pytest.mark.parametrize("name", TAUGHT)
def test_the_teacher_moves_by_its_momentum_from_first_to_last(name):
    method = build(name)
    first, last = method.teacher.momentum
    assert (first, last) == {"ijepa": (0.996, 1.0), "capi": (0.999, 1.0), "latent_mim": (0.99, 1.0)}[name]
    with torch.no_grad():
        method.encoder.norm.bias.add_(1.0)
    before = method.teacher.encoder.norm.bias.clone()
    for progress, momentum in ((0.0, first), (0.5, (first + last) / 2), (1.0, last)):
        method.teacher.after_step(progress)
        now = method.teacher.encoder.norm.bias
        torch.testing.assert_close(now, momentum * before + (1 - momentum) * method.encoder.norm.bias)
        before = now.clone()


# CrossMAE


def test_crossmae_asks_a_third_of_what_it_hides_and_scores_normed_pixels_there():
    _, output, asked = step("crossmae")
    (_, _, question), answer = asked["decoder"][0]
    assert (output.mask.sum(1) == 12).all() and (question.sum(1) == 4).all() and not (question & ~output.mask).any()
    patches = patchify(normalize(raw()), 4)
    target = (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()
    errors = [float((answer["patch"][b, n] - target[b, n]).square().mean()) for b in range(4) for n in range(N) if question[b, n]]
    assert output.loss.item() == pytest.approx(sum(errors) / 16, rel=1e-4)


def test_crossmae_mixes_layers_or_reads_the_last_and_its_rate_falls_with_what_is_asked():
    assert build("crossmae").decoder.mix.shape == (2, 4)
    last = build("crossmae", mix=False)
    assert not hasattr(last.decoder, "mix") and last(raw(), generator=generator()).loss.isfinite()
    assert build("crossmae").defaults.lr == pytest.approx(5e-5)
    assert build("crossmae", asked=0.75).defaults.lr == pytest.approx(1.5e-4)


def test_crossmae_beside_a_base_encoder_has_the_decoder_of_the_paper():
    with torch.device("meta"):
        decoder = create("crossmae", image_size=224, patch_size=16, size="base").decoder
    assert decoder.mix.shape == (12, 12) and decoder.blocks[0].cross.q.weight.shape == (512, 512)
    assert decoder.blocks[0].cross.kv.weight.shape == (1024, 768) and decoder.blocks[0].attn is None


# I-JEPA


def test_ijepa_predicts_each_block_by_itself_from_the_context_alone():
    method, output, asked = step("ijepa")
    assert len(asked["decoder"]) == 4
    (_, context), encoded = asked["encoder"][0]
    target = F.layer_norm(asked["teacher"][0][1].patches, (128,))
    total, count = 0.0, 0
    for (seen, mask, question), answer in asked["decoder"]:
        assert seen is encoded and mask is context
        assert not (question & ~mask.hidden).any()  # what is asked was not shown
        errors = F.smooth_l1_loss(answer["patch"], target, reduction="none").mean(-1)
        total, count = total + errors[question].sum().item(), count + int(question.sum())
    assert output.loss.item() == pytest.approx(total / count, rel=1e-4)
    assert method.encoder.cls_token is None


def test_ijepa_looks_at_plain_crops_without_flip_or_colour():
    views = build("ijepa").views
    assert not views.flip and views.jitter == 0 and views.scale == (0.3, 1.0) and views.count == 1


def test_ijepas_weight_decay_climbs_from_a_tenth():
    config = build("ijepa").defaults
    assert (config.weight_decay, config.weight_decay_end) == (0.04, 0.4)


def test_ijepas_target_is_normed_once_more_without_weights():
    method, output, _ = step("ijepa")
    with torch.no_grad():
        method.teacher.encoder.norm.weight.mul_(3)
    again = method(raw(), generator=generator())
    torch.testing.assert_close(output.target.mean(-1), torch.zeros(4, N), atol=1e-5, rtol=0)
    torch.testing.assert_close(again.target.var(-1, correction=0), torch.ones(4, N), atol=1e-3, rtol=0)


# CAPI


def test_capi_is_asked_some_of_what_lies_around_one_block():
    _, output, asked = step("capi", mask_ratio=0.5, asked=0.4)
    (_, _, question), answer = asked["decoder"][0]
    assert (output.mask.sum(1) == 8).all() and (question.sum(1) == 3).all() and not (question & ~output.mask).any()
    assert not answer["patch"][~question].any()
    scores = answer["patch"][question]
    errors = -(output.target[question] * (scores / 0.12).log_softmax(-1)).sum(-1)
    assert output.loss.item() == pytest.approx(errors.mean().item(), rel=1e-4)
    torch.testing.assert_close(output.target.sum(-1), torch.ones(4, N))


def test_capis_clusters_are_a_player_of_their_own_at_half_the_rate():
    method = build("capi").train()
    config = method.defaults
    config.batch_size = 4
    groups = adamw(method, config).param_groups
    own = [group for group in groups if group.get("player") == "OnlineClusters"]
    assert sum(p.numel() for group in own for p in group["params"]) == 256 * 128 + 256 and all(g["scale"] == 0.5 for g in own)
    before = method.target.weight.detach().clone()
    metrics = Stepper(method, adamw(method, config), config, 4)(1, [raw()])
    assert metrics["target"].isfinite() and metrics["grad_norm OnlineClusters"] > 0
    assert not torch.equal(method.target.weight, before)
    assert method.whole_batch == ["OnlineClusters"]


def test_the_students_error_moves_no_cluster_and_the_clusters_error_no_student():
    method = build("capi").train()
    output = method(raw(), generator=generator())
    clustering = output.metrics["target"]
    output.loss.backward()
    own, students = method.target.weight.grad.clone(), method.encoder.norm.weight.grad.clone()
    method.zero_grad()
    method.target.own_loss = lambda: None
    alone = method(raw(), generator=generator())
    alone.loss.backward()
    assert method.target.weight.grad is None and own.any()
    torch.testing.assert_close(method.encoder.norm.weight.grad, students)
    torch.testing.assert_close(alone.loss + clustering, output.loss)


def test_capis_sizes_follow_the_encoder():
    with torch.device("meta"):
        method = create("capi", image_size=224, patch_size=16, size="large")
    assert method.target.weight.shape == method.decoder.pred.weight.shape == (16384, 1024)
    assert len(method.decoder.blocks) == 12 and all(block.attn is None for block in method.decoder.blocks)


# Latent MIM


def test_latent_mim_shows_twenty_of_196_patches():
    with torch.device("meta"):
        method = create("latent_mim", image_size=224, patch_size=16, size="base")
    (mask,) = method.masking({"image": torch.zeros(1, 3, 224, 224)}, (14, 14))
    assert mask.visible == 20
    assert len(method.decoder.blocks) == 3 and all(block.attn is not None for block in method.decoder.blocks)
    assert method.decoder.before.mlp[0].weight.shape == (4096, 768)


def test_latent_mims_targets_are_what_the_averaged_head_says_of_the_hidden_patches_alone():
    method, output, asked = step("latent_mim", mask_ratio=0.75)
    images = normalize(raw())
    for b in range(4):
        hidden = output.mask[b : b + 1]
        seen = method.teacher.encoder(images[b : b + 1], Mask(~hidden))
        expected = method.teacher.decoder.mlp(seen.patches)[0]
        torch.testing.assert_close(output.target[b][hidden[0]], expected, rtol=1e-4, atol=1e-5)
        assert not output.target[b][~hidden[0]].any()
    _, answer = asked["decoder"][0]
    torch.testing.assert_close(answer["visible"], method.decoder.before.mlp(asked["encoder"][0][1].patches))


def discrimination(prediction, target, where, temperature):
    """The official loss of one image, on the scored places taken out: standardise, normalise, find oneself."""
    p, t = prediction[where], target[where]  # (M, T)
    p = (p - p.mean(0)) / (p.std(0) + 1e-4)
    p, t = F.normalize(p, dim=-1), F.normalize(t, dim=-1)
    return F.cross_entropy(p @ t.T / temperature, torch.arange(len(p)), reduction="none") * 2 * temperature


def test_latent_mims_loss_is_a_choice_among_the_hidden_places_of_standardised_predictions():
    draw = torch.Generator().manual_seed(0)
    prediction, target = (torch.randn(3, N, 6, generator=draw).double() for _ in range(2))
    where = torch.rand(3, N, generator=draw) < 0.6
    got = patch_discrimination(prediction, target, where)
    for b in range(3):
        torch.testing.assert_close(got[b][where[b]], discrimination(prediction[b], target[b], where[b], 0.2))
    common = 100 * torch.randn(6).double()  # what all places have in common is no answer
    torch.testing.assert_close(patch_discrimination(prediction + common, target, where)[where], got[where])
    alike = torch.zeros(3, N, 6).double().requires_grad_()
    patch_discrimination(alike, target, where)[where].sum().backward()
    assert alike.grad.isfinite().all()


def test_similarity_is_the_mean_cosine_of_all_pairs_and_its_goal_falls():
    tokens = torch.randn(3, N, 6, generator=torch.Generator().manual_seed(0)).double()
    places = torch.rand(3, N, generator=torch.Generator().manual_seed(1)) < 0.5
    for scored in (True, False):
        where = places if scored else torch.ones(3, N, dtype=torch.bool)
        means = []
        for b in range(3):
            own = tokens[b][where[b]]
            means.append(torch.stack([F.cosine_similarity(x, y, dim=0) for x in own for y in own]).mean())
        loss = SimilarityGoal(scored=scored).double()
        expected = torch.stack(means).mean()
        for progress, goal in ((0.0, 0.75), (0.5, 0.5), (1.0, 0.25)):
            loss.after_step(progress)
            assert loss.goal.item() == pytest.approx(goal)
            torch.testing.assert_close(loss(tokens, None, places), (expected - goal) ** 2, rtol=1e-5, atol=1e-7)


def test_latent_mims_terms_are_told_and_weighted():
    _, output, asked = step("latent_mim", mask_ratio=0.75)
    m = output.metrics
    assert set(m) == {"patch", "similarity predicted", "similarity visible"}
    assert output.loss.item() == pytest.approx(float(m["patch"] + 0.1 * (m["similarity predicted"] + m["similarity visible"])), rel=1e-5)
    visible = F.normalize(asked["decoder"][0][1]["visible"], dim=-1)  # (B, K, D)
    mean = (visible @ visible.mT).mean()
    assert m["similarity visible"].item() == pytest.approx(float((mean - 0.75) ** 2), rel=1e-4)
    assert set(step("latent_mim", similarity=0.0)[1].metrics) == {"patch"}


def test_latent_mims_features_are_read_before_the_head():
    method = build("latent_mim")
    x = raw()
    before = method.encoder.features(x)
    with torch.no_grad():
        method.decoder.before.mlp[0].weight.mul_(2)
    assert torch.equal(method.encoder.features(x), before)
