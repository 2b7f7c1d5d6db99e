"""The drawing of the tasks of Build your MAE: readable, with every task on it, and those lit that are said to be done."""

import pytest
from drawn import check

from minimim.errors import UserError
from minimim.show.drawings.build import PARTS, built, one_scene


@pytest.mark.parametrize("done", [(), (1, 6, 13), range(1, 14)])
def test_it_is_readable(done):
    check(built(done))


def test_every_task_is_there_with_its_number_and_lit_where_it_is_done():
    drawing = built((2, 11))
    words = [text.get_text() for text in drawing.words]
    assert all(words.count(f"{number} {part}") == 1 for number, part in enumerate(PARTS, 1))
    thick = [patch for patch in drawing.axes.patches if patch.get_linewidth() > 2]
    assert len(thick) == 3  # two tasks, and the key
    assert not [patch for patch in built().axes.patches if patch.get_linewidth() > 2]
    assert "2 of 13 are done" in drawing.alt and "are" not in built().alt.partition("used.")[2]


def test_the_patches_are_those_of_a_scene_that_was_filled_in():
    filled = one_scene()
    drawing = built()
    assert filled.mask.sum() == 48
    pictures = 2 + 16 + 48 + 48  # whole pictures, visible patches, predictions and targets
    assert len(drawing.axes.images) == pictures
    hatched = [patch for patch in drawing.axes.patches if patch.get_hatch()]
    assert len(hatched) == 48


def test_a_task_that_is_not_there_is_told():
    with pytest.raises(UserError, match="there is no task 14"):
        built((3, 14))
