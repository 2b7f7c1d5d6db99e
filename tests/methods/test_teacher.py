"""The teacher: an average that follows, sees all or the rest, normalises as it is told, and shares what it should."""

import copy
import math

import pytest
import torch
from helpers import images
from torch import nn
from torch.testing import assert_close

from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder, PrototypeHead
from minimim.encoders import ViT
from minimim.errors import UserError
from minimim.losses import Term, l2
from minimim.masking import Mask, RandomMasking, mask_by_noise
from minimim.methods import Method, Seen, Teacher
from minimim.norms import BatchNorm
from minimim.targets import LayerMean


class Normed(nn.Module):
    """A map with a batch norm behind it, ours or torch's."""

    def __init__(self, norm=BatchNorm):
        super().__init__()
        self.map, self.norm, self.drop = nn.Linear(4, 4), norm(4), nn.Dropout(0.9)

    def forward(self, x):
        return self.drop(self.norm(self.map(x)))


def rows(seed=0):
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)) * 3 + 2


def shifted(module):
    """The module, all of its weights elsewhere."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.rand(p.shape) + 0.1)
    return module


def vit(**more):
    return ViT(16, 4, "micro", **more)


# Averages


@pytest.mark.parametrize("progress, momentum", [(0.0, 0.9), (0.25, 0.95 - 0.05 * math.sqrt(0.5)), (0.5, 0.95), (1.0, 1.0)])
def test_momentum_climbs_along_half_a_cosine(progress, momentum):
    student = nn.Linear(3, 2)
    teacher = Teacher(student, momentum=(0.9, 1.0))
    before = copy.deepcopy(teacher.encoder)
    shifted(student)
    teacher.after_step(progress)
    for mine, old, new in zip(teacher.parameters(), before.parameters(), student.parameters(), strict=True):
        assert_close(mine.detach(), (momentum * old + (1 - momentum) * new).detach())


def test_a_teacher_never_learns_by_gradient_and_does_not_own_its_students():
    teacher = Teacher(vit(), LinearDecoder(128, 5))
    assert not any(p.requires_grad for p in teacher.parameters())
    assert {name.split(".")[0] for name in teacher.state_dict()} == {"encoder", "decoder"}
    assert not {id(p) for p in teacher.parameters()} & {id(p) for student in teacher.students for p in student.parameters()}


def test_what_does_not_learn_is_not_averaged():
    student = shifted(nn.Linear(3, 2))
    student.bias.requires_grad_(False)
    teacher = Teacher(student, momentum=(0.5, 0.5))
    shifted(student)
    old = teacher.encoder.bias.clone()
    teacher.after_step(0.5)
    assert torch.equal(teacher.encoder.bias, old) and not torch.equal(teacher.encoder.weight, student.weight)


def test_to_begin_again_is_to_be_what_the_students_are_now():
    student = Normed()
    teacher = Teacher(student)
    shifted(student).train()(rows())
    teacher.begin_again()
    assert all(torch.equal(a, b) for a, b in zip(teacher.encoder.state_dict().values(), student.state_dict().values(), strict=True))


# Batch norms


@pytest.mark.parametrize("norm", [BatchNorm, nn.BatchNorm1d])
def test_in_eval_a_teacher_normalises_by_the_running_statistics_of_its_student(norm):
    student = Normed(norm)
    teacher = Teacher(student).train()
    student.train()(rows())
    assert not torch.equal(teacher.encoder.norm.running_mean, student.norm.running_mean)
    teacher.after_step(0.0)
    for mine, theirs in zip(teacher.encoder.buffers(), student.buffers(), strict=True):
        assert torch.equal(mine, theirs)
    x = rows(1)
    assert torch.equal(teacher.encoder(x)[:2], teacher.encoder(x[:2]))  # who else is in the batch does not matter
    assert torch.equal(teacher.encoder.norm.running_mean, student.norm.running_mean)  # and looking moves nothing


@pytest.mark.parametrize("norm", [BatchNorm, nn.BatchNorm1d])
def test_with_its_own_batch_a_teacher_normalises_by_what_it_sees_and_its_buffers_are_its_own(norm):
    student = Normed(norm)
    teacher, x = Teacher(student, norm="batch").train(), rows()
    mapped = teacher.encoder.map(x)
    expected = (mapped - mapped.mean(0)) / (mapped.var(0, unbiased=False) + 1e-5).sqrt()
    assert_close(teacher.encoder(x), expected)  # the dropout is off all the same
    assert_close(teacher.encoder.norm.running_mean, 0.1 * mapped.mean(0))
    kept = teacher.encoder.norm.running_mean.clone()
    student.train()(rows(1))
    teacher.after_step(0.0)
    assert torch.equal(teacher.encoder.norm.running_mean, kept)


def test_with_its_own_batch_or_not_a_teacher_that_is_judged_looks_at_no_batch():
    teacher = Teacher(Normed(), norm="batch").train().eval()
    x = rows()
    assert torch.equal(teacher.encoder(x)[:2], teacher.encoder(x[:2]))


def method_with(teacher, encoder, decoder):
    parts = {"views": RandomViews((16, 16)).eval(), "masking": RandomMasking(0.5), "target": LayerMean(1)}
    return Method(**parts, encoder=encoder, decoder=decoder, terms=[Term("patch", l2)], teacher=teacher)


def test_a_method_tells_its_teacher_whether_it_is_trained():
    encoder, decoder = vit(), Normed()
    method = method_with(Teacher(encoder, decoder, norm="batch"), encoder, decoder)
    modes, teacher = [], method.teacher
    for mode in (True, False):
        method.train(mode)
        modes.append((teacher.training, teacher.decoder.norm.training, teacher.decoder.drop.training))
    assert modes == [(False, True, False), (False, False, False)]


# What both own


def test_what_is_shared_is_one_object_that_learns_and_is_not_averaged():
    encoder, head = vit(), PrototypeHead(128, prototypes=7, hidden_dim=12, bottleneck_dim=4)
    teacher = Teacher(encoder, head, (0.5, 0.5), share=[head.mlp[4]])
    assert teacher.decoder.mlp[4] is head.mlp[4] and head.mlp[4].weight.requires_grad
    assert teacher.decoder.mlp[0] is not head.mlp[0] and not teacher.decoder.mlp[0].weight.requires_grad
    shifted(head)
    here = {name: p.clone() for name, p in head.named_parameters()}
    there = {name: p.clone() for name, p in teacher.decoder.named_parameters()}
    teacher.after_step(0.5)
    for name, p in head.named_parameters():
        assert torch.equal(p, here[name]), name
        expected = here[name] if name.startswith("mlp.4") else (here[name] + there[name]) / 2
        assert_close(teacher.decoder.get_parameter(name).detach(), expected.detach())


def test_a_whole_part_may_be_shared():
    encoder, head = vit(), LinearDecoder(128, 5)
    teacher = Teacher(encoder, head, share=[head])
    assert teacher.decoder is head and teacher.encoder is not encoder


def test_a_teacher_whose_student_is_no_part_of_the_method_is_refused():
    encoder, decoder = vit(), LinearDecoder(128, 128)
    for stranger in (Teacher(vit(), decoder), Teacher(encoder, LinearDecoder(128, 128))):
        with pytest.raises(UserError, match="follows a student that is no part of this method"):
            method_with(stranger, encoder, decoder)
    method_with(Teacher(encoder, decoder.pred), encoder, decoder)  # a part of a part is a part


# What it sees


def test_a_teacher_looks_at_a_view_once_and_not_before_it_is_asked():
    encoder, head = vit(), LinearDecoder(128, 5)
    teacher, x = Teacher(encoder, head), images()
    looks, answers = [], []
    teacher.encoder.register_forward_hook(lambda module, args, output: looks.append(args))
    teacher.decoder.register_forward_hook(lambda module, args, output: answers.append(args))
    seen = Seen(teacher, {"image": x}, ("layers",))
    assert looks == answers == []
    assert_close(seen.streams["patch"], head(encoder(x))["patch"].detach())
    assert seen.encoded is seen.encoded and seen.streams is seen.streams and len(seen.encoded.layers) == 4
    assert len(looks) == len(answers) == 1 and len(looks[0]) == 1  # no mask: the whole image
    assert not seen.streams["patch"].requires_grad and not seen.encoded.patches.requires_grad


@pytest.mark.parametrize("known", [True, False], ids=["a known count", "a count to be found"])
def test_the_hidden_patches_alone_are_what_a_student_would_make_of_them(known):
    """Latent MIM's target: the other part of the image, through the other encoder."""
    encoder, x = vit(), images()
    mask = mask_by_noise(torch.rand(3, 16), 5)
    mask = mask if known else Mask(mask.hidden)
    seen = Seen(Teacher(encoder), {"image": x})
    latent = seen.hidden(mask)
    assert latent.patches.shape == (3, 11, 128) and not latent.patches.requires_grad
    assert_close(latent.patches, encoder(x, Mask(~mask.hidden)).patches.detach())
    changed = x.unflatten(2, (4, 4)).unflatten(4, (4, 4)).clone()  # (B, C, rows, P, cols, P)
    changed = torch.where(mask.hidden.view(3, 1, 4, 1, 4, 1), changed, 9.0).flatten(4).flatten(2, 3)
    assert_close(Seen(Teacher(encoder), {"image": changed}).hidden(mask).patches, latent.patches)
