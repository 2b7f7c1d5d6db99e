"""The drawings of lesson 05: readable, and made of the tensors that they are about."""

import pytest
import torch
from drawn import check
from matplotlib.colors import to_rgb

import minimim
from minimim.errors import UserError
from minimim.masking import mask_by_noise
from minimim.show import broken, decoder_tiles, put_back, visible_only
from minimim.show.drawing import KINDS
from minimim.show.drawings.decoder import block_cost


@pytest.fixture(scope="module")
def photo():
    """A picture of 14×14 patches, and which of them are hidden: all but 49."""
    noise = torch.rand(1, 196, generator=torch.Generator().manual_seed(1))
    return minimim.data.load("scenes", "test", count=1, image_size=112).images[0], mask_by_noise(noise, 49).hidden[0]


def words(drawing):
    return [word.get_text() for word in drawing.words]


def coloured(drawing, kind):
    """How many tiles of a kind there are."""
    return sum(patch.get_facecolor()[:3] == pytest.approx(to_rgb(KINDS[kind]["facecolor"])) for patch in drawing.axes.patches)


def test_visible_only_draws_as_many_tokens_as_are_read_and_costs_in_proportion(photo):
    drawing = visible_only(*photo, 8, dim=96, depth=3)
    check(drawing)
    assert coloured(drawing, "mask token") == 147 and coloured(drawing, "latent") == 196 + 49
    costs = [3 * block_cost(tokens, 96) for tokens in (196, 49)]
    assert [f"{cost / 1e9:.1f}·10⁹" for cost in costs] == [word for word in words(drawing) if "10⁹" in word]
    high, low = (patch.get_height() for patch in drawing.axes.patches if patch.get_width() == pytest.approx(1.1))
    assert high / low == pytest.approx(costs[0] / costs[1])
    with pytest.raises(UserError, match="do not fill a square"):
        visible_only(photo[0], torch.arange(196) > 50, 8, dim=96, depth=3)


def test_a_block_multiplies_what_the_counter_of_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    from minimim.layers import Block

    block, x = Block(24, 3), torch.randn(1, 10, 24)
    with FlopCounterMode(display=False) as counter:
        block(x)
    assert counter.get_total_flops() == 2 * block_cost(10, 24)


@pytest.fixture(scope="module")
def method():
    return minimim.load(minimim.bundled("mae-scenes"))


def test_the_decoder_has_each_token_where_the_mask_puts_it(method):
    noise = torch.rand(1, 64, generator=torch.Generator().manual_seed(3))
    drawing = decoder_tiles(method, minimim.data.load("scenes", "test", count=1).images[0], noise=noise)
    check(drawing)
    mask = mask_by_noise(noise, 16)
    ids, hidden = mask.visible_ids[0].tolist(), mask.hidden[0].tolist()
    tiles = [word for word in words(drawing) if word == "m" or word.isdecimal()]
    assert [int(n) for n in tiles[:16]] == ids  # the latents
    assert tiles[16:80] == [*map(str, ids), *"m" * 48]  # mask tokens behind
    assert tiles[80:144] == ["m" if hidden[n] else str(n) for n in range(64)]  # put back
    assert tiles[144:] == [str(n) for n in range(64)]  # places
    assert {"(1, 16, 128)", "(1, 64, 64)", "(1, 64, 48)"} <= set(words(drawing))


def test_putting_back_by_hand_has_the_rows_of_its_tensors():
    latents, token = torch.tensor([[0.8, 0.1], [-0.5, 0.6]]), torch.tensor([0.2, 0.3])
    positions = torch.tensor([[0.0, 1.0], [0.1, 0.9], [0.9, -0.4], [1.0, 0.1]])
    drawing = put_back(latents, token, torch.tensor([2, 0, 3, 1]), positions)
    check(drawing)
    numbers = [float(word) for word in words(drawing) if "." in word]
    back = [[-0.5, 0.6], [0.2, 0.3], [0.8, 0.1], [0.2, 0.3]]
    wanted = [[0.8, 0.1], [-0.5, 0.6], [0.2, 0.3], [0.2, 0.3], *back, *positions.tolist(), *(torch.tensor(back) + positions).tolist()]
    assert numbers == pytest.approx([number for row in wanted for number in row], abs=0.051)
    with pytest.raises(UserError, match="at most 8"):
        put_back(latents, token, torch.arange(9), torch.zeros(9, 2))


def test_what_is_broken_is_counted(photo):
    image, hidden = photo
    drawing = broken(image, hidden, 8, window=7)
    check(drawing)
    there = (~hidden).view(14, 14)
    counts = [int(there[row : row + 7, col : col + 7].sum()) for row in (0, 7) for col in (0, 7)]
    complete = sum(bool(there[row : row + 2, col : col + 2].all()) for row in range(0, 14, 2) for col in range(0, 14, 2))
    assert [word for word in words(drawing) if word.isdecimal()] == [str(count) for count in counts]
    assert f"merging 2×2 neighbours: {complete} of 49 squares are complete" in words(drawing)
    with pytest.raises(UserError, match="do not fill a grid"):
        broken(image, hidden, 8, window=4)
