"""One encoder out of a file: prefixes, wrappers, and which of several encoders is taken."""

import re

import pytest
import torch
from foreign import assert_same, bare, build_mae, fresh_mae, hugging_face, official, timm
from helpers import build

from minimim import interop

PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "encoder.", "module.backbone.", "model._orig_mod.module.encoder.")
SPELT = {
    "official MAE": official,
    "timm": timm,
    "Hugging Face": hugging_face,
    "Hugging Face on disk": lambda m: hugging_face(m, "on disk"),
    "Hugging Face's encoder": lambda m: bare(hugging_face(m)),
}


def under(prefix, weights):
    return {f"{prefix}{name}": tensor for name, tensor in weights.items()}


@pytest.mark.parametrize("spelling", SPELT)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_that_all_names_share_is_taken_off(tmp_path, said, prefix, spelling):
    weights = SPELT[spelling](build_mae())
    method, plain = fresh_mae(), fresh_mae()
    loaded, told = said(interop.load, method, under(prefix, weights))
    assert loaded == interop.load(plain, weights) and told == ""
    assert_same(method.state_dict(), plain.state_dict())
    torch.save({"state_dict": under(prefix, weights), "epoch": 3, "optimizer": {"state": {0: {"step": torch.ones(())}}}}, tmp_path / "w.pth")
    assert_same(interop.load_file(tmp_path / "w.pth"), weights)


def test_wrappers_inside_of_names_are_taken_off():
    weights = {re.sub(r"^(blocks\.\d+\.)", r"\1_orig_mod._fsdp_wrapped_module.", n): t for n, t in official(build_mae()).items()}
    method = fresh_mae()
    interop.load(method, weights)
    assert_same(method.state_dict(), build_mae().state_dict())


def test_what_stands_beside_an_encoder_is_left_out():
    weights = under("backbone.", timm(build_mae())) | {"head.mlp.0.weight": torch.ones(2), "neck.x": torch.ones(1)}
    assert interop.load(fresh_mae(), weights).ignored == []


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
@pytest.mark.parametrize("name", ["mae", "simmim", "hpm", "data2vec", "ibot"])
def test_this_librarys_own_spelling_is_read_too(said, prefix, name):
    trained = build(name).eval()
    weights = {n: t for n, t in under(prefix, trained.state_dict()).items() if "teacher" not in n}
    method, _ = said(interop.method_for, weights)
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(method.encoder.features(x), trained.encoder.features(x))
    assert interop.has_decoder(weights) == (name == "mae")
    if name == "mae":
        assert_same(method.decoder.state_dict(), trained.decoder.state_dict())


# Several encoders


SEVERAL = {  # who: (the file, the prefix that is taken by itself, the key of another)
    "DINO": (lambda one, two: {"student": under("module.backbone.", one), "teacher": under("backbone.", two), "epoch": 3}, "student"),
    "I-JEPA": (lambda one, two: {"encoder": under("module.", one), "target_encoder": under("module.", two)}, "encoder"),
    "MoCo v3": (
        lambda one, two: {"state_dict": under("module.momentum_encoder.", one) | under("module.base_encoder.", two)},
        "momentum_encoder",
    ),
    "timm's averages": (lambda one, two: {"state_dict": one, "state_dict_ema": two}, "state_dict"),
    "an average beside": (lambda one, two: {"model": one, "model_ema": two}, "model"),
}


@pytest.mark.parametrize("who", SEVERAL)
def test_of_several_encoders_the_usual_one_is_taken_and_the_others_named(tmp_path, said, who):
    content, key = SEVERAL[who]
    one, two = timm(build_mae()), timm(fresh_mae())
    torch.save(content(one, two), tmp_path / "w.pth")
    weights, told = said(interop.load_file, tmp_path / "w.pth")
    assert_same(weights, two)
    assert "hold several encoders" in told and key in told and "key=" in told
    other, told = said(interop.load_file, tmp_path / "w.pth", key=key)
    assert_same(other, one)
    assert told == ""


def test_of_several_encoders_that_nothing_tells_apart_none_is_taken(tmp_path, error):
    torch.save({"left": timm(build_mae()), "right": timm(fresh_mae())}, tmp_path / "w.pth")
    text = error(interop.load_file, tmp_path / "w.pth")
    assert '"left", "right"' in text and "key=" in text
    assert_same(interop.load_file(tmp_path / "w.pth", key="right"), timm(fresh_mae()))
    assert '"left", "right"' in error(interop.load_file, tmp_path / "w.pth", key="lef")


def test_an_encoder_inside_of_another_ones_prefix_is_kept_apart(tmp_path):
    torch.save(under("model.", timm(build_mae())) | under("model.copy.", timm(fresh_mae())), tmp_path / "w.pth")
    assert_same(interop.load_file(tmp_path / "w.pth", key="model"), timm(build_mae()))
    assert_same(interop.load_file(tmp_path / "w.pth", key="copy"), timm(fresh_mae()))


def test_a_key_where_there_is_no_encoder_is_refused(tmp_path, error):
    torch.save({"teacher": {"conv1.weight": torch.ones(1)}}, tmp_path / "w.pth")
    assert "no encoder was found" in error(interop.load_file, tmp_path / "w.pth", key="teacher")
    torch.save({"model": timm(build_mae())}, tmp_path / "w.pth")
    assert_same(interop.load_file(tmp_path / "w.pth", key="model"), timm(build_mae()))
