"""Where another view lies in the grid of this one, the predictor that is told so, and the loss that keeps its answers apart."""

import math

import pytest
import torch
from torch.testing import assert_close

from minimim.decoders.siamese import BatchNormBlock, BlockProjector, ViewPredictor, relative_positions
from minimim.encoders import Encoded
from minimim.losses import moment
from minimim.losses.moment import unigrad
from minimim.masking import mask_by_noise
from minimim.norms import BatchNorm
from minimim.patches import sincos_positions

GRID, DIM = (3, 4), 16
UPRIGHT = torch.tensor([[0.2, 0.1, 0.7, 0.5]])
OTHER = torch.tensor([[0.4, 0.3, 0.6, 0.9]])


def mirrored(box):
    return box[:, [2, 1, 0, 3]]


def test_a_view_lies_in_itself_at_its_own_places():
    for box in (UPRIGHT, mirrored(UPRIGHT)):
        made = relative_positions(DIM, GRID, box, box)[0]
        assert_close(made[:, :DIM], sincos_positions(DIM, GRID))
        assert_close(made[:, DIM:], torch.tensor([0.0] * 4 + [1.0] * 4).repeat(2).expand(12, -1))  # as large as itself


@pytest.mark.parametrize("first", [False, True], ids=["upright", "mirrored"])
@pytest.mark.parametrize("second", [False, True], ids=["upright", "mirrored"])
def test_patches_of_another_view_are_counted_in_patches_of_this_one(first, second):
    """Place by place, as the official code has it: both mirrored before they are cut, and columns exchanged where one alone is."""
    boxes = [mirrored(box) if flip else box for box, flip in ((UPRIGHT, first), (OTHER, second))]
    made = relative_positions(DIM, GRID, *boxes)[0]
    corners = []
    for box, flip in ((UPRIGHT, first), (OTHER, second)):
        x0, y0, x1, y1 = box[0].tolist()
        corners.append((y0, 1 - x1 if flip else x0, y1 - y0, x1 - x0))  # top, left in the mirrored image, height, width
    (i1, j1, h1, w1), (i2, j2, h2, w2) = corners
    rows, cols = GRID
    for r in range(rows):
        for c in range(cols):
            row = (r + 0.5) * h2 / h1 + (i2 - i1) / h1 * rows - 0.5
            col = (c + 0.5) * w2 / w1 + (j2 - j1) / w1 * cols - 0.5
            if first != second:
                col = -(c + 0.5) * w2 / w1 + (1 - j1 - j2) / w1 * cols - 0.5
            expected = []
            for number in (col, row, 10 * math.log(w2 / w1), 10 * math.log(h2 / h1)):
                angles = [number * 10000 ** (-k / (DIM // 4)) for k in range(DIM // 4)]
                expected += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
            assert_close(made[r * cols + c], torch.tensor(expected), atol=1e-4, rtol=0)


def test_mirroring_the_image_and_both_views_changes_nothing():
    flipped = [torch.cat([1 - box[:, :1], box[:, 1:2], 1 - box[:, 2:3], box[:, 3:]], dim=1) for box in (UPRIGHT, OTHER)]
    assert_close(relative_positions(DIM, GRID, *flipped), relative_positions(DIM, GRID, UPRIGHT, OTHER))


def predictor(depth=1):
    torch.manual_seed(0)
    made = ViewPredictor(BlockProjector(6, dim=DIM, depth=1, heads=2), GRID, dim=DIM, depth=depth, heads=2)
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    return made


def seen(batch=3, visible=5):
    mask = mask_by_noise(torch.rand(batch, 12), visible)
    return Encoded(torch.randn(batch, visible, 6), torch.randn(batch, 6), grid=GRID), mask


def boxes(this=UPRIGHT, other=OTHER, batch=3):
    return torch.stack([this.expand(batch, -1), other.expand(batch, -1)])


def test_every_place_of_the_other_view_is_answered_by_where_it_lies():
    model, (encoded, mask) = predictor(), seen()
    answer = model(encoded, mask, boxes=boxes())["patch"]
    assert answer.shape == (3, 12, DIM)
    moved = model(encoded, mask, boxes=boxes(other=OTHER + 0.1))["patch"]
    assert not torch.allclose(answer, moved, atol=1e-3)
    here, none = model(encoded, mask, boxes=boxes(UPRIGHT, UPRIGHT))["patch"], model(encoded, mask)["patch"]
    assert_close(here, none)  # nothing told: the other view is this one


def test_without_blocks_an_answer_is_a_map_of_mask_token_and_place():
    model, (encoded, mask) = predictor(depth=0), seen()
    answer = model(encoded, mask, boxes=boxes())["patch"]
    places = relative_positions(DIM, GRID, UPRIGHT, OTHER)
    assert_close(answer, model.pred(model.mask_token + model.place(places)).expand(3, -1, -1))


def test_what_was_seen_stands_at_its_own_place_in_any_order():
    model, (encoded, mask) = predictor().eval(), seen()
    answer = model(encoded, mask, boxes=boxes())["patch"]
    order = torch.tensor([3, 1, 4, 0, 2])
    mask.order = torch.cat([mask.visible_ids[:, order], mask.order[:, 5:]], dim=1)
    assert_close(model(Encoded(encoded.patches[:, order], encoded.cls, grid=GRID), mask, boxes=boxes())["patch"], answer)
    assert not torch.allclose(model(Encoded(encoded.patches, encoded.cls, grid=GRID), mask, boxes=boxes())["patch"], answer, atol=1e-4)


def test_blocks_normalise_by_the_batch_and_by_nothing_else():
    model = predictor()
    blocks = [part for part in model.modules() if isinstance(part, BatchNormBlock)]
    assert len(blocks) == 2 and not any(isinstance(part, torch.nn.LayerNorm) for part in model.modules())
    for block in blocks:
        assert isinstance(block.norm1, BatchNorm) and isinstance(block.norm2, BatchNorm)
    x = torch.randn(3, 7, DIM) * 5 + 2
    normed = blocks[0].norm1(x) / blocks[0].norm1.weight - blocks[0].norm1.bias / blocks[0].norm1.weight
    assert_close(normed.flatten(0, 1).mean(0), torch.zeros(DIM), atol=1e-5, rtol=0)


# The loss


def answers(batch=3, places=5, width=4, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, places, width, generator=draws, dtype=torch.float64) for _ in range(2)]


def test_the_loss_is_the_distance_to_the_target_and_the_mean_squared_product_with_all_targets():
    prediction, target = answers()
    errors = unigrad(prediction, target, None, spread=0.3)
    for b in range(3):
        for n in range(5):
            p = prediction[b, n]
            near = sum((float(p[k]) - float(target[b, n, k])) ** 2 for k in range(4))
            products = [float(p @ target[i, j]) ** 2 for i in range(3) for j in range(5)]
            assert errors[b, n].item() == pytest.approx((near + 0.3 * sum(products) / 15) / 4)


def test_what_other_processes_have_as_targets_counts_by_how_many_they_are(monkeypatch):
    prediction, target = answers()
    theirs = answers(batch=2, seed=1)[1]
    rows = theirs.flatten(0, 1)
    others = torch.cat([rows.T @ rows, torch.full((1, 4), 10.0, dtype=torch.float64)])
    monkeypatch.setattr(moment, "summed", lambda x: x + others)
    mine = unigrad(prediction, target)
    monkeypatch.undo()
    together = unigrad(torch.cat([prediction, theirs]), torch.cat([target, theirs]))
    assert_close(mine, together[:3])


def test_the_same_answer_for_everything_costs_more_than_answers_that_differ():
    """With a spread that outweighs the distance, the gradient pushes away from where the targets lie."""
    target = torch.nn.functional.layer_norm(torch.randn(8, 5, 4) * 0.1 + torch.tensor([3.0, 0.0, 0.0, -3.0]), (4,))
    prediction = target.clone().requires_grad_()
    unigrad(prediction, target, spread=1.0).sum().backward()
    assert ((prediction.grad * target).sum(-1) > 0).all()  # descent makes it shorter along the common direction
    assert unigrad.whole_batch
