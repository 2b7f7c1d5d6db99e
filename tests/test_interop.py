"""Weights in and out: every known spelling fits, nothing foreign runs, and what does not fit is said in one sentence."""

import argparse
import pickle
import warnings
from functools import partial
from pathlib import Path

import pytest
import torch
from foreign import as_hugging_face, as_timm, build_mae, fresh_mae, hugging_face, official, timm
from helpers import build, generator, images, raw
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from minimim import interop
from minimim.data import Images
from minimim.errors import UserError
from minimim.evaluate import extract, knn, linear_probe, sweep
from minimim.methods import create
from minimim.patches import resize_positions
from minimim.vit import SIZES


def bare(weights):
    """As Hugging Face's encoder alone spells them."""
    return {n.removeprefix("vit."): t for n, t in weights.items() if n.startswith("vit.")}


SPELLINGS = {  # spelling: (how, whose, whether it has a decoder)
    "official MAE": (official, "official MAE", True),
    "timm": (timm, "timm", False),
    **{f"Hugging Face {s}": (partial(hugging_face, spelling=s), "Hugging Face", True) for s in ("in memory", "on disk", "of old")},
    **{
        f"Hugging Face's encoder {s}": (lambda m, s=s: bare(hugging_face(m, s)), "Hugging Face", False)
        for s in ("in memory", "on disk")
    },
}


def assert_same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


@pytest.fixture
def error():
    """Run something that must be refused, and give its sentence."""

    def sentence(function, *args):
        with pytest.raises(UserError) as caught:
            function(*args)
        text = str(caught.value)
        assert "\n" not in text and 20 < len(text) < 400
        return text

    return sentence


# In


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_told_and_fills_what_it_holds(spelling):
    spell, source, decoder = SPELLINGS[spelling]
    trained, method = build_mae(), fresh_mae()
    before = {n: t.clone() for n, t in method.decoder.state_dict().items()}
    loaded = interop.load(method, spell(trained))
    assert loaded == interop.Loaded(source, decoder, ignored=[])
    assert_same(method.encoder.state_dict(), trained.encoder.state_dict())
    assert_same(method.decoder.state_dict(), trained.decoder.state_dict() if decoder else before)


@pytest.mark.parametrize("alone", [False, True])
def test_hugging_faces_own_models_fit_in_memory_and_from_its_files(tmp_path, alone):
    pytest.importorskip("transformers")
    trained = build_mae()
    model = as_hugging_face(trained)
    model = model.vit if alone else model
    model.save_pretrained(tmp_path)
    for weights in (model.state_dict(), interop.load_file(tmp_path / "model.safetensors")):
        method = fresh_mae()
        assert interop.load(method, weights) == interop.Loaded("Hugging Face", not alone, [])
        assert_same(method.encoder.state_dict(), trained.encoder.state_dict())


def test_the_files_that_hugging_face_writes_are_spelt_as_these_tests_spell_them(tmp_path):
    pytest.importorskip("transformers")
    model = as_hugging_face(build_mae())
    model.save_pretrained(tmp_path)
    assert_same(interop.load_file(tmp_path / "model.safetensors"), hugging_face(build_mae(), "on disk"))


def test_what_is_not_used_is_named():
    weights = {**timm(build_mae()), "head.weight": torch.zeros(10, 128), "head.bias": torch.zeros(10)}
    assert interop.load(fresh_mae(), weights).ignored == ["encoder.head.bias", "encoder.head.weight"]


def test_weights_of_another_type_become_the_methods():
    method = fresh_mae()
    interop.load(method, {n: t.double() for n, t in official(build_mae()).items()})
    assert_same(method.state_dict(), build_mae().state_dict())


def test_loading_leaves_the_given_weights_alone():
    weights = official(build_mae(image_size=8))
    before = dict(weights)
    interop.load(fresh_mae(), weights)
    assert_same(weights, before)


@pytest.mark.parametrize("image_size", [32, (8, 24), 12])
def test_positions_of_another_grid_are_interpolated(image_size):
    trained, method = build_mae(), fresh_mae(image_size=image_size)
    with_learnt_positions(trained)  # not what a fresh method has already
    interop.load(method, official(trained))
    for part in ("encoder", "decoder"):
        theirs, mine = (getattr(m, part).pos_embed[0] for m in (trained, method))
        assert torch.equal(mine[0], theirs[0])
        assert torch.equal(mine[1:], resize_positions(theirs[1:], (4, 4), method.encoder.home_grid))
    assert torch.equal(method.encoder.blocks[0].attn.qkv.weight, trained.encoder.blocks[0].attn.qkv.weight)


def missing(weights, name):
    return {n: t for n, t in weights.items() if n != name}


def with_learnt_positions(method):
    """The same MAE with tables of positions of which nobody can tell the grid."""
    for part in (method.encoder, method.decoder):
        part.pos_embed.data = torch.randn(part.pos_embed.shape, generator=generator())
    return method


MISFITS = {
    "patches of 8": (lambda: official(build_mae(patch_size=8)), "encoder.patch_embed.proj.weight"),
    "one channel": (lambda: timm(build_mae(channels=1)), "encoder.patch_embed.proj.weight"),
    "a narrower decoder": (lambda: hugging_face(build_mae(decoder_dim=32)), "decoder.mask_token"),
    "a shorter decoder": (lambda: official(build_mae(decoder_depth=1)), "nothing for decoder.blocks.1.norm1.weight"),
    "no last norm": (lambda: missing(timm(build_mae()), "norm.weight"), "nothing for encoder.norm.weight"),
    "no CLS": (lambda: missing(official(build_mae()), "cls_token"), "nothing for encoder.cls_token"),
    "a grid that is not square": (lambda: official(with_learnt_positions(build_mae(image_size=(16, 24)))), "encoder.pos_embed"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_weights_that_do_not_fit_are_refused_in_a_sentence_and_change_nothing(error, misfit):
    weights, named = MISFITS[misfit]
    method = fresh_mae()
    before = {n: t.clone() for n, t in method.state_dict().items()}
    text = error(interop.load, method, weights())
    assert named in text and "do not fit" in text
    assert_same(method.state_dict(), before)


@pytest.mark.parametrize("without", ["k", "v", "q"])
def test_hugging_face_weights_without_a_part_of_attention_are_refused(error, without):
    name = f"vit.layers.2.attention.{without}_proj.weight"
    assert "encoder.blocks.2.attn" in error(interop.load, fresh_mae(), missing(hugging_face(build_mae()), name))


def test_the_weights_of_some_other_network_are_refused(error):
    text = error(interop.load, fresh_mae(), {"conv1.weight": torch.zeros(3), "fc.bias": torch.zeros(1)})
    assert "conv1.weight" in text and "official MAE, timm or Hugging Face" in text
    error(interop.load, fresh_mae(), {})


# A method for weights whose sizes nobody says


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
    assert f"these weights have {named}, which this library's encoder has not" in error(interop.method_for, weights())


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


# Files


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"model": w}, lambda w: {"state_dict": w}])
def test_a_pytorch_checkpoint_is_read_with_or_without_its_wrapping(tmp_path, wrap):
    weights = official(build_mae())
    torch.save(wrap(weights), tmp_path / "w.pth")
    assert_same(interop.load_file(tmp_path / "w.pth"), weights)


def test_a_checkpoint_of_the_official_code_is_read_with_its_arguments(tmp_path):
    weights, arguments = official(build_mae()), argparse.Namespace(batch_size=64, model="mae_vit", betas=(0.9, 0.95))
    torch.save({"model": weights, "optimizer": {"state": {}}, "epoch": 3, "scaler": {}, "args": arguments}, tmp_path / "w.pth")
    assert_same(interop.load_file(str(tmp_path / "w.pth")), weights)
    assert argparse.Namespace not in torch.serialization.get_safe_globals()  # let in for this one file


class Evil:
    """A pickle that leaves a mark when it is opened."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        lambda evil: evil,
        lambda evil: {"model": {**official(build_mae()), "extra": evil}},
        lambda evil: {"model": official(build_mae()), "args": argparse.Namespace(evil=evil)},
    ],
)
@pytest.mark.parametrize("save", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x, protocol=2))])
def test_an_evil_pickle_is_refused_and_never_runs(error, tmp_path, save, content, suffix):
    path, mark = tmp_path / f"w{suffix}", tmp_path / "mark"
    save(content(Evil(mark)), path)
    assert f"{path} is refused" in error(interop.load_file, path)
    assert not mark.exists()


def test_the_evil_pickle_would_leave_its_mark(tmp_path):
    torch.save(Evil(tmp_path / "mark"), tmp_path / "w.pth")
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("content", [[1, 2], {"model": {"a": torch.zeros(1), "b": 3}}, torch.zeros(3), {"epoch": 3}])
def test_a_file_without_a_state_dict_is_refused(error, tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    assert "holds no state dict" in error(interop.load_file, tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["none.pth", "none.safetensors", "."])
def test_a_file_that_is_not_there_is_said_to_be_not_there(error, tmp_path, name):
    assert "there is no file" in error(interop.load_file, tmp_path / name)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """The bytes of a small good file of each kind, and a place to write."""
    place = tmp_path_factory.mktemp("damaged")
    weights = {"a": torch.arange(6.0), "b": torch.ones(2, 2)}
    torch.save(weights, place / "zip.pth")
    torch.save(weights, place / "old.pth", _use_new_zipfile_serialization=False)
    save_file(weights, place / "w.safetensors")
    return {path.name: path.read_bytes() for path in place.iterdir()}, place


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(["zip.pth", "old.pth", "w.safetensors"]), data=st.data())
def test_a_damaged_file_is_refused_or_read_and_nothing_else(whole_files, kind, data):
    files, place = whole_files
    content = files[kind]
    how = data.draw(st.sampled_from(["cut", "changed", "something else"]))
    if how == "cut":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    elif how == "changed":
        at = data.draw(st.integers(0, len(content) - 1))
        content = content[:at] + data.draw(st.binary(min_size=1, max_size=4)) + content[at + 1 :]
    else:
        content = data.draw(st.binary(max_size=200))
    path = place / kind
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert isinstance(interop.load_file(path), dict)
    except UserError as refused:
        assert str(path) in str(refused)


# Out


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
