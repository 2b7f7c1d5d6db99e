"""Decoders: each token in its place, a mask token where there is none, and heads that share what they should."""

import math

import pytest
import torch
from torch import nn

from minimim.decoders import LinearDecoder, PrototypeHead, Together, TransformerDecoder
from minimim.encoders import Encoded
from minimim.masking import Mask, mask_by_noise
from minimim.patches import resize_positions, take

GRID, N = (2, 4), 8


def decoder(depth=1, **more):
    """A decoder whose biases and norms have left their start."""
    torch.manual_seed(0)
    made = TransformerDecoder(6, 5, GRID, **{"dim": 16, "depth": depth, "heads": 2, **more}).double()
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    return made


def masked(batch=3, visible=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    mask = mask_by_noise(torch.rand(batch, N, generator=generator), visible)
    whole = torch.randn(batch, N, 6, generator=generator).double()
    return mask, whole, Encoded(take(whole, mask.visible_ids), grid=GRID)


def test_restore_puts_each_token_in_its_place_and_mask_tokens_in_the_others():
    mask, _, _ = masked()
    model = decoder()
    x = torch.randn(3, 3, 16).double()
    restored = model.restore(x, mask)
    assert restored.shape == (3, N, 16)
    for b in range(3):
        visible = mask.visible_ids[b].tolist()
        for n in range(N):
            expected = x[b, visible.index(n)] if n in visible else model.mask_token[0, 0]
            assert torch.equal(restored[b, n], expected)


def test_without_blocks_a_decoder_is_a_map_of_token_and_position():
    mask, whole, encoded = masked()
    model = decoder(depth=0)
    got = model(encoded, mask)["patch"]
    for b in range(3):
        for n in range(N):
            token = model.mask_token[0, 0] if mask.hidden[b, n] else model.embed(whole[b, n])
            expected = model.pred(model.norm(token + model.pos_embed[0, 1 + n]))
            torch.testing.assert_close(got[b, n], expected)


def test_the_order_in_which_visible_patches_were_read_does_not_matter():
    mask, whole, encoded = masked()
    in_order = Mask(mask.hidden)
    assert not torch.equal(mask.visible_ids, in_order.visible_ids)
    model = decoder()
    sorted_out = model(Encoded(take(whole, in_order.visible_ids), grid=GRID), in_order)["patch"]
    torch.testing.assert_close(model(encoded, mask)["patch"], sorted_out)


def test_the_places_of_the_visible_patches_do_matter():
    mask, whole, encoded = masked()
    model = decoder()
    flipped = Mask(mask.hidden.flip(1))
    moved = model(Encoded(take(whole.flip(1), flipped.visible_ids), grid=GRID), flipped)["patch"].flip(1)
    assert not torch.allclose(moved, model(encoded, mask)["patch"])


def test_each_sample_is_decoded_alone():
    mask, _, encoded = masked()
    model = decoder()
    together = model(encoded, mask)["patch"]
    alone = model(Encoded(encoded.patches[1:2], grid=GRID), Mask(mask.hidden[1:2], order=mask.order[1:2]))["patch"]
    torch.testing.assert_close(together[1:2], alone)


def test_latents_of_all_places_need_no_mask():
    _, whole, _ = masked()
    nothing_hidden = Mask(torch.zeros(3, N, dtype=torch.bool))
    model = decoder()
    assert torch.equal(
        model(Encoded(whole, grid=GRID))["patch"], model(Encoded(whole, grid=GRID), nothing_hidden)["patch"]
    )


def test_cls_takes_part_but_is_not_a_patch():
    mask, _, encoded = masked()
    model = decoder()
    without = model(encoded, mask)["patch"]
    one, two = (
        model(Encoded(encoded.patches, cls=torch.full((3, 6), value).double(), grid=GRID), mask)["patch"]
        for value in (0.0, 1.0)
    )
    assert without.shape == one.shape == (3, N, 5) and not torch.allclose(one, two)
    flat = decoder(depth=0)  # nothing to take part in
    torch.testing.assert_close(
        flat(Encoded(encoded.patches, cls=torch.randn(3, 6).double(), grid=GRID), mask)["patch"],
        flat(encoded, mask)["patch"],
    )


def test_another_grid_has_positions_between_those_of_home():
    model = decoder(depth=0)
    whole = torch.randn(2, 32, 6).double()
    positions = resize_positions(model.pos_embed[0, 1:], GRID, (4, 8))
    got = model(Encoded(whole, grid=(4, 8)))["patch"]
    torch.testing.assert_close(got, model.pred(model.norm(model.embed(whole) + positions)))


def test_decoder_positions_are_fixed_and_its_mask_token_is_not_zero():
    fresh = TransformerDecoder(6, 5, GRID, dim=16, depth=1, heads=2)
    assert not fresh.pos_embed.requires_grad and fresh.mask_token.requires_grad
    assert 0 < fresh.mask_token.abs().max() < 0.1
    assert fresh.embed.weight.abs().max() <= math.sqrt(6 / 22) and not fresh.embed.bias.any()


def test_a_linear_decoder_is_one_map_for_every_place():
    model, tokens = LinearDecoder(6, 5), torch.randn(2, N, 6)
    got = model(Encoded(tokens))["patch"]
    for b in range(2):
        for n in range(N):
            torch.testing.assert_close(got[b, n], model.pred.weight @ tokens[b, n] + model.pred.bias)


def test_prototype_scores_are_cosines_by_one_head_for_patches_and_cls():
    model = PrototypeHead(6, prototypes=7, hidden_dim=12, bottleneck_dim=4).double()
    tokens = 10 * torch.randn(2, 3, 6).double()
    answer = model(Encoded(tokens, cls=tokens[:, 1]))
    assert answer["patch"].shape == (2, 3, 7)
    torch.testing.assert_close(answer["cls"], answer["patch"][:, 1])
    inside = model.mlp(tokens)
    for b in range(2):
        for n in range(3):
            for k in range(7):
                one, two = inside[b, n].tolist(), model.prototypes[k].tolist()
                lengths = math.hypot(*one) * math.hypot(*two)
                cosine = sum(x * y for x, y in zip(one, two, strict=True)) / lengths
                assert answer["patch"][b, n, k].item() == pytest.approx(cosine)
                assert -1 - 1e-9 <= cosine <= 1 + 1e-9


def test_a_prototype_is_a_direction():
    model, tokens = PrototypeHead(6, prototypes=7, hidden_dim=12, bottleneck_dim=4).double(), torch.randn(2, 6).double()
    before = model.score(tokens)
    with torch.no_grad():
        model.prototypes.mul_(torch.rand(7, 1) + 0.5)
    torch.testing.assert_close(model.score(tokens), before)


def test_decoders_together_answer_each_under_its_own_name_and_hear_the_question():
    class Echo(nn.Module):
        def forward(self, encoded, mask=None, question=None):
            return {"patch": torch.stack([mask, question])}

    linear, tokens = LinearDecoder(6, 5), torch.randn(2, N, 6)
    answer = Together(paint=linear, echo=Echo())(Encoded(tokens), torch.tensor(1), torch.tensor(2))
    assert set(answer) == {"paint", "echo"} and answer["echo"].tolist() == [1, 2]
    assert torch.equal(answer["paint"], linear.pred(tokens))
