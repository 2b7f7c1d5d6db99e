"""Drawings of methods that differ in a part, and line-by-line differences: what they say is what the methods and tensors hold."""

import pytest
import torch
from drawn import check
from helpers import generator, raw
from matplotlib.colors import to_hex

from minimim import methods
from minimim.errors import UserError
from minimim.show import Diff, assigned, family, seen_by, sibling, sibling_of, sinkhorn_by_hand, what_they_see
from minimim.show.diff import parts_of
from minimim.show.drawings.siblings import CHANGES, NEW, rounds, short
from minimim.targets.clusters import sinkhorn

GRID = (4, 4)
WAY = ("head, prototypes", "head,\nprototypes", "centre,\nsharpen", "cross-\nentropy")


def words(drawing):
    return [word.get_text() for word in drawing.words]


def kinds(drawing, colour):
    return sum(patch.get_facecolor()[:3] == pytest.approx(colour, abs=0.01) for patch in drawing.axes.patches)


AMBER, GREEN = (0.902, 0.624, 0.0), (0.31, 0.753, 0.627)


@pytest.mark.parametrize("reads", ["all", "mask tokens", "visible"])
def test_a_sibling_shows_what_the_student_reads_and_what_is_asked(reads):
    hidden = torch.arange(16) < 5
    images = raw(2)
    drawing = sibling(images[0], images[1], GRID, hidden=hidden, reads=reads, vector=WAY, patch=WAY, same=images[0], new=CHANGES)
    check(drawing)
    assert kinds(drawing, AMBER) == (5 if reads == "mask tokens" else 0)
    assert kinds(drawing, GREEN) == 5 + 1 and words(drawing).count("cross-\nentropy") == 2
    assert ("16" if reads == "all" else "11 visible") in drawing.alt or reads == "all"


@pytest.mark.parametrize(("change", "framed"), [("vector head", 1), ("student head", 2)])
def test_a_head_of_the_vector_can_be_framed_alone(change, framed):
    drawing = sibling(*raw(2), GRID, hidden=torch.arange(16) < 12, reads="visible", vector=WAY, patch=WAY, new=(change,))
    assert sum(to_hex(patch.get_edgecolor()) == NEW for patch in drawing.axes.patches) == framed


def test_each_question_has_its_number_and_own_pixels_need_no_teacher():
    asked = tuple(torch.arange(16) // 4 == n for n in range(3))
    drawing = sibling(*raw(2), GRID, hidden=torch.arange(16) < 12, reads="visible", patch=("predictor", "LayerNorm", "", "smooth L1"), asked=asked)
    check(drawing)
    assert all(words(drawing).count(str(n)) == 8 for n in (1, 2, 3)) and kinds(drawing, GREEN) == 12
    own = sibling(*raw(2), GRID, hidden=torch.arange(16) < 12, reads="visible", vector=WAY, patch=("pixel decoder", "", "", "squared\nerror"))
    check(own)
    assert "own pixels" in words(own) and kinds(own, GREEN) == 1
    assert len(own.axes.images) == 4 + 16 + 12  # what is seen, and the targets


def test_what_it_cannot_draw_it_says():
    image = raw(1)[0]
    with pytest.raises(UserError, match="change"):
        sibling(image, image, GRID, vector=WAY, new=("colour",))
    with pytest.raises(UserError, match="reading"):
        sibling(image, image, GRID, vector=WAY, reads="nothing")
    with pytest.raises(UserError, match="nothing to compare"):
        sibling(image, image, GRID)


def test_assignments_are_those_of_the_scores():
    scores = torch.randn(3, 5, generator=generator(0)) / 5
    drawing = assigned(scores, scores.mean(0), (0.1, 0.04))
    check(drawing)
    for values in ((scores / 0.1).softmax(1), ((scores - scores.mean(0)) / 0.04).softmax(1)):
        assert all(f"{value:.2f}" in words(drawing) for value in values.amax(1).tolist())
    with pytest.raises(UserError, match="fit the page"):
        assigned(torch.zeros(5, 5), torch.zeros(5), (0.1, 0.04))


def test_sinkhorn_by_hand_is_the_library_s():
    scores = torch.tensor([[2.0, 1.0], [1.0, 0.0], [1.5, 1.3]])
    for count in (1, 2):
        torch.testing.assert_close(rounds(scores, count)[-1][1], sinkhorn(scores, 1.0, count))
        drawing = sinkhorn_by_hand(scores, count)
        check(drawing)
        assert words(drawing).count("÷ row sums") == count
    assert all(f"{value:.2f}" in words(drawing) for value in sinkhorn(scores, 1.0, 2).flatten().tolist())
    with pytest.raises(UserError, match="3 images"):
        sinkhorn_by_hand(torch.zeros(4, 2))


@pytest.fixture(scope="module")
def relatives():
    return {name: methods.create(name, image_size=32, patch_size=4, size="micro") for name in ("mae", "cmae", "ijepa", "capi")}


def test_a_family_lights_what_differs(relatives):
    drawing = family({"MAE": (relatives["mae"], ""), "CMAE": (relatives["cmae"], "MAE")})
    check(drawing)
    lit = kinds(drawing, (1.0, 0.945, 0.722))
    assert lit == 4 and words(drawing).count("RandomMasking") == 2  # all of CMAE's but the mask
    assert short("RandomViews(count=2, flip=True)") == "RandomViews, 2" and short("Pixels(normalize=True)") == "Pixels"


def test_parts_of_a_method_are_said_with_what_was_chosen(relatives):
    said = parts_of(relatives["capi"])
    assert said["masking"] == ["InverseBlockMasking(ratio=0.65, asked=0.05, aspect=0.5)"] and "by_place=True" in said["target"][0]
    assert parts_of(relatives["mae"])["teacher"] == ["none"] and len(parts_of(relatives["cmae"])["terms"]) == 2


def before(x):
    return x + 1


def after(x):
    y = x + 1
    return 2 * y


def test_a_diff_says_what_goes_and_what_comes(relatives):
    lines = repr(Diff(before, after)).split("\n")
    assert "-     return x + 1" in lines and "+     return 2 * y" in lines
    diff = Diff(relatives["ijepa"], relatives["capi"])
    assert "  encoder ViT(hidden=drop)" in diff.lines and "- terms   patch: smooth_l1" in diff.lines and "+ terms   patch: cross_entropy" in diff.lines
    assert repr(Diff("a\nb", "a\nc")) == "  a\n- b\n+ c" and "<pre" in diff._repr_html_() and "&lt;" in Diff("a<b", "c")._repr_html_()
    assert not any(line[0] in "+-" for line in Diff(relatives["mae"], relatives["mae"]).lines)


def test_what_is_seen_comes_from_the_method(relatives):
    image, capi = raw(1)[0].repeat(1, 2, 2), relatives["capi"]
    crops = seen_by(capi, image)
    assert crops.student.shape == crops.teacher.shape == (3, 32, 32) and crops.mask.asked == (2,)
    assert torch.equal(seen_by(capi, image).mask.hidden, crops.mask.hidden) and seen_by(relatives["mae"], image).teacher is None
    drawing = sibling_of(capi, image, patch=("predictor", "clusters", "Sinkhorn\nby place", "cross-\nentropy"), new=("mask",))
    check(drawing)
    assert kinds(drawing, GREEN) == 2 and "22 visible" in drawing.alt
    check(what_they_see({name: relatives[name] for name in ("cmae", "ijepa", "capi")}, image))
    ibot = methods.create("ibot", image_size=32, patch_size=4, size="micro")
    both = sibling_of(ibot, image, vector=WAY, patch=WAY)
    check(both)
    assert "other view:\nvector" in words(both)
