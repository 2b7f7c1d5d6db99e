"""The project's drawings: what is drawn is what was measured, and differences have the interval that statistics gives them."""

import math
import re
import statistics
from itertools import pairwise

import pytest
import torch
from drawn import check
from helpers import raw

from minimim.errors import UserError
from minimim.show.drawings.project import T95, difference, project_cycle, seeds_on_a_line

ONE, TWO = [0.491, 0.497, 0.509], [0.533, 0.516, 0.521]
RECIPE = {"mask ratio": "0.75 → 0.5", "target": "pixels", "decoder": "2 blocks", "steps": "600", "rate": "8e-3", "seeds": "0, 1, 2"}


def masks():
    order = torch.arange(64)
    return order >= 16, order >= 32


def words(drawing):
    return [word.get_text() for word in drawing.words]


def test_a_difference_is_that_of_the_means_with_students_interval():
    gap, half = difference(TWO, ONE)
    error = math.sqrt((statistics.variance(ONE) + statistics.variance(TWO)) / 2 * (1 / 3 + 1 / 3))
    assert gap == pytest.approx(statistics.mean(TWO) - statistics.mean(ONE)) and half == pytest.approx(2.78 * error)
    assert difference(ONE, TWO) == pytest.approx((-gap, half))


def test_the_interval_holds_the_truth_in_about_19_of_20_experiments():
    generator = torch.Generator().manual_seed(0)
    draws = 0.01 * torch.randn(2000, 2, 3, generator=generator)
    held = [abs(difference(a.tolist(), b.tolist())[0]) < difference(a.tolist(), b.tolist())[1] for a, b in draws]
    assert 0.93 < sum(held) / len(held) < 0.97


def test_more_seeds_make_the_interval_narrower_and_one_seed_is_refused():
    assert difference(TWO * 2, ONE * 2)[1] < difference(TWO, ONE)[1]
    assert list(T95.values()) == sorted(T95.values(), reverse=True)
    with pytest.raises(UserError, match="at least two seeds"):
        difference([0.5], ONE)


def test_the_cycle_shows_question_change_result_and_points():
    first, second = masks()
    drawing = project_cycle(raw(1)[0], (8, 8), {"75 % hidden": (first, ONE), "50 % hidden": (second, TWO)}, 0.46, RECIPE, (3, 3, 4, 6, 4), (-0.05, -0.01))
    check(drawing)
    gap, half = difference(TWO, ONE)
    assert f"{gap:+.3f} ± {half:.3f}" in words(drawing) and "20 points by the rubric below" in words(drawing)
    assert all(name in words(drawing) and told in words(drawing) for name, told in RECIPE.items())
    assert f"{gap:+.3f}" in drawing.alt and "20 points" in drawing.alt
    assert "from −0.05 to −0.01" in drawing.alt


def test_the_range_that_was_predicted_lies_on_its_own_side_of_0_and_the_measured_interval_on_the_other():
    first, second = masks()
    drawing = project_cycle(raw(1)[0], (8, 8), {"75 % hidden": (first, ONE), "50 % hidden": (second, TWO)}, 0.46, RECIPE, (3, 3, 4, 6, 4), (-0.05, -0.01))
    dashed = sorted((patch for patch in drawing.axes.patches if patch.get_linestyle() == "--"), key=lambda patch: patch.get_x())
    zeros = sorted(word.get_position()[0] for word in drawing.words if word.get_text() == "0.00")
    assert len(dashed) == len(zeros) == 2
    for patch, zero in zip(dashed, zeros, strict=True):
        right = patch.get_x() + patch.get_width()
        assert right < zero and (zero - patch.get_x()) / (zero - right) == pytest.approx(5)
    (dot,) = [line for line in drawing.axes.lines if line.get_marker() == "o"]
    gap, _ = difference(TWO, ONE)
    right = dashed[1].get_x() + dashed[1].get_width()
    assert (dot.get_xdata()[0] - zeros[1]) / (zeros[1] - right) == pytest.approx(gap / 0.01)


def test_the_numbers_on_an_axis_are_round_and_evenly_spaced():
    drawing = seeds_on_a_line({"75 % hidden": ONE, "50 % hidden": TWO}, {"raw pixels": 0.4575, "random encoder": 0.381}, label="linear probe: accuracy")
    ticks = [word for word in words(drawing) if re.fullmatch(r"−?0\.\d+", word)]
    for below, above in pairwise(float(tick.replace("−", "-")) for tick in ticks):
        assert above < below or min(abs(above - below - step) for step in (0.02, 0.05)) < 1e-9, ticks
    assert len(ticks) >= 6 and any("−" in tick for tick in ticks)


def test_each_seed_is_a_point_and_each_difference_a_line():
    settings = {"75 % hidden": ONE, "50 % hidden": TWO, "90 % hidden": [0.44, 0.40, 0.46]}
    drawing = seeds_on_a_line(settings, {"raw pixels": 0.4575}, label="linear probe: accuracy")
    check(drawing)
    rows = [line for line in drawing.axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 3]
    scale = (rows[1].get_xdata()[0] - rows[0].get_xdata()[0]) / (TWO[0] - ONE[0])
    for line, values in zip(rows, settings.values(), strict=True):
        assert torch.tensor(line.get_xdata()).tolist() == pytest.approx([rows[0].get_xdata()[0] + (v - ONE[0]) * scale for v in values])
    for name in ("50 % hidden", "90 % hidden"):
        gap, half = difference(settings[name], ONE)
        assert f"{gap:+.3f} ± {half:.3f}".replace("-", "−") in words(drawing) and f"{gap:+.3f}" in drawing.alt
    assert "raw pixels 0.458" in words(drawing) or "raw pixels 0.457" in words(drawing)


def test_runs_that_are_all_alike_can_be_drawn():
    drawing = seeds_on_a_line({"a": [0.5, 0.5], "b": [0.5, 0.5]}, {}, label="linear probe: accuracy")
    check(drawing)
    assert "+0.000 ± 0.000" in words(drawing)
