"""The survey's tree has every paper of the survey once, in the place that the survey gives it."""

from collections import Counter

import pytest

from minimim import survey
from minimim.errors import UserError
from minimim.methods import SECTIONS
from minimim.survey.definitions import DEFINITIONS
from minimim.survey.taxonomy import BRANCHES, FORERUNNERS, WORDS, named

LIST = {  # branch → the papers that the list of the survey's authors has in it, by the notes on the survey
    "masking strategy": 31, "target features": 13, "objective function": 8, "downstream task": 15, "theoretical analysis": 9,
    "model architecture": 7, "target features and objective function": 12, "model architecture and objective function": 7,
    "masking strategy and target features": 11, "masking strategy and model architecture": 10, "masking strategy and objective function": 9,
    "masking strategy and downstream task": 13, "target features and downstream task": 6, "model architecture and target features": 7,
    "objective function and theoretical analysis": 2, "downstream task and theoretical analysis": 1,
    "masking strategy, model architecture and objective function": 5, "masking strategy, target features and objective function": 6,
    "masking strategy, model architecture, downstream task and objective function": 7,
    "downstream task, objective function and model architecture": 1,
}  # fmt: skip


def leaves(branch):
    return [leaf for child in branch.children for leaf in leaves(child)] if branch.children else [branch]


def test_every_paper_of_the_survey_stands_in_the_tree_once_and_no_other():
    found = Counter(one.key for one in survey.taxonomy().walk())
    assert found == Counter(one.key for one in survey.papers(in_survey=True)) and len(found) == 194


def test_each_branch_holds_what_the_list_and_the_text_put_there():
    for branch in leaves(survey.taxonomy()):
        assert all(one.branch == branch.name or branch.name == FORERUNNERS for one in branch.papers)
        if branch.name in LIST:
            assert sum(one.listed in ("yes", "list only") for one in branch.papers) == LIST[branch.name], branch.name
            assert {one.section for one in branch.papers if one.listed == "text only"} <= {branch.section}, branch.name
    assert {name for _, name in BRANCHES} == set(LIST) and sum(LIST.values()) == 180
    places = {one.key: branch.name for branch in leaves(survey.taxonomy()) for one in branch.papers}
    assert places["MAE"] == "masking strategy" and places["iBOT"] == "target features and objective function"
    assert places["ColorMAE"] == "masking strategy" and places["ContextEncoder"] == FORERUNNERS


def test_branches_are_grouped_by_their_number_of_contributions():
    *groups, before = survey.taxonomy().children
    assert [len(group.children) for group in groups] == [6, 10, 4] and before.name == FORERUNNERS and len(before.papers) == 2
    for count, group in enumerate(groups, 1):
        assert {min(len(named(branch.name)), 3) for branch in group.children} == {count}


def test_text_and_list_disagree_about_few_papers_and_both_are_kept():
    sections = {name: section for section, name in BRANCHES}
    apart = {
        one.key for one in survey.papers(in_survey=True) if one.branch and one.section not in ("", sections[one.branch])
    }
    assert apart == {"M3PT", "MGD", "MFC", "MaskFeat"}


def test_the_library_names_branches_as_the_tree_does():
    for section, name in SECTIONS.items():
        assert section == "beyond" or (section, name) in BRANCHES


def test_directions_are_those_of_the_branch():
    assert list(WORDS) == list(DEFINITIONS)
    assert [d for d, yes in survey.directions(survey.paper("iBOT")).items() if yes] == ["target", "objective"]
    assert [d for d, yes in survey.directions(survey.paper("MAE")).items() if yes] == ["masking"]
    assert sum(survey.directions(survey.paper("MAViL")).values()) == 4
    for _, name in BRANCHES:
        assert len(named(name)) == name.count(",") + name.count(" and ") + 1


@pytest.mark.parametrize("key", ["I-JEPA", "StackedDAE"])
def test_a_paper_without_a_branch_has_no_directions(key):
    with pytest.raises(UserError, match=f"the survey gives {key} no branch"):
        survey.directions(survey.paper(key))
