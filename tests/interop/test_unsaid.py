"""What tensors do not show: it is told, or stated by the file, or certain from the weights; else it is assumed, and said."""

import argparse
import json

import numpy as np
import pytest
import torch
from foreign import as_hugging_face, as_timm, build_mae, fresh_mae, official, timm, with_learnt_positions
from helpers import generator, images, raw

import minimim
from minimim import interop
from minimim.data.views import normalize
from minimim.methods import create


def saved(path, weights, **more):
    """A PyTorch checkpoint as the official code writes it, read again."""
    torch.save({"model": weights, **more}, path / "w.pth")
    return interop.load_file(path / "w.pth")


# What the decoder predicts


@pytest.mark.parametrize("normalize_target", [False, True])
def test_the_target_is_what_the_official_checkpoint_states(tmp_path, said, normalize_target):
    arguments = argparse.Namespace(norm_pix_loss=normalize_target, mask_ratio=0.5, input_size=16)
    weights = saved(tmp_path, official(build_mae(normalize_target=not normalize_target)), args=arguments)
    method, told = said(interop.method_for, weights)
    assert method.target.normalize is method.spec["normalize_target"] is normalize_target
    assert method.masking.ratio == 0.5 and "normalize_target" not in told
    assert interop.method_for(weights, normalize_target=not normalize_target).target.normalize is not normalize_target


@pytest.mark.parametrize("normalize_target", [False, True])
def test_the_target_and_the_heads_are_what_hugging_faces_config_states(tmp_path, said, normalize_target):
    pytest.importorskip("transformers")
    trained = build_mae(decoder_heads=8, normalize_target=normalize_target, mask_ratio=0.5)
    as_hugging_face(trained).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}))
    weights = interop.load_file(tmp_path / "model.safetensors")
    assert weights.says["mean"] == (0.5, 0.5, 0.5)
    weights.says |= {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    method, told = said(interop.method_for, weights)
    assert told == ""
    noise = torch.rand(3, 16, generator=generator())
    torch.testing.assert_close(method(images(), noise=noise).loss, trained(images(), noise=noise).loss)


def test_a_config_of_another_model_states_nothing(tmp_path, said):
    weights = saved(tmp_path, official(build_mae()))
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 768, "num_attention_heads": 2, "norm_pix_loss": False}))
    weights = interop.load_file(tmp_path / "w.pth")
    method, told = said(interop.method_for, weights)
    assert method.encoder.heads == 4 and method.target.normalize and "normalize_target=" in told


@pytest.mark.parametrize("text", ["", "[1, 2", "[]", '"a"', '{"norm_pix_loss": "yes", "image_size": [1], "mean": "x"}', "\udcff"])
def test_a_config_that_is_none_is_passed_over(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    assert interop.method_for(saved(tmp_path, official(build_mae()))).encoder.heads == 4


def test_a_decoder_that_was_trained_on_raw_pixels_shows_it(said):
    trained = minimim.load(minimim.bundled("mae-scenes"))
    method, told = said(interop.method_for, official(trained))
    assert not trained.target.normalize and not method.target.normalize
    assert "normalize_target" not in told and "heads in the decoder" in told
    torch.testing.assert_close(method.encoder.features(images()), trained.encoder.features(images()))


def test_a_decoder_that_shows_nothing_is_said_to_be_assumed(said):
    method, told = said(interop.method_for, official(build_mae(normalize_target=False)))
    assert method.target.normalize and method.spec["normalize_target"] and "the decoder predicts normalised patches" in told
    method, told = said(interop.method_for, official(build_mae()), normalize_target=False)
    assert not method.target.normalize and "normalize_target" not in told


def test_an_encoder_alone_says_nothing_of_a_target(said):
    assert "normalize" not in said(interop.method_for, timm(build_mae()))[1].replace("images were normalised", "")
    assert not interop.has_decoder(timm(build_mae())) and interop.has_decoder(official(build_mae()))


# Heads


def test_heads_are_told_or_said_to_be_usual(said):
    trained = build_mae(decoder_heads=8, normalize_target=True)
    method, told = said(interop.method_for, official(trained))
    assert method.decoder.blocks[0].attn.heads == 4 and "4 heads in the decoder" in told and "4 heads, as the size micro has" in told
    method, told = said(interop.method_for, official(trained), decoder_heads=8, heads=4, normalize_target=True)
    assert "heads" not in told
    noise = torch.rand(3, 16, generator=generator())
    torch.testing.assert_close(method(images(), noise=noise).loss, trained(images(), noise=noise).loss)


def test_a_decoder_of_an_unusual_size_has_the_heads_that_other_codes_give_it(said):
    method, told = said(interop.method_for, official(build_mae(decoder_dim=32, decoder_heads=2)))
    assert method.decoder.blocks[0].attn.heads == 16 and "16 heads in the decoder" in told


@pytest.mark.parametrize("size", [(64, 2, 2), (128, 4, 8)])
def test_a_size_without_a_name_needs_its_heads_and_comes_back(error, size):
    trained = build_mae(size=size, decoder_dim=32, decoder_depth=1)
    if size[:2] != (128, 4):
        assert "width 64 and 2 blocks" in error(interop.method_for, official(trained))
        assert "among 3 heads" in error(interop.method_for, official(trained), heads=3)
    method = interop.method_for(official(trained), heads=size[2])
    torch.testing.assert_close(method.encoder.features(images()), trained.encoder.features(images()))
    again = create(**json.loads(json.dumps(method.spec)))  # as a checkpoint keeps it
    again.load_state_dict(method.state_dict())


# The grid


@pytest.mark.parametrize("image_size", [(8, 32), (32, 8), (4, 64), (16, 16), (8, 12)])
def test_fixed_positions_show_their_grid(said, image_size):
    trained = build_mae(image_size=image_size)
    for dtype in (torch.float32, torch.bfloat16):
        weights = {name: tensor.to(dtype) for name, tensor in official(trained).items()}
        method, told = said(interop.method_for, weights)
        assert method.spec["image_size"] == image_size and "image_size" not in told


def test_learnt_positions_need_the_size_or_are_said_to_be_square(error, said):
    trained = with_learnt_positions(build_mae(image_size=(8, 32)))
    method, told = said(interop.method_for, official(trained))
    assert method.spec["image_size"] == (16, 16) and "a square grid of 4×4 patches" in told
    method, told = said(interop.method_for, official(trained), image_size=(8, 32))
    assert method.spec["image_size"] == (8, 32) and "image_size" not in told
    pictures = torch.randn(2, 3, 8, 32, generator=generator())
    torch.testing.assert_close(method.encoder.features(pictures), trained.encoder.features(pictures))
    assert "have positions for 4×4 patches" in error(interop.method_for, official(trained), image_size=(8, 24))


def test_another_grid_of_as_many_patches_is_not_taken_for_ones_own():
    weights = official(build_mae(image_size=(8, 32)))
    method = create("mae", image_size=16, patch_size=4)
    interop.load(method, weights)
    here, there = method.encoder.pos_embed[0, 1:], weights["pos_embed"][0, 1:]
    assert here.shape == there.shape and (here - there).abs().max() > 0.1
    learnt = official(with_learnt_positions(build_mae(image_size=(8, 32))))
    interop.load(method, learnt, image_size=(8, 32))
    assert not torch.equal(method.encoder.pos_embed, learnt["pos_embed"])
    interop.load(method, learnt)  # nothing says that it is not this one's
    assert torch.equal(method.encoder.pos_embed, learnt["pos_embed"])


# Statistics of pixels


@pytest.mark.parametrize("channels", [1, 3])
def test_weights_that_were_trained_with_other_statistics_see_the_same_pixels(said, channels):
    trained = build_mae(channels=channels, normalize_target=False)
    pixels = raw(channels=channels)
    mean, std = torch.tensor([0.4, 0.5, 0.6][:channels]), torch.tensor([0.3, 0.5, 0.2][:channels])
    theirs = (pixels / 255 - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
    method, told = said(interop.method_for, official(trained), mean=mean.tolist(), std=std.tolist(), normalize_target=False)
    assert "mean" not in told
    torch.testing.assert_close(method.encoder.features(pixels), trained.encoder.features(theirs), atol=1e-4, rtol=1e-4)
    noise = torch.rand(4, 16, generator=generator())
    mine, other = (m(x, noise=noise).prediction.unflatten(-1, (-1, channels)) for m, x in ((method, pixels), (trained, theirs)))
    ours = normalize(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, channels, 1, 1)).flatten(1)  # black, white
    shown = (mine - ours[0]) / (ours[1] - ours[0])  # in [0, 1]
    torch.testing.assert_close(shown, other * std + mean, atol=1e-4, rtol=1e-4)


def test_statistics_that_do_not_fit_are_refused(error):
    assert "3 numbers each" in error(interop.method_for, official(build_mae()), mean=[0.5], std=[0.5])
    for mean, std in (((123.7, 116.3, 103.5), (58.4, 57.1, 57.4)), ((0.5, 0.5, 0.5), (0.5, 0.5, 0.0)), ((0.5, 0.5, -1.0), (0.5,) * 3)):
        assert "of pixels from 0 to 1" in error(interop.method_for, timm(build_mae()), mean=mean, std=std)
    other = {"mean": [0.4, 0.5, 0.6], "std": [0.3, 0.5, 0.2]}
    assert "cannot be rewritten" in error(interop.method_for, official(build_mae()), normalize_target=True, **other)
    interop.method_for(timm(build_mae()), **other)


@pytest.mark.parametrize("kind", [tuple, torch.tensor, np.array])
def test_statistics_may_be_tensors_and_arrays(kind):
    mean, std = [0.4, 0.5, 0.6], [0.3, 0.5, 0.2]
    one, two = (interop.method_for(timm(build_mae()), mean=m, std=s) for m, s in ((mean, std), (kind(mean), kind(std))))
    torch.testing.assert_close(one.encoder.features(raw()), two.encoder.features(raw()))


def test_a_timm_description_beside_the_weights_is_read(tmp_path, said):
    pytest.importorskip("timm")
    trained = build_mae()
    about = {"architecture": "vit", "pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "input_size": [3, 16, 16]}}
    (tmp_path / "config.json").write_text(json.dumps(about))
    method, told = said(interop.method_for, saved(tmp_path, timm(with_learnt_positions(trained))))
    assert method.spec["image_size"] == (16, 16) and "mean=" not in told and "image_size" not in told
    theirs = interop.TimmEncoder(as_timm(trained, timm(trained)))  # its statistics are 0.5 too
    torch.testing.assert_close(method.encoder.features(raw()), theirs.features(raw()), atol=1e-4, rtol=1e-4)


def test_what_a_timm_model_was_made_with_is_read(tmp_path, said):
    trained = build_mae(size=(64, 2, 4), image_size=(8, 32))
    (tmp_path / "config.json").write_text(json.dumps({"model_args": {"num_heads": 4, "img_size": [8, 32], "depth": 2}}))
    method, told = said(interop.method_for, saved(tmp_path, timm(with_learnt_positions(trained))))
    assert method.encoder.heads == 4 and method.encoder.home_grid == (2, 8) and "heads" not in told and "square" not in told
    images = torch.randn(2, 3, 8, 32, generator=generator())
    torch.testing.assert_close(method.encoder.features(images), trained.encoder.features(images))


def test_positions_without_one_for_cls_are_read_where_the_size_is_told(error):
    trained = build_mae()
    trained.encoder.pos_embed.data = torch.cat([torch.zeros(1, 1, 128), torch.randn(1, 16, 128, generator=generator())], dim=1)
    weights = {**timm(trained), "pos_embed": trained.encoder.pos_embed[:, 1:]}
    assert "for 15 patches of 4×4 pixels, or for 16 where CLS has no position, so give image_size" in error(interop.method_for, weights)
    for filled in (interop.method_for(weights, image_size=16), fresh_mae()):
        interop.load(filled, weights, image_size=16)
        torch.testing.assert_close(filled.encoder.features(images()), trained.encoder.features(images()))


def test_norms_of_another_kind_are_refused(error):
    assert "norms add 0.001 to the variance" in error(interop.method_for, interop.Weights(timm(build_mae()), {"eps": 1e-3}))
    interop.method_for(interop.Weights(timm(build_mae()), {"eps": 1e-5}))


def test_a_word_for_yes_or_no_is_refused(error):
    assert "normalize_target is True, False, or None" in error(interop.method_for, official(build_mae()), normalize_target="no")


def test_another_activation_is_refused(error):
    weights = interop.Weights(official(build_mae()), {"activation": "quick_gelu"})
    assert "quick_gelu" in error(interop.method_for, weights)
