"""SparK's decoder: holes are filled on every map, every map is used, and pixels stand where they belong."""

import pytest
import torch
import torch.nn.functional as F
from helpers import build, generator, images

from minimim.decoders import UNetDecoder
from minimim.encoders import ConvNet, Encoded
from minimim.errors import UserError
from minimim.masking import Mask, RandomMasking
from minimim.patches import patchify

KINDS = ["layer", "batch"]


def mask_of(batch=2, rows=3, cols=4, seed=0):
    """A Mask of half of the cells."""
    return RandomMasking(0.5)({"image": torch.zeros(batch, 3, 1, 1)}, (rows, cols), generator=generator(seed))[0]


def maps(widths=(6, 12), batch=2, rows=3, cols=4, seed=0):
    """An Encoded of an encoder in stages, shallow to deep."""
    times = [2**n for n in reversed(range(len(widths)))]
    made = [torch.randn(batch, d, rows * t, cols * t, generator=generator(seed + t)) for d, t in zip(widths, times, strict=True)]
    return Encoded(made[-1].flatten(2).transpose(1, 2), maps=tuple(made), grid=(rows, cols))


def unet(widths=(6, 12), patch_size=4, channels=3, dim=32, norm="layer"):
    """A decoder whose biases and norms have left their start."""
    torch.manual_seed(0)
    decoder = UNetDecoder(widths, patch_size, channels, dim=dim, norm=norm)
    with torch.no_grad():
        for p in decoder.parameters():
            p.add_(0.05 * torch.randn(p.shape))
    return decoder


def expand(hidden, rows, cols, times):
    """Which cells of a finer map are hidden, one by one."""
    where = torch.zeros(len(hidden), rows * times, cols * times, dtype=torch.bool)
    for b in range(len(hidden)):
        for r in range(rows * times):
            for c in range(cols * times):
                where[b, r, c] = hidden[b, r // times * cols + c // times]
    return where


def dense(fill, x, hidden):
    """A map normed, filled and mapped, restated."""
    x, visible = x.permute(0, 2, 3, 1).clone(), ~hidden
    if isinstance(fill.norm, torch.nn.LayerNorm):
        x = F.layer_norm(x, x.shape[-1:], fill.norm.weight, fill.norm.bias, 1e-6)
    else:
        mean, variance = x[visible].mean(0), x[visible].var(0, correction=0)
        x = (x - mean) / (variance + 1e-5).sqrt() * fill.norm.weight + fill.norm.bias
    x[hidden] = fill.mask_token
    return F.conv2d(x.permute(0, 3, 1, 2), fill.proj.weight, fill.proj.bias, padding=fill.proj.weight.shape[2] // 2)


def batch_norm(norm, x):
    """A batch norm over all cells of a map."""
    return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=1e-5)


@pytest.mark.parametrize("norm", KINDS)
def test_it_is_the_papers_decoder_restated(norm):
    decoder, encoded, mask = unet(norm=norm).train(), maps(), mask_of()
    with torch.no_grad():
        for climb in decoder.climbs:
            climb.norm1.weight.mul_(5)  # so that ReLU6 has something to cut
    x = dense(decoder.fill[0], encoded.maps[1], expand(mask.hidden, 3, 4, 1))
    for number, climb in enumerate(decoder.climbs):
        if number == 1:  # a map is added before the block that doubles it
            x = x + dense(decoder.fill[1], encoded.maps[0], expand(mask.hidden, 3, 4, 2))
        x = F.conv_transpose2d(x, climb.up.weight, climb.up.bias, stride=2, padding=1)
        x = F.relu6(batch_norm(climb.norm1, F.conv2d(x, climb.conv1.weight, padding=1)))
        x = batch_norm(climb.norm2, F.conv2d(x, climb.conv2.weight, padding=1))
    x = F.conv2d(x, decoder.pred.weight, decoder.pred.bias)
    torch.testing.assert_close(decoder(encoded, mask)["patch"], patchify(x, 4), atol=1e-4, rtol=1e-4)


def test_widths_are_halved_on_the_way_up_and_stop_at_eight():
    paper = UNetDecoder((96, 192, 384, 768), 32)
    assert [climb.up.weight.shape[0] for climb in paper.climbs] == [768, 384, 192, 96, 48] and paper.pred.weight.shape == (3, 24, 1, 1)
    assert [type(fill.proj).__name__ for fill in paper.fill] == ["Identity", "Conv2d", "Conv2d", "Conv2d"]
    assert [fill.proj.weight.shape for fill in list(paper.fill)[1:]] == [(384, 384, 3, 3), (192, 192, 3, 3), (96, 96, 3, 3)]
    small = UNetDecoder((64, 128, 256, 512), 32, dim=64)
    assert [climb.up.weight.shape[0] for climb in small.climbs] == [64, 32, 16, 8, 8] and small.fill[0].proj.weight.shape == (64, 512, 1, 1)


@pytest.mark.parametrize("norm", KINDS)
def test_what_stands_at_hidden_cells_of_a_map_is_never_read(norm):
    decoder, encoded, mask = unet(norm=norm).train(), maps(), mask_of()
    before = decoder(encoded, mask)["patch"]
    other = [m.masked_fill(expand(mask.hidden, 3, 4, m.shape[2] // 3).unsqueeze(1), 7.0) for m in encoded.maps]
    torch.testing.assert_close(decoder(Encoded(encoded.patches, maps=tuple(other), grid=(3, 4)), mask)["patch"], before)


def test_every_map_and_every_token_counts():
    decoder, encoded, mask = unet(), maps(), mask_of()
    for m in encoded.maps:
        m.requires_grad_()
    tokens = [fill.mask_token for fill in decoder.fill]
    gradients = torch.autograd.grad(decoder(encoded, mask)["patch"].square().sum(), [*encoded.maps, *tokens])
    assert all(g.abs().sum() > 0 for g in gradients)
    whole = decoder.eval()(encoded)["patch"]  # nothing is hidden: no token
    with torch.no_grad():
        for token in tokens:
            token.add_(1)
    assert torch.equal(decoder(encoded)["patch"], whole)


@pytest.mark.parametrize("patch_size, stages", [(2, 2), (4, 2), (6, 2), (14, 2), (16, 3)])
def test_pixels_come_out_for_every_patch_size_and_all_of_it_learns(patch_size, stages):
    decoder = unet([6 * 2**n for n in range(stages)], patch_size, channels=2, dim=32)
    answer = decoder(maps([6 * 2**n for n in range(stages)]), mask_of())["patch"]
    assert answer.shape == (2, 12, patch_size**2 * 2)
    answer.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())


def test_a_cells_answer_stands_at_its_place():
    encoder, decoder = ConvNet(16, 4, "micro").eval(), unet((64, 128)).eval()
    x = images(1)
    changed = x.clone()
    changed[:, :, 8:12, 4:8] += 5.0  # row 2, col 1
    with torch.no_grad():
        moved = (decoder(encoder(changed))["patch"] - decoder(encoder(x))["patch"]).square().sum(-1)
    assert moved.argmax() == 2 * 4 + 1


def test_an_encoder_without_maps_is_refused():
    with pytest.raises(UserError, match="reads the maps of an encoder in stages"):
        unet()(build("mae").encoder(images()), Mask(torch.zeros(3, 16, dtype=torch.bool)))
