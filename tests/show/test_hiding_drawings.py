"""Drawings of what to hide: readable, and the numbers, tiles and holes on them are those of the scores and of the heads."""

import pytest
import torch
from drawn import check

from minimim.errors import UserError
from minimim.masking import mask_by_noise
from minimim.show.drawings.hiding import by_scores, by_training, distance_by_hand, even, heads_by_training

IMAGE = torch.arange(8, dtype=torch.uint8).view(2, 4).repeat_interleave(2, 0).repeat_interleave(2, 1).expand(3, 4, 8) * 20


def words(drawing, left, right, top, bottom):
    """What stands between these places, from left to right and then downwards."""
    there = [(round(y, 2), x, word.get_text()) for word in drawing.words for x, y in [word.get_position()] if left < x < right and top < y < bottom]
    return [text for _, _, text in sorted(there)]


@pytest.mark.parametrize("hide", [2, 5])
def test_each_row_is_sorted_and_cut_by_its_own_numbers(hide):
    noise = torch.rand(2, 8, generator=torch.Generator().manual_seed(hide))
    drawing = by_scores(IMAGE, (2, 4), {"first": noise[0], "second": noise[1]}, hide)
    check(drawing)
    hidden = mask_by_noise(noise, 8 - hide).hidden
    for r in range(2):
        order = noise[r].argsort(descending=True).tolist()
        middle = 1.3 + 3.6 * r + 0.4 + 1.0
        row = words(drawing, 7.4, 17.0, middle - 0.2, middle + 0.2)
        assert row == [str(n) for n in order]
        assert words(drawing, 7.4, 17.0, middle - 1.0, middle - 0.5) == [f"{noise[r, n]:.2f}" for n in order]
        assert set(order[:hide]) == set(hidden[r].nonzero().flatten().tolist())
    assert [word.get_text() for word in drawing.words].count(f"these {hide} are hidden") == 2


def test_hatched_patches_are_those_before_the_cut():
    scores = torch.tensor([0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.4, 0.6])
    drawing = by_scores(IMAGE, (2, 4), {"scores": scores}, 3)
    hatched = [(round(patch.get_x(), 2), round(patch.get_y(), 2)) for patch in drawing.axes.patches if patch.get_hatch()]
    assert hatched == [(round(20.6 + n % 4 * 1.0, 2), round(1.7 + n // 4 * 1.0, 2)) for n in (1, 3, 5)]


def test_too_many_patches_and_numbers_of_another_length_are_refused():
    with pytest.raises(UserError, match="at most 8"):
        by_scores(torch.zeros(3, 6, 6, dtype=torch.uint8), (3, 3), {"": torch.rand(9)}, 2)
    with pytest.raises(UserError, match="one number for each"):
        by_scores(IMAGE, (2, 4), {"": torch.rand(7)}, 2)


def test_the_distance_is_that_of_the_weights():
    near, wide = torch.full((9,), 0.05), torch.full((9,), 0.1)
    near[4], wide[4] = 0.6, 0.2
    drawing = distance_by_hand({"head A": near, "head B": wide}, (3, 3), 4)
    check(drawing)
    written = [word.get_text() for word in drawing.words]
    sums = [weight * (4 + 4 * 2**0.5) for weight in (0.05, 0.1)]
    assert all(f"= {value:.2f} patches" in written for value in sums) and f"head A, {sums[0]:.2f} patches" in drawing.alt
    assert "half of the sum of |A − B| = 0.40" in written and "0.20 · 1.00 + 0.20 · 1.41" in written


def test_weights_that_do_not_sum_to_one_and_too_many_patches_are_refused():
    with pytest.raises(UserError, match="sum to 1"):
        distance_by_hand({"head": torch.ones(9)}, (3, 3), 4)
    with pytest.raises(UserError, match="at most 16 patches"):
        distance_by_hand({"head": torch.full((25,), 0.04)}, (5, 5), 4)


def test_the_lines_are_means_over_seeds_and_heads():
    runs = [{"encoder": name, "seed": seed, "distance": [[1.0 + seed, 3.0 + seed], [2.0, 2.0]], "difference": [0.1, 0.2]} for name in ("mae", "random") for seed in (0, 1)]
    shown = heads_by_training({"runs": runs}, "distance")
    check(shown)
    first, second = (line.lines[0].get_ydata().tolist() for line in shown.figure.axes[0].containers)
    assert by_training({"runs": runs}, "distance")["mae"].tolist() == [[2.0, 2.0], [3.0, 2.0]]
    assert first == second == [2.5, 2.0] and "MAE, random weights" in shown.alt
    shown = heads_by_training({"runs": runs[:1]}, "difference")
    assert shown.figure.axes[0].containers[0].lines[0].get_ydata().tolist() == [0.1, 0.2]


def test_even_attention_has_the_mean_distance_of_all_pairs():
    assert even(2) == pytest.approx((2 + 2**0.5) / 4)
