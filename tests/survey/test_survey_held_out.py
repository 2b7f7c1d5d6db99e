"""The taxonomy held out: models that never see what they are asked, kappas that are right, and stored labels that are checked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from minimim.errors import UserError
from minimim.survey import held_out
from minimim.survey.catalogue import paper, papers
from minimim.survey.clustering import texts_of
from minimim.survey.definitions import DEFINITIONS
from minimim.survey.held_out import (
    COLUMNS,
    MODELS,
    agreement,
    cross_validated,
    differences,
    kappa,
    label,
    predicted,
    stored_labels,
    survey_labels,
)
from minimim.survey.taxonomy import WORDS

ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40)


def invented(seed=0, yes=0.5, count=60):
    """A labelling of papers outside the survey, drawn at random."""
    draws = np.random.default_rng(seed).random((count, len(DEFINITIONS))) < yes
    return {
        one.key: dict(zip(DEFINITIONS, map(bool, row), strict=True))
        for one, row in zip(papers()[:count], draws, strict=True)
    }


def stored(tmp_path, *lines, columns=COLUMNS):
    file = tmp_path / "labels.csv"
    file.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")
    return file


def test_each_direction_of_the_taxonomy_has_a_definition():
    assert list(DEFINITIONS) == list(WORDS)
    for name, text in DEFINITIONS.items():
        assert text.lower().startswith(WORDS[name]) and "Yes when" in text


def test_the_surveys_answers_are_those_of_its_branches():
    truth = survey_labels()
    assert len(truth) == len([one for one in papers(in_survey=True) if one.branch])
    assert [name for name, yes in truth["MAE"].items() if yes] == ["masking"]
    assert [name for name, yes in truth["BEiT"].items() if yes] == ["target", "objective"]
    assert all(any(answers.values()) for answers in truth.values())


@settings(deadline=None)
@given(ANSWERS)
def test_kappa_is_that_of_scikit_learn(answers):
    one, other = map(np.array, zip(*answers, strict=True))
    if len(set(one) | set(other)) == 1:
        assert np.isnan(kappa(one, other))
    else:
        assert kappa(one, other) == pytest.approx(cohen_kappa_score(one, other), abs=1e-12)


def test_a_labelling_agrees_with_itself_and_not_with_another():
    one, other = invented(0), invented(1)
    for each in agreement(one, one):
        assert (each.kappa, each.low, each.high, each.agreed) == (1, 1, 1, 1) and each.decided and each.papers == 60
    for each in agreement(one, other):
        assert each.low < 0 < each.high and each.low < each.kappa < each.high  # drawn at random, independently
    assert agreement(one, other) == agreement(one, other, seed=0) != agreement(one, other, seed=1)
    assert differences(one, one) == []


def test_an_interval_narrows_with_more_papers():
    few, many = (agreement(invented(0, count=count), invented(1, count=count))[0] for count in (15, 150))
    assert many.high - many.low < (few.high - few.low) / 2


@pytest.mark.parametrize("yes", [0.05, 0.95])
def test_what_the_majority_would_reach_stands_beside(yes):
    one, other = invented(0, yes), invented(1, yes)
    for each in agreement(one, other):
        name = each.direction
        no = np.mean([not answers[name] for answers in other.values()])
        assert each.majority == pytest.approx(max(no, 1 - no))
        assert each.yes == tuple(sum(answers[name] for answers in labels.values()) for labels in (one, other))
        assert each.decided == (min(each.yes) >= 5 and max(each.yes) <= 55)


def test_no_kappa_where_nothing_differs():
    never = {key: dict.fromkeys(DEFINITIONS, False) for key in invented()}
    for each in agreement(never, never):
        assert (each.kappa, each.low, each.high, each.decided, each.agreed) == (None, None, None, False, 1)
    assert all(each.kappa == 0 and not each.decided for each in agreement(never, invented()))  # the majority's answer


def test_repeats_count_as_their_mean():
    one, other, truth = invented(0), invented(1), invented(2)
    both = agreement([one, other], truth)
    for each, first, second in zip(both, agreement(one, truth), agreement(other, truth), strict=True):
        assert each.kappa == pytest.approx((first.kappa + second.kappa) / 2)
        assert each.agreed == pytest.approx((first.agreed + second.agreed) / 2)


def test_only_papers_of_both_labellings_count_and_differences_are_named():
    one, other = invented(0, count=20), invented(0, count=30)
    key = list(one)[3]
    other[key] = {**other[key], "task": not other[key]["task"]}
    assert {each.papers for each in agreement(one, other)} == {20}
    assert differences(other, one) == [(paper(key), "task", other[key]["task"], one[key]["task"])]
    assert differences(one, other) == [(paper(key), "task", one[key]["task"], other[key]["task"])]
    with pytest.raises(UserError, match="no paper in common"):
        agreement({"MAE": one[key]}, {"BEiT": one[key]})


@pytest.mark.parametrize("by", MODELS)
def test_models_learn_what_a_title_says(by):
    """Texts whose words give the answers away are answered rightly; texts without a known word are answered at all."""
    rng = np.random.default_rng(0)
    table = rng.random((60, 6)) < 0.4
    table[:, 5] = False  # nobody ever says yes
    texts = ["paper " + " ".join(name for name, yes in zip(DEFINITIONS, row, strict=True) if yes) for row in table]
    right = (predicted(by, texts[:50], table[:50], texts[50:]) == table[50:]).mean(0)
    assert right.mean() > 0.8 and right[5] == 1
    assert predicted(by, texts, table, ["unknown words only"]).shape == (1, 6)


@pytest.mark.parametrize("by", MODELS)
def test_cross_validation_repeats_under_a_seed_and_covers_all_papers(by):
    once = cross_validated(by=by, folds=4, repeats=2, seed=1)
    assert once == cross_validated(by=by, folds=4, repeats=2, seed=1)
    assert once[0] != once[1]  # dealt anew
    for each in once:
        assert list(each) == list(survey_labels()) and all(list(answers) == list(DEFINITIONS) for answers in each.values())


def test_no_paper_is_seen_by_the_model_that_labels_it(monkeypatch):
    titles = [one.title for one in papers(in_survey=True) if one.branch]
    asked = []

    def watched(by, seen, table, texts, setting):
        assert not set(seen) & set(texts) and len(seen) == len(table) and len(seen) + len(texts) == len(titles)
        asked.extend(texts)
        return np.zeros((len(texts), 6), dtype=bool)

    monkeypatch.setattr(held_out, "predicted", watched)
    cross_validated(folds=7, repeats=1)
    assert sorted(asked) == sorted(titles)
    asked.clear()
    cross_validated(folds=len(titles), repeats=1)  # leaves one out at a time
    assert sorted(asked) == sorted(titles)


def test_models_are_taught_and_asked_with_the_same_kind_of_text(monkeypatch):
    said = []

    def watched(by, seen, table, texts, setting):
        said.extend([*seen, *texts])
        return np.zeros((len(texts), 6), dtype=bool)

    monkeypatch.setattr(held_out, "predicted", watched)
    label(texts="keywords")
    cross_validated(texts="keywords", folds=2, repeats=1)
    assert set(said) == set(texts_of([one for one in papers() if one.branch or not one.in_survey], "keywords"))


@pytest.mark.parametrize("texts", ["titles", "keywords"])
def test_papers_outside_the_survey_are_labelled(texts):
    outside = papers(in_survey=False)
    labels = {by: label(by=by, texts=texts) for by in MODELS}
    for each in labels.values():
        assert list(each) == [one.key for one in outside]
    assert labels["linear"] == label(texts=texts)
    assert (labels["linear"] == label()) == (texts == "titles")
    assert label(outside[:3], texts=texts) == {one.key: labels["linear"][one.key] for one in outside[:3]}
    assert differences(labels["linear"], labels["neighbours"])


def test_titles_tell_something_but_little():
    """In the survey's own papers the linear model is better than chance at most directions, and far from agreement."""
    found = agreement(cross_validated(repeats=2), survey_labels())
    assert sum(each.low > 0 for each in found if each.decided) >= 3
    assert all(each.high < 0.6 for each in found if each.decided)


def test_stored_labels_are_read_by_labeller(tmp_path):
    file = stored(tmp_path, "mae,first,1,0,0,1,0,0", "SimMIM,first,1,1,0,0,0,0", "MAE,second,0,0,0,0,0,1")
    labels = stored_labels(file)
    assert list(labels) == ["first", "second"] and list(labels["first"]) == ["MAE", "SimMIM"]
    assert [name for name, yes in labels["first"]["MAE"].items() if yes] == ["masking", "architecture"]
    assert [each.papers for each in agreement(labels["first"], labels["second"])] == [1] * 6


def test_the_stored_labellings_answer_for_the_same_papers():
    """They are of papers outside the survey, and of some inside, by which they are compared with the survey itself."""
    labels = stored_labels()
    assert len(labels) == 2
    one, other = labels.values()
    assert set(one) == set(other)
    inside = [key for key in one if key in survey_labels()]
    assert len(inside) == 60 and len(one) >= 60 + 77


@pytest.mark.parametrize(
    "lines, word",
    [
        (["MAE,first,1,0,0,1,0,2"], "line 2 .*theory is '2'"),
        (["MAE,first,1,0,0,1,0"], "line 2 .*theory"),
        (["Simim,first,1,0,0,1,0,0"], "SimMIM"),
        (["MAE,first,1,0,0,1,0,0", "mae,first,1,0,0,1,0,0"], "line 3 .*labelled MAE before"),
        (["MAE,,1,0,0,1,0,0"], "labeller"),
    ],
    ids=["neither 0 nor 1", "too short", "unknown paper", "twice", "nobody"],
)
def test_labels_that_are_not_as_they_should_be_are_refused(tmp_path, lines, word):
    with pytest.raises(UserError, match=word):
        stored_labels(stored(tmp_path, *lines))


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda: stored_labels("nowhere.csv"), "no labels at nowhere.csv"),
        (lambda: label(by="nearest"), "neighbours"),
        (lambda: label([paper("MAE")]), "has read MAE"),
        (lambda: cross_validated(folds=1), "2 to"),
    ],
)
def test_mistakes_are_named(call, word):
    with pytest.raises(UserError, match=word):
        call()
