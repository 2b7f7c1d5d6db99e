"""Exported and traced once, with a batch of two, encoders and the whole MAE serve batches of any size."""

import pytest
import torch
from helpers import build, generator, images, raw
from torch import nn

from minimim.data.scenes import scenes
from minimim.methods import names

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, of what will change there


class Features(nn.Module):
    """An encoder's features as a module, which is what torch takes."""

    def __init__(self, encoder, **how):
        super().__init__()
        self.encoder, self.how = encoder, how

    def forward(self, x):
        return self.encoder.features(x, **self.how)


class Step(nn.Module):
    """A method's loss and prediction as tensors, under a noise that is given."""

    def __init__(self, method):
        super().__init__()
        self.method = method

    def forward(self, x, noise):
        output = self.method(x, noise=noise)
        return output.loss, output.prediction, output.mask


def with_a_free_batch(module, how, *example):
    """The module after export or trace, for another batch than the example's."""
    if how == "trace":
        return torch.jit.trace(module, example)
    batch = torch.export.Dim("batch", max=1024)  # torch 2.6 needs a largest one, and strict=False, which newer versions have by default
    return torch.export.export(module, example, dynamic_shapes=tuple({0: batch} for _ in example), strict=False).module()


HOW = [("mae", {}), ("mae", {"pool": "cls"}), ("mae", {"pool": "patches", "layer": 1})]


def kind_of(name):
    """What distinguishes encoders: their class, and which tokens they have beside the patches'."""
    encoder = build(name).encoder
    return type(encoder), encoder.cls_token is None, encoder.mask_token is None


ONE_OF_EACH = {kind_of(name): (name, {}) for name in reversed(names())}  # the first recipe of each
ENCODERS = HOW + [one for one in ONE_OF_EACH.values() if one not in HOW]


def fitted(name):
    """A method that has seen scenes, for encoders that read tokens."""
    method = build(name)
    method.prepare(scenes("train", 40, image_size=16), generator())
    return method.eval()


@pytest.mark.parametrize("how", ["export", "trace"])
@pytest.mark.parametrize("name, more", ENCODERS)
def test_features_are_exported_with_a_free_batch(name, more, how):
    module = Features(fitted(name).encoder, **more)
    served = with_a_free_batch(module, how, images(2))
    for batch in (1, 5):
        torch.testing.assert_close(served(images(batch)), module(images(batch)))


@pytest.mark.parametrize("how", ["export", "trace"])
def test_bytes_are_normalised_inside(how):
    module = Features(build("mae").eval().encoder)
    served = with_a_free_batch(module, how, raw(2))
    torch.testing.assert_close(served(raw(5)), module(raw(5)))


@pytest.mark.parametrize("how", ["export", "trace"])
@pytest.mark.parametrize("name, more", [("mae", {}), ("mae", {"cls": False}), ("simmim", {})])
def test_a_whole_method_is_exported_with_a_free_batch(name, more, how):
    module = Step(build(name, **more).eval())
    noise = torch.rand(5, 16, generator=generator())
    served = with_a_free_batch(module, how, images(2), noise[:2])
    for mine, theirs in zip(served(images(5), noise), module(images(5), noise), strict=True):
        torch.testing.assert_close(mine, theirs)
