"""EVA learns what a frozen teacher says of hidden patches; CLIP learns which caption belongs to which picture, and may be such a teacher."""

import math

import pytest
import torch
import torch.nn.functional as F
from helpers import N, build, calls, generator, mean_over, raw

import minimim
from minimim.data import scenes
from minimim.data.captions import LENGTH, VOCABULARY, encode
from minimim.data.views import normalize
from minimim.losses.captions import CaptionContrast
from minimim.losses.places import cosine
from minimim.masking import Mask
from minimim.masking.nothing import NoMasking
from minimim.methods import create
from minimim.targets.frozen import on_grid
from minimim.train import TrainConfig, train


@pytest.fixture(scope="module")
def eva():
    method = build("eva")
    method.prepare(None)
    return method


def pairs(n=6):
    """Scenes and the ids of their captions."""
    images = scenes("train", n, image_size=16)
    return {"image": images.images, "caption": encode(images.truth["caption"])}


# EVA


def test_the_loss_is_minus_the_cosine_with_what_the_bundled_teacher_says_of_hidden_patches(eva):
    images = normalize(raw())
    output = eva.eval()(images, generator=generator())
    teacher = minimim.load(minimim.bundled("mae-scenes")).encoder
    target = teacher(images).patches  # of the whole images, normed
    assert torch.allclose(output.target, target, atol=1e-5)
    answers = eva.decoder.pred(eva.encoder(images, Mask(output.mask)).patches)
    errors = torch.zeros(len(images), N)
    for b in range(len(images)):
        for n in range(N):
            a, t = answers[b, n].tolist(), target[b, n].tolist()
            dot = sum(x * y for x, y in zip(a, t, strict=True))
            errors[b, n] = -dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in t))
    assert output.loss.item() == pytest.approx(mean_over(errors, output.mask), abs=1e-4)


def test_every_sample_hides_the_same_count_in_blocks_and_the_student_sees_all_places(eva):
    looked = calls(eva.encoder)
    output = eva.train()(raw(), generator=generator())
    assert output.mask.sum(1).tolist() == [N - int(N * 0.59)] * 4
    assert looked[-1][1].patches.shape == (4, N, 128)  # mask tokens among them
    large = create("eva", image_size=64, patch_size=4)
    assert large.masking.smallest == 16  # of 256, as in the paper


def test_the_teacher_sees_the_students_crop_whole_whatever_is_hidden(eva):
    eva.train()
    student, teacher = calls(eva.encoder), calls(eva.teacher.encoder)
    one, other = (eva(raw(), generator=generator(), noise=torch.rand(4, 4 * 32 + N + 2, generator=generator(seed))) for seed in (1, 2))
    assert not torch.equal(one.mask, other.mask) and torch.equal(one.target, other.target)
    assert torch.equal(student[0][0][0]["image"], teacher[0][0][0]["image"]) and len(teacher[0][0]) == 1  # no mask


def test_no_gradient_reaches_the_teacher(eva):
    eva.train()(raw(), generator=generator()).loss.backward()
    assert all(p.grad is None for p in eva.teacher.parameters()) and not eva(raw()).target.requires_grad
    assert eva.encoder.mask_token.grad.abs().sum() > 0 and eva.encoder.blocks[0].attn.qkv.weight.grad.abs().sum() > 0


def test_a_cosine_is_not_of_lengths_and_to_learn_is_to_align():
    a, t = torch.randn(3, 5, 8, generator=generator()), torch.randn(3, 5, 8, generator=generator(1))
    assert torch.allclose(cosine(a, t), cosine(7 * a, 0.3 * t), atol=1e-6) and cosine(a, t).shape == (3, 5)
    assert torch.allclose(cosine(a, a), torch.tensor(-1.0)) and torch.allclose(cosine(a, -a), torch.tensor(1.0))
    assert torch.allclose(2 + 2 * cosine(a, t), (F.normalize(a, dim=-1) - F.normalize(t, dim=-1)).square().sum(-1), atol=1e-5)
    assert cosine(torch.zeros(1, 1, 8), t[:1, :1]).isfinite().all()
    moved = a.clone().requires_grad_()
    cosine(moved, t).sum().backward()
    assert (cosine(a - 0.1 * moved.grad, t) < cosine(a, t)).all()


def test_a_teacher_with_another_grid_is_brought_to_the_students():
    fine = torch.arange(4.0 * 6).view(1, 24, 1)  # a plane of 4×6 tokens
    assert on_grid(fine, (4, 6), (4, 6)) is fine
    coarse = on_grid(fine, (4, 6), (2, 3)).view(2, 3)
    plane = fine.view(4, 6)
    assert coarse.tolist() == [[plane[r : r + 2, c : c + 2].mean() for c in (0, 2, 4)] for r in (0, 2)]
    flat = torch.full((2, 4, 3), 5.0)
    assert torch.allclose(on_grid(flat, (2, 2), (5, 7)), torch.tensor(5.0)) and on_grid(flat, (2, 2), (5, 7)).shape == (2, 35, 3)
    method = create("eva", image_size=16, patch_size=8)  # 2×2 patches, and the teacher has 4×4
    method.prepare(None)
    output = method.eval()(raw())
    tokens = method.teacher.encoder(normalize(raw())).patches
    assert torch.allclose(output.target, on_grid(tokens, (4, 4), (2, 2)), atol=1e-5) and output.target.shape == (4, 4, 128)


# CLIP


def contrast(**more):
    torch.manual_seed(0)
    loss = CaptionContrast(8, **{"words": 20, "length": 6, "width": 16, "depth": 1, "heads": 2, **more})
    with torch.no_grad():
        for p in loss.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    return loss


def test_the_loss_of_a_picture_is_that_of_finding_its_caption_and_of_being_found_by_it():
    loss = contrast()
    pictures, captions = torch.randn(4, 8, generator=generator()), torch.randint(1, 20, (4, 6), generator=generator())
    texts = loss.read(captions).detach()
    scale = min(loss.log_scale.exp().item(), 100.0)
    unit = lambda x: x / x.norm()
    scores = [[scale * float(unit(p) @ unit(t)) for t in texts] for p in pictures]
    for i, error in enumerate(loss(pictures, captions).tolist()):
        there = math.log(sum(math.exp(s) for s in scores[i])) - scores[i][i]
        back = math.log(sum(math.exp(row[i]) for row in scores)) - scores[i][i]
        assert error == pytest.approx((there + back) / 2, rel=1e-4)
    assert loss.whole_batch


def test_the_temperature_is_learnt_and_stops_at_a_hundredth():
    loss = contrast()
    assert CaptionContrast(8, words=20, length=6, width=16, depth=1, heads=2).log_scale.exp().item() == pytest.approx(1 / 0.07, rel=1e-4)
    pictures, captions = torch.randn(4, 8, generator=generator()), torch.randint(1, 20, (4, 6), generator=generator())
    loss(pictures, captions).sum().backward()
    assert loss.log_scale.grad.abs() > 0 and loss.words.weight.grad.abs().sum() > 0
    with torch.no_grad():
        loss.log_scale.fill_(math.log(100))
        at, beyond = loss(pictures, captions), loss.log_scale.fill_(9.0) and loss(pictures, captions)
    assert torch.allclose(at, beyond, atol=1e-3)


def test_a_sentence_is_the_mean_of_its_words_and_places_without_a_word_do_not_count():
    loss = contrast(depth=0)
    short, long = torch.tensor([[3, 4, 0, 0, 0, 0]]), torch.tensor([[3, 4]])
    assert torch.allclose(loss.read(short), loss.read(long), atol=1e-6)
    x = loss.norm(loss.words.weight[[3, 4]] + loss.positions[0, :2])
    assert torch.allclose(loss.read(short)[0], loss.project.weight @ x.mean(0), atol=1e-5)
    assert not torch.allclose(loss.read(torch.tensor([[4, 3]])), loss.read(long), atol=1e-3)  # the order of words counts
    assert loss.read(torch.zeros(1, 6, dtype=torch.long)).isfinite().all()


def test_it_learns_which_caption_is_whose_and_the_text_encoder_learns_and_is_saved(tmp_path):
    torch.manual_seed(0)
    method = create("clip", image_size=16, patch_size=8)
    text = [p.clone() for p in method.losses[0].parameters()]
    config = TrainConfig(epochs=60, batch_size=16, lr=0.03, warmup=0.1, device="cpu", log_every=1)
    run = train(method, scenes("train", 16, image_size=16), config, bar=False)
    losses = [line["loss"] for line in run.history]
    assert losses[0] > 0.7 * math.log(16) and sum(losses[-5:]) / 5 < 0.5 * math.log(16)
    assert all(not torch.equal(p, q) for p, q in zip(method.losses[0].parameters(), text, strict=True))
    minimim.save(tmp_path / "clip.safetensors", method)
    loaded = minimim.load(tmp_path / "clip.safetensors")
    inputs = pairs()
    assert loaded(inputs).loss.item() == pytest.approx(method.eval()(inputs).loss.item(), rel=1e-5)


def test_captions_pass_the_views_untouched_and_other_captions_are_another_loss():
    method, inputs = build("clip"), pairs()
    output = method.train()(inputs, generator=generator())
    assert torch.equal(output.target, inputs["caption"]) and output.prediction.shape == (6, 64)
    assert not output.mask.any() and not method.views.flip
    swapped = method({**inputs, "caption": inputs["caption"].roll(1, 0)}, generator=generator())
    assert abs(swapped.loss - output.loss) > 1e-4
    assert method.needs == ("caption",) and method.losses[0].words.num_embeddings > max(VOCABULARY.values()) and LENGTH == inputs["caption"].shape[1]


def test_a_picture_is_the_mean_of_its_projected_patches():
    method, images = build("clip"), normalize(raw())
    streams = method.decoder(method.encoder(images))
    assert torch.allclose(streams["image"], method.decoder.project(method.encoder.features(images)), atol=1e-5)
    assert torch.allclose(streams["patch"].mean(1), streams["image"], atol=1e-6)


def test_nothing_is_hidden():
    (mask,) = NoMasking()({"image": raw()}, (2, 3))
    assert mask.hidden.shape == (4, 6) and not mask.hidden.any() and mask.visible_ids.tolist() == [[*range(6)]] * 4


def test_as_a_teacher_it_answers_with_projected_patches(tmp_path):
    clip = build("clip")
    minimim.save(tmp_path / "clip.safetensors", clip)
    method = build("eva", teacher=str(tmp_path / "clip.safetensors"))
    method.prepare(None)
    images = normalize(raw())
    output = method.eval()(images)
    assert output.target.shape == (4, N, 64) and method.decoder.pred.out_features == 64
    assert torch.allclose(output.target, clip.decoder.project(clip.encoder(images).patches), atol=1e-5)
    assert "and their captions" in method.teacher.saw
    loaded = build("eva", teacher=method.spec["teacher"])
    loaded.load_state_dict(method.state_dict())
    assert torch.allclose(loaded.eval()(images).target, output.target, atol=1e-6)
