"""Encoders of timm and torchvision, without their weights: they look at images in their own way, and answer as all encoders do."""

import sys
from types import SimpleNamespace

import pytest
import timm
import torch
import torchvision
from helpers import generator, raw

import minimim
from minimim.data.views import normalize
from minimim.encoders import foreign as module
from minimim.encoders.foreign import foreign, renormalized, seen
from minimim.errors import UserError
from minimim.evaluate import extract
from minimim.methods import create


def bytes_of(side, batch=2, channels=3):
    return torch.randint(0, 256, (batch, channels, side, side), dtype=torch.uint8, generator=generator())


@pytest.fixture
def made():
    """Networks by name, each built once."""
    kept = {}

    def get(name):
        torch.manual_seed(0)
        return kept.setdefault(name, foreign(name))

    return get


# What they answer


def test_a_vit_of_timm_gives_its_own_normed_patch_tokens_on_images_in_its_own_normalisation(made):
    encoder, images = made("timm:test_vit"), bytes_of(160)
    encoded = encoder(images)
    tokens = encoder.model.forward_features((images / 255 - 0.5) / 0.5)  # (B, 1 + 100, 64): its mean and spread are 0.5
    assert torch.allclose(encoded.patches, tokens[:, 1:], atol=1e-4) and torch.allclose(encoded.cls, tokens[:, 0], atol=1e-4)
    assert encoded.grid == encoder.home_grid == encoder.grid(images) == (10, 10)
    assert (encoder.dim, encoder.depth, encoder.patch_size, len(encoder.blocks)) == (64, 6, 16, 6)
    assert torch.allclose(encoder(normalize(images)).patches, encoded.patches, atol=1e-4)  # as the views of this library have them
    assert encoder.norm is encoder.pos_embed is encoder.mask_token is encoder.cls_token is None


def test_a_convnet_of_torchvision_gives_the_places_of_its_last_map(made):
    encoder, images = made("torchvision:resnet18"), bytes_of(224, 1)
    m = encoder.model
    mean, std = (torch.tensor(s).view(3, 1, 1) for s in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x = m.maxpool(m.relu(m.bn1(m.conv1((images / 255 - mean) / std))))
    x = m.layer4(m.layer3(m.layer2(m.layer1(x))))  # (1, 512, 7, 7)
    encoded = encoder(images)
    assert encoded.patches.shape == (1, 49, 512) and encoded.cls is None and encoder.home_grid == (7, 7)
    assert torch.allclose(encoded.patches[0, 10], x[0, :, 1, 3], atol=1e-4)
    assert torch.equal(encoded.maps[0].flatten(2).transpose(1, 2), encoded.patches)
    assert (encoder.dim, encoder.depth, encoder.patch_size) == (512, 4, 32)


def test_a_convnet_of_timm_does_too(made):
    encoder, images = made("timm:test_convnext"), bytes_of(160)
    expected = encoder.model.forward_features((images / 255 - 0.5) / 0.5)  # (B, 64, 5, 5)
    assert torch.allclose(encoder(images).patches, expected.flatten(2).mT, atol=1e-4)


def test_maps_whose_channels_come_last_are_turned(monkeypatch):
    model = timm.models.swin_transformer.SwinTransformer(img_size=32, patch_size=4, window_size=4, embed_dim=8, depths=(1, 1), num_heads=(1, 2), num_classes=0)
    model.pretrained_cfg = {"input_size": (3, 32, 32), "mean": (0.5,) * 3, "std": (0.5,) * 3, "tag": "ms_in1k"}
    monkeypatch.setattr(timm, "create_model", lambda name, **more: model)
    encoder, images = foreign("timm:small_swin"), bytes_of(32)
    expected = encoder.model.forward_features((images / 255 - 0.5) / 0.5)  # (B, 4, 4, 16)
    assert torch.allclose(encoder(images).patches, expected.flatten(1, 2), atol=1e-4)
    assert [layer.patches.shape for layer in encoder(images, want="layers").layers] == [(2, 64, 8), (2, 16, 16)]


def test_a_vit_of_torchvision_gives_its_tokens(monkeypatch):
    small = torchvision.models.VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32).eval()
    torch.nn.init.normal_(small.encoder.pos_embedding)
    way = SimpleNamespace(crop_size=[32], mean=[0.4] * 3, std=[0.2] * 3)
    weights = SimpleNamespace(DEFAULT=SimpleNamespace(transforms=lambda: way, name="IMAGENET1K_V1"))
    monkeypatch.setattr(torchvision.models, "get_model", lambda name, weights: small)
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: weights)
    encoder, images = foreign("torchvision:vit_b_16"), bytes_of(32)
    x = small.conv_proj((images / 255 - 0.4) / 0.2).flatten(2).mT  # (B, 16, 16)
    x = torch.cat([small.class_token.expand(2, -1, -1), x], 1) + small.encoder.pos_embedding
    first = small.encoder.layers[0](x)
    last = small.encoder.ln(small.encoder.layers[1](first))
    encoded = encoder(images, want="layers")
    assert torch.allclose(encoded.patches, last[:, 1:], atol=1e-5) and torch.allclose(encoded.cls, last[:, 0], atol=1e-5)
    assert torch.allclose(encoded.layers[0].patches, small.encoder.ln(first)[:, 1:], atol=1e-5) and len(encoded.layers) == 2
    assert torch.equal(encoder.features(images, layer=0, pool="patches"), encoded.layers[0].patches)


def test_a_clip_of_timm_answers_through_its_projection_and_one_that_was_fine_tuned_does_not(monkeypatch):
    def small(name, num_classes=5, **more):
        if name == "vit_nothing":
            raise RuntimeError("Unknown model")
        torch.manual_seed(0)
        model = timm.models.VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=num_classes).eval()
        model.pretrained_cfg = {"input_size": (3, 32, 32), "mean": (0.4,) * 3, "std": (0.2,) * 3, "tag": name.partition(".")[2]}
        return model

    monkeypatch.setattr(timm, "create_model", small)
    images = bytes_of(32)
    encoder = foreign("timm:vit_x_clip_32.openai")
    tokens = encoder.model.forward_features((images / 255 - 0.4) / 0.2)
    assert encoder.dim == 5 and torch.allclose(encoder(images).patches, encoder.model.head(tokens)[:, 1:], atol=1e-5)
    assert encoder(images, want="layers").layers[0].patches.shape == (2, 16, 5)
    assert "400 million pictures and their captions" in encoder.saw
    assert foreign("timm:vit_x_clip_32.openai_ft_in1k").dim == 16


def test_images_of_another_size_are_brought_to_theirs(made):
    encoder, images = made("timm:test_vit"), bytes_of(32)
    large = torch.nn.functional.interpolate((images / 255 - 0.5) / 0.5, (160, 160), mode="bicubic", antialias=True)
    assert torch.allclose(encoder(images).patches, encoder.model.forward_features(large)[:, 1:], atol=1e-4)
    assert encoder.grid(images) == (10, 10)


def test_it_can_be_probed_as_every_encoder(made):
    data = minimim.data.scenes("train", 6, image_size=16)
    features = extract(made("timm:test_convnext"), data)
    assert features.x.shape == (6, 64) and extract(made("timm:test_vit"), data, pool="cls").x.shape == (6, 64)
    assert extract(made("timm:test_convnext"), data, layer=1).x.shape == (6, 32)


def test_another_normalisation_undoes_that_of_this_library_and_grey_becomes_colour():
    images = bytes_of(8)
    expected = torch.stack([(images[:, c] / 255 - m) / s for c, (m, s) in enumerate([(0.1, 0.5), (0.2, 0.6), (0.3, 0.7)])], 1)
    for given in (images, normalize(images)):
        assert torch.allclose(renormalized(given, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)), expected, atol=1e-5)
    grey = bytes_of(8, channels=1)
    for given in (grey, normalize(grey)):
        assert torch.allclose(renormalized(given, (0.1,) * 3, (0.5,) * 3), ((grey / 255 - 0.1) / 0.5).expand(-1, 3, -1, -1), atol=1e-5)


# What they refuse


def test_what_cannot_be_is_told(made, monkeypatch):
    encoder = made("timm:test_vit")
    with pytest.raises(UserError, match="cannot be masked: it can be a teacher"):
        encoder(bytes_of(32), mask=object())
    with pytest.raises(UserError, match="no attention maps"):
        encoder(bytes_of(32), want="attention")
    with pytest.raises(UserError, match="images of 3 channels, and these have 2"):
        encoder(bytes_of(32, channels=2))
    with pytest.raises(UserError, match="timm has no network 'test_vitt'.* did you mean 'test_vit"):
        foreign("timm:test_vitt")
    with pytest.raises(UserError, match="torchvision has no network 'resnet81': did you mean 'resnet18'"):
        foreign("torchvision:resnet81")
    with pytest.raises(UserError, match="gives neither patch tokens nor a map"):
        foreign("torchvision:squeezenet1_1")
    for name in ("keras:vit", "timm", "timm:"):
        with pytest.raises(UserError, match='is "timm:NAME" or "torchvision:NAME"'):
            foreign(name)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="timm is not installed"):
        foreign("timm:test_vit")


def test_a_name_of_weights_says_what_they_have_seen():
    assert seen("vit", "timm", "augreg_in21k_ft_in1k").endswith("augreg_in21k_ft_in1k: ImageNet-21k and its labels, then ImageNet-1k and its labels")
    assert seen("r", "torchvision", "IMAGENET1K_V1").endswith("IMAGENET1K_V1: ImageNet-1k and its labels")
    assert seen("v", "timm", "mae").endswith("ImageNet-1k, no labels") and "stands in their description" in seen("v", "timm", "x")


# As a teacher


def test_weights_come_only_when_they_are_read(made, monkeypatch):
    trained = timm.create_model("test_vit", pretrained=False, num_classes=0)
    torch.nn.init.constant_(trained.norm.weight, 3.0)
    asked = []
    whole = timm.create_model

    def create_model(name, pretrained=False, **more):
        asked.append(pretrained)
        return trained if pretrained else whole(name, **more)

    monkeypatch.setattr(timm, "create_model", create_model)
    method = create("eva", image_size=16, patch_size=4, teacher="timm:test_vit")
    assert asked == [False] and method.spec["teacher"] == {"name": "timm:test_vit", "saw": method.teacher.saw}
    method.prepare(None)
    assert asked == [False, True] and torch.equal(method.teacher.encoder.model.norm.weight, trained.norm.weight)


def test_weights_that_cannot_be_had_are_one_sentence(monkeypatch):
    encoder = foreign("timm:test_vit")

    def offline(*args, **more):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UserError, match="the weights of test_vit could not be read .*no route to host.* connect to the network once"):
        encoder.read_weights()


@pytest.mark.parametrize("name", ["timm:test_vit", "torchvision:resnet18"])
def test_it_teaches_and_is_saved_with_what_it_taught(name, tmp_path, monkeypatch):
    monkeypatch.setattr(module.Foreign, "read_weights", lambda self: torch.nn.init.ones_(next(self.parameters())))
    torch.manual_seed(0)
    method = create("eva", image_size=16, patch_size=4, teacher=name)
    method.prepare(None)
    output = method(raw())
    assert output.target.shape == (4, 16, method.teacher.dim) and output.loss.isfinite()
    minimim.save(tmp_path / "eva.safetensors", method)
    monkeypatch.setattr(module.Foreign, "read_weights", lambda self: pytest.fail("read again"))
    loaded = minimim.load(tmp_path / "eva.safetensors")
    loaded.prepare(None)
    images = normalize(raw())
    assert torch.allclose(loaded.teacher.encoder(images).patches, method.teacher.encoder(images).patches, atol=1e-5)
