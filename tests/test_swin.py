"""The Swin-like encoder: windows against a slow loop, timm's Swin with the same weights, mask tokens, and the protocol."""

import pytest
import torch
from helpers import build, generator, images, raw

from minimim.encoders import Swin
from minimim.encoders.stages import fine_patch
from minimim.encoders.swin import PatchMerging, WindowAttention, fitting
from minimim.errors import UserError
from minimim.masking import Mask, RandomMasking
from minimim.methods import create


def swin(image_size=16, patch_size=4, size="micro", **more):
    """A Swin whose biases, norms and tokens have left their start."""
    torch.manual_seed(0)
    encoder = Swin(image_size, patch_size, size, **more).eval()
    with torch.no_grad():
        for p in encoder.parameters():
            p.add_(0.05 * torch.randn(p.shape))
    return encoder


def mask_of(encoder, batch=3, seed=0):
    """A Mask that hides half of the places of the last map, each sample its own."""
    rows, cols = encoder.home_grid
    return RandomMasking(0.5)({"image": torch.zeros(batch, 3, 1, 1)}, (rows, cols), generator=generator(seed))[0]


# Stages and sizes


@pytest.mark.parametrize("patch_size, fine, stages", [(2, 1, 2), (4, 2, 2), (6, 3, 2), (8, 4, 2), (14, 7, 2), (16, 4, 3), (32, 4, 4), (64, 8, 4)])
def test_the_fine_patch_is_halved_from_the_last_maps_down_to_four_pixels(patch_size, fine, stages):
    assert fine_patch(patch_size) == (fine, stages) and fine * 2 ** (stages - 1) == patch_size


def test_with_fewer_stages_the_deep_one_stays_and_32_pixels_give_the_paper():
    assert Swin(64, 32, "tiny").widths == [96, 192, 384, 768] and Swin(64, 32, "tiny").stage_of == [0, 0, 1, 1, *[2] * 6, 3, 3]
    assert Swin(64, 16, "tiny").stage_of == [0, 0, 1, 1, *[2] * 6] and Swin(16, 4, "tiny").stage_of == [0, 0, *[1] * 6]
    paper = Swin(224, 32, "tiny", drop_path=0.2)
    assert paper.depth == 12 and paper.dim == 768 and paper.home_grid == (7, 7) and paper.fine == 4
    assert sum(p.numel() for p in paper.parameters()) == 27_519_354 + 96  # timm's swin_tiny without its head, and the mask token
    assert [block.attn.heads for block in paper.blocks] == [3, 3, 6, 6, *[12] * 6, 24, 24]
    assert [round(block.drop_path.rate, 3) for block in paper.blocks] == [round(0.2 * i / 11, 3) for i in range(12)]


@pytest.mark.parametrize("ask, sentence", [
    (lambda: Swin(16, 5), "patch_size must be even, not 5"),
    (lambda: Swin(16, 4, "huge"), "unknown size of a Swin 'huge'.*Known: base, large, micro, small, tiny"),
    (lambda: Swin(16, 4, (128, 4, 4)), "unknown size of a Swin"),
    (lambda: Swin(18, 4, "micro"), "18×18 .* patches of 4"),
    (lambda: Swin(16, 4, "micro")(torch.randn(2, 3, 16, 18)), "16×18 .* patches of 4"),
    (lambda: Swin(16, 4, "micro")(torch.randn(2, 1, 16, 16)), "1 channels"),
    (lambda: Swin(16, 4, "micro")(raw(), want=("attention",)), "a Swin has no attention map over all places"),
    (lambda: Swin(16, 4, "micro")(raw(), want=("layer",)), "unknown thing to want"),
    (lambda: Swin(16, 4, "micro").features(raw(), layer=4), "4 blocks, 0 to 3"),
    (lambda: Swin(16, 4, "micro").features(raw(), pool="cls"), "no CLS token"),
])  # fmt: skip
def test_what_cannot_be_is_told(ask, sentence):
    with pytest.raises(UserError, match=sentence):
        ask()


# Windows


def test_a_window_fits_the_map_and_is_the_papers_at_its_sizes():
    assert [fitting(side, 7) for side in (56, 28, 14, 7, 3)] == [7, 7, 7, 7, 3]
    assert [fitting(side, 7) for side in (48, 24, 12, 6)] == [6, 6, 6, 6]
    assert [fitting(side, 7) for side in (9, 11, 13, 16)] == [5, 6, 7, 4]
    assert [fitting(side, 4) for side in (8, 16, 5, 7)] == [4, 4, 3, 4]


def slow_attention(attention, x):
    """Each query by itself: the keys that lie in its window of the shifted lattice, which no window goes round the edge of."""
    batch, rows, cols, _ = x.shape
    qkv = attention.qkv(x).view(batch, rows, cols, 3, attention.heads, 32)
    table = attention.table.view(2 * attention.window - 1, 2 * attention.window - 1, attention.heads)
    numbers = []
    for side in (rows, cols):
        window = fitting(side, attention.window)
        shift = window // 2 if attention.shifted and window < side else 0
        numbers.append([(at - shift) // window for at in range(side)])
    out = torch.zeros(batch, rows, cols, attention.heads, 32)
    for r in range(rows):
        for c in range(cols):
            keys = [(i, j) for i in range(rows) for j in range(cols) if numbers[0][i] == numbers[0][r] and numbers[1][j] == numbers[1][c]]
            for b in range(batch):
                for h in range(attention.heads):
                    scores = [qkv[b, r, c, 0, h] @ qkv[b, i, j, 1, h] / 32**0.5 + table[r - i + attention.window - 1, c - j + attention.window - 1, h]
                              for i, j in keys]  # fmt: skip
                    weights = torch.stack(scores).softmax(0)
                    out[b, r, c, h] = sum(w * qkv[b, i, j, 2, h] for w, (i, j) in zip(weights, keys, strict=True))
    return attention.proj(out.flatten(3))


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("rows, cols", [(4, 4), (8, 4), (8, 3), (5, 9)])  # one window; two; a short side; padded both ways
@torch.no_grad()
def test_attention_is_that_of_each_cell_over_its_window(rows, cols, shifted):
    torch.manual_seed(0)
    attention = WindowAttention(32, 4, shifted)
    torch.nn.init.normal_(attention.table)
    x = torch.randn(1, rows, cols, 32)
    torch.testing.assert_close(attention(x), slow_attention(attention, x), atol=1e-5, rtol=1e-5)


def test_shifted_blocks_carry_content_over_the_edges_of_windows():
    encoder = swin(32)  # a first map of 16×16 in windows of 4
    x = torch.randn(1, 16, 16, 64, requires_grad=True)
    plain, shifted = encoder.blocks[0], encoder.blocks[1]
    reach = torch.autograd.grad(plain(x)[0, 0, 0].sum(), x)[0][0].abs().sum(-1) > 0
    assert reach.nonzero().max(0).values.tolist() == [3, 3]
    reach = torch.autograd.grad(shifted(plain(x))[0, 3, 3].sum(), x)[0][0].abs().sum(-1) > 0
    assert reach.nonzero().max(0).values.tolist() == [7, 7]


def test_merging_lays_four_neighbours_end_to_end_column_by_column():
    merge = PatchMerging(4)
    x = torch.randn(2, 4, 6, 2)
    out = merge(x)
    assert out.shape == (2, 2, 3, 4)
    four = torch.cat([x[1, 2, 4], x[1, 3, 4], x[1, 2, 5], x[1, 3, 5]])
    torch.testing.assert_close(out[1, 1, 2], merge.reduction(merge.norm(four)))


def as_timm(weights):
    """Our names for a Swin's weights in timm's."""
    theirs = {}
    for name, tensor in weights.items():
        if name.startswith("blocks."):
            number, rest = int(name.split(".")[1]), name.split(".", 2)[2]
            layer, place = divmod(number, 2)
            if rest.startswith("merge."):
                name = f"layers.{layer}.downsample.{rest[6:]}"
            elif rest == "attn.table":
                name, tensor = f"layers.{layer}.blocks.{place}.attn.relative_position_bias_table", tensor.view(49, -1)
            else:
                name = f"layers.{layer}.blocks.{place}.{rest}"
        theirs[name.replace("patch_norm", "patch_embed.norm")] = tensor
    del theirs["mask_token"]
    return theirs


@torch.no_grad()
def test_timms_swin_with_the_same_weights_sees_the_same():
    pytest.importorskip("timm")
    from timm.models.swin_transformer import SwinTransformer

    encoder = swin(32)
    model = SwinTransformer(img_size=32, patch_size=2, embed_dim=64, depths=(2, 2), num_heads=(2, 4), window_size=4, num_classes=0).eval()
    missing = model.load_state_dict(as_timm(encoder.state_dict()), strict=False)
    assert not missing.unexpected_keys and all("index" in name or "mask" in name for name in missing.missing_keys)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(encoder(x).patches, model.forward_features(x).flatten(1, 2), atol=1e-4, rtol=1e-4)


# The mask, and the protocol


def test_hidden_pixels_are_replaced_by_the_mask_token_and_move_nothing():
    encoder, x = swin(), images().requires_grad_()
    mask = mask_of(encoder)
    tokens = encoder.embed(x, mask)  # (B, 8, 8, D)
    where = torch.tensor([[[mask.hidden[b, r // 2 * 4 + c // 2] for c in range(8)] for r in range(8)] for b in range(3)])
    assert torch.equal(tokens[where], encoder.mask_token[0].expand(int(where.sum()), -1))
    assert torch.equal(tokens[~where], encoder.embed(x, None)[~where])
    (gradient,) = torch.autograd.grad(encoder(x, mask).patches.square().sum(), x)
    pixels = where.repeat_interleave(2, 1).repeat_interleave(2, 2)  # (B, 16, 16)
    moved = gradient.abs().sum(1)
    assert moved[pixels].max() == 0 and moved[~pixels].min() > 0


@pytest.mark.parametrize("image_size, patch_size", [(16, 4), (32, 4), ((64, 96), 4), ((32, 48), 8), (64, 16)])
def test_the_protocol(image_size, patch_size):
    encoder = swin(image_size, patch_size)
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    grid = (height // patch_size, width // patch_size)
    x = torch.randn(2, 3, height, width)
    with torch.no_grad():
        encoded = encoder(x, mask_of(encoder, 2), want=("layers",))
    assert encoder.home_grid == encoder.grid(x) == encoded.grid == grid and encoded.cls is encoder.cls_token is encoder.pos_embed is None
    assert encoded.patches.shape == (2, grid[0] * grid[1], encoder.dim) and encoder.depth == len(encoder.blocks) == len(encoded.layers)
    times = [2**n for n in reversed(range(len(encoder.widths)))]
    assert [m.shape for m in encoded.maps] == [(2, d, grid[0] * t, grid[1] * t) for d, t in zip(encoder.widths, times, strict=True)]
    assert torch.equal(encoded.maps[-1].flatten(2).transpose(1, 2), encoded.patches) and torch.equal(encoded.layers[-1].patches, encoded.patches)
    for index, layer in enumerate(encoded.layers):
        t = times[encoder.stage_of[index]]
        assert layer.grid == (grid[0] * t, grid[1] * t) and layer.patches.shape == (2, t * t * grid[0] * grid[1], encoder.widths[encoder.stage_of[index]])


@torch.no_grad()
def test_features_are_those_of_a_block_with_the_width_and_places_of_its_stage():
    encoder, x = swin(), raw()
    encoded = encoder(x, want=("layers",))
    assert torch.equal(encoder.features(x), encoded.patches.mean(1)) and torch.equal(encoder.features(x, 3), encoder.features(x))
    for layer, width, places in ((0, 64, 64), (1, 64, 64), (2, 128, 16)):
        assert encoder.features(x, layer, "patches").shape == (4, places, width)
        assert torch.equal(encoder.features(x, layer), encoded.layers[layer].patches.mean(1))
    seen = encoder.features(x, 0, "patches")  # normed, without weights, where the encoder's own norm is of another width
    torch.testing.assert_close(seen.mean(-1), torch.zeros(4, 64), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.var(-1, correction=0), torch.ones(4, 64), atol=1e-3, rtol=0)


@torch.no_grad()
def test_images_of_another_size_are_encoded_with_the_same_weights():
    encoder, larger = swin(16), swin(32)
    assert encoder(torch.randn(2, 3, 24, 40)).patches.shape == (2, 60, 128)
    larger.load_state_dict(encoder.state_dict())
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(larger(x).patches, encoder(x).patches)


@pytest.mark.slow
def test_it_is_compiled_once_for_all_masks():
    encoder = swin()
    graphs = []

    def count(graph, _):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    compiled = torch.compile(encoder, backend=count, fullgraph=True, dynamic=False)
    for seed in range(3):
        mask = mask_of(encoder, seed=seed)
        torch.testing.assert_close(compiled(images(), mask).patches, encoder(images(), mask).patches)
    assert len(graphs) == 1


@pytest.mark.filterwarnings("ignore")  # torch's own, of what will change in tracing
@torch.no_grad()
def test_it_is_traced_with_two_images_and_serves_five():
    encoder = swin(24)  # a first map of 12×12, a last one of 6×6 that is padded
    encoder.forward = lambda x, **_: Swin.forward(encoder, x).patches
    served = torch.jit.trace(encoder, torch.randn(2, 3, 24, 24))
    x = torch.randn(5, 3, 24, 24)
    torch.testing.assert_close(served(x), encoder(x))


# In SimMIM


def test_simmim_takes_it_and_predicts_the_pixels_of_a_place_of_the_last_map():
    method = build("simmim", encoder="swin", channels=1, image_size=(16, 32), mask_ratio=0.5)
    assert isinstance(method.encoder, Swin) and method.spec["encoder"] == "swin"
    output = method(raw(channels=1).repeat(1, 1, 1, 2), generator=generator())
    output.loss.backward()
    assert output.prediction.shape == (4, 32, 16) and torch.all(output.mask.sum(1) == 16)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in method.parameters() if p.requires_grad)
    assert create("simmim", image_size=224, patch_size=32, size="tiny", encoder="swin").masking.unit == 1  # 32 pixels, as in the paper
    with pytest.raises(UserError, match="unknown encoder 'swim': did you mean 'swin'"):
        create("simmim", encoder="swim")


def test_what_is_hidden_is_what_simmim_scores_and_the_loss_is_its_mean():
    method = build("simmim", encoder="swin").eval()
    output = method(images(), generator=generator())
    errors = (output.prediction - output.target).abs().mean(-1)
    torch.testing.assert_close(output.loss, errors[output.mask].mean())
    assert torch.equal(method.encoder(images(), Mask(output.mask)).patches @ method.decoder.pred.weight.T + method.decoder.pred.bias, output.prediction)
