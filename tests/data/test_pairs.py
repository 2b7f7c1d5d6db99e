"""Views of which student and teacher see different renderings: what differs, by how much, and what stays the same."""

import pytest
import torch
from torch.testing import assert_close

from minimim.data.colour import Colour
from minimim.data.pairs import PairedViews, windows
from minimim.data.views import crop, normalize
from minimim.draws import StepGenerator
from minimim.errors import UserError

SIZE = (56, 84)  # a seventh of it is 8 × 12 pixels
BOLD = Colour(jitter_chance=1.0, grey=0.5, blur=0.5, solarise=0.5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def raw(batch=8, size=SIZE, seed=0):
    """Smooth images as bytes, so that resampling twice is much like resampling once."""
    small = torch.rand(batch, 3, 4, 4, generator=generator(seed))
    return (torch.nn.functional.interpolate(small, size, mode="bilinear") * 255).byte()


def drawn(inputs=None, seed=0, **more):
    return PairedViews(SIZE, **more).train()(raw() if inputs is None else inputs, generator(seed))


@pytest.mark.parametrize("differ", ["colour", "shift", "crop"])
def test_in_eval_all_is_the_normalised_image_cut_nowhere(differ):
    x = {"image": raw(), "label": torch.arange(8)}
    made = PairedViews(SIZE, differ=differ, student=BOLD, teacher=BOLD).eval()(x, generator())
    for view in (*made.student, *made.teacher, *made.content):
        assert torch.equal(view["image"], normalize(x["image"])) and torch.equal(view["label"], x["label"])
    for boxes in (made.boxes, made.content_boxes):
        assert torch.equal(boxes, torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 8, 4))
    assert made.same == ([None] if differ == "crop" else [0])


def test_a_teacher_in_colours_sees_the_crop_that_the_student_sees_plain():
    plain, coloured = drawn(), drawn(teacher=BOLD)
    assert torch.equal(coloured.student[0]["image"], plain.student[0]["image"])
    assert coloured.content[0]["image"] is coloured.student[0]["image"] and coloured.same == [0]
    assert torch.equal(coloured.boxes, coloured.content_boxes)
    for student, teacher in zip(coloured.student[0]["image"], coloured.teacher[0]["image"], strict=True):
        assert not torch.allclose(student, teacher)
    assert torch.equal(plain.teacher[0]["image"], plain.student[0]["image"])


def test_only_the_colours_of_the_image_change_and_all_else_is_cut_alike():
    x = {"image": raw(), "depth": raw()[:, :1].float(), "label": torch.arange(8)}
    made = drawn(x, differ="colour", teacher=BOLD)
    for name in ("depth", "label"):
        assert torch.equal(made.teacher[0][name], made.student[0][name])


def test_a_shifted_teacher_sees_what_the_student_sees_some_pixels_away_both_in_reading_order():
    """Mirrored views are shifted as they are seen, not as they lay in the image."""
    made, apart = drawn(raw(64), differ="shift"), set()
    boxes, shown = made.boxes[0], drawn_boxes(64)[1]
    side = boxes[:, 2:] - boxes[:, :2]  # (B, 2), below 0 across where mirrored
    assert (side[:, 0] < 0).any() and (side[:, 0] > 0).any() and (side[:, 1] > 0).all()
    assert_close(shown[:, 2:] - shown[:, :2], side)
    pixels = (shown[:, :2] - boxes[:, :2]) / side * torch.tensor([SIZE[1], SIZE[0]])  # (B, 2), across and down
    assert_close(pixels, pixels.round(), atol=1e-3, rtol=0)
    for b, (across, down) in enumerate(pixels.round().int().tolist()):
        assert 0 <= across < 12 and 0 <= down < 8
        apart.add((across, down))
        student, teacher = made.student[0]["image"][b], made.teacher[0]["image"][b]
        overlap = teacher[:, : SIZE[0] - down, : SIZE[1] - across]
        assert_close(overlap, student[:, down:, across:], atol=2e-3, rtol=0)
    assert len(apart) > 30 and max(a for a, _ in apart) == 11 and max(d for _, d in apart) == 7


def drawn_boxes(batch, **more):
    """What the views of a batch are cut by: the student's and the teacher's, (B, 4) each."""
    return PairedViews(SIZE, differ="shift", **more).boxes(batch, generator(), None)


def test_windows_lie_within_their_crop_and_reach_a_seventh_of_a_window_less_a_pixel():
    crops = torch.tensor([[0.1, 0.2, 0.9, 1.0], [0.9, 0.2, 0.1, 1.0]])  # the second one mirrored
    mine, theirs = windows(crops, torch.full((2, 2), 0.9999), (224, 224))
    side = 0.8 * 224 / 256
    assert_close(mine, torch.tensor([[0.1, 0.2, 0.1 + side, 0.2 + side], [0.9, 0.2, 0.9 - side, 0.2 + side]]))
    step = 31 * side / 224
    assert_close(theirs - mine, torch.tensor([[step] * 4, [-step, step, -step, step]]))
    assert torch.equal(windows(crops, torch.zeros(2, 2), (224, 224))[1], mine)


def test_a_shifted_teacher_may_be_coloured_and_the_pixels_to_predict_are_the_students_clean_ones():
    made, plain = drawn(differ="shift", teacher=BOLD), drawn(differ="shift")
    assert made.content[0]["image"] is made.student[0]["image"] and made.same == [0]
    assert torch.equal(made.student[0]["image"], plain.student[0]["image"])
    assert torch.equal(made.boxes, made.content_boxes)
    assert not torch.allclose(made.teacher[0]["image"], plain.teacher[0]["image"])


def test_another_crop_is_told_by_its_box_and_is_what_the_teacher_sees_and_the_content_shows():
    x = raw(32)
    made = drawn(x, differ="crop", scale=(0.1, 0.6))
    assert made.same == [None] and made.content[0] is made.teacher[0]
    for boxes, view in ((made.boxes[0], made.student[0]), (made.content_boxes[0], made.teacher[0])):
        for b in range(32):
            x0, y0, x1, y1 = boxes[b].tolist()
            upright = torch.tensor([[min(x0, x1), y0, max(x0, x1), y1]])
            cut = normalize_floats(crop(x[b : b + 1] / 255, upright, SIZE))[0]
            assert_close(view["image"][b], cut.flip(-1) if x0 > x1 else cut)
    mirrored = (made.boxes[0, :, 0] > made.boxes[0, :, 2]), (made.content_boxes[0, :, 0] > made.content_boxes[0, :, 2])
    assert len({*zip(*(m.tolist() for m in mirrored), strict=True)}) == 4  # either, both and none


def normalize_floats(images):
    """Images in [0, 1], normalised."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    return (images - mean) / std


def test_each_view_has_its_own_colours():
    views = [drawn(differ="crop", **more) for more in ({"student": BOLD}, {"teacher": BOLD}, {})]
    students, teachers = ([getattr(made, name)[0]["image"] for made in views] for name in ("student", "teacher"))
    assert not torch.allclose(students[0], students[2]) and torch.equal(students[1], students[2])
    assert torch.equal(views[0].content_boxes, views[2].content_boxes)
    assert not torch.allclose(teachers[1], views[2].teacher[0]["image"])


@pytest.mark.parametrize("differ", ["colour", "shift", "crop"])
def test_views_of_two_processes_are_those_of_one(differ):
    x, views = raw(7), PairedViews(SIZE, differ=differ, student=BOLD, teacher=BOLD).train()

    def made(rows):
        return views(x[rows], StepGenerator(seed=1, step=2, rows=rows, total=7))

    whole, parts = made(slice(0, 7)), [made(slice(0, 3)), made(slice(3, 7))]
    for name in ("student", "teacher", "content"):
        together = torch.cat([getattr(part, name)[0]["image"] for part in parts])
        assert_close(together, getattr(whole, name)[0]["image"])
    assert torch.equal(torch.cat([part.content_boxes[0] for part in parts]), whole.content_boxes[0])


def test_without_a_crop_only_colours_can_differ():
    x = raw()
    made = PairedViews(SIZE, scale=None, flip=False, teacher=BOLD).train()(x, generator())
    assert_close(made.student[0]["image"], normalize(x))
    assert made.boxes.shape == (1, 8, 4)
    with pytest.raises(UserError, match='views that differ by "shift" are cut from the image: give the scale'):
        PairedViews(SIZE, differ="shift", scale=None)
    with pytest.raises(UserError, match="difference between views"):
        PairedViews(SIZE, differ="size")
