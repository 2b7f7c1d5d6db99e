"""The five recipes: what they can be told, what learns in them and what does not, and what they must not see."""

from functools import partial
from typing import Literal, Optional

import pytest
import torch
from helpers import N, build, calls, generator, raw
from torch import nn

from minimim import methods
from minimim.cli import parse
from minimim.data.views import normalize
from minimim.errors import UserError
from minimim.methods import Method, create, registry
from minimim.methods.bases import mae_parts

NAMES = ["mae", "simmim", "hpm", "data2vec", "ibot"]
TAUGHT = ["data2vec", "ibot", "hpm"]


# Names and options


def test_names_are_the_recipes_and_each_can_be_made_without_an_option():
    assert set(NAMES) < set(methods.names()) == set(methods.RECIPES) and len(methods.names()) >= 28
    for name in NAMES:
        assert create(name).spec == {"name": name, "image_size": (32, 32), "patch_size": 4, "size": "micro"}


@pytest.mark.parametrize("name", NAMES)
def test_options_are_what_create_takes_with_the_defaults(name):
    options = methods.options(name)
    assert "mask_ratio" in options and not {"image_size", "patch_size", "size"} & set(options)
    spelt_out, plain = build(name, **options), build(name)
    assert [p.shape for p in spelt_out.parameters()] == [p.shape for p in plain.parameters()]
    assert spelt_out.spec["mask_ratio"] == options["mask_ratio"]


def test_an_option_reaches_the_method():
    output = build("mae", mask_ratio=0.5)(raw(), generator=generator())
    assert torch.all(output.mask.sum(1) == 8)
    assert build("mae", channels=1)(raw()[:, :1], generator=generator()).prediction.shape == (4, N, 16)


@pytest.mark.parametrize(
    "wrong, right", [("mea", "mae"), ("SimMIN", "simmim"), ("data2vek", "data2vec"), ("hpn", "hpm")]
)
def test_an_unknown_method_suggests_the_near_one(wrong, right):
    for ask in (create, methods.options, partial(create, mask_ratio=0.5)):
        with pytest.raises(UserError, match=f"did you mean '{right}'"):
            ask(wrong)


def registered(monkeypatch, build):
    monkeypatch.setattr(registry, "RECIPES", dict(registry.RECIPES))
    return methods.recipe(section="beyond", paper="none")(build)


def test_the_kinds_of_options_are_known_however_their_annotations_are_written(monkeypatch):
    def late(image_size, patch_size, size, *, width: "int | None" = None, ratio: Optional[float] = None, kind: "Literal['a', 'b']" = "a"):  # noqa: UP045
        """Late (none). Differs: not at all."""
        return Method(**mae_parts(image_size, patch_size, size))

    registered(monkeypatch, late)
    assert methods.kinds("late")["width"] == int | None
    for told, sentence in (({"width": "4"}, "whole number"), ({"ratio": "x"}, "is a number"), ({"kind": "c"}, "unknown kind 'c'")):
        with pytest.raises(UserError, match=sentence):
            create("late", **told)
    command = parse(["pretrain", "--method", "late", "--width", "3", "--ratio", "0.5", "--kind", "b"])
    assert command.options == {"width": 3, "ratio": 0.5, "kind": "b"}


def test_an_option_without_a_kind_or_a_default_is_refused(monkeypatch):
    for recipe in (lambda image_size, patch_size, size, *, width=3: None, lambda image_size, patch_size, size, *, width: None):
        with pytest.raises(UserError, match="width of <lambda> needs a kind and a default"):
            registered(monkeypatch, recipe)


def test_an_unknown_option_suggests_the_near_one():
    with pytest.raises(UserError, match="option of mae 'mask_ration': did you mean 'mask_ratio'"):
        create("mae", mask_ration=0.5)
    with pytest.raises(UserError, match="unknown option of simmim 'prototypes'"):
        create("simmim", prototypes=10)
    with pytest.raises(UserError, match="did you mean 'micro'"):
        create("hpm", size="mikro")


@pytest.mark.parametrize("name", NAMES)
def test_patches_must_divide_the_image(name):
    with pytest.raises(UserError, match="30×30 .* patches of 4"):
        create(name, image_size=30)
    with pytest.raises(UserError, match="16×18 .* patches of 4"):
        build(name).eval()(torch.randn(2, 3, 16, 18))


@pytest.mark.parametrize(
    "name, option, value, sentence",
    [
        ("ibot", "mask_ratio", 0.3, "mask_ratio is 2 numbers, such as 0.1 0.5, not 0.3"),
        ("ibot", "momentum", 0.99, "momentum is 2 numbers"),
        ("data2vec", "momentum", 0.99, "momentum is 2 numbers"),
        ("mae", "crop_scale", 0.5, "crop_scale is 2 numbers"),
        ("simmim", "crop_scale", (0.2, 0.5, 1.0), "crop_scale is 2 numbers"),
        ("mae", "decoder_depth", 1.5, "decoder_depth must be a whole number of 0 or more, not 1.5"),
        ("mae", "decoder_dim", 0, "decoder_dim must be a whole number of 1 or more, not 0"),
        ("mae", "decoder_heads", 5, "a decoder of width 64 cannot be shared out among 5 heads"),
        ("mae", "channels", 1.5, "channels must be a whole number of 1 or more"),
        ("simmim", "unit", -1, "unit must be a whole number of 1 or more"),
        ("ibot", "prototypes", 2.5, "prototypes must be a whole number of 1 or more"),
        ("data2vec", "layers", 9, "layers=9 is more than the 4 blocks"),
        ("hpm", "patch_size", -4, "patch_size must be a whole number of 1 or more, not -4"),
        ("hpm", "image_size", (32, 32, 32), "image_size is 2 numbers"),
        ("ibot", "mask_ratio", ("a", "b"), "mask_ratio is 2 numbers"),
        ("mae", "mask_ratio", None, "mask_ratio must have a value: leave it out to get the recipe's own, 0.75"),
        ("hpm", "image_size", 0, "image_size must be a whole number of 1 or more, not 0"),
    ],
)
def test_an_option_is_of_the_kind_of_its_default(name, option, value, sentence):
    with pytest.raises(UserError, match=sentence):
        create(name, **{option: value})


def test_an_option_may_be_a_list_and_a_crop_none_and_a_decoder_may_have_no_blocks():
    method = build("mae", crop_scale=[0.5, 1.0], decoder_depth=0)
    assert not len(method.decoder.blocks) and method(raw()).loss.isfinite()
    assert build("mae", crop_scale=None)(raw()).loss.isfinite() and build("data2vec", layers=4).target.count == 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ratio", [-0.5, 0, 1, 75])
def test_a_mask_ratio_lies_between_zero_and_one(name, ratio):
    ratio = (ratio, 0.5) if name == "ibot" else ratio
    with pytest.raises(UserError, match="between 0 and 1"):
        create(name, mask_ratio=ratio)


@pytest.mark.parametrize("name", ["mae", "simmim", "data2vec", "hpm"])
def test_something_must_be_visible_and_something_hidden(name):
    with pytest.raises(UserError, match="nothing visible among 16"):
        build(name, mask_ratio=0.97)(raw())
    with pytest.raises(UserError, match="nothing hidden among 16"):
        build(name, mask_ratio=1e-17)(raw())


# What learns, and what does not


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_can_learn_gets_a_gradient(name):
    method = build(name)
    output = method(raw(), progress=0.5, generator=generator())
    assert output.loss.isfinite() and output.mask.dtype == torch.bool and output.mask.shape == (4, N)
    output.loss.backward()
    learning = {n: p for n, p in method.named_parameters() if p.requires_grad}
    fixed = {n for n, p in method.named_parameters() if not p.requires_grad and not n.startswith("teacher.")}
    assert all(n.endswith("pos_embed") for n in fixed)
    idle = learning.pop("decoder.decoders.difficulty.pred.bias", None)  # a ranking ignores what all patches share
    assert (idle is not None) == (name == "hpm") and (idle is None or idle.grad.abs().max() < 1e-6)
    for n, p in learning.items():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0, n


@pytest.mark.parametrize("name", TAUGHT)
def test_the_teacher_never_gets_a_gradient(name):
    method = build(name)
    method(raw(), generator=generator()).loss.backward()
    assert all(not p.requires_grad and p.grad is None for p in method.teacher.parameters())


@pytest.mark.parametrize("name", TAUGHT)
def test_the_teacher_is_never_in_training_mode(name):
    method = build(name, drop_path=0.5) if name != "hpm" else build(name)
    for mode in (True, False, True):
        method.train(mode)
        assert method.encoder.training == mode and not any(m.training for m in method.teacher.modules())


def heads(method):
    """The pairs that the teacher follows: (its own parameter, the student's), by name."""
    pairs = {}
    for part in ("encoder", "decoder"):
        mine, theirs = getattr(method.teacher, part), getattr(method, part)
        for name, p in mine.named_parameters() if mine is not None else ():
            pairs[f"{part}.{name}"] = p, dict(theirs.named_parameters())[name]
    return pairs


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", TAUGHT)
def test_the_teacher_moves_only_after_a_step_and_by_the_momentum_of_that_time(name, progress):
    first, last = 0.6, 0.9
    method = build(name, momentum=(first, last))
    for mine, _ in heads(method).values():
        with torch.no_grad():
            mine.add_(torch.randn(mine.shape))
    before = {n: mine.clone() for n, (mine, _) in heads(method).items()}
    method(raw(), progress=progress, generator=generator()).loss.backward()
    assert all(torch.equal(mine, before[n]) for n, (mine, _) in heads(method).items())
    method.after_step(progress)
    momentum = {0.0: first, 0.5: (first + last) / 2, 1.0: last}[progress]
    moved = 0
    for n, (mine, student) in heads(method).items():
        expected = momentum * before[n] + (1 - momentum) * student if student.requires_grad else before[n]
        torch.testing.assert_close(mine, expected, atol=1e-5, rtol=1e-5)
        moved += student.requires_grad
    assert moved > 20 and (name == "data2vec") == (method.teacher.decoder is None)


def test_a_teacher_starts_as_its_student_and_shares_nothing_with_it():
    method = create("ibot", image_size=16)
    for n, (mine, student) in heads(method).items():
        assert torch.equal(mine, student) and mine.data_ptr() != student.data_ptr(), n


@pytest.mark.parametrize("name, looks", [("mae", 0), ("simmim", 0), ("data2vec", 1), ("ibot", 2), ("hpm", 1)])
def test_the_teacher_looks_once_at_each_view(name, looks):
    method = build(name)
    seen = calls(method.teacher.encoder) if method.teacher else []
    answers = calls(method.teacher.decoder) if method.teacher and method.teacher.decoder else []
    method(raw(), generator=generator())
    assert len(seen) == looks and len(answers) == (0 if name == "data2vec" else looks)
    assert all(len(args) == 1 for args, _ in seen)  # it sees the image whole


@pytest.mark.parametrize("name", NAMES)
def test_the_same_generator_gives_the_same_output_and_another_another_mask(name):
    method = build(name)
    one, two, other = (method(raw(8), progress=0.5, generator=generator(s)) for s in (0, 0, 1))
    assert torch.equal(one.loss, two.loss) and torch.equal(one.prediction, two.prediction)
    assert torch.equal(one.mask, two.mask) and torch.equal(one.target, two.target)
    assert not torch.equal(one.mask, other.mask) and not torch.equal(one.loss, other.loss)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_drawn_from_the_global_generator(name):
    method = build(name)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    method(raw(), generator=generator())
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("name", NAMES)
def test_raw_images_are_normalised_once_and_floats_never(name):
    method = build(name).eval()
    one, two = (method(x, generator=generator()) for x in (raw(), normalize(raw())))
    torch.testing.assert_close(one.loss, two.loss)


# What the loss ignores


@pytest.mark.parametrize("name", ["mae", "simmim"])
def test_hidden_pixels_never_reach_the_prediction(name):
    method, x = build(name).eval(), normalize(raw()).requires_grad_()
    output = method(x, generator=generator())
    output.prediction.sum().backward()
    for b in range(4):
        for n in range(N):
            row, col = divmod(n, 4)
            touched = x.grad[b, :, 4 * row : 4 * row + 4, 4 * col : 4 * col + 4].abs().max() > 0
            assert bool(touched) != bool(output.mask[b, n])


def repaint(images, where):
    """Other pixels in the given patches, (B, N)."""
    places = where.view(-1, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)  # (B, 1, 16, 16)
    return torch.where(places, normalize(raw(len(images), seed=9)).to(images.dtype), images)


class OtherContent(nn.Module):
    """Views whose student sees one batch, and whose target is made from another."""

    def __init__(self, views, images):
        super().__init__()
        self.views, self.images = views, images

    def forward(self, inputs, generator=None):
        views = self.views(inputs, generator)
        views.content = [{"image": self.images}]
        return views


@pytest.mark.parametrize("name", ["mae", "simmim"])
def test_the_loss_ignores_the_target_of_visible_patches_and_of_nothing_else(name):
    method, x = build(name).eval(), normalize(raw())
    plain = method(x, generator=generator())
    views = method.views
    for where, same in ((~plain.mask, True), (plain.mask, False)):
        method.views = OtherContent(views, repaint(x, where))
        other = method(x, generator=generator())
        assert torch.equal(other.prediction, plain.prediction)
        assert torch.equal(other.loss, plain.loss) == same


@pytest.mark.parametrize("name", ["mae", "simmim"])
def test_a_patch_that_is_hidden_and_not_scored_can_hold_anything(name):
    method, x = build(name).eval(), normalize(raw())
    plain = method(x, generator=generator())
    unscored = plain.mask & (plain.mask.cumsum(1) <= 4)  # the first four hidden patches of each image
    method.terms[0].on = lambda mask: mask.hidden & ~unscored
    one, two = (method(images, generator=generator()) for images in (x, repaint(x, unscored)))
    assert torch.equal(one.loss, two.loss) and torch.equal(one.prediction, two.prediction)
    assert not torch.equal(one.target, two.target) and not torch.equal(one.loss, plain.loss)
