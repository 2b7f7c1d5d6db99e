"""A method for weights whose sizes nobody says, and refusals of those that compute something else."""

import pytest
import torch
from foreign import SPELLINGS, assert_same, bare, build_mae, hugging_face, missing, official, timm, with_learnt_positions

from minimim import interop
from minimim.encoders import SIZES
from minimim.methods import create

pytestmark = pytest.mark.filterwarnings("ignore:these .* do not say everything")  # tested in test_unsaid.py


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_method_is_made_of_the_size_that_the_weights_are_of(spelling):
    spell, _, decoder = SPELLINGS[spelling]
    trained = build_mae(image_size=24, patch_size=8, channels=1, decoder_dim=32, decoder_depth=3)
    method = interop.method_for(spell(trained))
    assert (method.spec["image_size"], method.spec["patch_size"], method.spec["size"]) == ((24, 24), 8, "micro") and not method.training
    assert_same(method.encoder.state_dict(), trained.encoder.state_dict())
    if decoder:
        assert_same(method.decoder.state_dict(), trained.decoder.state_dict())
    again = create(**method.spec)  # so that it can be saved, fine-tuned and loaded
    assert {n: t.shape for n, t in again.state_dict().items()} == {n: t.shape for n, t in method.state_dict().items()}


@pytest.mark.parametrize("size", [size for size in SIZES if size != "micro"])
def test_every_size_is_known_by_its_width_and_depth(size):
    with torch.device("meta"):
        weights = official(create("mae", image_size=32, patch_size=16, size=size))
        assert interop.method_for(weights, image_size=32, normalize_target=True).spec["size"] == size


UNKNOWN = {
    "another width": (lambda: timm(build_mae()) | {"patch_embed.proj.weight": torch.zeros(96, 3, 4, 4)}, "width 96 and 4 blocks"),
    "another depth": (lambda: {n: t for n, t in timm(build_mae()).items() if "blocks.3." not in n}, "width 128 and 3 blocks"),
    "no blocks": (lambda: {n: t for n, t in hugging_face(build_mae()).items() if ".layers." not in n}, "0 blocks"),
    "no positions": (lambda: missing(timm(build_mae()), "pos_embed"), "no pos_embed"),
    "no patches": (lambda: {n: t for n, t in hugging_face(build_mae()).items() if "projection" not in n}, "no patch_embed.proj.weight"),
    "no norm": (lambda: missing(timm(build_mae()), "norm.bias"), "nothing for encoder.norm.bias"),
    "a grid that is not square": (lambda: official(with_learnt_positions(build_mae(image_size=(16, 24)))), "encoder.pos_embed"),
    "another network": (lambda: {"conv1.weight": torch.zeros(3)}, "conv1.weight"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_weights_of_no_known_size_are_refused_in_a_sentence(error, name):
    weights, says = UNKNOWN[name]
    assert says in error(interop.method_for, weights())


MORE = {
    "DINOv2's layer scale": (lambda: timm(build_mae()) | {"blocks.0.ls1.gamma": torch.ones(128)}, "blocks.0.ls1.gamma"),
    "norms of queries": (lambda: timm(build_mae()) | {"blocks.3.attn.q_norm.weight": torch.ones(32)}, "blocks.3.attn.q_norm.weight"),
    "a norm before the blocks": (lambda: official(build_mae()) | {"norm_pre.weight": torch.ones(128)}, "norm_pre.weight"),
    "registers": (lambda: timm(build_mae()) | {"reg_token": torch.ones(1, 4, 128)}, "reg_token"),
    "Hugging Face's layer scale": (
        lambda: bare(hugging_face(build_mae())) | {"encoder.layer.0.layer_scale1.lambda1": torch.ones(128)},
        "blocks.0.layer_scale1.lambda1",
    ),
}


@pytest.mark.parametrize("name", MORE)
def test_an_encoder_that_has_more_to_it_than_ours_is_refused(error, name):
    weights, named = MORE[name]
    assert f"these weights have {named}, which this library's encoder does not have" in error(interop.method_for, weights())


@pytest.mark.parametrize("spell, more", [
    (timm, ("head.weight", "head.bias", "fc_norm.weight")),
    (official, ("head.weight", "decoder_extra")),
    (hugging_face, ("vit.pooler.dense.weight", "classifier.weight")),
    (lambda m: bare(hugging_face(m)), ("pooler.dense.weight", "embeddings.mask_token")),
])  # fmt: skip
def test_what_stands_behind_the_encoder_may_be_left_out(spell, more):
    trained = build_mae()
    method = interop.method_for(spell(trained) | {name: torch.ones(1) for name in more})
    assert_same(method.encoder.state_dict(), trained.encoder.state_dict())
