"""Encoders to timm and back, and timm's models under the same protocol."""

from collections import OrderedDict

import pytest
import torch
from foreign import as_timm, assert_same, build_mae, fresh_mae, timm
from helpers import build, images, raw

from minimim import interop
from minimim.data import Images
from minimim.encoders import ViT
from minimim.evaluate import extract, knn, linear_probe, sweep
from minimim.methods import Teacher, create, names


@pytest.mark.parametrize("name", ["mae", "hpm", "ibot", "data2vec", "simmim"])
def test_timm_takes_the_encoder_strict_and_sees_the_same(name):
    pytest.importorskip("timm")
    method = build(name).eval()
    more = {"class_token": False, "global_pool": ""} if name == "simmim" else {}
    tokens = as_timm(method, interop.to_timm(method), **more).forward_features(images())
    for pool, theirs in (("mean", tokens[:, tokens.shape[1] - 16 :].mean(1)), ("cls", tokens[:, 0])):
        if name != "simmim" or pool == "mean":
            torch.testing.assert_close(method.encoder.features(images(), pool=pool), theirs, rtol=0, atol=1e-5)


def test_what_goes_out_is_a_copy_and_comes_back():
    method, other = build_mae(), fresh_mae()
    weights = interop.to_timm(method)
    assert interop.load(other, weights).source == "timm"
    assert_same(other.encoder.state_dict(), method.encoder.state_dict())
    weights["norm.bias"].zero_()
    assert method.encoder.norm.bias.abs().max() > 0


@pytest.mark.parametrize("name", ["mae", "simmim", "ibot", "data2vec"])
def test_what_goes_out_is_saved_as_a_plain_state_dict_and_read_again(tmp_path, name):
    method = build(name).eval()
    torch.save(interop.to_timm(method), tmp_path / "w.pth")
    assert type(torch.load(tmp_path / "w.pth", weights_only=True)) is OrderedDict  # as timm reads it
    again = interop.method_for(interop.load_file(tmp_path / "w.pth"))
    torch.testing.assert_close(again.encoder.features(images()), method.encoder.features(images()))


# A timm model under the same protocol


@pytest.fixture
def pair():
    """An encoder, and timm's model with the same weights, wrapped."""
    pytest.importorskip("timm")
    method = build_mae()
    return method.encoder, interop.TimmEncoder(as_timm(method, timm(method)))


@pytest.mark.parametrize("layer", [0, 2, 3, -1, -4])
@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_a_timm_encoder_has_the_features_of_the_same_weights(pair, layer, pool):
    mine, theirs = pair
    torch.testing.assert_close(theirs.features(images(), layer, pool), mine.features(images(), layer, pool), atol=1e-5, rtol=0)


def test_a_timm_encoder_normalises_raw_images_with_its_own_statistics(pair):
    _, encoder = pair
    mean, std = (torch.tensor(encoder.model.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    assert mean.unique().tolist() == [0.5]  # not ImageNet's, so that the two can be told apart
    torch.testing.assert_close(encoder.features(raw()), encoder.features((raw() / 255 - mean) / std))


def test_a_timm_encoder_is_probed_by_the_same_protocol(pair):
    _, encoder = pair
    train, test = (Images(raw(40, seed=s), torch.arange(40) % 2) for s in (0, 1))
    train.images[1::2, 0] //= 2
    test.images[1::2, 0] //= 2
    features = extract(encoder, train), extract(encoder, test)
    assert features[0].x.shape == (40, 128) and features[0].made_by.startswith("TimmEncoder")
    assert linear_probe(*features).value > 0.9 and knn(*features).n == 40
    assert len(sweep(encoder, train, test)) == 4 * 2


def test_a_timm_encoder_refuses_what_any_encoder_refuses(error, pair):
    for encoder in pair:
        assert "this encoder has 4 blocks" in error(encoder.features, images(), 4)
        assert "this encoder has 4 blocks" in error(encoder.features, images(), -5)
        assert "unknown pooling 'max'" in error(encoder.features, images(), -1, "max")


def test_a_timm_encoder_without_cls_says_so(error):
    pytest.importorskip("timm")
    method = build("simmim")
    model = as_timm(method, interop.to_timm(method), class_token=False, global_pool="")
    encoder = interop.TimmEncoder(model)
    torch.testing.assert_close(encoder.features(images()), method.encoder.features(images()), atol=1e-5, rtol=0)
    assert "no CLS token" in error(encoder.features, images(), -1, "cls")


# Round trips


PLAIN = [name for name in names() if type(create(name, image_size=16).encoder) is ViT]


@pytest.mark.parametrize("image_size", [(16, 16), (8, 32)])
@pytest.mark.parametrize("name", PLAIN)
def test_every_plain_vit_of_ours_comes_back_from_timm(said, name, image_size):
    trained = build(name, image_size=image_size).eval()
    x = torch.randint(0, 256, (2, 3, *image_size), dtype=torch.uint8)
    weights = interop.to_timm(trained)
    method, told = said(interop.method_for, weights)
    plain, assumed = said(interop.method_for, dict(weights))  # as they come back from a file
    assert told == "" and "image_size" not in assumed
    for back in (method, plain):
        for pool in ("mean", "patches", *["cls"] * (trained.encoder.cls_token is not None)):
            for layer in (-1, 1):
                assert torch.equal(back.encoder.features(x, layer, pool), trained.encoder.features(x, layer, pool))
    again = create(name, image_size=image_size, patch_size=4)
    interop.load(again, weights)
    assert torch.equal(again.eval().encoder.features(x), trained.encoder.features(x))
    if isinstance(again.teacher, Teacher):
        own = again.encoder.state_dict()
        assert all(torch.equal(tensor, own[name]) for name, tensor in again.teacher.encoder.state_dict().items())


@pytest.mark.parametrize("name, more, kind", [("simmim", {"encoder": "swin"}, "Swin"), ("spark", {}, "ConvNet"), ("mage", {}, "TokenViT")])
def test_an_encoder_that_timm_lays_out_in_another_way_is_refused_both_ways(error, name, more, kind):
    method, weights = build(name, **more), interop.to_timm(build("mae"))
    for ask in ((interop.to_timm, method), (interop.load, method, weights)):
        assert f"this encoder is a {kind}" in error(*ask)


def test_a_timm_model_that_norms_after_its_mean_does_so_here():
    pytest.importorskip("timm")
    from timm import create_model

    model = create_model("vit_tiny_patch16_224", img_size=32, depth=2, global_pool="avg", num_classes=0).eval()
    torch.nn.init.normal_(model.fc_norm.weight)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(interop.TimmEncoder(model).features(x), model(x))


def test_a_timm_model_that_is_no_vision_transformer_is_refused(error):
    pytest.importorskip("timm")
    from timm import create_model

    assert "Vision Transformers" in error(interop.TimmEncoder, create_model("resnet18"))
