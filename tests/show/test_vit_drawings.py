"""Drawings of the ViT: their colours, hands and tiles are the numbers of the tensors."""

import io

import numpy as np
import pytest
import torch
from drawn import check
from PIL import Image

from minimim import show
from minimim.encoders import ViT
from minimim.errors import UserError
from minimim.layers import Block
from minimim.patches import sincos_positions
from minimim.show.drawing import UNIT
from minimim.show.drawings.vit import POSITION, SHADES


def words(drawing) -> list[str]:
    return [word.get_text() for word in drawing.words]


def pixels(drawing):
    return np.asarray(Image.open(io.BytesIO(drawing.content())).convert("RGB")).astype(int)


def test_a_block_shows_what_it_adds_and_the_sums_in_one_scale():
    torch.manual_seed(0)
    block, x = Block(8, 2).requires_grad_(False), torch.randn(5, 8)
    block.mlp.fc2.weight.data *= 5
    drawing = show.block_flow(block, x)
    check(drawing)
    there, tables = pixels(drawing), {"x in": x, "x out": block(x[None])[0]}
    attended = block.attn(block.norm1(x[None]))[0]
    tables["their sum"] = x + attended
    limit = max(float(each.abs().max()) for each in [*tables.values(), attended, tables["x out"] - tables["their sum"]])
    for name, values in tables.items():
        label = next(word for word in drawing.words if word.get_text() == name)
        left, top = label.get_position()[0] - 4 * 0.33, label.get_position()[1] + 0.35
        for r, c in ((0, 0), (2, 5), (4, 7)):
            colour = there[int((top + (r + 0.5) * 0.33) * UNIT), int((left + (c + 0.5) * 0.33) * UNIT)] / 255
            assert colour == pytest.approx(SHADES(0.5 + 0.5 * values[r, c].item() / limit)[:3], abs=0.02), (name, r, c)
    assert words(drawing).count("(5, 8)") == 3 and "LayerNorm" in words(drawing)


@pytest.mark.parametrize("cls", [True, False])
def test_the_whole_vit_says_its_own_shapes(cls):
    with torch.device("meta"):
        vit = ViT(32, 4, (128, 3, 4), cls=cls)
    image = torch.zeros(3, 32, 32, dtype=torch.uint8)
    image[0] = 220
    drawing = show.vit_whole(vit, image)
    check(drawing)
    said, count = words(drawing), 65 if cls else 64
    assert "3 blocks" in said and "(1, 64, 48)" in said and "(1, 64, 128)" in said and said.count(f"(1, {count}, 128)") == 2 + (not cls)
    assert ("CLS" in said) == cls and "p63" in said and "x63" in said
    assert said.count("+") == 4 + cls and said.count("0") == 2 + cls, "CLS is a token whose position is zero"
    assert not drawing.photo and show.vit_whole(vit, image.repeat(1, 4, 4)).photo


def test_the_hands_of_the_clocks_end_at_the_sines_and_cosines_of_the_table():
    drawing = show.clocks(16, 8, 3)
    check(drawing)
    table = sincos_positions(16, (1, 8))
    centre = [(x0, y0) for (x0, y0), _ in drawing.lines]
    hands = torch.tensor([[x1 - x0, y0 - y1] for (x0, y0), (x1, y1) in drawing.lines]) / 0.78  # right, up
    torch.testing.assert_close(hands[:, 0].view(4, 8).T, table[:, :4], atol=1e-5, rtol=0)
    torch.testing.assert_close(hands[:, 1].view(4, 8).T, table[:, 4:8], atol=1e-5, rtol=0)
    assert len(set(centre)) == 32 and "position of column 3" in words(drawing)
    assert [word for word in words(drawing) if "." in word and " " not in word] == [f"{value:.2f}" for value in table[3, :8].tolist()]


def test_the_table_of_positions_has_its_colours_in_reading_order():
    drawing = show.position_table(128, (8, 8))
    check(drawing)
    there, table = pixels(drawing), sincos_positions(128, (8, 8))
    for n, d in ((0, 0), (13, 3), (27, 40), (50, 66), (63, 100)):
        colour = there[int((1.3 + (n + 0.5) * 8 / 64) * UNIT), int((4.2 + (d + 0.5) * 16 / 128) * UNIT)] / 255
        assert colour == pytest.approx(SHADES(0.5 + 0.5 * table[n, d].item())[:3], abs=0.03), (n, d)
    assert [word for word in words(drawing) if " of " in word] == ["sin of column", "cos of column", "sin of row", "cos of row"]


def test_taken_out_first_tokens_get_positions_of_other_patches():
    drawing = show.add_then_gather(8, [0, 4, 6])
    check(drawing)
    said = words(drawing)
    assert said[-7:] == ["x0", "p0", "x4", "p1", "x6", "p2", "token 4 is told that it stands at place 1"]
    there = pixels(drawing)
    colours = {}
    for word in drawing.words:
        if word.get_text() in ("p0", "p1", "p2", "p4") and word.get_position()[0] > 12:
            x, y = word.get_position()
            colours.setdefault(word.get_text(), []).append(tuple(there[int((y - 0.2) * UNIT), int((x - 0.35) * UNIT)]))
    lilac = tuple(int(POSITION[at : at + 2], 16) for at in (1, 3, 5))
    assert colours["p0"] == [lilac, lilac] and colours["p4"] == [lilac] and lilac not in colours["p1"] + colours["p2"]


def test_boxes_are_drawn_where_they_are_and_stay_inside():
    images = torch.full((1, 3, 32, 32), 128, dtype=torch.uint8)
    shown = show.boxes_on(images, {"one": torch.tensor([[4.0, 8.0, 20.0, 24.0]])}, truth=torch.tensor([[-5.0, 2.0, 40.0, 30.0]]), alt="a box within a larger one, on grey")
    check(shown)
    drawn = np.asarray(shown.figure.axes[0].images[0].get_array())
    assert drawn[8 * 5 + 1, 10 * 5].tolist() == [0, 0, 0] and drawn[15 * 5, 4 * 5 + 1].tolist() == [0, 0, 0]
    assert drawn[2 * 5 + 1, 80].tolist() == [255] * 3 and drawn[80, 1].tolist() == [255] * 3 and drawn[80, -1].tolist() == [255] * 3
    assert drawn[16 * 5, 12 * 5].tolist() == [128] * 3


@pytest.mark.parametrize("draw", [
    lambda: show.block_flow(Block(16, 2), torch.zeros(4, 16)),
    lambda: show.clocks(32, 8, 0),
    lambda: show.add_then_gather(9, [1]),
])  # fmt: skip
def test_what_has_no_room_gets_one_sentence(draw):
    with pytest.raises(UserError, match="room for"):
        draw()
