"""Each misfit is told with its own cause."""

import pytest
import torch
from foreign import build_mae, fresh_mae, missing, official, timm

from minimim import interop

pytestmark = pytest.mark.filterwarnings("ignore:these .* do not say everything")


def with_more(*names):
    return lambda: timm(build_mae()) | {name: torch.ones(128) for name in names}


DESIGNS = {  # a name in the weights: what the sentence says of it
    "blocks.0.ls1.gamma": "layer scale",
    "blocks.0.gamma_1": "layer scale",
    "blocks.0.attn.relative_position_bias_table": "relative positions",
    "blocks.0.attn.q_bias": "split biases",
    "reg_token": "register tokens",
    "register_tokens": "register tokens",
    "dist_token": "a distillation token",
    "norm_pre.weight": "a norm before the blocks",
    "blocks.1.attn.q_norm.weight": "norms of queries and keys",
    "blocks.1.mlp.w12.weight": "SwiGLU",
    "rope.periods": "rotary positions",
    "blocks.1.attn.qkv.lora_A.weight": "LoRA",
    "layers.0.blocks.0.norm1.weight": "blocks in stages",
    "patch_embed.backbone.conv.weight": "another patch embedding",
    "blocks.1.attn.norm.weight": "norms inside",
}


@pytest.mark.parametrize("name", DESIGNS)
def test_an_encoder_of_another_design_is_told_what_it_has(error, name):
    weights = with_more(name)()
    for text in (error(interop.method_for, weights), error(interop.load, fresh_mae(), weights)):
        assert name in text and DESIGNS[name] in text


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_fine_tuned_weights_that_norm_after_the_mean_are_told_so(error, prefix):
    weights = {name.replace("norm.", "fc_norm.") if name.startswith("norm.") else name: t for name, t in timm(build_mae()).items()}
    weights = {f"{prefix}{name}": t for name, t in weights.items()} | {f"{prefix}head.weight": torch.zeros(10, 128)}
    for text in (error(interop.method_for, weights), error(interop.load, fresh_mae(), weights)):
        assert "fc_norm and no norm" in text and "size" not in text


def with_tensor(name, *shape):
    return lambda: official(build_mae()) | {name: torch.zeros(shape)}


CAUSES = {
    "no CLS": (lambda: missing(official(build_mae()), "cls_token"), "without CLS"),
    "channels": (lambda: official(build_mae(channels=1)), "channels=1"),
    "patches": (lambda: official(build_mae(patch_size=8)), "patch_size=8"),
    "width": (lambda: official(build_mae(size=(64, 4, 4))), "another width"),
    "fewer blocks": (lambda: official(build_mae(size=(128, 3, 4))), "encoder has 3 blocks"),
    "more blocks": (lambda: official(build_mae(size=(128, 5, 4))), "blocks.4"),
    "a block that is not whole": (lambda: missing(official(build_mae()), "blocks.2.mlp.fc1.weight"), "not hold the whole network"),
    "a decoder's width": (lambda: official(build_mae(decoder_dim=32)), "decoder is of another width"),
    "a decoder's blocks": (lambda: official(build_mae(decoder_depth=1)), "decoder has 1 blocks"),
    "a decoder's target": (with_tensor("decoder_pred.weight", 96, 64), "predicts 96 numbers a patch"),
    "an MLP": (with_tensor("blocks.0.mlp.fc1.weight", 256, 128), "MLP is 256 wide"),
    "a video": (with_tensor("patch_embed.proj.weight", 128, 3, 2, 4, 4), "video"),
    "no bias in attention": (lambda: {n: t for n, t in official(build_mae()).items() if "qkv.bias" not in n}, "attention has no bias"),
}


@pytest.mark.parametrize("misfit", CAUSES)
def test_a_misfit_is_told_with_its_cause(error, misfit):
    weights, cause = CAUSES[misfit]
    assert cause in error(interop.load, fresh_mae(), weights())


def test_cls_that_the_method_has_not_is_told(error):
    assert "cls=True" in error(interop.load, fresh_mae(cls=False), timm(build_mae()))


def test_a_video_and_oblong_patches_have_no_method(error):
    assert "video" in error(interop.method_for, CAUSES["a video"][0]())
    assert "square patches" in error(interop.method_for, with_tensor("patch_embed.proj.weight", 128, 3, 4, 8)())


def test_numbers_that_are_none_are_told(error):
    weights = official(build_mae())
    assert "norm.bias holds numbers that are not finite" in error(interop.method_for, {**weights, "norm.bias": weights["norm.bias"] * float("nan")})
    assert "quantised, norm.bias is torch.int8" in error(interop.load, fresh_mae(), {**weights, "norm.bias": weights["norm.bias"].to(torch.int8)})


@pytest.mark.parametrize("given", [None, "w.pth", [1], {"norm.bias": 1}, torch.nn.Linear(1, 1)])
def test_what_is_no_state_dict_is_told(error, given):
    for take in (interop.method_for, interop.has_decoder, lambda weights: interop.load(fresh_mae(), weights)):
        assert "weights are names with tensors, as load_file or state_dict() gives them, not" in error(take, given)
