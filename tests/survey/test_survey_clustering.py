"""Papers in clusters: the same on every call and in every order, in agreement with scipy, and clear about what was wrong."""

import sys

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, leaves_list

from minimim.errors import UserError
from minimim.survey.catalogue import paper, papers
from minimim.survey.clustering import KINDS, LINKAGES, STOP_WORDS, WEIGHTINGS, Setting, abstracts, cluster, similar, texts_of

KEYS = ("MAE", "SimMIM", "BEiT", "iBOT", "MaskFeat", "VideoMAE", "MAE-ST", "Point-MAE", "Point-BERT", "MaskPoint")


def few():
    return [paper(key) for key in KEYS]


def partition(labels):
    return {frozenset(np.flatnonzero(labels == label)) for label in set(labels)}


def test_the_order_of_the_papers_does_not_matter():
    one, other = cluster(few()), cluster(few()[::-1])
    assert one.papers == other.papers
    np.testing.assert_array_equal(one.merges, other.merges)
    np.testing.assert_array_equal(one.cut(4), other.cut(4))


def test_the_surveys_papers_give_the_same_clusters_each_time():
    one, other = cluster(), cluster()
    np.testing.assert_array_equal(one.merges, other.merges)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.papers == sorted(papers(in_survey=True), key=lambda each: each.key)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_cuts_and_leaves_are_those_of_scipy(linkage):
    found = cluster(linkage=linkage)
    for k in (1, 2, 7, 18, 60, len(found.papers)):
        labels = found.cut(k)
        assert sorted(set(labels)) == list(range(k))  # every number is used
        expected = fcluster(found.merges, k, criterion="maxclust")
        if len(set(expected)) == k:  # where merges tie, scipy cuts into fewer
            assert partition(labels) == partition(expected)
    np.testing.assert_array_equal(found.leaves, leaves_list(found.merges))


def test_clusters_are_numbered_from_the_left_of_the_dendrogram():
    found = cluster()
    in_order = found.labels[found.leaves]
    assert (np.diff(in_order) >= 0).all()


def test_finer_cuts_split_coarser_ones():
    found = cluster()
    for k in (2, 6, 18):
        coarse, fine = found.cut(k), found.cut(k + 5)
        assert all(len(set(coarse[fine == label])) == 1 for label in set(fine))


def test_rows_are_of_unit_length_and_rare_words_weigh_more():
    found = cluster(few())
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1)
    row = found.vectors[[one.key for one in found.papers].index("Point-MAE")]
    assert row[found.terms.index("point")] > row[found.terms.index("masked")] > 0


def test_a_clusters_strongest_terms_set_it_apart():
    some = [paper(key) for key in ("VideoMAE", "MAE-ST", "Point-MAE", "Point-BERT", "MaskPoint")]
    words = ["masked video", "masked video", "masked point cloud", "masked point cloud", "masked point"]
    found = cluster(some, texts=words, k=2)
    named = {
        frozenset(one.key for one in group): terms for group, terms in zip(found.members(), found.strongest(), strict=True)
    }
    assert named[frozenset({"VideoMAE", "MAE-ST"})][0] == "video"  # and not "masked", which all share
    assert named[frozenset({"Point-MAE", "Point-BERT", "MaskPoint"})] == ["point", "cloud"]


def test_all_settings_cluster_all_papers():
    for field, values in (("weighting", WEIGHTINGS), ("stop_words", STOP_WORDS), ("ngrams", ((1, 2), (2, 2)))):
        for value in values:
            found = cluster(**{field: value})
            assert len(found.labels) == len(papers(in_survey=True)) and np.isfinite(found.merges).all()
    for changed in ("weighting", "linkage", "ngrams"):
        values = {"weighting": WEIGHTINGS, "linkage": LINKAGES, "ngrams": ((1, 1), (1, 2), (2, 2))}[changed]
        found = [cluster(**{changed: value}).merges[:, 2].sum() for value in values]
        assert len(set(found)) == len(found)  # each makes another tree
    assert all(" " in term for term in cluster(ngrams=(2, 2)).terms)
    assert "masked" in cluster(stop_words="english").terms and "masked" not in cluster(stop_words="field").terms
    assert cluster(weighting="binary").setting == Setting(weighting="binary")


def test_texts_are_titles_keywords_or_a_file_of_the_readers(tmp_path):
    file = tmp_path / "abstracts.tsv"
    file.write_text("mae\tHides most patches.\n\n2111.09886\tOne layer predicts pixels.\n", encoding="utf-8")
    some = [paper("MAE"), paper("SimMIM"), paper("BEiT")]
    assert texts_of(some) == [one.title for one in some]
    assert all(one.masking in text and one.title in text for one, text in zip(some, texts_of(some, "keywords"), strict=True))
    assert abstracts(file) == {"MAE": "Hides most patches.", "SimMIM": "One layer predicts pixels."}
    told = [f"{some[0].title} Hides most patches.", f"{some[1].title} One layer predicts pixels.", some[2].title]
    assert texts_of(some, file) == texts_of(some, str(file)) == told
    assert "hides" in cluster(some, texts=file, k=2).terms
    assert {len(cluster(texts=kind).labels) for kind in KINDS} == {len(papers(in_survey=True))}


@pytest.mark.parametrize(
    "line, word",
    [("MAE no tab", "line 1 .* has no tab"), ("Simim\tx", "SimMIM"), ("MAE\tx\nMAE\ty", "again")],
    ids=["no tab", "unknown", "twice"],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(tmp_path, line, word):
    file = tmp_path / "abstracts.tsv"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(UserError, match=word):
        abstracts(file)


def test_similar_papers_are_near_and_never_the_paper_itself():
    found = similar("Point-MAE", 8)
    nearness = [near for _, near in found]
    assert len(found) == 8 and nearness == sorted(nearness, reverse=True) and all(0 < near <= 1 for near in nearness)
    assert "Point-MAE" not in [one.key for one, _ in found]
    assert sum("points" in one.modality_facets for one, _ in found[:3]) == 3
    assert [one.key for one, _ in similar("point-mae", 8)] == [one.key for one, _ in found]
    everybody = similar("Point-MAE", len(papers()))
    assert len(everybody) < len(papers()) and all(near > 0 for _, near in everybody)


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda: cluster(weighting="tfidf"), "tf-idf"),
        (lambda: cluster(linkage="wart"), "ward"),
        (lambda: cluster(stop_words="englich"), "english"),
        (lambda: cluster(clusters=4), "setting"),
        (lambda: cluster(ngrams=(2, 1)), "shortest"),
        (lambda: cluster(few(), texts="title"), "titles"),
        (lambda: cluster(few(), texts=["one"]), "1 texts and 10 papers"),
        (lambda: cluster(few(), texts=["the"] * 10, stop_words="english"), "no term"),
        (lambda: cluster(few()[:1]), "at least two"),
        (lambda: cluster(few()).cut(11), "1 to 10"),
        (lambda: cluster(few()).cut(0), "1 to 10"),
        (lambda: similar("Simim"), "SimMIM"),
    ],
)
def test_mistakes_are_named(call, word):
    with pytest.raises(UserError, match=word):
        call()


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(UserError, match=r"pip install minimim\[lab\]"):
        cluster(few())
