"""The interface carries methods that nobody has written yet, II: questions, views, teachers, targets that are fitted."""

import pytest
import torch
import torch.nn.functional as F
from helpers import N, calls, generator, images, mean_over
from torch import nn

from minimim.data.views import RandomViews, Views
from minimim.decoders import LinearDecoder, TransformerDecoder
from minimim.encoders import ViT
from minimim.losses import Term, cross_entropy, l1, l2
from minimim.masking import Mask, RandomMasking, mask_by_noise
from minimim.methods import Method, Teacher, joint_embedding, reconstruction
from minimim.patches import patchify
from minimim.targets import CentredPrototypes, LayerMean, Pixels

GRID = (4, 4)  # of 16×16 images in patches of 4


def vit(**more):
    return ViT(16, 4, "micro", **more)


def same_views():
    return RandomViews((16, 16)).eval()


# Several blocks as several questions, and a predictor that looks at them (I-JEPA)


class Blocks(nn.Module):
    """Shows the left half; asks for the right half, then for the lower right quarter: some patches twice."""

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0):
        places = torch.arange(N).view(GRID)
        right, corner = torch.zeros(2, *GRID, dtype=torch.bool)
        right[:, 2:], corner[2:, 2:] = True, True
        batch = len(inputs["image"])
        hidden, *scored = (x.flatten().expand(batch, -1) for x in (places % 4 >= 2, right, corner))
        return [Mask(hidden, scored=tuple(scored))]


class Predictor(nn.Module):
    """Answers only where it is asked, and differently when more is asked at once."""

    def __init__(self, dim):
        super().__init__()
        self.places, self.out = nn.Parameter(torch.randn(N, dim)), nn.Linear(dim, dim)

    def forward(self, encoded, mask, question):
        asked = question.unsqueeze(-1) * self.places  # (B, N, D)
        context = encoded.patches.mean(1, keepdim=True) + asked.mean(1, keepdim=True)
        return {"patch": torch.where(question.unsqueeze(-1), self.out(context + asked), torch.nan)}


def ijepa():
    return joint_embedding(
        views=same_views(),
        masking=Blocks(),
        encoder=vit(cls=False),
        decoder=Predictor(128),
        target=LayerMean(1),
        terms=[Term("patch", l1)],
        momentum=(0.9, 1.0),
    )


def test_several_questions_are_answered_one_by_one_and_averaged_over_all_that_was_asked():
    method, x = ijepa(), images()
    asked = calls(method.decoder)
    output = method(x)
    assert len(asked) == 2
    hidden = torch.tensor([n % 4 >= 2 for n in range(N)])
    context = method.encoder(x, Mask(hidden.expand(3, -1))).patches.mean(1)  # (B, D)
    seen = method.teacher.encoder(x).patches
    total, count = 0.0, 0
    for places in ([2, 3, 6, 7, 10, 11, 14, 15], [10, 11, 14, 15]):
        about = method.decoder.places[places].sum(0) / N
        for b in range(3):
            for n in places:
                answer = method.decoder.out(context[b] + about + method.decoder.places[n])
                target = F.layer_norm(F.layer_norm(seen[b, n], (128,)), (128,))
                total, count = total + float((answer - target).detach().abs().mean()), count + 1
    assert count == 36 and output.loss.item() == pytest.approx(total / count, rel=1e-4)


def test_places_that_were_not_asked_for_may_hold_anything():
    method = ijepa()
    output = method(images())  # Predictor leaves nan there
    output.loss.backward()
    learning = [p for p in method.encoder.parameters() if p.requires_grad]
    assert output.loss.isfinite() and all(p.grad.isfinite().all() for p in learning)


# Several masks of one view; more student views than teacher views (SimMIM-like ensembles, MSN and DINO)


def test_several_masks_of_one_view_count_as_one_large_batch():
    class Twice(RandomMasking):
        def forward(self, *args, **more):
            return super().forward(*args, **more) + super().forward(*args, **more)

    decoder = TransformerDecoder(128, 48, GRID, dim=32, depth=1, heads=2)
    parts = {"views": same_views(), "encoder": vit(), "decoder": decoder, "target": Pixels(4)}
    answers, x = calls(decoder), images()
    output = reconstruction(masking=Twice(0.75), **parts)(x, generator=generator())
    assert len(answers) == 2 and not torch.equal(answers[0][0][1].hidden, answers[1][0][1].hidden)
    means = []
    for (_, mask, _), prediction in answers:
        errors = (prediction["patch"] - patchify(x, 4)).square().mean(-1)
        means.append(mean_over(errors, mask.hidden))
    assert output.loss.item() == pytest.approx(sum(means) / 2, rel=1e-5)


class MultiCrop(nn.Module):
    """Two whole views, and a small one that only the student sees."""

    def forward(self, inputs, generator=None):
        x = inputs["image"]
        large = [{"image": x}, {"image": x.flip(-1)}]
        return Views(student=[*large, {"image": x[..., :8, :8]}], teacher=large, content=large)


class ClsHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(128, 128)

    def forward(self, encoded, mask=None, question=None):
        return {"cls": self.out(encoded.cls)}


class TeacherCls(nn.Module):
    def forward(self, content, teacher, mask=None, progress=0.0):
        return {"cls": teacher.encoded.cls}


def test_small_crops_agree_with_each_whole_view_and_a_view_never_with_itself():
    method = joint_embedding(
        views=MultiCrop(),
        masking=RandomMasking(0.5),
        encoder=vit(hidden="token"),
        decoder=ClsHead(),
        target=TeacherCls(),
        terms=[Term("cls", l2, on="all", pair="other")],
        momentum=(0.9, 1.0),
    )
    looks, answers, x = calls(method.teacher.encoder), calls(method.decoder), images()
    output = method(x, generator=generator())
    assert len(looks) == 2 and len(answers) == 3
    student = [answer["cls"] for _, answer in answers]
    teacher = [method.teacher.encoder(view).cls for view in (x, x.flip(-1))]
    errors = []
    for s, t in ((0, 1), (1, 0), (2, 0), (2, 1)):
        errors += [float((student[s][b] - teacher[t][b]).detach().square().mean()) for b in range(3)]
    assert output.loss.item() == pytest.approx(sum(errors) / 12, rel=1e-4)


# What is asked of a teacher, and when things move


class Attended(nn.Module):
    """Hides what the teacher's CLS looks at most (AttMask)."""

    want = ("attention",)

    def forward(self, inputs, grid, guide, progress=0.0, noise=None, generator=None, view=0):
        attention = guide.encoded.attention[:, :, 0, 1:].mean(1)  # (B, N)
        return [mask_by_noise(attention, N // 2)]


def with_teacher(masking, target):
    encoder = vit(hidden="token")
    return Method(
        views=same_views(),
        masking=masking,
        encoder=encoder,
        decoder=LinearDecoder(128, 128 if isinstance(target, LayerMean) else 48),
        target=target,
        terms=[Term("patch", l2)],
        teacher=Teacher(encoder),
    )


@pytest.mark.parametrize(
    "masking, target, looks",
    [(RandomMasking(0.5), Pixels(4), 0), (RandomMasking(0.5), LayerMean(2), 1), (Attended(), Pixels(4), 1),
     (Attended(), LayerMean(2), 1)],
)  # fmt: skip
def test_a_teacher_looks_once_if_somebody_asks_and_never_otherwise(masking, target, looks):
    method = with_teacher(masking, target)
    seen = calls(method.teacher.encoder)
    method(images(), generator=generator())
    assert len(seen) == looks


def test_a_guided_mask_hides_what_the_teacher_attends_to():
    method = with_teacher(Attended(), LayerMean(2))
    output = method(images())
    attention = method.teacher.encoder(images(), want=("attention",)).attention[:, :, 0, 1:].mean(1)
    for b in range(3):
        shown, hidden = attention[b][~output.mask[b]], attention[b][output.mask[b]]
        assert len(shown) == len(hidden) == 8 and shown.max() <= hidden.min()


class Codebook(nn.Module):
    """Discrete tokens: the nearest of eight patches, chosen once before training (BEiT, PeCo)."""

    def __init__(self):
        super().__init__()
        self.register_buffer("codes", torch.zeros(8, 48))

    def prepare(self, data, generator=None):
        patches = patchify(data, 4).flatten(0, 1)
        self.codes.copy_(patches[torch.randperm(len(patches), generator=generator)[:8]])

    def forward(self, content, teacher=None, mask=None, progress=0.0):
        return {"patch": torch.cdist(patchify(content["image"], 4), self.codes.unsqueeze(0)).argmin(-1)}


def test_a_target_is_prepared_from_the_data_and_may_give_ids():
    target = Codebook()
    method = reconstruction(
        views=same_views(),
        masking=RandomMasking(0.5),
        encoder=vit(hidden="token"),
        decoder=LinearDecoder(128, 8),
        target=target,
        loss=cross_entropy,
    )
    method.prepare(images(20, seed=5), generator())
    patches = patchify(images(20, seed=5), 4).flatten(0, 1)
    assert all((patches == code).all(1).any() for code in target.codes) and len(target.codes.unique(dim=0)) == 8
    output = method(images(), generator=generator())
    ids, hidden = target({"image": images()})["patch"], output.mask
    assert output.target.dtype == torch.long and torch.equal(output.target, ids)
    torch.testing.assert_close(output.loss, F.cross_entropy(output.prediction[hidden], ids[hidden]))


def test_teacher_centre_and_masking_move_in_after_step_and_at_no_other_time():
    class Counting(RandomMasking):
        steps = 0

        def after_step(self, progress):
            self.steps += 1

    encoder, head = vit(hidden="token"), LinearDecoder(128, 5)
    method = joint_embedding(
        views=same_views(),
        masking=Counting(0.5),
        encoder=encoder,
        decoder=head,
        target=CentredPrototypes(5),
        terms=[Term("patch", cross_entropy)],
        momentum=(0.5, 1.0),
        teach_decoder=True,
    )
    with torch.no_grad():
        head.pred.weight.add_(1.0)

    def state():
        return {k: v.clone() for k, v in method.state_dict().items() if k.startswith(("teacher", "target"))}

    start = state()
    for seed in range(2):
        method(images(seed=seed), generator=generator()).loss.backward()
    assert all(torch.equal(value, start[name]) for name, value in state().items()) and method.masking.steps == 0
    method.after_step(0.0)
    end = state()
    assert method.masking.steps == 1
    torch.testing.assert_close(
        end["teacher.decoder.pred.weight"], (start["teacher.decoder.pred.weight"] + head.pred.weight) / 2
    )
    assert not torch.equal(end["target.patch_centre"], start["target.patch_centre"])
