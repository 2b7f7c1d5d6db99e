"""The interface carries methods that nobody has written yet, III: terms without a target, parts anywhere, and what is refused."""

from functools import partial

import pytest
import torch
from helpers import N, calls, generator, images, mean_over
from torch import nn

from minimim.data.views import RandomViews, Views
from minimim.decoders import LinearDecoder, TransformerDecoder
from minimim.encoders import ViT
from minimim.errors import UserError
from minimim.losses import Term, l2
from minimim.masking import RandomMasking
from minimim.methods import Method, Teacher
from minimim.methods.sums import Sums
from minimim.targets import Pixels

GRID = (4, 4)  # of 16×16 images in patches of 4


def parts(**more):
    torch.manual_seed(0)
    decoder = TransformerDecoder(128, 48, GRID, dim=32, depth=1, heads=2)
    more = {"terms": [Term("patch", l2)], "encoder": ViT(16, 4, "micro"), "decoder": decoder, **more}
    return {"views": RandomViews((16, 16)).eval(), "masking": RandomMasking(0.75), "target": Pixels(4), **more}


def length(prediction, target=None, where=None):
    return prediction.square().sum(-1)


def test_a_term_without_a_target_judges_the_answer_or_the_encoder_alone():
    terms = [Term("patch", l2), Term("patch", length, 0.5, pair=None, name="size"), Term("latent_cls", length, 0.1, pair=None)]
    method, x = Method(**parts(terms=[*terms, Term("latent_mean", length, pair=None), Term("latent", length, pair=None)])), images()
    answers, looks = calls(method.decoder), calls(method.encoder)
    output = method(x, generator=generator())
    everywhere, encoded = torch.ones(3, N, dtype=torch.bool), looks[0][1]
    told = output.metrics
    assert told["size"].item() == pytest.approx(mean_over(length(answers[0][1]["patch"]), everywhere), rel=1e-5)
    assert told["latent_cls"].item() == pytest.approx(float(length(encoded.cls).mean()), rel=1e-5)
    assert told["latent_mean"].item() == pytest.approx(float(length(encoded.patches.mean(1)).mean()), rel=1e-5)
    assert told["latent"].item() == pytest.approx(float(length(encoded.patches).mean()), rel=1e-5)
    whole = told["patch"] + 0.5 * told["size"] + 0.1 * told["latent_cls"] + told["latent_mean"] + told["latent"]
    torch.testing.assert_close(output.loss.detach(), whole)


def test_a_term_on_views_sees_every_students_answer_once_a_step_with_a_gradient_in_each():
    seen = []

    def apart(answers, target, where):
        seen.append(answers)
        assert target is None and where is None
        return (answers[0] - answers[1]).square().mean(-1)  # (B,)

    views = RandomViews((16, 16), count=2).eval()
    method = Method(**parts(views=views, terms=[Term("latent_cls", apart, pair="views")], target=None))
    output = method(images(), generator=generator())
    assert len(seen) == 1 and seen[0].shape == (2, 3, 128) and output.target is None
    (gradient,) = torch.autograd.grad(output.loss, seen[0])
    assert all((side.abs().sum() > 0) for side in gradient)


def test_views_whose_answers_are_not_alike_are_refused():
    class TwoSizes(nn.Module):
        def forward(self, inputs, generator=None):
            x = inputs["image"]
            return Views([{"image": x}, {"image": x[..., :8]}], [], [])

    method = Method(**parts(views=TwoSizes(), terms=[Term("latent", length, pair="views")], masking=RandomMasking(0.5)))
    with pytest.raises(UserError, match=r"compares views, and their answers are not alike: \(3, 8, 128\), \(3, 4, 128\)"):
        method(images())


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: Term("patch", l2, pair="smae"), "pair of a term 'smae': did you mean 'same'"),
        (lambda: Term("patch", l2, on="hiden"), "did you mean 'hidden'"),
        (lambda: Method(**parts(terms=[Term("patch", l2, pair="other")]))(images()), "compares with every other view, and there is only one"),
        (lambda: Method(**parts(terms=[Term("patch", l2, on=lambda mask: None)]))(images()), "gives NoneType where a bool tensor"),
        (lambda: Method(**parts(terms=[Term("pacth", l2)]))(images()), r'the stream "pacth", and the decoder answers \[\'patch\'\]'),
        (lambda: Method(**parts(terms=[Term("latent", l2)]))(images()), r'"latent", and the target gives \[\'patch\'\]'),
    ],
)
def test_a_word_that_is_none_gets_a_sentence(make, sentence):
    with pytest.raises(UserError, match=sentence):
        make()


def test_a_term_on_whole_images_that_forgot_on_all_is_refused_even_where_images_are_as_many_as_patches():
    def per_image(prediction, target, where):
        return (prediction - target).square().mean(dim=(1, 2))  # (B,)

    method = Method(**parts(terms=[Term("patch", per_image)]))
    for batch in (3, N):
        with pytest.raises(UserError, match=rf'on "patch" makes errors of shape \({batch},\), .* give it on="all"'):
            method(images(batch))
    assert Method(**parts(terms=[Term("patch", per_image, on="all")]))(images()).loss.isfinite()


def test_against_takes_the_errors_of_its_own_view():
    taken = []

    def watch(prediction, target, where):
        taken.append(target)
        return (prediction.mean(-1) - target).square()

    views = RandomViews((16, 16), count=3).eval()
    terms = [Term("patch", l2, on="all", pair="other"), Term("again", watch, on="all", pair="other", against="patch")]

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = TransformerDecoder(128, 48, GRID, dim=32, depth=1, heads=2)

        def forward(self, *given):
            answer = self.out(*given)["patch"]
            return {"patch": answer, "again": answer}

    class ByView(nn.Module):  # a target that differs from view to view
        count = 0

        def forward(self, content, teacher=None, mask=None, progress=0.0):
            self.count += 1
            return {"patch": torch.full((3, N, 48), float(self.count))}

    method = Method(**parts(views=views, terms=terms, decoder=Both(), target=ByView()))
    answers = calls(method.decoder)
    method(images(), generator=generator())
    first = answers[0][1]["patch"]
    expected = [(first - level).square().mean(-1).detach() for level in (1.0, 2.0)]  # of views 1 and 2, which view 0 meets
    assert len(taken) == 6
    for target, errors in zip(taken[:2], expected, strict=True):
        torch.testing.assert_close(target, errors)


class Weighted(nn.Module):
    """A loss with a weight of its own."""

    def __init__(self):
        super().__init__()
        self.scale, self.moved = nn.Parameter(torch.ones(48)), 0

    def forward(self, prediction, target, where):
        return (self.scale * prediction - target).square().mean(-1)

    def after_step(self, progress):
        self.moved += 1


def test_a_loss_with_weights_is_a_part_like_any_other():
    method = Method(**parts(terms=[Term("patch", Weighted())]))
    assert "losses.0.scale" in method.state_dict()
    method(images()).loss.backward()
    assert method.losses[0].scale.grad.abs().sum() > 0
    method.after_step(0.5)
    assert method.losses[0].moved == 1


def test_every_part_and_part_of_a_part_is_prepared_and_moves_once_a_step_but_for_the_teachers_copies():
    class Counting(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.prepared, self.moved = inner, 0, 0

        def forward(self, *given, **more):
            return self.inner(*given, **more)

        def prepare(self, data, generator=None):
            self.prepared += 1

        def after_step(self, progress):
            self.moved += 1

    encoder = ViT(16, 4, "micro")
    encoder.norm = Counting(encoder.norm)  # a part of a part
    views, target = Counting(RandomViews((16, 16)).eval()), Counting(Pixels(4))
    method = Method(**parts(views=views, encoder=encoder, target=target, teacher=Teacher(encoder)))
    method.prepare(images(), generator())
    method.after_step(0.5)
    assert [(x.prepared, x.moved) for x in (views, target, encoder.norm, method.teacher.encoder.norm)] == [(1, 1)] * 3 + [(0, 0)]


def test_a_parts_own_loss_and_a_maskings_penalty_are_added_and_logged_by_name():
    class Held(RandomMasking):
        def __init__(self):
            super().__init__(0.75)
            self.weight = nn.Parameter(torch.tensor(2.0))

        def forward(self, *given, **more):
            masks = super().forward(*given, **more)
            masks[0].penalty = 3 * self.weight
            return masks

    class Learning(Pixels):
        def __init__(self):
            super().__init__(4)
            self.weight = nn.Parameter(torch.tensor(5.0))

        def own_loss(self):
            return self.weight**2

    method = Method(**parts(masking=Held(), target=Learning()))
    output = method(images())
    assert output.metrics["penalty"] == 6 and output.metrics["target"] == 25
    torch.testing.assert_close(output.loss.detach(), output.metrics["patch"] + 31)
    output.loss.backward()
    assert method.target.weight.grad == 10 and method.masking.weight.grad == 3


def test_a_target_is_made_once_a_content_view_unless_it_reads_the_mask():
    class Twice(RandomMasking):
        def forward(self, *given, **more):
            return super().forward(*given, **more) + super().forward(*given, **more)

    for reads, expected in ((False, 2), (True, 4)):
        target = Pixels(4)
        target.reads_mask = reads
        seen = calls(target)
        Method(**parts(views=RandomViews((16, 16), count=2).eval(), masking=Twice(0.5), target=target))(images())
        assert len(seen) == expected


def test_what_a_decoder_wants_is_asked_of_the_student_when_it_is_called():
    class Layers(LinearDecoder):
        want = ("layers",)

        def forward(self, encoded, mask=None, question=None):
            return {"patch": self.pred(encoded.layers[0].patches)}

    method = Method(**parts(encoder=ViT(16, 4, "micro", hidden="token"), decoder=LinearDecoder(128, 48)))
    method.decoder = Layers(128, 48)  # exchanged after the method was made
    method(images()).loss.backward()
    later = method.encoder.blocks[-1].mlp.fc2.weight.grad
    assert method.encoder.blocks[0].mlp.fc2.weight.grad.abs().sum() > 0 and later is None


def test_losses_are_taken_in_full_precision_whatever_the_answers_are_in():
    seen = []

    def watch(prediction, target, where):
        seen.append((prediction.dtype, target.dtype, (prediction @ target.transpose(1, 2)).dtype))
        return (prediction - target).square().mean(-1)

    sums = Sums([Term("patch", watch, on="all")])
    half = torch.randn(2, N, 8, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        sums.compare({"patch": half}, {0: {"patch": half}}, 0, None, None)
    assert seen == [(torch.float32,) * 3]


def test_a_teacher_of_a_stranger_is_refused():
    with pytest.raises(UserError, match="follows a student that is no part of this method"):
        Method(**parts(teacher=Teacher(ViT(16, 4, "micro"))))


@pytest.mark.parametrize(
    "terms, sentence",
    [
        ([], "needs one term or more"),
        ([Term("patch", l2), Term("patch", length, against="pach")], r"against the errors on \"pach\", and the terms of its pair before it are on \['patch'\]"),
        ([Term("patch", length, against="cls"), Term("cls", l2)], r"before it are on \[\]: put that term first"),
    ],
)
def test_terms_that_cannot_be_compared_are_refused_when_the_method_is_made(terms, sentence):
    with pytest.raises(UserError, match=sentence):
        Method(**parts(terms=terms))


def test_a_method_without_a_target_compares_with_none():
    with pytest.raises(UserError, match='on "patch" compares with a target, and this method has none'):
        Method(**parts(target=None))
    assert Method(**parts(target=None, terms=[Term("patch", length, pair=None)]))(images()).target is None


def test_a_term_is_not_called_as_the_whole_is():
    with pytest.raises(UserError, match='cannot be called "loss"'):
        Term("patch", l2, name="loss")


def test_a_comparison_of_views_has_no_places_of_one_mask():
    with pytest.raises(UserError, match="compares views, each with masks of its own"):
        Term("cls", length, pair="views", on=lambda mask: mask.hidden)


@pytest.mark.parametrize("shape", [(3, N, 1), (3, 1, 48), (1, N, 48)])
def test_a_target_of_another_shape_is_refused_and_not_spread_over_the_answer(shape):
    class Other(nn.Module):
        def forward(self, content, teacher, mask, progress):
            return {"patch": torch.zeros(shape)}

    with pytest.raises(UserError, match=rf"an answer \(3, {N}, 48\) with a target \({shape[0]}, {shape[1]}, {shape[2]}\)"):
        Method(**parts(target=Other()))(images())


def test_answers_in_double_precision_are_compared_in_it():
    seen = []
    sums = Sums([Term("patch", lambda p, t, where: seen.append((p.dtype, t.dtype)) or l2(p, t), on="all")])
    sums.compare({"patch": torch.randn(2, N, 8).double()}, {0: {"patch": torch.randn(2, N, 8)}}, 0, None, None)
    assert seen == [(torch.float64,) * 2]


def test_a_loss_with_weights_of_which_arguments_are_fixed_is_a_part_too():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(48))

        def forward(self, prediction, target, where=None, times=1.0):
            return times * ((prediction - target) * self.scale).square().mean(-1)

    method = Method(**parts(terms=[Term("patch", partial(Scaled(), times=2.0))]))
    method(images()).loss.backward()
    assert method.get_parameter("losses.0.scale").grad.abs().sum() > 0
