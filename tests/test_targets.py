"""Targets: pixels by a slow loop, layers that are averaged, and prototypes that neither collapse nor go flat."""

import math
from types import SimpleNamespace

import pytest
import torch

from minimim.encoders import Encoded
from minimim.targets import CentredPrototypes, LayerMean, Pixels, teacher


def test_pixels_are_the_patches_themselves():
    images = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    for normalize in (False, True):
        patches = Pixels(2, normalize)({"image": images})["patch"]
        assert patches.shape == (2, 6, 12)
        for b in range(2):
            for n in range(6):
                row, col = divmod(n, 3)
                values = [
                    images[b, c, 2 * row + p, 2 * col + q].item() for p in range(2) for q in range(2) for c in range(3)
                ]
                if normalize:
                    mean = sum(values) / 12
                    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / 11 + 1e-6)
                    values = [(v - mean) / spread for v in values]
                assert patches[b, n].tolist() == pytest.approx(values, abs=1e-12)


def test_a_patch_of_one_colour_normalises_to_nothing():
    patches = Pixels(2, normalize=True)({"image": torch.full((1, 1, 4, 4), 0.7)})["patch"]
    assert patches.isfinite().all() and patches.abs().max() < 1e-3


def standard(values):
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    return [(v - mean) / math.sqrt(variance + 1e-5) for v in values]


def test_layers_are_normed_averaged_and_normed():
    layers = [Encoded(torch.randn(2, 3, 8).double() * scale) for scale in (100, 1, 7, 0.5)]
    seen = SimpleNamespace(encoded=Encoded(layers[-1].patches, layers=layers))
    got = LayerMean(2)(None, seen)["patch"]
    for b in range(2):
        for n in range(3):
            normed = [standard(layer.patches[b, n].tolist()) for layer in layers[2:]]
            expected = standard([sum(pair) / 2 for pair in zip(*normed, strict=True)])
            assert got[b, n].tolist() == pytest.approx(expected)
    assert "layers" in LayerMean.want  # so that the teacher keeps them


def scores(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seen(seed=0, batch=3):
    """A teacher's answers to 4 patches and CLS, 5 prototypes."""
    return SimpleNamespace(streams={"patch": scores(seed, batch, 4, 5), "cls": scores(seed + 100, batch, 5)})


@pytest.mark.parametrize("progress, temperature", [(0.0, 0.04), (0.15, 0.055), (0.3, 0.07), (0.9, 0.07)])
def test_prototypes_are_shared_out_by_centred_and_sharpened_scores(progress, temperature):
    target, view = CentredPrototypes(5), seen()
    target.patch_centre.normal_()
    target.cls_centre.normal_()
    got = target(None, view, progress=progress)
    for name in ("patch", "cls"):
        centre = target.get_buffer(f"{name}_centre").tolist()
        rows = zip(view.streams[name].flatten(0, -2).tolist(), got[name].flatten(0, -2), strict=True)
        assert got[name].shape == view.streams[name].shape
        for row, shares in rows:
            weights = [math.exp((s - c) / temperature) for s, c in zip(row, centre, strict=True)]
            assert shares.tolist() == pytest.approx([w / sum(weights) for w in weights], rel=1e-3, abs=1e-6)
            assert shares.sum().item() == pytest.approx(1)


def test_a_lower_temperature_sharpens():
    first, last = (CentredPrototypes(5)(None, seen(), progress=p)["patch"] for p in (0.0, 1.0))
    assert torch.all(first.amax(-1) >= last.amax(-1)) and first.amax(-1).mean() > last.amax(-1).mean()


def test_a_centre_moves_after_a_step_towards_the_mean_of_all_scores_since_the_last():
    target = CentredPrototypes(5, momentum=0.8)
    target.patch_centre.fill_(1.0)
    views = [seen(1, batch=2), seen(2, batch=6)]  # unlike sizes: each row counts the same
    for view in views:
        target(None, view)
    assert torch.equal(target.patch_centre, torch.ones(5)) and not target.cls_centre.any()
    target.after_step(0.5)
    for name, start in (("patch", 1.0), ("cls", 0.0)):
        rows = [row for view in views for row in view.streams[name].flatten(0, -2).tolist()]
        assert len(rows) == (32 if name == "patch" else 8)
        expected = [0.8 * start + 0.2 * sum(column) / len(rows) for column in zip(*rows, strict=True)]
        assert target.get_buffer(f"{name}_centre").tolist() == pytest.approx(expected, abs=1e-6)
    moved = target.patch_centre.clone()
    target.after_step(0.6)  # nothing was seen since
    assert torch.equal(target.patch_centre, moved)


def test_a_centre_counts_what_other_processes_saw(monkeypatch):
    mine, theirs = seen(1, batch=2).streams["cls"], scores(7, 6, 5)
    others = torch.cat([theirs.sum(0), torch.tensor([6.0])])
    monkeypatch.setattr(teacher, "summed", lambda x: x + others)
    target = CentredPrototypes(5, momentum=0.0)
    target.note("cls", mine)
    target.after_step(0.0)
    torch.testing.assert_close(target.cls_centre, torch.cat([mine, theirs]).mean(0))


def test_evaluation_leaves_the_centre_alone():
    target = CentredPrototypes(5).eval()
    target(None, seen())
    target.after_step(0.0)
    assert not target.patch_centre.any()


def test_scores_that_are_not_finite_leave_the_centre_alone():
    target, view = CentredPrototypes(5), seen()
    view.streams["patch"][0, 0] = torch.nan
    target(None, view)
    target.after_step(0.0)
    assert not target.patch_centre.any() and target.cls_centre.isfinite().all() and target.cls_centre.any()


def test_centring_keeps_one_prototype_from_winning_everything():
    target = CentredPrototypes(5, momentum=0.5)
    view = seen()
    for stream in view.streams.values():
        stream[..., 2] += 3.0
    before = target(None, view)["patch"].flatten(0, 1).mean(0)
    for _ in range(30):
        target(None, view)
        target.after_step(0.0)
    after = target(None, view)["patch"].flatten(0, 1).mean(0)
    assert before[2] > 0.95 and after.max() < 0.6


def test_centres_travel_with_the_weights():
    assert set(CentredPrototypes(5).state_dict()) == {"patch_centre", "cls_centre"}
