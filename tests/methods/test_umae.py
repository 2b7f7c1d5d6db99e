"""U-MAE: an MAE, and a term that keeps the CLS tokens of the masked images apart."""

import math

import pytest
import torch
from helpers import build, calls, generator, raw

from minimim.data.views import normalize


def pair():
    """An MAE and a U-MAE of the same weights."""
    mae, umae = build("mae").double().eval(), build("umae").double().eval()
    umae.load_state_dict(mae.state_dict())
    return mae, umae


def test_the_loss_is_the_maes_and_a_hundredth_of_the_mean_squared_cosine_of_all_pairs():
    mae, umae = pair()
    x, seen = normalize(raw(5)).double(), calls(umae.encoder)
    expected, found = mae(x, generator=generator()).loss, umae(x, generator=generator()).loss
    cls = seen[0][1].cls.tolist()  # (5, D), of the masked images
    total = 0.0
    for a in cls:
        for b in cls:
            cosine = sum(p * q for p, q in zip(a, b, strict=True)) / math.sqrt(sum(p * p for p in a) * sum(q * q for q in b))
            total += cosine**2
    assert found.item() == pytest.approx(expected.item() + 0.01 * total / 25, rel=1e-12)


def test_cls_is_that_of_the_visible_quarter():
    umae = build("umae").eval()
    seen = calls(umae.encoder)
    umae(normalize(raw()), generator=generator())
    assert len(seen) == 1 and seen[0][1].patches.shape[1] == 4


def test_descent_on_the_term_alone_moves_the_cls_tokens_apart():
    umae = build("umae", spread=1.0).double().eval()
    umae.terms[0].weight = 0.0
    x, spreads = normalize(raw(6)).double(), []
    for _ in range(5):
        output = umae(x, generator=generator())
        spreads.append(output.metrics["uniformity"].item())
        umae.zero_grad()
        output.loss.backward()
        with torch.no_grad():
            for p in umae.encoder.parameters():
                if p.requires_grad:
                    p -= 0.02 * p.grad
    assert spreads[-1] < spreads[0] - 1e-3 and min(spreads) > 1 / 6


def test_a_batch_cannot_be_cut():
    assert umae_looks() == ["uniformity"]


def umae_looks():
    return build("umae").train().whole_batch
