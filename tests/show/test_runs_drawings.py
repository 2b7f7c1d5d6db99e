"""Drawings of how a run is read: the curves are those of the runs, the numbers those of the features, the maps those of the measurements."""

import pytest
import torch
from drawn import check
from helpers import generator, raw

from minimim.diagnose import effective_rank, relative_std
from minimim.errors import UserError
from minimim.show.drawing import Drawing
from minimim.show.drawings.runs import (
    SIGNS,
    clouds,
    features_apart,
    leak_maps,
    plane,
    reading_plan,
    small_bars,
    small_curves,
)


def run(end: float):
    history = [{"step": 10 * n, "loss": end + (2 - end) * 0.8**n} for n in range(30)]
    return {"history": history, "features": {"linear_probe": [0.44, 0.01]}, "random_features": {"linear_probe": [0.29, 0.01]}}


def words(drawing):
    return [word.get_text() for word in drawing.words]


def test_the_plan_names_each_sign_each_measurement_and_each_cause_once():
    runs = {"healthy": run(0.3)} | {sick: run(end) for (_, sick, _, _), end in zip(SIGNS, (1e-5, 0.02, 0.9), strict=True)}
    drawing = reading_plan(runs, raw(1)[0], torch.arange(64) >= 16, (8, 8), [2 * 0.9**n for n in range(40)])
    check(drawing)
    for sign, _, measured, answers in SIGNS:
        assert words(drawing).count(f"sign: {sign}") == words(drawing).count(measured) == 1 and sign in drawing.alt
        assert all(words(drawing).count(cause) == 1 for _, cause in answers)


def test_a_small_curve_is_lower_where_the_loss_is_lower_and_skips_what_is_not_finite():
    drawing = Drawing(6, 6, "a small chart to be tested")
    small_curves(drawing, 1, 1, 4, 4, {"a": ([2.0, 1.0, 0.5], "#000000"), "b": ([2.0, float("nan"), 0.25], "#ff0000")})
    _, a, b = drawing.axes.lines
    down = list(a.get_ydata())
    assert down == sorted(down) and max(b.get_ydata()) == pytest.approx(5 - 0.15) and len(b.get_ydata()) == 2
    assert down[1] - down[0] == pytest.approx(down[2] - down[1])  # halves are equal steps on a scale of powers
    for lines in ({}, {"a": ([], "#000000")}):
        with pytest.raises(UserError, match="at least one curve"):
            small_curves(drawing, 1, 1, 4, 4, lines)


def test_small_bars_are_as_high_as_their_numbers():
    drawing = Drawing(6, 6, "two small bars to be tested")
    small_bars(drawing, 1, 1, 4, 4, [(1.0, "#000000"), (0.5, "#ff0000")])
    tall = [patch.get_extents().height for patch in drawing.axes.patches]
    assert tall[0] == pytest.approx(2 * tall[1])


def test_clouds_tell_rank_and_standard_deviation_of_the_points_that_are_drawn():
    x = torch.randn(20, 2, generator=generator(0))
    panels = {"wide": 3 + x, "narrow": 3 + 0.01 * x, "line": 3 + x[:, :1] * torch.tensor([[1.0, 0.5]])}
    drawing = clouds(panels)
    check(drawing)
    for cloud in panels.values():
        assert f"effective rank {effective_rank(cloud):.2f} of 2" in words(drawing) and f"relative standard deviation {relative_std(cloud):.2f}" in words(drawing)
    points = [line for line in drawing.axes.lines if line.get_marker() == "o"]
    width = [float(torch.tensor(line.get_xdata()).std()) for line in points]
    assert width[0] == pytest.approx(100 * width[1], rel=1e-3)


def test_collapsed_features_are_stripes_and_one_point():
    shared, noise = torch.randn(64, generator=generator(1)), torch.randn(32, 64, generator=generator(2))
    samples = {"healthy": shared + noise, "collapse": shared + 0.001 * noise}
    drawing = features_apart(samples)
    check(drawing)
    for x in samples.values():
        assert f"effective rank {effective_rank(x):.1f}" in words(drawing) and f"relative standard deviation {relative_std(x):.2g}" in words(drawing)
    maps = [image.get_array() for image in drawing.axes.images]
    assert maps[0].shape == (32, 64) and torch.allclose(torch.tensor(maps[0].tolist()), samples["healthy"])
    far = [max(abs(torch.tensor(line.get_xdata()) - sum(line.get_xdata()) / 32)) for line in drawing.axes.lines if line.get_marker() == "o"]
    assert float(far[0]) > 100 * float(far[1])


def test_points_on_a_plane_know_no_scale():
    x = torch.randn(30, 8, generator=generator(3)) + 2
    assert torch.allclose(plane(x).abs(), plane(7 * x).abs(), atol=1e-4) and plane(x).shape == (30, 2)


def test_maps_of_a_leak_say_where_predictions_moved_and_who_got_credit():
    hidden = torch.arange(16) >= 4
    sees = torch.zeros(16).index_fill(0, torch.tensor([5, 9]), 2.0)
    image = raw(1)[0]
    drawing = leak_maps({"healthy": (hidden, image, torch.zeros(16), hidden.float()), "leak": (hidden, image, sees + (~hidden), (~hidden).float())}, image, (4, 4))
    check(drawing)
    assert "leak: predictions moved at 2 of 12 hidden places, credit at 4 of 4 visible ones" in drawing.alt
    assert "healthy: predictions moved at 0 of 12 hidden places, credit at 0 of 4 visible ones" in drawing.alt
    moved = [torch.tensor(image.get_array().tolist()) for image in drawing.axes.images if image.get_array().shape == (4, 4)]
    assert torch.equal(moved[2].flatten(), sees) and torch.equal(moved[3].flatten(), (~hidden).float())  # visible places are not asked for a move
