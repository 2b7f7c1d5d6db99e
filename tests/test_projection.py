"""Projectors: of which layers they are made, on what they look, and prototypes behind them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minimim.decoders import ProjectionHead, PrototypeProjection, Prototypes, projector
from minimim.encoders import Encoded
from minimim.errors import UserError
from minimim.norms import BatchNorm


def encoded(cls=True, batch=5):
    x = torch.randn(batch, 1 + 6, 8, generator=torch.Generator().manual_seed(0))
    return Encoded(x[:, 1:], x[:, 0] if cls else None, grid=(2, 3))


def kinds(layers):
    return [type(layer).__name__ for layer in layers]


def test_a_projector_is_linear_maps_with_norm_and_activation_after_each_hidden_one():
    layers = projector(8, (16, 12), 4)
    assert kinds(layers) == ["Linear", "BatchNorm", "ReLU"] * 2 + ["Linear"]
    assert [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, nn.Linear)] == [(8, 16), (16, 12), (12, 4)]
    assert kinds(projector(8, (16,), 4, norm=None, activation="gelu")) == ["Linear", "GELU", "Linear"]
    assert kinds(projector(8, (16,), 4, norm="layer")) == ["Linear", "LayerNorm", "ReLU", "Linear"]
    assert kinds(projector(8, (), 4)) == ["Linear"]


@pytest.mark.parametrize("more, expected", [({}, [True, True]), ({"bias": False}, [False, False]), ({"last_bias": False}, [True, False])])
def test_biases_are_where_they_are_asked(more, expected):
    maps = [layer for layer in projector(8, (16,), 4, **more) if isinstance(layer, nn.Linear)]
    assert [layer.bias is not None for layer in maps] == expected


def test_the_last_norm_has_no_weights_and_makes_each_number_vary_alike():
    layers = projector(8, (16,), 4, last_norm=True)
    assert isinstance(layers[-1], BatchNorm) and not list(layers[-1].parameters())
    out = layers(torch.randn(50, 8))
    torch.testing.assert_close(out.mean(0), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(out.std(0, correction=0), torch.ones(4), rtol=0, atol=1e-2)
    assert not list(projector(8, (16,), 4, norm="layer", last_norm=True)[-1].parameters())


def test_cls_or_the_mean_of_the_patches_is_projected():
    x = encoded()
    on_cls, on_mean = (ProjectionHead(8, (16,), 4, on=on, norm=None) for on in ("cls", "mean"))
    torch.testing.assert_close(on_cls(x), {"cls": on_cls.mlp(x.cls)})
    torch.testing.assert_close(on_mean(x), {"cls": on_mean.mlp(x.patches.mean(1))})


def test_tokens_stand_together_in_the_statistics_of_one_batch_norm():
    x, head = encoded(), ProjectionHead(8, (), 4, on="tokens", last_norm=True)
    answer = head(x)
    assert answer["cls"].shape == (5, 4) and answer["patch"].shape == (5, 6, 4)
    together = torch.cat([answer["cls"].unsqueeze(1), answer["patch"]], dim=1).flatten(0, 1)
    torch.testing.assert_close(together.mean(0), torch.zeros(4), rtol=0, atol=1e-5)
    assert answer["patch"].flatten(0, 1).mean(0).abs().max() > 1e-3  # the patches alone are not centred
    assert head(encoded(cls=False)).keys() == {"patch"}


def test_prototypes_answer_with_cosines_of_every_stream():
    x, head, prototypes = encoded(), ProjectionHead(8, (16,), 4, on="tokens", norm=None), Prototypes(7, 4)
    assert prototypes.weight.abs().max() <= 0.5 < prototypes.weight.abs().max() * 1.2
    answer = PrototypeProjection(head, prototypes)(x)
    for name, out in head(x).items():
        expected = F.cosine_similarity(out.unsqueeze(-2), prototypes.weight, dim=-1)
        torch.testing.assert_close(answer[name], expected)


@pytest.mark.parametrize("more", [{"on": "patch"}, {"norm": "group"}, {"activation": "tanh"}])
def test_what_is_not_there_is_refused(more):
    with pytest.raises(UserError, match=str(next(iter(more.values())))):
        ProjectionHead(8, (16,), 4, **more)
