"""The encoder: what it sees, and that it sees nothing else."""

import pytest
import torch
import torch.nn.functional as F

from minimim.data.views import normalize
from minimim.encoders import SIZES, ViT
from minimim.errors import UserError
from minimim.layers import PLAIN_UP_TO, Attention, DropPath
from minimim.masking import Mask, mask_by_noise


def images(batch=2, size=(16, 16)):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(0))


def vit(**more):
    torch.manual_seed(0)
    return ViT(**{"image_size": 16, "patch_size": 4, "size": "micro", **more}).eval()


@pytest.mark.parametrize("tokens", [5, PLAIN_UP_TO, PLAIN_UP_TO + 1])
def test_attention_is_the_explicit_formula_however_long(tokens, monkeypatch):
    fused, called = F.scaled_dot_product_attention, []
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *qkv: called.append(1) or fused(*qkv))
    attention, x = Attention(16, 4), torch.randn(2, tokens, 16)
    _, _, v = attention.split(x)
    explicit = attention.proj((attention.weights(x) @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x), explicit)
    assert bool(called) == (tokens > PLAIN_UP_TO)
    torch.testing.assert_close(attention.weights(x).sum(-1), torch.ones(2, 4, tokens))


def test_attention_in_bf16_is_attention_up_to_its_digits():
    attention, x = Attention(64, 4), torch.randn(2, 50, 64)
    with torch.autocast("cpu", torch.bfloat16):
        short = attention(x)
    assert short.dtype == torch.bfloat16
    torch.testing.assert_close(short.float(), attention(x), atol=0.01, rtol=0)


def test_hidden_pixels_never_reach_an_encoder_that_drops():
    model, mask = vit(), mask_by_noise(torch.rand(2, 16), 4)
    x = images().requires_grad_()
    model(x, mask).patches.sum().backward()
    touched = x.grad.abs().sum(1).view(2, 4, 4, 4, 4).sum((2, 4)).flatten(1) > 0  # (B, N)
    assert torch.equal(touched, ~mask.hidden)


def test_hidden_pixels_never_reach_an_encoder_with_mask_tokens():
    model, mask = vit(hidden="token", cls=False), mask_by_noise(torch.rand(2, 16), 4)
    x = images().requires_grad_()
    encoded = model(x, mask)
    encoded.patches.sum().backward()
    touched = x.grad.abs().sum(1).view(2, 4, 4, 4, 4).sum((2, 4)).flatten(1) > 0
    assert torch.equal(touched, ~mask.hidden) and encoded.patches.shape == (2, 16, 128)


def test_dropping_keeps_the_order_of_the_mask_and_a_place_its_position():
    model = vit()
    keep_all = Mask(torch.zeros(2, 16, dtype=torch.bool), order=torch.stack([torch.randperm(16) for _ in range(2)]), visible=16)
    whole, shuffled = model(images()), model(images(), keep_all)
    for b in range(2):
        torch.testing.assert_close(shuffled.patches[b], whole.patches[b, keep_all.order[b]], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(shuffled.cls, whole.cls, atol=2e-5, rtol=1e-4)


def test_layers_and_attention_come_when_asked_for():
    model = vit()
    plain, full = model(images()), model(images(), want=("layers", "attention:1"))
    assert plain.layers is None and plain.attention is None
    assert len(full.layers) == 4 and torch.equal(full.layers[-1].patches, full.patches)
    torch.testing.assert_close(full.patches, plain.patches)
    assert full.attention.shape == (2, 4, 17, 17)
    last, also_last = (model(images(), want=(w,)).attention for w in ("attention", "attention:3"))
    assert torch.equal(last, also_last) and not torch.equal(last, full.attention)


def test_one_word_is_wanted_as_well_as_several():
    model = vit()
    assert torch.equal(model(images(), want="attention").attention, model(images(), want=("attention",)).attention)
    assert len(model(images(), want="layers").layers) == 4 and model(images(), want="layers").attention is None
    assert torch.equal(model(images(), want=["attention:-2"]).attention, model(images(), want="attention:2").attention)


@pytest.mark.parametrize("want, says", [
    ("atention", "did you mean 'attention'"),
    (("layers", "layer"), "did you mean 'layers'"),
    ("layers:2", "unknown thing to want"),
    (None, "unknown thing to want"),
    (0, "unknown thing to want"),
    ("attention:²", 'not of "²"'),
    ("attentions", "unknown thing to want"),
    ("attention:4", "layer 4 is not there"),
    ("attention:-5", "layer -5 is not there"),
    ("attention:x", "by its number"),
    ("attention:1.5", "by its number"),
    (("attention:1", "attention:2"), "one attention map at a time"),
])  # fmt: skip
def test_what_is_not_there_is_not_wanted_in_silence(want, says):
    with pytest.raises(UserError, match=says):
        vit()(images(), want=want)


def test_features_pool_what_the_forward_gives():
    model = vit()
    encoded = model(images(), want=("layers",))
    torch.testing.assert_close(model.features(images()), encoded.patches.mean(1))
    torch.testing.assert_close(model.features(images(), layer=1, pool="cls"), encoded.layers[1].cls)
    torch.testing.assert_close(model.features(images(), layer=-2), encoded.layers[2].patches.mean(1))


def test_features_refuse_what_is_not_there():
    with pytest.raises(UserError, match="layer 4 is not there"):
        vit().features(images(), layer=4)
    with pytest.raises(UserError, match="no CLS token"):
        vit(cls=False).features(images(), pool="cls")
    with pytest.raises(UserError, match="did you mean 'mean'"):
        vit().features(images(), pool="maen")
    for layer in ("last", 1.5, None):
        with pytest.raises(UserError, match=f"layer {layer} is not there"):
            vit().features(images(), layer=layer)


def test_raw_images_are_normalised_and_floats_are_not():
    raw = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    model = vit()
    torch.testing.assert_close(model.features(raw), model.features(normalize(raw)))


def test_other_sizes_work_by_interpolated_positions():
    model = vit()
    assert model(images(size=(16, 32))).patches.shape == (2, 32, 128)
    assert vit(image_size=(8, 24)).grid(images(size=(8, 24))) == (2, 6)


def test_position_table_is_fixed_and_not_zero():
    model = vit()
    assert not model.pos_embed.requires_grad and model.pos_embed[:, 1:].abs().max() > 0
    assert model.pos_embed[:, 0].abs().max() == 0


def test_start_is_xavier_with_zero_biases():
    block = vit().blocks[0]
    bound = (6 / (128 + 512)) ** 0.5
    assert block.mlp.fc1.bias.abs().max() == 0 and 0.9 * bound < block.mlp.fc1.weight.abs().max() <= bound
    embed = vit().patch_embed.proj
    assert embed.weight.abs().max() <= (6 / (48 + 128)) ** 0.5


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    out = drop(torch.ones(4000, 3, 2))
    assert out.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.all(out.flatten(1).std(1) == 0) and abs(float(out.mean()) - 1) < 0.05
    assert torch.equal(drop.eval()(torch.ones(5, 1)), torch.ones(5, 1))


def test_drop_path_grows_with_depth():
    assert [block.drop_path.rate for block in vit(drop_path=0.3).blocks] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_unknown_sizes_suggest_the_near_one():
    with pytest.raises(UserError, match="did you mean 'small'"):
        vit(size="smal")
    with pytest.raises(UserError, match="3 heads"):
        vit(size=(128, 4, 3))
    with pytest.raises(UserError, match="three numbers"):
        vit(size=(128, 4))
    assert set(SIZES) == {"micro", "tiny", "small", "base", "large", "huge"}


@pytest.mark.parametrize("size", [(16, 2, 0), (16, 2, "2"), (16, 2.0, 2), (0, 2, 2), (16, -1, 2)])
def test_a_size_that_is_no_three_whole_numbers_is_one_sentence(size):
    with pytest.raises(UserError, match="^width, depth and heads of an encoder are whole numbers above 0, not"):
        ViT(16, 4, size)


def test_an_encoder_that_is_told_so_leaves_its_last_norm_out():
    model, x = ViT(16, 4, "micro"), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        model.norm.weight.mul_(torch.rand(128) + 0.5)
    normed = model(x, want="layers")
    model.normed = False
    raw = model(x, want="layers")
    assert not torch.allclose(raw.patches, normed.patches)
    for one, other in zip([raw, *raw.layers], [normed, *normed.layers], strict=True):
        torch.testing.assert_close(model.norm(one.patches), other.patches)
        torch.testing.assert_close(model.norm(one.cls), other.cls)
