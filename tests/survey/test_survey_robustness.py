"""How clusters are compared: an index that is right, chance beside it, and damage to texts that is what it says."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from minimim.errors import UserError
from minimim.survey import robustness
from minimim.survey.catalogue import papers
from minimim.survey.clustering import Setting
from minimim.survey.robustness import between, damage, damaged, rand_index, resampled, row, shuffled

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30)
TEXTS = ["one two three four", "five six", "seven", ""]


def dice(seed=0):
    return np.random.default_rng(seed)


@settings(deadline=None)
@given(LABELS)
def test_the_index_is_that_of_scikit_learn(labels):
    one, other = zip(*labels, strict=True)
    assert rand_index(one, other) == pytest.approx(adjusted_rand_score(one, other), abs=1e-12)


@settings(deadline=None)
@given(LABELS)
def test_the_index_knows_no_names_and_no_sides(labels):
    one, other = zip(*labels, strict=True)
    assert rand_index(one, other) == pytest.approx(rand_index(other, [f"cluster {9 - label}" for label in one]))
    assert rand_index(one, one) == 1


def test_shuffled_labels_have_an_index_about_zero():
    one, other = dice(1).integers(6, size=100), dice(2).integers(6, size=100)
    chance = shuffled(one, other, 500)
    assert abs(chance.mean()) < 0.005 and chance.std() > 0
    np.testing.assert_array_equal(chance, shuffled(one, other, 500))
    assert shuffled(one, one, 200).max() < rand_index(one, one)


def test_each_setting_stands_beside_the_base_the_taxonomy_and_chance():
    rows = robustness.settings(axes={"linkage": ("ward", "single"), "k": (6, 18)})
    assert rows == robustness.settings(axes={"linkage": ("ward", "single"), "k": (6, 18)})
    assert [(one.axis, one.value) for one in rows] == [("linkage", "ward"), ("linkage", "single"), ("k", 6), ("k", 18)]
    same = [one for one in rows if one.value in ("ward", 18)]
    assert all(one.to_base == one.low == one.high == 1 for one in same)
    assert len({one.to_taxonomy for one in same}) == 1
    assert all(0 < one.chance_base < 0.1 and 0 < one.chance_taxonomy < 0.1 for one in rows)
    assert [one.name for one in rows] == ["linkage: ward", "linkage: single", "6 clusters", "18 clusters"]


def test_every_change_has_a_name_for_a_reader():
    names = [robustness.Row(axis, value, *[0.0] * 6).name for axis, values in (robustness.AXES | robustness.DAMAGE).items() for value in values]
    assert len(set(names)) == len(names) == sum(map(len, (robustness.AXES | robustness.DAMAGE).values()))
    assert "1 to 2 words a term" in names and "10 % of the words dropped" in names


def test_the_default_axes_hold_the_setting_that_is_varied():
    base = Setting()
    assert all(getattr(base, field) in values for field, values in robustness.AXES.items())


def test_settings_are_compared_each_with_each():
    many = [Setting(), Setting(k=6), Setting(weighting="binary")]
    table = between(many)
    np.testing.assert_allclose(table, table.T)
    np.testing.assert_array_equal(np.diag(table), 1)
    rows = robustness.settings(axes={"k": (6,), "weighting": ("binary",)})
    np.testing.assert_allclose(table[0, 1:], [one.to_base for one in rows])


def test_resampling_repeats_under_a_seed():
    one = resampled(repeats=4, seed=3)
    np.testing.assert_array_equal(one, resampled(repeats=4, seed=3))
    assert (one != resampled(repeats=4, seed=4)).any()
    np.testing.assert_array_equal(resampled(fraction=1.0, repeats=2), 1)  # all papers are all papers
    assert ((0 < one) & (one < 1)).all()
    assert (resampled(repeats=4, seed=3, scramble=True) != one).any()


def test_damaged_texts_are_shorter_or_poorer():
    assert damaged(TEXTS, "kept", 0.5, dice()) == ["one two", "five", "seven", ""]
    assert damaged(TEXTS, "kept", 1, dice()) == damaged(TEXTS, "dropped", 0, dice()) == TEXTS
    for text, rest in zip(TEXTS, damaged(TEXTS, "dropped", 1, dice()), strict=True):
        assert rest in text.split() if text else rest == ""  # one word stays
    long = [" ".join(map(str, range(2000)))]
    left = damaged(long, "dropped", 0.25, dice())[0].split()
    assert abs(len(left) / 2000 - 0.75) < 0.04 and left == sorted(left, key=int)
    dealt = damaged(TEXTS, "scrambled", 1, dice())
    assert sorted(" ".join(dealt).split()) == sorted(" ".join(TEXTS).split()) and dealt != TEXTS
    assert [len(text.split()) for text in dealt] == [4, 2, 1, 0]


def test_damage_repeats_under_a_seed_and_tells_its_spread():
    kinds = {"kept": (1.0, 0.5), "dropped": (0.1, 0.5), "scrambled": (1.0,)}
    rows = damage(kinds=kinds, repeats=5)
    assert rows == damage(kinds=kinds, repeats=5)
    whole, half, little, much, scrambled = rows
    assert whole.to_base == 1 and half.low == half.to_base == half.high < 1
    assert little.to_base > much.to_base > scrambled.to_base
    assert all(one.low < one.to_base < one.high for one in (little, much, scrambled))
    assert scrambled.high < little.chance_base + 0.05


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda: robustness.settings(axes={"linkages": ("ward",)}), "linkage"),
        (lambda: robustness.settings(axes={"linkage": ("wart",)}), "ward"),
        (lambda: damage(kinds={"drop": (0.5,)}), "dropped"),
        (lambda: damaged(TEXTS, "dropped", 1.5, dice()), "0 to 1"),
        (lambda: resampled(fraction=0.05), "between 18 and"),
        (lambda: resampled(fraction=1.5), "between 18 and"),
        (lambda: rand_index([1, 2], [1]), "2 and 1"),
    ],
)
def test_mistakes_are_named(call, word):
    with pytest.raises(UserError, match=word):
        call()


def test_papers_without_a_branch_are_left_out_beside_the_taxonomy():
    some = papers(branch="target features")[:6] + papers(branch="theoretical analysis")[:6] + papers(in_survey=False)[:4]
    labels = np.array([0] * 6 + [1] * 6 + [0, 1, 0, 1])  # right wherever the taxonomy has an answer
    one = row("k", 2, [labels], SimpleNamespace(papers=some, labels=labels), dice())
    assert one.to_taxonomy == 1 and one.chance_taxonomy < 1
