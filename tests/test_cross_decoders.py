"""Predictors answer for what is asked and for nothing else, and say by what each answer was reached."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minimim.decoders import ClusterHead, CrossDecoder, MixedCrossDecoder, Predictor, TokenHead
from minimim.decoders.cross import CrossAttention
from minimim.encoders import Encoded
from minimim.errors import UserError
from minimim.layers import Attention
from minimim.masking import Mask, PartlyAskedMasking
from minimim.patches import put, resize_positions, take

GRID, N, D, T = (2, 4), 8, 6, 5


def moved(model):
    """The model in double precision, with biases and norms that have left their start."""
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(0.1 * torch.randn(p.shape))
    return model.double()


def cross(depth=2, **more):
    torch.manual_seed(0)
    return moved(CrossDecoder(D, T, GRID, dim=16, depth=depth, heads=2, **more))


def mixed(depth=2, layers=3):
    torch.manual_seed(0)
    return moved(MixedCrossDecoder(D, T, GRID, layers, dim=16, depth=depth, heads=2))


def predictor(depth=2):
    torch.manual_seed(0)
    return moved(Predictor(D, T, GRID, dim=16, depth=depth, heads=2))


EVERY = {"cross": cross, "cues": lambda: cross(cues=True), "among themselves": lambda: cross(self_attention=True), "mixed": mixed, "jepa": predictor}
ALONE = ["cross", "cues", "mixed"]  # each place is answered as if it were asked alone


def scene(cls=True, batch=3, seed=1):
    """What an encoder saw of 3 of 8 places, and 2 of the hidden ones that are asked."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(batch, N, generator=generator)
    hidden, asked = torch.zeros(2, batch, N, dtype=torch.bool)
    hidden.scatter_(1, noise.argsort(1)[:, 3:], True)
    asked.scatter_(1, noise.argsort(1)[:, 3:5], True)
    layers = []
    for _ in range(3):
        patches = torch.randn(batch, 3, D, generator=generator).double()
        layers.append(Encoded(patches, torch.randn(batch, D, generator=generator).double() if cls else None, grid=GRID))
    return Encoded(layers[-1].patches, layers[-1].cls, layers=layers, grid=GRID), Mask(hidden, scored=(asked,), visible=3, asked=(2,))


def test_tokens_are_put_back_where_they_were_taken():
    x, ids = torch.randn(2, N, 3), torch.tensor([[1, 4, 2], [7, 0, 3]])
    back = put(take(x, ids), ids, N)
    for b in range(2):
        for n in range(N):
            assert torch.equal(back[b, n], x[b, n] if n in ids[b].tolist() else torch.zeros(3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_attention_to_a_context_is_attention_by_hand(dtype):
    torch.manual_seed(0)
    model, x, context = CrossAttention(8, 6, 2).to(dtype), torch.randn(2, 3, 8).to(dtype), torch.randn(2, 5, 6).to(dtype)
    got = model(x, context)
    q, (k, v) = model.q(x), model.kv(context).chunk(2, dim=-1)
    heads = []
    for h in range(2):
        part = slice(4 * h, 4 * h + 4)
        weights = (q[..., part] @ k[..., part].mT / 2).softmax(-1)
        heads.append(weights @ v[..., part])
    torch.testing.assert_close(got, model.proj(torch.cat(heads, -1)))


def test_attention_to_oneself_is_self_attention():
    torch.manual_seed(0)
    plain, model, x = Attention(8, 2), CrossAttention(8, 8, 2), torch.randn(2, 40, 8)  # 40 tokens: by the fused kernel
    with torch.no_grad():
        model.q.weight.copy_(plain.qkv.weight[:8])
        model.kv.weight.copy_(plain.qkv.weight[8:])
        model.q.bias.copy_(plain.qkv.bias[:8])
        model.kv.bias.copy_(plain.qkv.bias[8:])
        model.proj.load_state_dict(plain.proj.state_dict())
    torch.testing.assert_close(model(x, x), plain(x))


@pytest.mark.parametrize("kind", EVERY)
def test_only_what_is_asked_is_answered_and_the_rest_is_zero(kind):
    encoded, mask = scene()
    answer = EVERY[kind]()(encoded, mask, mask.scored[0])["patch"]
    assert answer.shape == (3, N, T)
    assert torch.equal(answer.abs().sum(-1) > 0, mask.scored[0])
    whole = EVERY[kind]()(encoded, Mask(mask.hidden))["patch"]  # of no question: what is hidden
    assert torch.equal(whole.abs().sum(-1) > 0, mask.hidden)


@pytest.mark.parametrize("kind", EVERY)
def test_places_of_a_question_meet_only_where_they_should(kind):
    encoded, mask = scene()
    model = EVERY[kind]()
    few, all_hidden = model(encoded, mask, mask.scored[0])["patch"], model(encoded, mask, mask.hidden)["patch"]
    same = torch.allclose(few[mask.scored[0]], all_hidden[mask.scored[0]])
    assert same == (kind in ALONE)


@pytest.mark.parametrize("kind", EVERY)
def test_an_answer_depends_on_its_place_and_on_all_that_was_seen(kind):
    encoded, mask = scene(cls=kind != "jepa")
    model, where = EVERY[kind](), mask.scored[0]
    first = model(encoded, mask, where)["patch"][where].view(3, 2, T)
    assert not torch.allclose(first[:, 0], first[:, 1])
    for layer in encoded.layers:
        layer.patches.requires_grad_()
    model(encoded, mask, where)["patch"][0].sum().backward()
    read = encoded.layers if kind == "mixed" else encoded.layers[-1:]
    for layer in read:
        assert (layer.patches.grad[0].abs().sum(-1) > 0).all() and not layer.patches.grad[1:].any()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind != "mixed"])
def test_the_order_in_which_patches_are_read_says_nothing(kind):
    encoded, mask = scene()
    shuffled = torch.tensor([2, 0, 1])
    order = torch.cat([mask.order[:, :3][:, shuffled], mask.order[:, 3:]], 1)
    other = Encoded(encoded.patches[:, shuffled], encoded.cls, grid=GRID)
    model = EVERY[kind]()
    one = model(encoded, mask, mask.scored[0])["patch"]
    torch.testing.assert_close(model(other, Mask(mask.hidden, order=order, visible=3), mask.scored[0])["patch"], one)
    assert not torch.allclose(model(other, mask, mask.scored[0])["patch"], one)  # a patch at another place is another patch


@pytest.mark.parametrize("kind", ["cross", "mixed"])
def test_cls_is_looked_at_where_there_is_one(kind):
    (encoded, mask), (without, _) = scene(), scene(cls=False)
    for layer, bare in zip(encoded.layers, without.layers, strict=True):
        bare.patches = layer.patches
    without.patches = encoded.patches
    model = EVERY[kind]()
    assert not torch.allclose(model(encoded, mask)["patch"], model(without, mask)["patch"])


def test_without_blocks_a_cross_decoder_is_a_map_of_position_and_cue():
    encoded, mask = scene(cls=False)
    for cues in (False, True):
        model = cross(depth=1, cues=cues)
        model.blocks = nn.ModuleList()
        got, positions = model(encoded, mask, mask.scored[0])["patch"], model.pos_embed[0]
        for b in range(3):
            seen = mask.visible_ids[b].tolist()
            for n in range(N):
                if mask.scored[0][b, n]:
                    query = model.mask_token[0, 0] + positions[n]
                    if cues:
                        weights = torch.stack([positions[n] @ positions[k] / 4 for k in seen]).softmax(0)
                        query = query + sum(w * model.embed(x) for w, x in zip(weights, encoded.patches[b], strict=True))
                    torch.testing.assert_close(got[b, n], model.pred(model.norm(query)))


def test_each_block_reads_its_own_mix_of_the_layers():
    encoded, mask = scene()
    model = mixed()
    read = []
    for block in model.blocks:
        block.register_forward_hook(lambda module, args, output: read.append(args[1]))
    model(encoded, mask)
    for index, context in enumerate(read):
        for b in range(3):
            rows = [torch.cat([layer.cls[b : b + 1], layer.patches[b]]) for layer in encoded.layers]
            torch.testing.assert_close(context[b], sum(w * row for w, row in zip(model.mix[index], rows, strict=True)))
    with pytest.raises(UserError, match='mixes 3 layers, and was given 0: encode with want=\\("layers",\\)'):
        model(Encoded(encoded.patches, grid=GRID), mask)


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind != "mixed"])
def test_another_grid_has_positions_between_those_of_home_and_no_mask_asks_for_all(kind):
    model = EVERY[kind]()
    answer = model(Encoded(torch.randn(2, 32, D).double(), grid=(4, 8)))["patch"]
    assert answer.shape == (2, 32, T) and (answer.abs().sum(-1) > 0).all()
    expected = resize_positions(model.pos_embed[0], GRID, (4, 8))
    assert torch.equal(model.positions(Encoded(torch.zeros(2, 32, D), grid=(4, 8))), expected)


def test_a_head_before_the_decoder_says_what_it_made_of_the_visible_patches():
    head = TokenHead(D, hidden_dim=12).double()
    model, (encoded, mask) = cross(before=head), scene()
    answer, latents = model(encoded, mask), head(encoded)
    assert torch.equal(answer["visible"], latents["patch"]) and latents["cls"].shape == (3, D)
    plain = cross()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("before.")})
    handed = Encoded(latents["patch"], latents["cls"], grid=GRID)
    torch.testing.assert_close(plain(handed, mask)["patch"], answer["patch"])
    assert all(layer.bias is None for layer in head.mlp if isinstance(layer, nn.Linear))
    fresh = TokenHead(D, hidden_dim=12).double()(encoded)["patch"]
    torch.testing.assert_close(fresh.mean(-1), torch.zeros(3, 3).double(), atol=1e-6, rtol=0)  # a norm comes last


def test_cluster_scores_are_cosines_times_a_learnt_length():
    head = ClusterHead(D, 7).double()
    x = 10 * torch.randn(2, 3, D).double()
    torch.testing.assert_close(head(x), F.cosine_similarity(x.unsqueeze(2), head.weight, dim=-1))
    with torch.no_grad():
        head.length.mul_(3)
    torch.testing.assert_close(head(x), 3 * F.cosine_similarity(x.unsqueeze(2), head.weight, dim=-1))


@pytest.mark.parametrize("make", [cross, mixed, predictor])
def test_without_blocks_a_predictor_would_see_nothing(make):
    with pytest.raises(UserError, match="one block or more, or its mask tokens would see nothing, not 0"):
        make(depth=0)


@pytest.mark.parametrize("patches, asked, expected", [(196, 0.25, 49), (196, 0.75, 147), (64, 0.25, 16), (16, 0.25, 4), (16, 0.01, 1)])
def test_partly_asked_masks_ask_a_fixed_random_part_of_what_is_hidden(patches, asked, expected):
    side = int(patches**0.5)
    inputs = {"image": torch.zeros(200, 3, 4, 4)}
    (mask,) = PartlyAskedMasking(0.75, asked)(inputs, (side, side), generator=torch.Generator().manual_seed(0))
    question = mask.scored[0]
    assert (mask.hidden.sum(1) == patches - patches // 4).all() and (question.sum(1) == expected).all()
    assert not (question & ~mask.hidden).any() and mask.asked == (expected,)
    often = question.float().mean(0)  # every place as often as any other
    assert (often - expected / patches).abs().max() < 5 * (expected / patches / 200) ** 0.5
    ids = mask.asked_ids(question)
    assert torch.equal(put(torch.ones(200, expected, 1), ids, patches).squeeze(-1).bool(), question)


@pytest.mark.parametrize("asked", [0.0, 0.8])
def test_more_than_is_hidden_cannot_be_asked(asked):
    with pytest.raises(UserError, match=f"at most the 0.75 that are hidden, not {asked}"):
        PartlyAskedMasking(0.75, asked)
