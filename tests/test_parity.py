"""Equal to Hugging Face's MAE and to timm's Vision Transformer, to the last digits of a double.

In fp64 every difference is below 1e-12: that is the proof. In fp32 it is below 1e-5 of the largest number.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from foreign import as_hugging_face, as_timm, build_mae, fresh_mae, hugging_face, inputs, ours, theirs, timm

from minimim import interop
from minimim.patches import sincos_positions

SMALL = [
    {},
    {"normalize_target": False},
    {"image_size": (8, 32), "mask_ratio": 0.5},  # 2 rows, 8 columns
    {"image_size": 24, "patch_size": 8, "channels": 1, "decoder_dim": 32, "decoder_depth": 1, "decoder_heads": 2},
]


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers")


@pytest.fixture
def with_timm():
    return pytest.importorskip("timm")


def assert_equal(mine, other):
    """Every tensor within 1e-12 in fp64, within 1e-5 of the largest in fp32; whole numbers exactly."""
    assert mine.keys() == other.keys()
    for name, expected in other.items():
        exact = not expected.is_floating_point() or name == "mask"
        scale = 1e-12 if expected.dtype == torch.float64 else 1e-5 * expected.abs().max().item()
        torch.testing.assert_close(mine[name], expected, rtol=0, atol=0 if exact else scale, msg=lambda m, n=name: f"{n}: {m}")


# Hugging Face


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("sizes", SMALL)
def test_the_whole_mae_is_hugging_faces(transformers, sizes, dtype):
    method = build_mae(**sizes).to(dtype)
    images, noise = inputs(method, dtype=dtype)
    assert_equal(ours(method, images, noise), theirs(as_hugging_face(method), images, noise))


@pytest.mark.parametrize("where", ["in memory", "on disk"])
@pytest.mark.parametrize("sizes", SMALL)
def test_the_whole_mae_is_hugging_faces_through_interop(transformers, tmp_path, sizes, where):
    model, method = as_hugging_face(build_mae(**sizes).double()), fresh_mae(**sizes).double()
    weights = model.state_dict()
    if where == "on disk":
        model.save_pretrained(tmp_path)
        weights = interop.load_file(tmp_path / "model.safetensors")
    assert interop.load(method, weights) == interop.Loaded("Hugging Face", decoder=True, ignored=[])
    images, noise = inputs(method)
    assert_equal(ours(method, images, noise), theirs(model, images, noise))


@pytest.mark.parametrize("sizes", SMALL[:2])
def test_the_gradients_are_hugging_faces(transformers, sizes):
    method = build_mae(**sizes).double()
    model, (images, noise) = as_hugging_face(method), inputs(method)
    method(images, noise=noise).loss.backward()
    model(images, noise=noise).loss.backward()
    mine = hugging_face({n: p.grad for n, p in method.named_parameters() if p.grad is not None})
    assert len(mine) == len(hugging_face(method)) - 2  # all but two tables of positions
    assert_equal(mine, {n: p.grad for n, p in model.named_parameters() if p.grad is not None})


@pytest.mark.slow
def test_vit_base_on_one_image_of_224_is_hugging_faces_and_timms(transformers, with_timm):
    method = build_mae(image_size=224, patch_size=16, size="base")
    for dtype in (torch.float32, torch.float64):
        method = method.to(dtype)
        images, noise = inputs(method, batch=1, dtype=dtype)
        with torch.no_grad():
            assert_equal(ours(method, images, noise), theirs(as_hugging_face(method), images, noise))
            assert_equal(whole(method, images), {"tokens": as_timm(method, timm(method)).forward_features(images)})


def test_hugging_face_shuffles_even_when_it_hides_nothing(transformers):
    method = build_mae().double()
    model, (images, noise) = as_hugging_face(method, mask_ratio=0.0), inputs(method)
    output, encoded = model.vit(images, noise=noise), method.encoder(images)
    cls, shuffled = output.last_hidden_state[:, 0], output.last_hidden_state[:, 1:]
    in_order = torch.stack([shuffled[b, output.ids_restore[b]] for b in range(2)])
    assert_equal({"cls": encoded.cls, "patches": encoded.patches}, {"cls": cls, "patches": in_order})
    assert (encoded.patches - shuffled).abs().max() > 0.1


# The proof can fail: each known slip is far outside of it


def biased(patches):
    return (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True, unbiased=False) + 1e-6).sqrt()


def swap_rows_and_columns(method):
    for part in (method.encoder, method.decoder):
        part.pos_embed.data = torch.cat(part.pos_embed.chunk(2, dim=-1)[::-1], dim=-1)


def tanh_gelu(method, monkeypatch):
    gelu = F.gelu
    monkeypatch.setattr(F, "gelu", lambda x: gelu(x, approximate="tanh"))


SLIPS = {
    "eps": lambda method, _: [setattr(m, "eps", 1e-12) for m in method.modules() if isinstance(m, torch.nn.LayerNorm)],
    "rows before columns": lambda method, _: swap_rows_and_columns(method),
    "biased variance": lambda method, _: method.target.register_forward_hook(
        lambda m, args, out: {"patch": biased(out["patch"])}
    ),
    "tanh gelu": tanh_gelu,
    "high noise stays": lambda method, _: method.masking.register_forward_pre_hook(
        lambda m, args: (*args[:4], 1 - args[4], *args[5:])
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_the_proof_sees_each_known_slip(transformers, monkeypatch, slip):
    method = build_mae().double()
    images, noise = inputs(method)
    expected = theirs(as_hugging_face(method), images, noise)
    SLIPS[slip](method, monkeypatch)
    assert abs(ours(method, images, noise)["loss"] - expected["loss"]) > 1e-7


# Positions, which loading would paper over


@pytest.mark.parametrize("grid", [(4, 4), (2, 5), (5, 2)])
@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_fresh_mae_stands_at_the_official_positions(grid, part):
    table = getattr(fresh_mae(image_size=(4 * grid[0], 4 * grid[1])), part).pos_embed
    dim = table.shape[-1]
    assert table.shape == (1, 1 + grid[0] * grid[1], dim) and not table.requires_grad
    expected = [[0.0] * dim]
    for row in range(grid[0]):
        for col in range(grid[1]):
            angles = [[place / 10000 ** (i / (dim // 4)) for i in range(dim // 4)] for place in (col, row)]
            expected.append([wave(a) for half in angles for wave in (math.sin, math.cos) for a in half])
    torch.testing.assert_close(table[0], torch.tensor(expected), rtol=0, atol=1e-6)
    assert table[0, 1:].abs().max() > 0.9


def test_the_positions_are_those_that_hugging_face_means_to_start_with(transformers):
    method = fresh_mae()
    model = as_hugging_face(method)
    for table in (model.vit.embeddings.position_embeddings, model.decoder.decoder_pos_embed):
        table.data = torch.zeros_like(table)
    model.vit.embeddings.initialize_weights()
    model.decoder.initialize_weights(16)
    assert torch.equal(model.vit.embeddings.position_embeddings, method.encoder.pos_embed)
    assert torch.equal(model.decoder.decoder_pos_embed, method.decoder.pos_embed)


def test_timms_own_sine_cosine_table_is_another(with_timm):
    from timm.layers import build_sincos2d_pos_embed

    other = build_sincos2d_pos_embed([4, 4], dim=128, temperature=10000.0)
    for halves in (other, torch.cat(other.chunk(2, dim=1)[::-1], dim=1)):
        assert (halves - sincos_positions(128, (4, 4))).abs().max() > 1


# timm


def whole(method, images):
    """The tokens of whole images, CLS first."""
    encoded = method.encoder(images)
    return {"tokens": torch.cat([encoded.cls.unsqueeze(1), encoded.patches], dim=1)}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("sizes", SMALL[1:])
def test_the_encoder_is_timms(with_timm, sizes, dtype):
    method = build_mae(**sizes).to(dtype)
    model, (images, _) = as_timm(method, timm(method)), inputs(method, dtype=dtype)
    assert_equal(whole(method, images), {"tokens": model.forward_features(images)})


def test_every_layer_of_the_encoder_is_timms(with_timm):
    method = build_mae().double()
    model, (images, _) = as_timm(method, timm(method)), inputs(method)
    layers = method.encoder(images, want=("layers",)).layers
    theirs = model.forward_intermediates(images, norm=True, output_fmt="NLC", return_prefix_tokens=True)[1]
    assert len(layers) == len(theirs) == 4
    for mine, (patches, prefix) in zip(layers, theirs, strict=True):
        assert_equal({"patches": mine.patches, "cls": mine.cls}, {"patches": patches, "cls": prefix[:, 0]})


@pytest.mark.parametrize("size", [(24, 24), (8, 12)])
def test_images_of_another_size_are_seen_as_timm_sees_them(with_timm, size):
    method = build_mae().double()
    model = as_timm(method, timm(method), dynamic_img_size=True)
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    assert_equal(whole(method, images), {"tokens": model.forward_features(images)})
