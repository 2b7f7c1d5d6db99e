"""Drawings of contrast: the numbers on them are those of the tensors, and of the library's losses."""

import math

import pytest
import torch
import torch.nn.functional as F
from drawn import check
from helpers import generator, raw

from minimim.errors import UserError
from minimim.losses import info_nce, patch_nce
from minimim.show.drawings.contrast import (
    alignment,
    cosine_tables,
    info_nce_by_hand,
    on_the_circle,
    patch_finds_its_place,
    runs_on_a_plane,
    signed,
    student_and_teacher,
    tint,
    uniformity,
)


def words(drawing):
    return [word.get_text() for word in drawing.words]


def ring(count, turned=0.0):
    angles = torch.arange(count) * 2 * math.pi / count + turned
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_a_colour_is_white_at_zero_and_differs_by_sign():
    assert tint(0.0) == "#ffffff" and tint(1.0) == tint(1.0001) and len({tint(x) for x in (-1.0, -0.5, 0.0, 0.5, 1.0)}) == 5
    assert signed(-0.001) == "0.00" and signed(-0.5) == "−0.50" and signed(0.5) == "0.50"


def test_tables_of_cosines_hold_every_cosine():
    a, b = (F.normalize(torch.randn(4, 8, generator=generator(seed)), dim=1) for seed in (0, 1))
    drawing = cosine_tables(raw(4, 1), raw(4, 1, seed=1), {"some": a @ b.T, "alike": torch.ones(4, 4)})
    check(drawing)
    for value in (a @ b.T).flatten().tolist():
        assert signed(value) in words(drawing)
    assert words(drawing).count("1.00") >= 16 and len(drawing.axes.images) == 16
    with pytest.raises(UserError, match="take fewer"):
        cosine_tables(raw(6, 1), raw(6, 1), {"some": torch.ones(6, 6)})


def test_the_loss_by_hand_is_the_library_s():
    a, b = torch.tensor([[0.8, 0.6], [-0.6, 0.8], [0.0, -1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [-0.6, -0.8]])
    drawing = info_nce_by_hand(raw(3, 1), raw(3, 1), a, b, 0.5)
    check(drawing)
    losses = info_nce(a, b, temperature=0.5)
    assert all(f"{loss:.2f}" in words(drawing) for loss in losses.tolist()) and f"mean {losses.mean():.2f}" in words(drawing)
    assert any("row 0" in line and f"= {losses[0]:.2f}" in line for line in words(drawing))
    longer = info_nce_by_hand(raw(3, 1), raw(3, 1), 7 * a, b, 0.5)  # lengths do not count
    assert words(longer) == words(drawing)
    with pytest.raises(UserError, match="three pictures"):
        info_nce_by_hand(raw(3, 1), raw(3, 1), a, torch.randn(3, 4), 0.5)


def test_alignment_and_uniformity_are_those_of_their_definitions():
    a, b = ring(6), ring(6, 0.2)
    assert alignment(a, a) == 0 and alignment(a, b) == pytest.approx(2 - 2 * math.cos(0.2), rel=1e-5)
    assert uniformity(a[:1].expand(6, 2)) == pytest.approx(0) and uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-8)
    distances = [(a[i] - a[j]).square().sum() for i in range(6) for j in range(i)]
    assert uniformity(a) == pytest.approx(math.log(sum(math.exp(-2 * d) for d in distances) / 15), rel=1e-5)


def test_circles_say_how_near_pairs_are_and_how_even_the_points():
    panels = {"one place": (0 * ring(6) + torch.tensor([2.0, 0.0]), 0 * ring(6) + torch.tensor([1.0, 0.0])), "apart": (ring(6), ring(6, 0.2))}
    drawing = on_the_circle(panels)
    check(drawing)
    assert {"alignment 0.00", "uniformity 0.00", "alignment 0.04", f"uniformity {signed(uniformity(ring(6)))}"} <= set(words(drawing))
    with pytest.raises(UserError, match="four circles"):
        on_the_circle({str(n): panels["apart"] for n in range(5)})


def test_the_plane_has_a_mark_for_every_seed_and_a_line_for_every_place():
    shown = runs_on_a_plane({"a": [(0.1, -2.0), (0.2, -2.1)], "b": [(0.0, 0.0)], "c": [(0.001, 0.0)]}, alt="three runs on a plane, two of them collapsed")
    check(shown)
    axes = shown.figure.axes[0]
    marks = [part.get_offsets().tolist() for part in axes.collections]
    assert marks == [[[0.1, -2.0], [0.2, -2.1]], [[0.0, 0.0]], [[0.001, 0.0]]]
    assert [word.get_text() for word in axes.texts] == ["a", "b · c"]


def test_the_teacher_is_said_to_move_by_its_momentum():
    drawing = student_and_teacher(raw(1, 1)[0], raw(1, 1)[0], 0.99)
    check(drawing)
    assert any("0.99 · teacher + 0.01 · student" in line for line in words(drawing)) and "stop-gradient" in words(drawing)


def test_a_hidden_patch_finds_its_place_by_the_library_s_softmax():
    hidden = torch.arange(16) % 4 != 0
    p, z = (F.normalize(torch.randn(16, 8, generator=generator(seed)), dim=1) for seed in (0, 1))
    drawing = patch_finds_its_place(raw(1)[0], raw(1)[0], hidden, p @ z.T, (4, 4), 5, 0.1)
    check(drawing)
    loss = patch_nce(p[None], z[None], temperature=0.1)[0, 5]
    assert any(line.endswith(f"= {loss:.2f}") for line in words(drawing))
    weights = (p[5] @ z.T / 0.1).softmax(0)
    assert all(f"{weight:.2f}" in words(drawing) for weight in weights.tolist())
    with pytest.raises(UserError, match="place 4 is visible"):
        patch_finds_its_place(raw(1)[0], raw(1)[0], hidden, p @ z.T, (4, 4), 4, 0.1)
