"""Foreign weights into a method: every known spelling fits, and what does not fit is said with its cause."""

import pytest
import torch
from foreign import (
    SPELLINGS,
    as_hugging_face,
    assert_same,
    build_mae,
    fresh_mae,
    hugging_face,
    missing,
    official,
    timm,
    with_learnt_positions,
)  # fmt: skip

from minimim import interop
from minimim.patches import resize_positions

pytestmark = pytest.mark.filterwarnings("ignore:these .* do not say everything")  # tested in test_unsaid.py


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
