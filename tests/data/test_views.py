"""Views: each sample its own crop, flip and colours, in training only, and the same on one process and on many."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimim.data.views import MEAN, STD, RandomViews, crop, crop_boxes, denormalize, jitter, normalize
from minimim.draws import StepGenerator, mix, uniform


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def raw(batch=6, channels=3, size=(8, 12), seed=0):
    return torch.randint(0, 256, (batch, channels, *size), dtype=torch.uint8, generator=generator(seed))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_normalising_and_back_changes_no_byte(channels):
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, channels, 16, 16)
    assert torch.equal(denormalize(normalize(every)), every)


def test_colour_is_normalised_by_imagenet_and_anything_else_by_a_half():
    for channels in (1, 3, 4):
        images = raw(1, channels, (2, 2))
        for c in range(channels):
            mean, std = (MEAN[c], STD[c]) if channels == 3 else (0.5, 0.25)
            expected = [(value / 255 - mean) / std for value in images[0, c].flatten().tolist()]
            assert normalize(images)[0, c].flatten().tolist() == pytest.approx(expected, abs=1e-5)


def test_floats_are_normalised_already():
    images = torch.randn(2, 3, 4, 4)
    assert normalize(images) is images


def test_what_cannot_be_shown_is_clipped():
    assert denormalize(torch.tensor([-100.0, 100.0]).view(1, 1, 1, 2)).flatten().tolist() == [0, 255]


def test_in_eval_each_view_is_the_normalised_image():
    views = RandomViews((8, 12), count=2, scale=(0.2, 0.5), jitter=0.4).eval()
    pair = {"image": raw(), "depth": torch.randn(6, 1, 8, 12)}
    made = views(pair, generator())
    assert len(made.student) == len(made.teacher) == len(made.content) == 2 and made.boxes is None
    for view in [*made.student, *made.teacher, *made.content]:
        assert torch.equal(view["image"], normalize(pair["image"])) and torch.equal(view["depth"], pair["depth"])


def test_each_sample_has_a_crop_of_its_own_and_each_view_too():
    same = raw(1).expand(6, -1, -1, -1)
    made = RandomViews((8, 12), count=2, scale=(0.2, 1.0), flip=False).train()(same, generator())
    assert made.boxes.shape == (2, 6, 4) and len(made.boxes.flatten(0, 1).unique(dim=0)) == 12
    samples = torch.cat([view["image"] for view in made.student]).flatten(1)
    assert len(samples.unique(dim=0)) == 12


def test_student_teacher_and_content_look_at_the_same_view():
    made = RandomViews((8, 12), count=2, scale=(0.2, 1.0), jitter=0.4).train()(raw(), generator())
    for student, teacher, content in zip(made.student, made.teacher, made.content, strict=True):
        assert torch.equal(student["image"], teacher["image"]) and torch.equal(student["image"], content["image"])


def test_boxes_say_where_a_view_was_cut_and_run_backwards_where_it_is_mirrored():
    images = torch.randn(6, 3, 8, 12)
    made = RandomViews((4, 6), scale=(0.2, 1.0)).train()(images, generator())
    x0, _, x1, _ = made.boxes[0].T
    assert 0 < int((x0 > x1).sum()) < 6
    torch.testing.assert_close(made.student[0]["image"], crop(images, made.boxes[0], (4, 6)))


def test_what_is_known_of_images_is_cut_with_them_and_what_is_no_picture_passes():
    rows = torch.arange(8).view(1, 8, 1).expand(6, 8, 12).clone()  # whole numbers, which must stay whole
    given = {"image": raw()[:1].expand(6, -1, -1, -1), "segmentation": rows, "depth": rows.unsqueeze(1).float()}
    given |= {"label": torch.arange(6), "caption": torch.arange(12).view(6, 2)}
    views = RandomViews((16, 24), scale=(0.2, 0.5))
    (view,) = views.train()(given, generator()).student
    near = (view["segmentation"] - view["depth"].squeeze(1)).abs()
    assert view["segmentation"].dtype == torch.int64 and near.max() <= 0.5 + 1e-4
    assert view["image"].shape == (6, 3, 16, 24)
    (whole,) = views.eval()(given).student
    for each in (view, whole):
        assert torch.equal(each["label"], given["label"]) and torch.equal(each["caption"], given["caption"])
    assert torch.equal(whole["segmentation"], rows) and whole["image"].is_floating_point()


@given(
    st.lists(st.floats(0, 1, exclude_max=True, width=32), min_size=4, max_size=4),
    st.floats(0.05, 0.75),
    st.floats(0, 1),
)
@settings(max_examples=100, deadline=None)
def test_crops_lie_inside_the_image_with_an_area_inside_the_scale(noise, low, more):
    high = low + (1 - low) * more
    ((x0, y0, x1, y1),) = crop_boxes(torch.tensor([noise]), (low, high)).tolist()
    assert -1e-6 <= x0 < x1 <= 1 + 1e-6 and -1e-6 <= y0 < y1 <= 1 + 1e-6
    width, height = x1 - x0, y1 - y0
    assert low - 1e-4 <= width * height <= high + 1e-4
    assert 3 / 4 - 1e-4 <= width / height <= 4 / 3 + 1e-4


def test_crops_reach_every_corner_and_every_size():
    boxes = crop_boxes(uniform(4000, 4, generator=generator()), (0.2, 1.0))
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert area.min() < 0.22 and area.max() > 0.97 and abs(float(area.mean()) - 0.6) < 0.02
    assert torch.all(boxes[:, :2].amin(0) < 0.01) and torch.all(boxes[:, 2:].amax(0) > 0.99)


def test_no_scale_is_no_crop():
    made = RandomViews((8, 12), flip=False).train()(raw(), generator())
    torch.testing.assert_close(made.student[0]["image"], normalize(raw()))
    assert torch.equal(made.boxes, torch.tensor([0.0, 0, 1, 1]).expand(1, 6, 4))


def test_a_crop_of_everything_is_the_image():
    images = torch.randn(3, 2, 8, 12)
    everything = torch.tensor([0.0, 0, 1, 1]).expand(3, 4)
    torch.testing.assert_close(crop(images, everything, (8, 12)), images, atol=1e-5, rtol=1e-5)


def test_a_crop_on_whole_pixels_is_a_slice_and_boxes_are_x_before_y():
    images = torch.randn(2, 3, 8, 16)
    boxes = torch.tensor([[4 / 16, 2 / 8, 12 / 16, 6 / 8], [0, 4 / 8, 8 / 16, 1]])
    got = crop(images, boxes, (4, 8))
    torch.testing.assert_close(got[0], images[0, :, 2:6, 4:12], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got[1], images[1, :, 4:8, 0:8], atol=1e-5, rtol=1e-5)


def test_a_crop_is_read_between_pixels():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)  # the column number
    got = crop(ramp, torch.tensor([[2 / 8, 0, 6 / 8, 1]]), (8, 8))[0, 0, 3]
    # output pixel i has its centre at column 2 + (i + ½)/2 − ½
    assert got.tolist() == pytest.approx([2 + (i + 0.5) / 2 - 0.5 for i in range(8)], abs=1e-4)


def test_a_step_in_bf16_sees_the_same_crops_as_one_in_fp32():
    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    views = RandomViews((56, 56), scale=(0.2, 1.0), jitter=0.4)
    expected = views(images, torch.Generator().manual_seed(0)).student[0]["image"]
    with torch.autocast("cpu", torch.bfloat16):
        found = views(images, torch.Generator().manual_seed(0)).student[0]["image"]
    assert found.equal(expected)


def test_half_of_the_samples_are_mirrored_and_exactly():
    images = torch.randn(400, 1, 2, 4)
    made = RandomViews((2, 4)).train()(images, generator()).student[0]["image"]
    mirrored = (made == images.flip(-1)).flatten(1).all(1)
    assert torch.all(mirrored | (made == images).flatten(1).all(1)) and 0.4 < mirrored.float().mean() < 0.6
    assert torch.equal(RandomViews((2, 4), flip=False).train()(images, generator()).student[0]["image"], images)


@given(st.integers(0, 10**6), st.floats(0, 1), st.sampled_from([1, 3]))
@settings(max_examples=30, deadline=None)
def test_jitter_stays_between_black_and_white(seed, strength, channels):
    images = torch.rand(4, channels, 3, 3, generator=generator(seed))
    out = jitter(images, torch.rand(4, 3, generator=generator(seed + 1)), strength)
    assert out.shape == images.shape and out.min() >= 0 and out.max() <= 1


def test_jitter_changes_brightness_then_contrast_then_saturation():
    images = 0.4 + 0.2 * torch.rand(1, 3, 2, 2, generator=generator())  # far from the clip
    for noise in ([0.5, 0.5, 0.5], [1.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 1.0], [0.7, 0.2, 0.9]):
        brightness, contrast, saturation = (1 + 0.4 * (2 * n - 1) for n in noise)
        values = [[v * brightness for v in images[0, c].flatten().tolist()] for c in range(3)]
        mean = sum(sum(v) for v in values) / 12
        values = [[mean + (v - mean) * contrast for v in channel] for channel in values]
        greys = [sum(v) / 3 for v in zip(*values, strict=True)]
        expected = [g + (v - g) * saturation for channel in values for v, g in zip(channel, greys, strict=True)]
        got = jitter(images, torch.tensor([noise]), 0.4)
        assert got.flatten().tolist() == pytest.approx(expected, abs=1e-5)


def test_jitter_gives_each_sample_its_own_and_leaves_depth_and_floats_alone():
    same = raw(1).expand(6, -1, -1, -1)
    views = RandomViews((8, 12), flip=False, jitter=0.4).train()
    depth = raw(6, 1)
    (view,) = views({"image": same, "depth": depth}, generator()).student
    assert len(view["image"].flatten(1).unique(dim=0)) == 6
    torch.testing.assert_close(view["depth"], normalize(depth))
    floats = torch.randn(6, 3, 8, 12)
    assert torch.equal(views(floats, generator()).student[0]["image"], floats)


def test_training_views_of_raw_images_are_normalised_after_the_changes():
    made = RandomViews((8, 12), scale=(0.2, 1.0), jitter=0.4).train()(raw(64), generator()).student[0]["image"]
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (MEAN, STD))
    assert torch.all(made >= (0 - mean) / std - 1e-4) and torch.all(made <= (1 - mean) / std + 1e-4)
    assert made.amax() > 1.5 and made.amin() < -1.5


def halves(step=3, total=8):
    """The generators of two processes, five rows and three, and of one that has them all."""
    rows = slice(0, 5), slice(5, 8), slice(0, 8)
    return [StepGenerator(seed=1, step=step, rows=r, total=total) for r in rows]


def test_two_processes_draw_together_what_one_draws():
    first, second, one = halves()
    for shape in ((3,), (), (2, 2)):
        both = torch.cat([uniform(5, *shape, generator=first), uniform(3, *shape, generator=second)])
        assert torch.equal(both, uniform(8, *shape, generator=one))


def test_two_processes_see_together_the_views_that_one_sees():
    views, images = RandomViews((8, 12), count=2, scale=(0.2, 1.0), jitter=0.4).train(), raw(8)
    first, second, one = (views(images[g.rows], g) for g in halves())
    for v in range(2):
        both = torch.cat([first.student[v]["image"], second.student[v]["image"]])
        torch.testing.assert_close(both, one.student[v]["image"])
    assert torch.equal(torch.cat([first.boxes, second.boxes], dim=1), one.boxes)


def test_each_step_and_each_seed_draws_anew_and_the_same_again():
    draws = {}
    for seed in range(3):
        for step in range(3):
            one, two = (
                uniform(4, generator=StepGenerator(seed=seed, step=step, rows=slice(0, 4), total=4)) for _ in "ab"
            )
            assert torch.equal(one, two)
            draws[tuple(one.tolist())] = seed, step
    assert len(draws) == 9


@given(st.integers(0, 2**31), st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_mixed_seeds_are_seeds_and_neighbours_are_strangers(seed, step):
    here, there, turned = mix(seed, step), mix(seed, step + 1), mix(step, seed)
    assert 0 <= here < 2**63 and (here != turned or seed == step)
    assert 8 <= (here ^ there).bit_count() <= 55


def test_uniform_fills_zero_to_one():
    draw = uniform(5000, 2, generator=generator())
    assert 0 <= draw.min() < 0.01 and 0.99 < draw.max() < 1 and math.isclose(draw.mean(), 0.5, abs_tol=0.02)
