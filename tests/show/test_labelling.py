"""A reader's own labelling: its answers are what was given, and it is compared over the papers that both have."""

import pytest

from minimim import survey
from minimim.errors import UserError
from minimim.show.labelling import Sorting

KEYS = ("MAE", "BEiT", "HPM")


@pytest.fixture
def sorting():
    return Sorting([survey.paper(key) for key in KEYS])


def test_what_is_answered_is_what_is_kept(sorting):
    sorting.answer("masking")
    sorting.answer("target", "objective")
    assert not sorting.over and sorting.answers["MAE"]["masking"] and not sorting.answers["MAE"]["target"]
    sorting.answer()
    assert sorting.over and not any(sorting.answers["HPM"].values())
    sorting.answer("theory")
    assert list(sorting.answers) == list(KEYS)
    with pytest.raises(UserError, match="did you mean 'theory'"):
        sorting.answer("theorie")


def test_it_is_compared_over_the_papers_that_both_have_once_all_are_sorted(sorting):
    other = {"MAE": {"masking": True}, "HPM": {"masking": True}}
    other = {key: dict.fromkeys(("target", "objective", "architecture", "task", "theory"), False) | row for key, row in other.items()}
    assert sorting.against({"survey": other}).rows == [["survey", *"------"]]
    for directions in (("masking",), ("target",), ()):
        sorting.answer(*directions)
    assert sorting.against({"survey": other, "nobody": {}}).rows == [["survey", "1 of 2", *["2 of 2"] * 5], ["nobody", *"------"]]


def test_the_sheet_has_each_title_and_the_form_goes_through_them(sorting):
    assert [row[1] for row in sorting.sheet().rows] == [one.title for one in sorting.papers]
    form = sorting.form()
    line, upper, lower, ready = form.children
    assert sorting.papers[0].title in line.value and [s.description for s in (*upper.children, *lower.children)] == ["masking", "target", "objective", "architecture", "task", "theory"]
    upper.children[0].value = True
    ready.click()
    assert sorting.answers["MAE"]["masking"] and sorting.papers[1].title in line.value and not upper.children[0].value
    ready.click()
    ready.click()
    assert sorting.over and "done" in line.value
