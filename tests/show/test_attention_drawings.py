"""Drawings of attention: the numbers on them are those of the tensors, and where a weight is large there is colour."""

import io

import numpy as np
import pytest
import torch
from drawn import check
from PIL import Image

from minimim import show
from minimim.errors import UserError
from minimim.layers import Attention
from minimim.show.drawing import UNIT

X = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 2.0]])
W_Q, W_K, W_V = torch.tensor([[[0.0, 1.0], [1.0, 0.0]], [[2.0, 0.0], [1.0, 1.0]], [[4.0, 0.0], [0.0, 2.0]]])
Q, K, V = X @ W_Q, X @ W_K, X @ W_V


def words(drawing) -> list[str]:
    return [word.get_text() for word in drawing.words]


def pixels(drawing):
    return np.asarray(Image.open(io.BytesIO(drawing.content())).convert("RGB")).astype(int)


def test_queries_keys_and_values_are_the_products_and_the_last_is_worked_out():
    drawing = show.queries_keys_values(X, W_Q, W_K, W_V)
    check(drawing)
    said = words(drawing)
    for letter, made in {"x": X, "q": Q, "k": K, "v": V}.items():
        for row, numbers in enumerate(made.tolist()):
            at = said.index(letter + "₀₁₂"[row])  # stands behind the numbers of its row
            assert said[at - 2 : at] == [f"{value:.0f}" for value in numbers]
    assert "q₂ = (1·0 + 2·1, 1·1 + 2·0)" in said and "k₂ = (1·2 + 2·1, 1·0 + 2·1)" in said and "v₂ = (1·4 + 2·0, 1·0 + 2·2)" in said


def test_the_score_matrix_has_every_query_times_every_key_and_their_weights():
    drawing = show.score_matrix(Q, K, cell=(1, 2))
    check(drawing)
    said, scores = words(drawing), Q @ K.T
    weights = (scores / 2**0.5).softmax(dim=-1)
    for value in [*scores.flatten().tolist(), *weights.flatten().tolist()]:
        assert f"{value:.2f}".removesuffix(".00") in said
    assert f"Row 1 asks, column 2 answers: q₁ · k₂ = 1·4 + 0·2 = {scores[1, 2]:.0f}" in said and said.count("sums to 1") == 3 and "÷ √2" in said


def test_the_bars_of_a_softmax_are_as_long_as_its_numbers():
    drawing = show.softmax_row(torch.tensor([0.0, 1.0, 2.0]))
    check(drawing)
    said = words(drawing)
    assert [word for word in said if word in ("0.09", "0.24", "0.67")] == ["0.09", "0.24", "0.67"] and "sum 11.11" in said
    bars = [right - left for left, _, right, _ in drawing.boxes if left == 15.8]
    assert bars == pytest.approx([5.25 * weight for weight in torch.tensor([0.0, 1.0, 2.0]).softmax(0).tolist()], abs=1e-3)


def test_the_weighted_mean_stands_in_numbers_and_in_the_plane():
    weights = torch.tensor([0.25, 0.25, 0.5])
    drawing = show.weighted_mean(weights, V)
    check(drawing)
    said = words(drawing)
    assert said[said.index("sum y =") + 1 :][:2] == ["3", "2.50"]
    places = [circle.get_center() for circle in drawing.axes.patches if hasattr(circle, "get_radius")]
    *values, mean = (torch.tensor(place) for place in places)
    torch.testing.assert_close(weights @ torch.stack(values), mean)


def test_each_head_shows_its_own_map_in_its_own_colour():
    torch.manual_seed(0)
    layer = Attention(6, 3)
    layer.qkv.weight.data *= 4
    x = torch.randn(4, 6)
    drawing = show.heads_side_by_side(layer, x)
    check(drawing)
    said, there = words(drawing), pixels(drawing)
    assert [word for word in said if word.startswith("map of head")] == ["map of head 0", "map of head 1", "map of head 2"] and "(4, 6)" in said
    maps = layer.weights(x[None])[0]
    for head, place in enumerate(word.get_position() for word in drawing.words if word.get_text().startswith("map of head")):
        left, top = place[0] - 1.0, place[1] + 0.3
        dark = [[255 * 3 - there[int((top + (r + 0.5) * 0.5) * UNIT), int((left + (c + 0.5) * 0.5) * UNIT)].sum() for c in range(4)] for r in range(4)]
        assert np.corrcoef(np.array(dark).flatten(), maps[head].detach().flatten())[0, 1] > 0.999


def test_the_more_weight_a_patch_gets_the_more_orange_it_is_and_one_scale_holds_for_all():
    images = torch.full((2, 3, 16, 16), 200, dtype=torch.uint8)
    maps = {"one": torch.zeros(2, 16), "two": torch.zeros(2, 16)}
    maps["one"][0, 5], maps["two"][1, 5], maps["two"][1, 10] = 0.2, 0.1, 0.4
    drawing = show.attention_over(images, [0, 3], maps, (4, 4))
    check(drawing)
    there, step = pixels(drawing), 5.4

    def blue(row, column, place):  # how little blue there is
        r, c = divmod(place, 4)
        return 255 - there[int((0.8 + row * step + (r + 0.5) * 1.25) * UNIT), int((0.3 + column * step + (c + 0.5) * 1.25) * UNIT), 2]

    assert blue(1, 2, 10) > blue(0, 1, 5) > blue(1, 2, 5) > blue(0, 1, 6) == blue(0, 2, 5) == blue(1, 1, 10)
    assert words(drawing)[-3:] == ["0.00", "0.20", "0.40"] and "one; two" in drawing.alt and "the patch that asks" in drawing.alt
    edge = there[int((0.8 + step) * UNIT), int((0.3 + 3.5 * 1.25) * UNIT)]
    assert edge[2] > edge[0] + 60  # the frame of patch 3, in the second row
    assert words(show.attention_over(images, [0, 3], maps, (4, 4), limit=0.2))[-1] == "≥ 0.20"


@pytest.mark.parametrize("draw", [
    lambda: show.queries_keys_values(torch.zeros(5, 2), W_Q, W_K, W_V),
    lambda: show.score_matrix(torch.zeros(3, 4), torch.zeros(3, 4)),
    lambda: show.softmax_row(torch.zeros(7)),
    lambda: show.weighted_mean(torch.ones(3) / 3, torch.zeros(3, 3)),
    lambda: show.heads_side_by_side(Attention(12, 3), torch.zeros(4, 12)),
    lambda: show.heads_side_by_side(Attention(8, 4), torch.zeros(4, 8)),
    lambda: show.attention_over(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), [0], {"one": torch.zeros(1, 4)}, (2, 2), side=3),
])  # fmt: skip
def test_what_has_no_room_gets_one_sentence(draw):
    with pytest.raises(UserError, match=r"room for|too small") as caught:
        draw()
    assert "\n" not in str(caught.value)
