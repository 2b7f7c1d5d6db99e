"""CMAE, ConMIM and SiameseIM: what makes each of them itself. Student and teacher see different renderings of an image."""

import math

import pytest
import torch
import torch.nn.functional as F
from helpers import N, build, calls, generator, images, raw
from torch import nn
from torch.testing import assert_close

from minimim.data.colour import Colour
from minimim.data.views import normalize
from minimim.decoders import ProjectionHead
from minimim.masking import BlockMasking, RandomMasking
from minimim.methods import create
from minimim.norms import BatchNorm
from minimim.patches import patchify

NAMES = ["cmae", "conmim", "siameseim"]


def step(name, mode=True, batch=4):
    """A method, its output for some images, and what its parts were asked and said."""
    method = build(name).train(mode)
    seen = {part: calls(method.get_submodule(part)) for part in ("encoder", "decoder", "teacher.encoder", "teacher.decoder")}
    return method, method(raw(batch), generator=generator()), seen


def batch_normed(x):
    """Rows (…, D), each feature with its own mean and spread over all rows taken out."""
    rows = x.flatten(0, -2)
    return (x - rows.mean(0)) / (rows.var(0, unbiased=False) + 1e-5).sqrt()


@pytest.mark.parametrize("name", NAMES)
def test_the_teacher_sees_another_rendering_whole_and_no_gradient_reaches_it(name):
    method, output, seen = step(name)
    ((student, mask), encoded), *more = seen["encoder"]
    (teacher, *rest), taught = seen["teacher.encoder"][0]
    assert len(seen["teacher.encoder"]) == 1 and not more and not rest and taught.patches.shape[1] == N
    assert torch.equal(mask.hidden, output.mask) and encoded.patches.shape[1] == (N if name == "conmim" else mask.visible)
    assert not torch.allclose(student["image"], teacher["image"], atol=0.1)
    output.loss.backward()
    assert not output.target.requires_grad and all(p.grad is None for p in method.teacher.parameters())
    for part in (method.encoder, method.decoder):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in part.parameters() if p.requires_grad)


@pytest.mark.parametrize("name, momentum", [("cmae", (0.996, 0.996)), ("conmim", (0.996, 1.0)), ("siameseim", (0.995, 1.0))])
def test_the_teacher_is_an_average_without_a_predictor_that_normalises_by_its_own_batch(name, momentum):
    method = build(name).train()
    teacher = method.teacher
    assert teacher.momentum == momentum and teacher.norm == "batch"
    student = {"cmae": "decoders.features.head", "conmim": "", "siameseim": "projector"}[name]
    assert teacher.students[1] is method.decoder.get_submodule(student)
    norms = [part for part in teacher.modules() if isinstance(part, BatchNorm)]
    assert norms and all(norm.training for norm in norms)
    own = [p for p in teacher.decoder.parameters()]
    theirs = [p for p in teacher.students[1].parameters()]
    expected = [(momentum[0] * mine + (1 - momentum[0]) * his).detach() for mine, his in zip(own, theirs, strict=True)]
    method.after_step(0.0)
    for mine, value in zip(own, expected, strict=True):
        assert_close(mine.detach(), value)
    if name == "cmae":
        kept = [p.clone() for p in own]
        method.after_step(1.0)  # constant: it still moves at the end
        assert any(not torch.equal(p, q) for p, q in zip(own, kept, strict=True))


def test_who_sees_which_colours_and_what_else_differs_is_what_the_papers_code_does():
    strong, weak = (0.4, 0.4, 0.4, 0.1), (0.4, 0.4, 0.2, 0.1)
    expected = {
        "cmae": ("shift", (0.2, 1.0), None, Colour(strong, 0.8, 0.2, 0.5, 0.0)),
        "conmim": ("colour", (0.08, 1.0), None, Colour(weak, 0.8, 0.2, 0.1, 0.2)),
        "siameseim": ("crop", (0.08, 1.0), Colour(weak, 0.8, 0.2, 1.0, 0.0), Colour(weak, 0.8, 0.2, 0.1, 0.2)),
    }
    for name, views in expected.items():
        made = create(name, image_size=16).views
        assert (made.differ, made.scale, made.student, made.teacher) == views and made.flip


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_not_cut_into_parts(name):
    assert set(build(name).train().whole_batch) >= {"BatchNorm"}


# CMAE


def test_cmae_hides_cells_of_two_by_two_patches_and_keeps_68_of_196():
    method = create("cmae", image_size=224, patch_size=16, size=(24, 1, 2))
    assert isinstance(method.masking, RandomMasking) and method.masking.unit == 2
    (mask,) = method.masking({"image": torch.zeros(5, 1, 1, 1)}, (14, 14), generator=generator())
    assert ((~mask.hidden).sum(1) == 68).all() and mask.visible == 68
    cells = mask.hidden.view(5, 7, 2, 7, 2).transpose(2, 3).flatten(3)
    assert torch.equal(cells.all(-1), cells.any(-1))


def test_cmae_paints_the_clean_view_and_finds_itself_among_the_teachers_images():
    _, output, seen = step("cmae", batch=5)
    view, mask = seen["encoder"][0][0]
    patches = patchify(view["image"], 4)
    target = (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()
    assert_close(output.target, target)
    streams = seen["decoder"][0][1]
    painted = (output.prediction - target).square().mean(-1)[mask.hidden].mean()
    answers, keys = F.normalize(streams["cls"], dim=-1), F.normalize(seen["teacher.decoder"][0][1]["cls"], dim=-1)
    errors = []
    for b in range(5):
        scores = [float(answers[b].detach() @ keys[c]) / 0.07 for c in range(5)]
        errors.append(math.log(sum(math.exp(s) for s in scores)) - scores[b])
    assert_close(output.metrics["cls"].item(), sum(errors) / 5, atol=1e-4, rtol=1e-4)
    assert_close(output.loss.item(), painted.item() + 2 * 0.07 * sum(errors) / 5, atol=1e-4, rtol=1e-4)


def test_cmae_averages_the_teachers_patches_before_the_last_norm_and_without_cls():
    method, _, seen = step("cmae")
    teacher = method.teacher
    (view,), encoded = seen["teacher.encoder"][0]
    x = teacher.encoder.embed(view["image"], None)
    for block in teacher.encoder.blocks:
        x = block(x)
    assert_close(encoded.patches, x[:, 1:].detach())
    assert method.encoder.normed and not torch.allclose(teacher.encoder.norm(x), x, atol=0.1)
    first, norm, _, last = teacher.decoder.mlp
    expected = last(F.relu(batch_normed(first(x[:, 1:].mean(1))) * norm.weight + norm.bias))
    assert_close(seen["teacher.decoder"][0][1]["cls"], expected.detach(), atol=1e-4, rtol=1e-4)
    assert first.bias is not None and last.bias is None


def test_cmae_fills_in_what_is_hidden_before_it_takes_the_mean_of_all_places():
    method, _, seen = step("cmae")
    (encoded, mask, _), streams = seen["decoder"][0]
    features = method.decoder.decoders["features"]
    filled = features.decoder(encoded, mask)["patch"]
    assert filled.shape == (4, N, method.encoder.dim) and len(features.decoder.blocks) == 2
    assert_close(streams["cls"], features.predictor(features.head.mlp(filled.mean(1))))
    features.decoder.mask_token.grad = None
    streams["cls"].sum().backward()
    assert features.decoder.mask_token.grad.abs().sum() > 0


def test_cmaes_projectors_have_the_papers_widths_beside_base():
    with torch.device("meta"):
        method = create("cmae", image_size=224, patch_size=16, size="base")
    features = method.decoder.decoders["features"]
    widths = [[(m.in_features, m.out_features) for m in mlp if isinstance(m, nn.Linear)] for mlp in (features.head.mlp, features.predictor)]
    assert widths == [[(768, 1536), (1536, 256)], [(256, 1536), (1536, 256)]]
    assert len(features.decoder.blocks) == 2 and features.decoder.pred.in_features == 512
    assert len(method.decoder.decoders["patch"].blocks) == 8


# ConMIM


def test_conmim_colours_the_teachers_view_and_shows_the_student_the_plain_crop():
    method, _, seen = step("conmim")
    student, teacher = seen["encoder"][0][0][0]["image"], seen["teacher.encoder"][0][0][0]["image"]
    views = method.views
    views.student = views.teacher = None
    plain = views({"image": raw()}, generator())
    assert torch.equal(student, plain.student[0]["image"]) and not torch.allclose(teacher, student)


def test_conmim_finds_each_hidden_patch_among_all_patches_of_its_own_image():
    _, output, _ = step("conmim", batch=3)
    errors = []
    for b in range(3):
        p, t = (F.normalize(x[b].detach(), dim=-1) for x in (output.prediction, output.target))
        for i in range(N):
            scores = [float(p[i] @ t[j]) / 0.1 for j in range(N)]
            if output.mask[b, i]:
                errors.append(math.log(sum(math.exp(s) for s in scores)) - scores[i])
    assert len(errors) == 3 * 12
    assert_close(output.loss.item(), sum(errors) / len(errors), atol=1e-4, rtol=1e-4)


def test_conmims_head_normalises_over_every_token_and_has_no_predictor():
    method, _, seen = step("conmim")
    head = method.decoder
    linear = [m for m in head.mlp if isinstance(m, nn.Linear)]
    norms = [m for m in head.mlp if isinstance(m, BatchNorm)]
    assert len(linear) == len(norms) == 3 and all(m.bias is None for m in linear)
    assert norms[0].weight is not None and norms[-1].weight is None and head.mlp[-1] is norms[-1]
    encoded, streams = seen["decoder"][0][0][0], seen["decoder"][0][1]
    x = torch.cat([encoded.cls.unsqueeze(1), encoded.patches], dim=1)
    for layer, norm in zip(linear, norms, strict=True):
        x = batch_normed(layer(x))
        x = x if norm.weight is None else F.relu(x * norm.weight + norm.bias)
    assert_close(streams["patch"], x[:, 1:], atol=1e-4, rtol=1e-4)
    assert isinstance(method.teacher.decoder, ProjectionHead)


def test_conmim_hides_148_of_196_in_cells_of_two_by_two():
    method = create("conmim", image_size=224, patch_size=16, size=(24, 1, 2))
    (mask,) = method.masking({"image": torch.zeros(5, 1, 1, 1)}, (14, 14), generator=generator())
    assert method.masking.unit == 2 and (mask.hidden.sum(1) == 148).all()


# SiameseIM


def test_siameseim_hides_exactly_118_of_196_in_blocks():
    method = create("siameseim", image_size=224, patch_size=16, size=(24, 1, 2))
    assert isinstance(method.masking, BlockMasking)
    (mask,) = method.masking({"image": torch.zeros(5, 1, 1, 1)}, (14, 14), generator=generator())
    assert (mask.hidden.sum(1) == 118).all() and mask.visible == 78


def test_siameseim_scores_every_place_of_the_other_view_against_the_normed_projector():
    _, output, seen = step("siameseim")
    projected = seen["teacher.decoder"][0][1]["patch"]
    target = (projected - projected.mean(-1, keepdim=True)) / (projected.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    assert_close(output.target, target)
    p, t = output.prediction.detach().flatten(0, 1), target.flatten(0, 1)
    near = (p - t).square().sum(-1).mean()
    apart = (p @ t.T).square().mean()  # of all pairs, which the loss itself never forms
    assert_close(output.loss.detach(), (near + 0.02 * apart) / p.shape[1])


def test_siameseim_is_told_where_both_views_were_cut_and_does_not_see_the_other():
    method = build("siameseim").train()
    told, looks = [], calls(method.teacher.encoder)
    method.decoder.register_forward_pre_hook(lambda module, args, more: told.append(more["boxes"]), with_kwargs=True)
    answer = method(raw(), generator=generator()).prediction
    views = method.views(raw(), generator())
    assert torch.equal(told[0], torch.stack([views.boxes[0], views.content_boxes[0]]))
    assert torch.equal(looks[0][0][0]["image"], views.teacher[0]["image"])

    def other(module, args, made):
        made.teacher[0]["image"] = made.teacher[0]["image"] + 1.0

    handle = method.views.register_forward_hook(other)
    blind = method(raw(), generator=generator())
    assert torch.equal(blind.prediction, answer)
    handle.remove()

    def moved(module, args, made):
        made.content_boxes = made.content_boxes * 0.5

    method.views.register_forward_hook(moved)
    assert not torch.allclose(method(raw(), generator=generator()).prediction, answer, atol=1e-3)


def test_in_eval_siameseim_predicts_the_image_itself_at_its_own_places():
    method, x = build("siameseim").eval(), images()
    told = []
    method.decoder.register_forward_pre_hook(lambda module, args, more: told.append(more["boxes"]), with_kwargs=True)
    method(x, generator=generator())
    assert torch.equal(told[0], torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(2, 3, 4))
    views = method.views({"image": raw()})
    assert views.same == [None] and torch.equal(views.content[0]["image"], normalize(raw()))
