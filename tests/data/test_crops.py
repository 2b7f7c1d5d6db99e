"""Crops of several sizes: who sees which, where they were cut, and that each is drawn by itself."""

import pytest
import torch
from helpers import generator, raw

from minimim.data.colour import Colour
from minimim.data.crops import MultiCrop
from minimim.data.views import normalize
from minimim.draws import StepGenerator
from minimim.errors import UserError
from minimim.masking import RandomMasking

SIZE = (16, 16)


def crops(**more):
    return MultiCrop(SIZE, 4, **more)


def ramp(batch=40, side=16):
    """Images whose first channel says where a pixel lies across, and whose second says where it lies down, 0 to 255."""
    line = torch.linspace(0, 255, side).round().to(torch.uint8)
    across = line.expand(side, side)
    return torch.stack([across, across.T, torch.zeros_like(across)]).expand(batch, -1, -1, -1).contiguous()


def test_the_student_sees_all_crops_and_the_teacher_the_large_ones():
    views = crops(large=2, small=3)(raw(), generator())
    assert [tuple(view["image"].shape[-2:]) for view in views.student] == [SIZE] * 2 + [(8, 8)] * 3
    assert len(views.teacher) == len(views.content) == 2 and views.same == [0, 1, None, None, None]
    assert all(view is views.student[v] for v, view in enumerate(views.teacher))
    assert views.boxes.shape == (5, 4, 4) and torch.equal(views.content_boxes, views.boxes[:2])


def test_apart_the_first_crop_is_the_teachers_and_the_others_are_the_students():
    views = crops(large=2, small=2, apart=True)(raw(), generator())
    assert [tuple(view["image"].shape[-2:]) for view in views.student] == [SIZE] + [(8, 8)] * 2
    assert len(views.teacher) == 1 and views.content == views.teacher and views.same == [None] * 3
    assert all(not torch.equal(view["image"], views.teacher[0]["image"]) for view in views.student[:1])
    assert len(views.boxes) == 3 and len(views.content_boxes) == 1


def test_small_crops_are_three_sevenths_of_the_side_in_whole_patches():
    assert MultiCrop((224, 224), 16, small=1).shapes[-1][0] == (96, 96)
    assert MultiCrop((32, 48), 4, small=1).shapes[-1][0] == (12, 20)
    assert MultiCrop(SIZE, 4, small=1, small_size=(12, 8)).shapes[-1][0] == (12, 8)
    assert MultiCrop((4, 4), 4, small=1).shapes[-1][0] == (4, 4)


def test_crops_take_the_part_of_the_area_that_is_asked():
    boxes = crops(large=1, small=1, large_scale=(0.5, 0.9), small_scale=(0.05, 0.3))(ramp(), generator()).boxes
    area = ((boxes[..., 2] - boxes[..., 0]).abs() * (boxes[..., 3] - boxes[..., 1])).double()
    assert 0.45 < area[0].min() and area[0].max() < 0.91 and 0.049 < area[1].min() and area[1].max() < 0.301


def test_boxes_say_where_crops_were_cut_and_which_are_mirrored():
    views = crops(large=1, small=1)(ramp(), generator())
    for view, boxes in zip(views.student, views.boxes, strict=True):
        mean, std = torch.tensor([0.485, 0.456]).view(2, 1, 1), torch.tensor([0.229, 0.224]).view(2, 1, 1)
        shown = view["image"][:, :2] * std + mean  # (B, 2, h, w): where each pixel lies
        cols = shown.shape[-1]
        mirrored = boxes[:, 0] > boxes[:, 2]
        assert 8 < mirrored.sum() < 32
        assert torch.equal(shown[:, 0, 0, 0] > shown[:, 0, 0, -1], mirrored)
        for b in range(len(boxes)):
            x0, y0, x1, y1 = boxes[b].tolist()
            for pixel in (cols // 4, cols // 2):
                across, down = (x0 + (x1 - x0) * (pixel + 0.5) / cols), (y0 + (y1 - y0) * (pixel + 0.5) / cols)
                assert shown[b, 0, 0, pixel].item() == pytest.approx(min(max((across * 16 - 0.5) / 15, 0), 1), abs=0.02)
                assert shown[b, 1, pixel, 0].item() == pytest.approx(min(max((down * 16 - 0.5) / 15, 0), 1), abs=0.02)


def test_colour_is_drawn_for_each_crop_and_each_image_by_itself():
    flat = torch.full((6, 3, 16, 16), 100, dtype=torch.uint8)
    plain = crops(large=2, small=1)(flat, generator())
    assert all(torch.allclose(view["image"][:, :, :8, :8], plain.student[0]["image"][:, :, :8, :8], atol=1e-5) for view in plain.student)
    views = crops(large=2, small=1, colour=Colour(jitter_chance=1.0))(flat, generator())
    shades = torch.cat([view["image"][:, 0, 0, 0] for view in views.student])
    assert len(shades.unique()) == 18


def test_in_eval_every_crop_is_the_image_itself():
    x = raw()
    views = crops(large=2, small=1, colour=Colour(), apart=True).eval()(x)
    assert len(views.student) == 2 and len(views.teacher) == 1 and views.boxes is None and views.same == [None, None]
    assert all(torch.equal(view["image"], normalize(x)) for view in [*views.student, *views.teacher])


def test_a_process_draws_its_rows_of_the_batch_and_what_is_no_picture_passes():
    x, labels = raw(7), torch.arange(7)
    views = crops(large=1, small=2, colour=Colour(blur=0.5))

    def draw(rows):
        inputs = {"image": x[rows], "label": labels[rows]}
        return views(inputs, StepGenerator(seed=1, step=2, rows=rows, total=7))

    whole, parts = draw(slice(0, 7)), [draw(slice(0, 4)), draw(slice(4, 7))]
    for v, view in enumerate(whole.student):
        torch.testing.assert_close(torch.cat([part.student[v]["image"] for part in parts]), view["image"])
        assert torch.equal(view["label"], labels)
    assert torch.equal(torch.cat([part.boxes for part in parts], dim=1), whole.boxes)


@pytest.mark.parametrize("more", [{"large": 0}, {"small": -1}, {"large": 1, "small": 0, "apart": True}])
def test_too_few_crops_are_refused(more):
    with pytest.raises(UserError, match="too few"):
        crops(**more)


def test_small_crops_go_through_an_encoder_with_a_mask_of_their_own_grid():
    from minimim.encoders import ViT

    encoder, views = ViT(16, 4, "micro"), crops(large=1, small=1)(raw(), generator())
    for view, patches in zip(views.student, (16, 4), strict=True):
        grid = encoder.grid(view)
        mask = RandomMasking(0.5)(view, grid, generator=generator())[0]
        assert encoder(view, mask).patches.shape == (4, patches // 2, 128) and encoder(view).grid == grid
