"""Several modalities in one row: which tokens stay, what the encoder makes of them, and what each decoder may look at."""

import math

import pytest
import torch
from helpers import generator, images

from minimim.data.scenes import scenes
from minimim.data.views import normalize
from minimim.decoders.modalities import OutputDecoder, RowDecoder
from minimim.encoders import ViT
from minimim.encoders.modalities import ClassEmbed, ModalityViT, coarse, step_of
from minimim.errors import UserError
from minimim.losses.places import pixel_cross_entropy
from minimim.masking.modalities import EachRatio, SharedBudget, scored_in
from minimim.patches import take
from minimim.targets.modalities import Classes, Depth, Words

THREE = ("image", "segmentation", "depth")


def inputs(batch=3):
    draw = generator(5)
    return {
        "image": images(batch),
        "segmentation": torch.randint(0, 11, (batch, 16, 16), generator=draw).to(torch.uint8),
        "depth": torch.randn(batch, 1, 16, 16, generator=draw),
        "caption": torch.tensor([[5, 2, 9, 4, 3, 0, 0, 0], [2, 3, 0, 0, 0, 0, 0, 0], [9, 8, 7, 6, 5, 4, 3, 2]])[torch.arange(batch) % 3],
    }


def budget(batch=3, **more):
    (mask,) = SharedBudget(THREE, **more)(inputs(batch), (4, 4), generator=generator())
    return mask


# What is hidden


def test_every_sample_keeps_the_same_number_and_the_spans_are_the_streams():
    mask = budget(200)
    assert mask.visible == 8 and mask.hidden.shape == (200, 48)
    assert ((~mask.hidden).sum(dim=1) == 8).all()
    assert mask.spans == {"image": slice(0, 16), "segmentation": slice(16, 32), "depth": slice(32, 48)}
    for row, ids in zip(mask.hidden, mask.visible_ids, strict=True):
        assert sorted(ids.tolist()) == [t for t in range(48) if not row[t]]


def test_98_of_588_tokens_are_kept_of_a_picture_of_the_papers_size():
    big = {"image": torch.zeros(2, 3, 224, 224), "segmentation": torch.zeros(2, 224, 224), "depth": torch.zeros(2, 1, 224, 224)}
    (mask,) = SharedBudget(THREE)(big, (14, 14), generator=generator())
    assert mask.visible == 98 and mask.hidden.shape == (2, 588)


def test_shares_are_those_of_a_dirichlet_draw_of_ones():
    mask = budget(4000)
    kept = torch.stack([(~mask.hidden[:, span]).sum(dim=1) for span in mask.spans.values()], dim=1) / 8  # (B, 3)
    assert kept.mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
    assert kept.var(dim=0).tolist() == pytest.approx([1 / 18] * 3, abs=0.008)  # each share is Beta(1, 2)
    assert 0.005 < (kept == 1).any(dim=1).float().mean() < 0.03  # one takes all where it is above 15/16: 3 · (1/16)² = 1.2 %
    assert torch.corrcoef(kept.T)[0, 1].item() == pytest.approx(-0.5, abs=0.06)


def test_shares_and_tokens_are_those_that_the_noise_says():
    noise = torch.rand(5, 3 + 48, generator=generator(3))
    (mask,) = SharedBudget(THREE)(inputs(5), (4, 4), noise=noise)
    for b in range(5):
        waits = [-math.log(1 - float(u)) for u in noise[b, :3]]
        counts = [round(8 * w / sum(waits)) for w in waits]
        ties, first = noise[b, 3:].tolist(), []
        for s, count in enumerate(counts):
            first += sorted(range(16 * s, 16 * s + 16), key=lambda t: ties[t])[:count]
        rest = sorted((t for t in range(48) if t not in first), key=lambda t: ties[t])
        kept = (sorted(first, key=lambda t: ties[t]) + rest)[:8]
        assert (~mask.hidden[b]).nonzero().flatten().tolist() == sorted(kept)


def test_a_budget_larger_than_a_modality_is_still_kept_to():
    assert ((~budget(100, ratio=0.3).hidden).sum(dim=1) == round(48 * 0.7)).all()


def test_the_same_part_of_image_and_caption_is_hidden_and_no_padding_is_scored():
    x = inputs()
    (mask,) = EachRatio(("image", "caption"), 0.75)(x, (4, 4), generator=generator())
    assert mask.visible == 4 + 2 and mask.spans == {"image": slice(0, 16), "caption": slice(16, 24)}
    assert ((~mask.hidden[:, :16]).sum(dim=1) == 4).all() and ((~mask.hidden[:, 16:]).sum(dim=1) == 2).all()
    assert torch.equal(scored_in("image")(mask), mask.hidden[:, :16])
    for b in range(3):
        for word in range(8):
            expected = bool(mask.hidden[b, 16 + word]) and int(x["caption"][b, word]) != 0
            assert bool(scored_in("caption")(mask)[b, word]) == expected


def test_what_is_missing_is_told():
    x = inputs()
    del x["depth"]
    with pytest.raises(UserError, match="are without depth"):
        SharedBudget(THREE)(x, (4, 4))


# Who looks


def encoder(streams=THREE, **more):
    torch.manual_seed(0)
    return ModalityViT(16, 4, "micro", streams=streams, words=20, length=8, **more).double()


def doubled(x):
    return {name: t.double() if t.is_floating_point() else t for name, t in x.items()}


def test_alone_the_image_is_encoded_as_by_a_vit_of_the_same_weights():
    model, vit = encoder(), ViT(16, 4, "micro").double()
    vit.load_state_dict({name: t for name, t in model.state_dict().items() if not name.startswith("adapters")})
    x = images().double()
    for pool in ("mean", "cls", "patches"):
        torch.testing.assert_close(model.features(x, pool=pool), vit.features(x, pool=pool))
    torch.testing.assert_close(model.features(x, layer=1), vit.features(x, layer=1))


@pytest.mark.parametrize("stream", THREE)
def test_what_is_hidden_in_any_stream_moves_nothing_and_what_is_seen_does(stream):
    model, x, mask = encoder(), doubled(inputs()), budget()
    before = model(x, mask).patches
    assert before.shape == (3, 8, 128)
    span = mask.spans[stream]
    for hidden in (True, False):
        places = mask.hidden[:, span] if hidden else ~mask.hidden[:, span]  # (B, N)
        pixels = places.view(3, 4, 4).repeat_interleave(4, 1).repeat_interleave(4, 2)  # (B, H, W)
        if stream == "segmentation":
            other = torch.where(pixels, (x[stream] + 1) % 11, x[stream])
        else:
            other = torch.where(pixels.unsqueeze(1), x[stream] + 1.0, x[stream])
        moved = (model(x | {stream: other}, mask).patches - before).abs().amax(dim=(1, 2))
        assert torch.equal(moved > 1e-9, places.any(dim=1) & (not hidden)), (stream, hidden)


def test_words_have_places_and_one_that_is_hidden_moves_nothing():
    model, x = encoder(("image", "caption")), doubled(inputs())
    (mask,) = EachRatio(("image", "caption"))(x, (4, 4), generator=generator())
    before = model(x, mask).patches
    hidden = mask.hidden[:, 16:]
    assert torch.equal(model(x | {"caption": torch.where(hidden, 7, x["caption"])}, mask).patches, before)
    swapped = x | {"caption": x["caption"][:, [1, 0, *range(2, 8)]]}
    assert not torch.allclose(model(swapped).cls, model(x).cls)


def test_depth_and_segmentation_stand_where_the_image_does():
    model, x = encoder(), doubled(inputs())
    positions = model.positions((4, 4))[1]
    seen = []
    model.blocks[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    model(x)
    tokens = seen[0][:, 1:].unflatten(1, (3, 16))  # (B, 3, N, D)
    torch.testing.assert_close(tokens[:, 1] - positions, model.adapters["segmentation"](x["segmentation"]))
    torch.testing.assert_close(tokens[:, 2] - positions, model.adapters["depth"](x["depth"]))


def test_classes_are_vectors_on_patches_and_large_patches_are_read_four_by_four():
    embed, maps = ClassEmbed(4, 11, 32), inputs()["segmentation"]
    weight = embed.patches.proj.weight  # (32, 16, 4, 4)
    found = embed(maps)
    for b, n in ((0, 0), (2, 7)):
        row, col = divmod(n, 4)
        total = embed.patches.proj.bias.clone()
        for p in range(4):
            for q in range(4):
                total = total + weight[:, :, p, q] @ embed.vectors.weight[int(maps[b, 4 * row + p, 4 * col + q])]
        torch.testing.assert_close(found[b, n], total, atol=1e-5, rtol=1e-5)
    assert [step_of(p) for p in (1, 2, 4, 8, 14, 16, 32)] == [1, 1, 1, 2, 2, 4, 8]
    assert torch.equal(coarse(torch.arange(64).view(1, 8, 8), 4), torch.tensor([[[18, 22], [50, 54]]]))
    assert ClassEmbed(16, 11, 32)(torch.zeros(1, 32, 32, dtype=torch.uint8)).shape == (1, 4, 32)


def test_a_stream_that_is_none_is_told():
    with pytest.raises(UserError, match="sound"):
        ModalityViT(16, 4, "micro", streams=("image", "sound"))


# By what head


def test_each_output_is_made_of_its_own_places_and_of_all_that_was_seen():
    torch.manual_seed(0)
    model, x, mask = encoder(), doubled(inputs()), budget()
    decoder = OutputDecoder(128, 5, (4, 4), "depth", THREE, dim=32, depth=1, heads=4).double()
    encoded = model(x, mask)
    looks = []
    decoder.cross.register_forward_pre_hook(lambda module, args: looks.append(args))
    assert decoder(encoded, mask)["patch"].shape == (3, 16, 5)
    places, cls = decoder.row(encoded, mask)
    torch.testing.assert_close(looks[0][0], decoder.query_norm(places[:, 32:]))  # depth is the third stream
    torch.testing.assert_close(looks[0][1], decoder.context_norm(torch.cat([cls, take(places, mask.visible_ids)], dim=1)))
    latents = encoded.patches.detach().requires_grad_()
    encoded.patches = latents
    decoder(encoded, mask)["patch"].sum().backward()
    assert (latents.grad.abs().amax(dim=-1) > 0).all()  # every token that was seen, of whichever stream


def test_tokens_go_back_to_their_places_of_the_row():
    torch.manual_seed(0)
    model, x, mask = encoder(), doubled(inputs()), budget()
    row = OutputDecoder(128, 5, (4, 4), "image", THREE, dim=32, depth=1, heads=4).double().row
    encoded = model(x, mask)
    places, cls = row(encoded, mask)
    assert places.shape == (3, 48, 32) and cls.shape == (3, 1, 32)
    for b in range(3):
        for t in range(48):
            stream, n = divmod(t, 16)
            expected = row.pos_embed[0, n] + row.kinds[stream]
            if mask.hidden[b, t]:
                expected = expected + row.mask_token[0, 0]
            else:
                expected = expected + row.embed(encoded.patches[b, mask.visible_ids[b].tolist().index(t)])
            torch.testing.assert_close(places[b, t], expected)
    torch.testing.assert_close(take(places, mask.visible_ids).shape, torch.Size([3, 8, 32]))


def test_the_look_takes_the_place_of_the_query():
    """With no blocks, and a cross-attention that says nothing, all places of an output are alike: nothing of the query is left."""
    torch.manual_seed(0)
    mask = budget()
    decoder = OutputDecoder(128, 5, (4, 4), "image", THREE, dim=32, depth=0, heads=4).double()
    with torch.no_grad():
        decoder.cross.q.weight.zero_()
        answer = decoder(encoder()(doubled(inputs()), mask), mask)["patch"]
    torch.testing.assert_close(answer, answer[:, :1].expand_as(answer))


def test_one_decoder_for_the_row_answers_each_stream():
    torch.manual_seed(0)
    model, x = encoder(("image", "caption")), doubled(inputs())
    (mask,) = EachRatio(("image", "caption"))(x, (4, 4), generator=generator())
    decoder = RowDecoder(128, {"image": 48, "caption": 20}, (4, 4), length=8, dim=32, depth=1, heads=4).double()
    answer = decoder(model(x, mask), mask)
    assert answer["image"].shape == (3, 16, 48) and answer["caption"].shape == (3, 8, 20)
    with pytest.raises(UserError, match="needs a mask with the spans of each"):
        decoder(model(x), None)


# What is predicted, and how it is compared


def test_targets_are_pixel_by_pixel():
    x = inputs()
    maps, depth = Classes(4, 11)(x)["patch"], Depth(4)(x)["patch"]
    assert maps.dtype == torch.long and maps.shape == depth.shape == (3, 16, 16)
    for b, n, p, q in ((0, 0, 0, 0), (1, 6, 2, 3), (2, 15, 3, 1)):
        row, col = 4 * (n // 4) + p, 4 * (n % 4) + q
        assert maps[b, n, 4 * p + q] == x["segmentation"][b, row, col]
        assert depth[b, n, 4 * p + q] == x["depth"][b, 0, row, col]
    assert torch.equal(Words()(x)["patch"], x["caption"])
    large = Classes(16, 11)({"segmentation": torch.arange(1024).view(1, 32, 32) % 11})["patch"]
    assert large.shape == (1, 4, 16) and large[0, 3, 5] == ((16 + 6) * 32 + 16 + 6) % 11


def test_the_cross_entropy_of_a_patch_is_the_mean_over_its_pixels():
    scores, ids = torch.randn(2, 3, 4 * 5, dtype=torch.float64), torch.randint(0, 5, (2, 3, 4))
    found = pixel_cross_entropy(scores, ids)
    for b in range(2):
        for n in range(3):
            total = 0.0
            for pixel in range(4):
                row = scores[b, n, 5 * pixel : 5 * pixel + 5].tolist()
                total += math.log(sum(map(math.exp, row))) - row[int(ids[b, n, pixel])]
            assert found[b, n].item() == pytest.approx(total / 4)


def test_classes_without_a_score_are_told():
    data = scenes("train", 20, image_size=16)
    Classes(4, 11).prepare(data)
    with pytest.raises(UserError, match="set classes"):
        Classes(4, 4).prepare(data)


def test_raw_depth_is_normalised_where_the_encoder_reads_it():
    model = encoder()
    raw = (torch.rand(2, 1, 16, 16, generator=generator()) * 255).to(torch.uint8)
    x = {"image": images(2).double(), "depth": raw}
    torch.testing.assert_close(model(x).cls, model(x | {"depth": normalize(raw, torch.float64)}).cls)
