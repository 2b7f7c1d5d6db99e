"""What every lesson opens with."""

import pytest
import torch
from drawn import check

from minimim.errors import UserError
from minimim.show import Drawing, gallery, lesson


@pytest.mark.parametrize("lit", [*lesson.PARTS, *lesson.OTHERS])
def test_the_map_is_readable_and_says_what_is_lit(lit):
    drawing = lesson.component_map(lit)
    check(drawing)
    (bold,) = [word.get_text() for word in drawing.words if word.get_weight() == "bold"]
    assert bold == (lesson.PARTS | lesson.OTHERS)[lit] and f"Lit: {lit}." in drawing.alt


def test_the_map_refuses_a_part_that_there_is_not():
    with pytest.raises(UserError, match="did you mean 'encoder'"):
        lesson.component_map("encodr")


def test_a_claim_says_nothing_when_it_holds_and_its_words_when_not(capsys):
    assert lesson.claim(torch.tensor(True), "one is less than two") is None and capsys.readouterr().out == ""
    with pytest.raises(AssertionError, match="does not bear out what the lesson says: two is less than one"):
        lesson.claim(torch.tensor(False), "two is less than one")


def test_no_picture_complains_under_the_look_of_a_lesson(recwarn):
    import matplotlib

    with matplotlib.rc_context():
        lesson.setup()
        for shown in (Drawing(2, 2, "nothing but paper, under the look"), gallery({"": torch.zeros(1, 3, 16, 16, dtype=torch.uint8)}, alt="one black picture")):
            assert shown.content() == shown.content()  # what is shown twice is the same twice
    assert [str(warning.message) for warning in recwarn] == []
