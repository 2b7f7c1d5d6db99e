"""MultiMAE and, as an option, M3AE: which places of which modality count, and what a run on scenes needs."""

import math

import pytest
import torch
from every_method import data, settings
from helpers import generator

import minimim
from minimim.data.batches import batches
from minimim.data.views import normalized
from minimim.errors import UserError
from minimim.evaluate import extract
from minimim.methods import create
from minimim.train import train


def small(modalities="scenes", seed=0):
    torch.manual_seed(seed)
    return create("multimae", image_size=16, patch_size=4, modalities=modalities)


def inputs(method, n=4):
    x = normalized(next(batches(data(), n, needs=method.needs)))
    return {name: t.double() if t.is_floating_point() else t for name, t in x.items()}


def watched(method, x):
    """Output, answers and mask of a step."""
    kept = {}
    method.decoder.register_forward_hook(lambda module, args, out: kept.update(answers=out, mask=args[1]))
    return method.double().eval()(x, generator=generator()), kept["answers"], kept["mask"]


def nll(scores, right):
    return math.log(sum(math.exp(s) for s in scores)) - scores[right]


def test_each_modality_is_scored_where_it_was_hidden_itself():
    method = small()
    x = inputs(method)
    output, answers, mask = watched(method, x)
    total = {"image": [], "segmentation": [], "depth": []}
    for b in range(4):
        for s, stream in enumerate(total):
            for n in range(16):
                if not mask.hidden[b, 16 * s + n]:
                    continue
                guess = answers[stream][b, n].tolist()
                row, col = 4 * (n // 4), 4 * (n % 4)
                if stream == "image":
                    patch = x["image"][b, :, row : row + 4, col : col + 4].permute(1, 2, 0).flatten()
                    real = ((patch - patch.mean()) / (patch.var() + 1e-6).sqrt()).tolist()
                    total[stream].append(sum((g - r) ** 2 for g, r in zip(guess, real, strict=True)) / 48)
                elif stream == "depth":
                    real = x["depth"][b, 0, row : row + 4, col : col + 4].flatten().tolist()
                    total[stream].append(sum(abs(g - r) for g, r in zip(guess, real, strict=True)) / 16)
                else:
                    real = x["segmentation"][b, row : row + 4, col : col + 4].flatten().tolist()
                    total[stream].append(sum(nll(guess[11 * i : 11 * i + 11], c) for i, c in enumerate(real)) / 16)
    assert sum(map(len, total.values())) == 4 * 40
    expected = sum(sum(errors) / len(errors) for errors in total.values())
    assert output.loss.item() == pytest.approx(expected, rel=1e-6)


def test_m3ae_predicts_raw_pixels_and_hidden_words_half_as_much():
    method = small("caption")
    x = inputs(method)
    output, answers, mask = watched(method, x)
    words = [nll(answers["caption"][b, i].tolist(), int(x["caption"][b, i]))
             for b in range(4) for i in range(16) if mask.hidden[b, 16 + i] and x["caption"][b, i]]  # fmt: skip
    pixels = [(answers["image"][b, n] - x["image"][b, :, 4 * (n // 4) : 4 * (n // 4) + 4, 4 * (n % 4) : 4 * (n % 4) + 4].permute(1, 2, 0).flatten()).square().mean().item()
              for b in range(4) for n in range(16) if mask.hidden[b, n]]  # fmt: skip
    assert len(pixels) == 4 * 12 and 0 < len(words) < 4 * 12
    assert output.loss.item() == pytest.approx(sum(pixels) / len(pixels) + 0.5 * sum(words) / len(words), rel=1e-6)
    assert not method.views.flip and small().views.flip  # captions say left and right


def test_all_modalities_are_cut_alike():
    method = small().train()
    views = method.views(next(batches(data(), 8, needs=method.needs)), generator())
    (view,) = views.student
    something = view["segmentation"] > 0
    assert view["depth"].shape == (8, 1, 16, 16) and view["segmentation"].dtype == torch.uint8
    near = view["depth"][:, 0] > 0  # normalised: half way from 0 to 255
    assert (near == something).float().mean() > 0.93 and 0.05 < something.float().mean() < 0.9


@pytest.mark.parametrize("modalities", ["scenes", "caption"])
def test_a_run_teaches_every_weight_and_is_loaded_again(modalities, tmp_path):
    method = small(modalities)
    start = {name: p.detach().clone() for name, p in method.named_parameters() if p.requires_grad}
    run = train(method, data(), settings(method, steps=3), bar=False)
    assert math.isfinite(run.history[-1]["loss"])
    assert [name for name, p in method.named_parameters() if p.requires_grad and torch.equal(p, start[name])] == []
    minimim.save(tmp_path / "w.safetensors", method)
    again = minimim.load(tmp_path / "w.safetensors")
    images = data().images[:4]
    assert torch.equal(method.eval().encoder.features(images), again.encoder.features(images))
    assert extract(again.encoder, data()).x.shape == (24, 128)  # by the image alone


def test_m3ae_in_two_parts_is_the_same_training():
    torch.set_default_dtype(torch.float64)
    try:
        whole, parts = small("caption").double(), small("caption").double()
        train(whole, data(), settings(whole, steps=1), bar=False)
        train(parts, data(), settings(parts, steps=1, accumulate=2), bar=False)
    finally:
        torch.set_default_dtype(torch.float32)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[key], value, atol=1e-7, rtol=1e-7)


def test_an_image_alone_is_refused_where_more_is_learnt_from():
    with pytest.raises(UserError, match="without segmentation, depth"):
        small()(data().images[:2])
    with pytest.raises(UserError, match="without caption"):
        small("caption")(data().images[:2])
