"""The convnet that skips hidden cells: nothing hidden moves anything, norms count what is visible, and dense it is timm's ConvNeXt."""

import itertools

import pytest
import torch
from helpers import build, generator, images, raw

from minimim.encoders import ConvNet
from minimim.encoders.convnet import CellNorm, Convolution
from minimim.encoders.stages import at_scale
from minimim.errors import UserError
from minimim.masking import Mask, RandomMasking
from minimim.norms import BatchNorm

KINDS = ["convnext", "resnet"]


def convnet(kind="convnext", image_size=16, patch_size=4, **more):
    """A convnet whose biases and norms have left their start."""
    torch.manual_seed(0)
    encoder = ConvNet(image_size, patch_size, "micro", kind=kind, **more).eval()
    with torch.no_grad():
        for p in encoder.parameters():
            p.add_(0.05 * torch.randn(p.shape))
    return encoder


def mask_of(encoder, batch=3, seed=0):
    """A Mask that hides half of the cells of the last map, each sample its own."""
    inputs = {"image": torch.zeros(batch, 3, 1, 1)}
    return RandomMasking(0.5)(inputs, encoder.home_grid, generator=generator(seed))[0]


def hidden_pixels(mask, grid=(4, 4), side=4):
    """Which pixels a mask hides, pixel by pixel: (B, H, W)."""
    where = torch.zeros(len(mask.hidden), grid[0] * side, grid[1] * side, dtype=torch.bool)
    for b, r, c in itertools.product(*map(range, where.shape)):
        where[b, r, c] = mask.hidden[b, r // side * grid[1] + c // side]
    return where


# The proof: what is hidden moves nothing


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_no_hidden_pixel_moves_any_cell_of_any_map(kind, training):
    encoder = convnet(kind, drop_path=0.2).train(training)
    x, mask = images().requires_grad_(), mask_of(encoder)
    where = hidden_pixels(mask)
    torch.manual_seed(1)
    encoded = encoder(x, mask, want=("layers",))
    outputs = [*encoded.maps, encoded.patches, *(layer.patches for layer in encoded.layers)]
    for number, output in enumerate(outputs):
        weights = torch.randn(output.shape)
        (gradient,) = torch.autograd.grad((output * weights).sum(), x, retain_graph=True)
        moved = gradient.abs().sum(1)  # (B, H, W)
        assert moved[where].max() == 0, number
        assert moved[~where].min() > 0, number
    for content in (1e6, torch.inf, torch.nan):
        other = torch.where(where.unsqueeze(1), content, x)
        torch.manual_seed(1)
        again = convnet(kind, drop_path=0.2).train(training)(other, mask, want=("layers",))
        torch.manual_seed(1)
        fresh = convnet(kind, drop_path=0.2).train(training)(x, mask, want=("layers",))
        for one, two in zip([*again.maps, again.patches], [*fresh.maps, fresh.patches], strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_cells_are_zero_on_every_map_and_visible_ones_are_not(kind):
    encoder = convnet(kind)
    mask = mask_of(encoder)
    encoded = encoder(images(), mask, want=("layers",))
    for maps, side in zip(encoded.maps, (2, 4), strict=True):
        where = hidden_pixels(mask)[:, ::side, ::side]
        size = maps.abs().amax(1)  # (B, rows, cols)
        assert size[where].max() == 0 and size[~where].min() > 0
    assert encoded.patches[mask.hidden].abs().max() == 0
    assert all(layer.patches[at_scale(mask.hidden, (4, 4), layer.grid[0] // 4).flatten(1)].abs().max() == 0 for layer in encoded.layers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dense_convolution_would_have_carried_visible_content_into_hidden_cells(kind):
    encoder = convnet(kind)
    mask = mask_of(encoder)
    where = hidden_pixels(mask)
    x = torch.where(where.unsqueeze(1), 0, images())  # zeros under the mask, but nobody told
    assert (encoder(x).patches - encoder(x, mask).patches)[~mask.hidden].abs().mean() > 1e-2
    assert encoder(x).patches[mask.hidden].abs().amax(1).min() > 0


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_mask_is_told_and_not_remembered(kind):
    encoder, x = convnet(kind), images()
    before = encoder(x).patches
    encoder(x, mask_of(encoder))
    assert torch.equal(encoder(x).patches, before)
    torch.testing.assert_close(encoder(x, Mask(torch.zeros(3, 16, dtype=torch.bool))).patches, before)


# Its parts


@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_a_sparse_convolution_sums_over_the_visible_neighbours_of_a_visible_cell(stride):
    torch.manual_seed(0)
    layer = Convolution(3, 5, 3, stride)
    active = torch.rand(2, 4, 6) > 0.4
    before = active.repeat_interleave(stride, 1).repeat_interleave(stride, 2)
    x = torch.randn(2, *before.shape[1:], 3).masked_fill(~before.unsqueeze(-1), 0)
    out = layer(x, active)
    for b in range(2):
        for r in range(4):
            for c in range(6):
                total = layer.conv.bias.clone()
                for i in range(3):
                    for j in range(3):
                        row, col = r * stride + i - 1, c * stride + j - 1
                        inside = 0 <= row < before.shape[1] and 0 <= col < before.shape[2]
                        if inside and before[b, row, col]:
                            total += layer.conv.weight[:, :, i, j] @ x[b, row, col]
                torch.testing.assert_close(out[b, r, c], total if active[b, r, c] else torch.zeros(5), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_cell_norm_is_a_layer_norm_of_what_is_visible():
    norm = CellNorm(8)
    torch.nn.init.normal_(norm.weight), torch.nn.init.normal_(norm.bias)
    x, active = torch.randn(2, 3, 3, 8), torch.rand(2, 3, 3) > 0.5
    out = norm(x, active)
    assert out[~active].abs().max() == 0
    alone = (x[active] - x[active].mean(-1, keepdim=True)) / (x[active].var(-1, keepdim=True, correction=0) + 1e-6).sqrt()
    torch.testing.assert_close(out[active], alone * norm.weight + norm.bias)


def test_batch_statistics_are_those_of_visible_cells():
    encoder = convnet("resnet").train()
    norms = [module for module in encoder.modules() if isinstance(module, BatchNorm)]
    before, seen = [norm.running_mean.clone() for norm in norms], []
    for norm in norms:
        norm.register_forward_hook(lambda module, args, output: seen.append((module, args, output)))
    encoder(images(), mask_of(encoder))
    assert len(norms) == 6 and {id(module) for module, _, _ in seen} == {id(norm) for norm in norms}
    for norm, (x, active), out in seen:
        visible = x[active].double()
        assert len(visible) == 3 * 8 * (x.shape[1] // 4) ** 2  # half of 16 cells
        mean, variance = visible.mean(0), visible.var(0, correction=0)
        expected = (visible - mean) / (variance + 1e-5).sqrt() * norm.weight + norm.bias
        torch.testing.assert_close(out[active].double(), expected, atol=1e-4, rtol=1e-4)
        assert out[~active].abs().max() == 0
        was = before[[id(one) for one in norms].index(id(norm))]
        torch.testing.assert_close(norm.running_mean.double(), was.double() * 0.9 + 0.1 * mean, atol=1e-5, rtol=1e-4)


def as_timm(weights):
    """Our names for a ConvNeXt's weights in timm's."""
    theirs = {}
    for name, tensor in weights.items():
        if name.startswith("blocks."):
            number, rest = int(name.split(".")[1]), name.split(".", 2)[2]
            stage, place = divmod(number, 2)
            at = f"stages.{stage}.blocks.{place}."
            name = f"stages.{stage}.downsample.{rest[6:]}" if rest.startswith("halve.") else at + rest.replace("mix.", "conv_dw.")
        name = name.replace("stem.conv", "stem.0").replace("stem_norm", "stem.1")
        theirs[name.replace("conv_dw.conv", "conv_dw").replace("downsample.1.conv", "downsample.1")] = tensor
    return theirs


@torch.no_grad()
def test_without_a_mask_a_convnext_is_timms():
    pytest.importorskip("timm")
    from timm.models.convnext import ConvNeXt

    encoder = convnet(image_size=64, patch_size=32)
    model = ConvNeXt(depths=(2, 2, 2, 2), dims=(64, 128, 256, 512), patch_size=4, num_classes=0).eval()
    weights = as_timm(encoder.state_dict())
    last = {name: weights.pop(name) for name in ("norm.weight", "norm.bias")}
    found = model.load_state_dict(weights, strict=False)
    assert not found.unexpected_keys and all(name.startswith(("head", "norm_pre")) for name in found.missing_keys), found
    x = torch.randn(2, 3, 64, 64)
    map_ = model.forward_features(x).permute(0, 2, 3, 1)  # (B, rows, cols, D)
    expected = torch.nn.functional.layer_norm(map_, (512,), last["norm.weight"], last["norm.bias"], 1e-6)
    torch.testing.assert_close(encoder(x).patches, expected.flatten(1, 2), atol=1e-4, rtol=1e-4)


# The protocol


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("image_size, patch_size", [(16, 4), ((64, 96), 4), ((16, 24), 8), (64, 32), (12, 6)])
@torch.no_grad()
def test_the_protocol(kind, image_size, patch_size):
    encoder = convnet(kind, image_size, patch_size)
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    grid, x = (height // patch_size, width // patch_size), torch.randn(2, 3, height, width)
    encoded = encoder(x, mask_of(encoder, 2), want=("layers",))
    assert encoder.home_grid == encoder.grid(x) == encoded.grid == grid and encoder.pos_embed is encoder.mask_token is encoder.cls_token is encoded.cls is None
    assert (encoder.norm is None) == (kind == "resnet") and encoder.depth == len(encoder.blocks) == len(encoded.layers)
    assert encoded.patches.shape == (2, grid[0] * grid[1], encoder.dim)
    times = [2**n for n in reversed(range(len(encoder.widths)))]
    assert [m.shape for m in encoded.maps] == [(2, d, grid[0] * t, grid[1] * t) for d, t in zip(encoder.widths, times, strict=True)]
    assert torch.equal(encoded.maps[-1].flatten(2).transpose(1, 2), encoded.patches) and torch.equal(encoded.layers[-1].patches, encoded.patches)
    for index, layer in enumerate(encoded.layers):
        assert layer.patches.shape[2] == encoder.widths[encoder.stage_of[index]] and layer.grid[0] == grid[0] * times[encoder.stage_of[index]]
        assert torch.equal(encoder.features(x, index), encoder(x, want="layers").layers[index].patches.mean(1))


@pytest.mark.parametrize("ask, sentence", [
    (lambda: ConvNet(16, 4, "micro", kind="convnet"), "unknown kind of convnet 'convnet': did you mean 'convnext'"),
    (lambda: ConvNet(16, 3, "micro"), "patch_size must be even, not 3"),
    (lambda: ConvNet(16, 4, "mikro"), "did you mean 'micro'"),
    (lambda: ConvNet(18, 4, "micro"), "18×18 .* patches of 4"),
    (lambda: convnet()(torch.randn(2, 1, 16, 16)), r"takes images \(B, 3, H, W\), and these are \(2, 1, 16, 16\)"),
    (lambda: convnet()(torch.randn(2, 3, 16, 18)), "16×18 .* patches of 4"),
    (lambda: convnet()(raw(), want="attention"), "a ConvNet has no attention map"),
])  # fmt: skip
def test_what_cannot_be_is_told(ask, sentence):
    with pytest.raises(UserError, match=sentence):
        ask()


def test_bytes_are_normalised_and_samples_may_hide_different_numbers_of_cells():
    encoder = convnet()
    hidden = torch.arange(16).expand(4, 16) < torch.tensor([[0], [3], [8], [15]])
    encoded = encoder(raw(), Mask(hidden))
    assert encoded.patches.isfinite().all() and (encoded.patches.abs().sum(-1) > 0).sum(1).tolist() == [16, 13, 8, 1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_compiled_once_for_all_masks(kind):
    encoder, graphs = convnet(kind), []

    def count(graph, _):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    compiled = torch.compile(encoder, backend=count, fullgraph=True, dynamic=False)
    for seed in range(3):
        mask = mask_of(encoder, seed=seed)
        torch.testing.assert_close(compiled(images(), mask).patches, encoder(images(), mask).patches)
    assert len(graphs) == 1


def test_build_gives_spark_the_kind_that_is_asked_for():
    assert build("spark").encoder.kind == "convnext" and build("spark", encoder="resnet").encoder.kind == "resnet"


@pytest.mark.parametrize("size", ["micro", "tiny"])
def test_the_blocks_of_a_convnext_do_something_from_the_start(size):
    # At a spread of 0.02 and a layer scale of 0.1 a branch was 0.3 % of what it was added to: nothing but a linear map of each patch
    # learnt, and a probe of it fell far below that of random weights in 50 steps.
    torch.manual_seed(0)
    encoder = ConvNet(16, 4, size).eval()
    x = encoder.embed(images(), None)
    for block in encoder.blocks:
        into = x if block.halve is None else block.halve[1](block.halve[0](x), None)
        x = block(x, None)
        assert 0.1 < (x - into).std() / into.std() < 2
