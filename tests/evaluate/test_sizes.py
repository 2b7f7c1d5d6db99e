"""Images of another size than the encoder's own: what is learnt from and judged by has the size that was given, or is refused."""

import pytest
import torch
from helpers import build, raw, toy

from minimim import checkpoint
from minimim.data import Images
from minimim.data.files import OnDisk
from minimim.encoders import ViT
from minimim.errors import UserError
from minimim.evaluate import FinetuneConfig, OfficialConfig, extract, finetune, knn, load_classifier, official_probe
from minimim.evaluate.classify import view_size
from minimim.evaluate.features import image_size

NAMES = ("cat", "dog", "eel")


def sized(n, height, width, seed=0):
    """Images of two classes in any size."""
    images = toy(n, seed=seed)
    larger = torch.nn.functional.interpolate(images.images.float(), (height, width)).to(torch.uint8)
    return Images(larger, images.labels, NAMES)


def tune(encoder, train, test, out=None, **more):
    return finetune(encoder, train, test, FinetuneConfig(**{"epochs": 1, "batch_size": 8, "device": "cpu", **more}), out=out, bar=False)


def probe(encoder, train, test, out=None, **more):
    return official_probe(encoder, train, test, OfficialConfig(**{"epochs": 1, "batch_size": 8, "device": "cpu", **more}), out=out, bar=False)


@pytest.fixture
def seen(monkeypatch):
    """(whether it is in training, (H, W)) of everything that an encoder looks at."""
    sizes, forward = set(), ViT.forward

    def watched(self, images, *args, **more):
        sizes.add((torch.is_grad_enabled(), tuple(images.shape[-2:])))
        return forward(self, images, *args, **more)

    monkeypatch.setattr(ViT, "forward", watched)
    return sizes


@pytest.mark.parametrize("crop", [0.5, 1.0])
@pytest.mark.parametrize("learn", [tune, probe])
@pytest.mark.parametrize("size", [(16, 16), (24, 24), (12, 20)])
def test_it_learns_and_is_judged_at_the_size_that_was_given(seen, learn, size, crop):
    learn(build("mae").encoder, sized(16, *size), sized(6, *size, seed=1), crop=crop)
    assert {one for _, one in seen} == {size}


@pytest.mark.parametrize("learn", [tune, probe])
def test_larger_train_images_are_for_crops_which_come_out_as_large_as_the_test_images(seen, learn):
    train, test = sized(16, 24, 20), sized(6, 16, 16, seed=1)
    learn(build("mae").encoder, train, test, crop=0.5)
    assert {one for _, one in seen} == {(16, 16)}
    with pytest.raises(UserError, match="train images have 24×20 pixels and the test images 16×16: load both at one image_size"):
        learn(build("mae").encoder, train, test, crop=1.0)
    with pytest.raises(UserError, match="have 16×16 pixels and the test images 24×20"):
        learn(build("mae").encoder, test, train, crop=0.5)


@pytest.mark.parametrize("learn", [tune, probe])
def test_a_size_that_the_patches_do_not_divide_is_refused_before_anything_is_learnt(seen, learn):
    with pytest.raises(UserError, match="18×16 pixels cannot be cut into patches of 4"):
        learn(build("mae").encoder, sized(16, 18, 16), sized(6, 18, 16))
    assert not seen


def test_images_on_disk_have_the_size_that_they_are_read_at():
    assert image_size(OnDisk([], None, (), (20, 12))) == (20, 12) and image_size(sized(2, 20, 12)) == (20, 12)
    assert view_size(build("mae").encoder, OnDisk([], None, (), (24, 24)), sized(2, 16, 16), crop=0.9) == (16, 16)


def test_features_of_images_of_two_sizes_are_not_compared():
    encoder = build("mae").encoder
    large, small = (extract(encoder, sized(8, side, side)) for side in (24, 16))
    assert knn(large, extract(encoder, sized(8, 24, 24, seed=1))).n == 8
    with pytest.raises(UserError, match="at 24×24, .* at 16×16, .* from images of one size"):
        knn(large, small)


def test_a_classifier_keeps_its_size_and_the_names_of_its_classes(tmp_path):
    encoder, test = build("mae").encoder, sized(6, 24, 20, seed=1)
    tune(encoder, sized(16, 24, 20), test, tmp_path / "named", epochs=20, lr=1e-2)
    model = load_classifier(tmp_path / "named")
    assert model.classes == ("cat", "dog") and model.views.image_size == (24, 20)  # no train image shows an eel
    assert [model.classes[i] for i in model.scores(test.images).argmax(1)] == ["cat", "dog"] * 3
    tune(encoder, Images(raw(8), torch.arange(8) % 2), toy(6), tmp_path / "nameless")
    assert load_classifier(tmp_path / "nameless").classes == ()


def test_a_classifier_of_before_sizes_and_names_were_kept_still_opens(tmp_path):
    tune(build("mae").encoder, toy(16), toy(6), tmp_path)
    tensors, about = checkpoint.read(tmp_path)
    for name in ("names", "image_size"):
        del about["spec"]["classifier"][name]
    checkpoint.write(tmp_path / "old.safetensors", tensors, about)
    old = load_classifier(tmp_path / "old.safetensors")
    assert old.classes == () and old.views.image_size == (16, 16)
    assert torch.equal(old.scores(toy(6).images), load_classifier(tmp_path).scores(toy(6).images))


@pytest.mark.parametrize("learn", [tune, probe])
def test_a_run_is_resumed_at_its_own_size_alone(tmp_path, learn):
    learn(build("mae").encoder, toy(16), toy(6), tmp_path)
    config = (FinetuneConfig if learn is tune else OfficialConfig)(epochs=1, batch_size=8, device="cpu")
    go_on = finetune if learn is tune else official_probe
    with pytest.raises(UserError, match=r"was begun with image_size=\[16, 16\], not \[20, 20\]|on other images"):
        go_on(build("mae").encoder, sized(16, 20, 20), sized(6, 20, 20), config, out=tmp_path, resume=True, bar=False)


# A batch of one


@pytest.mark.parametrize("batch, parts, processes", [(1, 1, 1), (4, 4, 1), (4, 2, 2), (16, 8, 2)])
def test_a_batch_norm_that_would_see_one_image_is_refused_before_it_sees_any(seen, monkeypatch, batch, parts, processes):
    monkeypatch.setattr("minimim.evaluate.official.world", lambda: processes)
    with pytest.raises(UserError, match=f"a batch of {batch} in {parts} parts? on {processes} process.* leaves it a single one: choose a larger"):
        probe(build("mae").encoder, toy(16), toy(6), batch_size=batch, accumulate=parts)
    assert not seen


def test_a_batch_norm_that_sees_two_images_learns_and_more_of_them_than_there_are_are_cut():
    encoder = build("mae").encoder
    assert probe(encoder, toy(16), toy(6), batch_size=4, accumulate=2).n == 6
    assert probe(encoder, toy(7), toy(6), batch_size=6).details["steps"] == 1  # the seventh opens the next batch: none is of one
    with pytest.raises(UserError, match="a batch of 7 cannot be cut into 2 equal parts"):
        probe(encoder, toy(7), toy(6), batch_size=64, accumulate=2)
