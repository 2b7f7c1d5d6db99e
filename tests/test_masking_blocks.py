"""One visible block, and several blocks to predict: exact counts, shapes that never change, and the official codes' sizes."""

import math

import pytest
import torch

from minimim.draws import StepGenerator
from minimim.errors import UserError
from minimim.masking import InverseBlockMasking, MultiBlockMasking
from minimim.masking.blocks import LAYOUTS, context_size, counts, target_size

GRIDS = [(4, 4), (8, 8), (4, 8), (14, 14)]
USUAL = (4, (0.15, 0.2), (0.75, 1.5), (0.85, 1.0))


def inputs(batch):
    return {"image": torch.zeros(batch, 3, 8, 8)}


def draw(masking, grid=(8, 8), batch=6, seed=0, **more):
    (mask,) = masking(inputs(batch), grid, generator=torch.Generator().manual_seed(seed), **more)
    return mask


def trimmed(height, width, count):
    """The first places, in reading order, of a rectangle in the upper left."""
    return {(r, c) for r in range(height) for c in range(width) if r * width + c < count}


def shapes(places, rows, cols):
    """Every (height, width) whose trimmed rectangle, rolled by something, is this set of places."""
    found = set()
    for dy in range(rows):
        for dx in range(cols):
            rolled = {((r - dy) % rows, (c - dx) % cols) for r, c in places}
            height, width = max(r for r, _ in rolled) + 1, max(c for _, c in rolled) + 1
            if rolled == trimmed(height, width, len(places)):
                found.add((height, width))
    return found


def places_of(row, cols):
    return {(int(n) // cols, int(n) % cols) for n in row.nonzero().flatten()}


@pytest.mark.parametrize("grid", GRIDS[:3])
def test_what_an_inverse_block_shows_is_one_rolled_rectangle_of_the_exact_count_and_an_aspect_within_bounds(grid):
    rows, cols = grid
    mask, seen = draw(InverseBlockMasking(0.65), grid, batch=40), set()
    assert mask.visible == int(rows * cols * 0.35) and torch.all((~mask.hidden).sum(1) == mask.visible)
    for row in ~mask.hidden:
        found = shapes(places_of(row, cols), rows, cols)
        root = math.sqrt(mask.visible)
        fits = [(h, w) for h, w in found if h <= math.ceil(root * math.sqrt(2)) and w <= math.ceil(root * math.sqrt(2))]
        assert fits, found
        seen |= set(fits)
    assert len(seen) > 2  # tall ones and wide ones


def test_an_inverse_block_shows_every_patch_equally_often_because_it_rolls_over_the_edges():
    share = (~draw(InverseBlockMasking(0.65), batch=8000).hidden).float().mean(0)
    assert (share - 22 / 64).abs().max() < 0.03


def test_the_question_of_an_inverse_block_is_a_random_part_of_what_is_hidden_of_a_count_known_beforehand():
    mask = draw(InverseBlockMasking(0.65, asked=0.25), batch=4000)
    (question,) = mask.scored
    assert mask.asked == (10,) and torch.all(question.sum(1) == 10)  # of 42
    assert not (question & ~mask.hidden).any()
    assert (question.float().mean(0) - 10 / 64).abs().max() < 0.03
    few = draw(InverseBlockMasking(0.65, asked=0.01), (4, 4))
    assert few.asked == (1,) and few.asked_ids(few.scored[0]).shape == (6, 1)
    whole = draw(InverseBlockMasking(0.65, asked=1))
    assert torch.equal(whole.scored[0], whole.hidden) and whole.asked == (42,)


def official_size(number, grid, scale, aspect):
    """Sides of a block as the official I-JEPA works them out from one number, for square grids and before its cut."""
    keep = int(grid[0] * grid[1] * (scale[0] + number * (scale[1] - scale[0])))
    ratio = aspect[0] + number * (aspect[1] - aspect[0])
    return round(math.sqrt(keep * ratio)), round(math.sqrt(keep / ratio))


@pytest.mark.parametrize("grid", [(4, 4), (8, 8), (14, 14), (16, 16)])
def test_sizes_of_blocks_lie_in_the_official_ranges(grid):
    numbers = [(n + 0.5) / 200 for n in range(200)]
    context = [official_size(n, grid, (0.85, 1.0), (1.0, 1.0)) for n in numbers]
    mine = context_size(torch.tensor(numbers), grid, (0.85, 1.0))
    assert [(int(h), int(w)) for h, w in zip(*mine, strict=True)] == context
    official = [official_size(n, grid, (0.15, 0.2), (0.75, 1.5)) for n in numbers]
    asked = counts(grid, *USUAL)[1]
    assert min(h * w for h, w in official) <= asked <= max(h * w for h, w in official)
    heights, widths = (set(map(int, sides)) for sides in target_size(torch.tensor(numbers), grid, asked, (0.75, 1.5)))
    assert heights <= {h + e for h, _ in official for e in (0, 1)} and widths <= {w + e for _, w in official for e in (0, 1)}
    assert len(heights) > 1 or grid == (4, 4)


@pytest.mark.parametrize("grid", GRIDS)
def test_all_batches_of_a_grid_show_and_ask_the_same_numbers_and_nothing_shown_is_in_a_target(grid):
    known = counts(grid, *USUAL)
    for seed in range(30):
        mask = draw(MultiBlockMasking(), grid, batch=8, seed=seed)
        assert (mask.visible, mask.asked) == (known[0], (known[1],) * 4)
        assert torch.all((~mask.hidden).sum(1) == mask.visible)
        for question, asked in zip(mask.scored, mask.asked, strict=True):
            assert torch.all(question.sum(1) == asked) and not (question & ~mask.hidden).any()
    assert mask.visible_ids.shape == (8, mask.visible)


def test_a_batch_has_one_size_of_target_and_every_sample_its_own_places():
    sizes = set()
    for seed in range(12):
        mask = draw(MultiBlockMasking(), (14, 14), batch=4, seed=seed)
        blocks = [frozenset(places_of(row, 14)) for question in mask.scored for row in question]
        corners = [(min(r for r, _ in block), min(c for _, c in block)) for block in blocks]
        moved = {frozenset((r - y, c - x) for r, c in block) for block, (y, x) in zip(blocks, corners, strict=True)}
        assert len(moved) == 1 and len(set(corners)) > 8  # of 16
        sizes.add(next(iter(moved)))
    assert len(sizes) > 2
    for block in sizes:
        assert block == trimmed(max(r for r, _ in block) + 1, max(c for _, c in block) + 1, 34)


def test_targets_and_contexts_reach_the_last_row_and_column():
    mask = draw(MultiBlockMasking(), (14, 14), batch=500)
    asked = torch.stack(mask.scored).any(0).view(-1, 14, 14).float().mean(0)
    shown = (~mask.hidden).view(-1, 14, 14).float().mean(0)
    assert asked[:, -1].mean() > 0 and asked[-1].mean() > 0
    assert shown[-1].mean() == pytest.approx(float(shown[0].mean()), rel=0.3)
    assert shown[:, -1].mean() == pytest.approx(float(shown[:, 0].mean()), rel=0.3)


def test_a_layout_that_leaves_too_little_is_drawn_again_and_the_last_one_always_leaves_enough():
    corners = torch.tensor([[0.0, 0.0], [0.0, 0.99], [0.99, 0.0], [0.99, 0.99]])  # least is left
    noise = torch.rand(5, 4 + 2 * LAYOUTS * 4 + 64, generator=torch.Generator().manual_seed(0))
    noise[0, :2] = torch.tensor([0.5, 0.0])  # the smallest context
    noise[:, 2 : 2 + 2 * (LAYOUTS - 1) * 4] = corners.flatten().repeat(LAYOUTS - 1)
    masking = MultiBlockMasking(target_scale=(0.2, 0.24))
    (mask,) = masking(inputs(5), (8, 8), noise=noise)
    assert torch.all((~mask.hidden).sum(1) == mask.visible)
    assert not any((question & ~mask.hidden).any() for question in mask.scored)
    assert all(torch.equal(question, mask.scored[0]) for question in mask.scored)
    noise[2, 10:18] = 0.5  # the second layout of the third sample has all its targets in one place, and is taken
    (mask,) = masking(inputs(5), (8, 8), noise=noise)
    assert sorted(places_of(mask.scored[0][2], 8)) == sorted((r + 2, c + 2) for r, c in trimmed(4, 4, 14))


def test_two_processes_draw_what_one_draws():
    for masking in (InverseBlockMasking(), MultiBlockMasking()):
        for step in range(3):
            whole, *parts = (
                masking(inputs(rows.stop - rows.start), (8, 8), generator=StepGenerator(seed=1, step=step, rows=rows, total=7))[0]
                for rows in (slice(0, 7), slice(0, 4), slice(4, 7))
            )
            assert torch.equal(whole.hidden, torch.cat([part.hidden for part in parts]))
            for question, *others in zip(whole.scored, *(part.scored for part in parts), strict=True):
                assert torch.equal(question, torch.cat(others))
            assert {(whole.visible, whole.asked)} == {(part.visible, part.asked) for part in parts}


def test_what_cannot_be_is_said():
    for wrong in ({"asked": 0.0}, {"asked": 1.5}, {"aspect": 2.0}, {"ratio": 1.0}):
        with pytest.raises(UserError):
            InverseBlockMasking(**wrong)
    for wrong in ({"targets": 0}, {"target_scale": (0.3, 0.2)}, {"target_aspect": (0.0, 1.0)}, {"context_scale": (0.5, 1.2)}):
        with pytest.raises(UserError):
            MultiBlockMasking(**wrong)
    with pytest.raises(UserError, match="leave nothing to show of 1×1"):
        draw(MultiBlockMasking(), (1, 1))
