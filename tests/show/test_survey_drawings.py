"""Drawings of the field: what they show is what the catalogue, the clustering and the labellings hold."""

import re

import numpy as np
import pytest
from drawn import check
from matplotlib.colors import to_hex

from minimim import survey
from minimim.errors import UserError
from minimim.show import dendrogram, gap_grid, kappa_by_hand, kappas, papers_of, results_scatter, taxonomy_tree, timeline
from minimim.show.charts import FLOOR, SERIES
from minimim.show.drawings.survey import EMPTY, OURS, quarter
from minimim.show.drawings.survey_charts import LEVELS, positions
from minimim.survey import clustering, gaps, held_out
from minimim.survey.results import pairs


def words(drawing):
    return [word.get_text() for word in drawing.words]


def faces(drawing):
    return [to_hex(patch.get_facecolor()) for patch in drawing.axes.patches]


def test_the_tree_has_a_square_for_each_paper_and_its_counts():
    root = survey.taxonomy()
    drawing = taxonomy_tree(root, marked=("MAE", "HPM"))
    check(drawing)
    ours = sum(bool(one.recipes) for one in root.walk())
    assert faces(drawing).count(OURS) == ours + 1 and faces(drawing).count(FLOOR) == len(root.walk()) - ours + 1  # and one each in the key
    assert sum(to_hex(patch.get_edgecolor()) == EMPTY for patch in drawing.axes.patches) == 2
    for group in root.children[:3]:
        for branch in group.children:
            assert str(len(branch.papers)) in words(drawing) and f"§{branch.section}" in words(drawing) or not branch.section
    assert any("framed: HPM, MAE" in text or "framed: MAE, HPM" in text for text in words(drawing))
    tiles = faces(drawing).count(to_hex("#fff1b8"))
    assert tiles == 1 + sum(len(branch.name.split(" and ")) + branch.name.count(",") for group in root.children[:3] for branch in group.children)


def test_the_tree_s_widget_lists_the_papers_of_a_branch():
    branches = {branch.name: branch for group in survey.taxonomy().children for branch in group.children}
    rows = papers_of(branches, "theoretical analysis").rows
    assert [row[0] for row in rows] == [one.key for one in branches["theoretical analysis"].papers]
    with pytest.raises(UserError, match="did you mean 'theoretical analysis'"):
        papers_of(branches, "theoretical analyses")


def test_the_timeline_counts_each_paper_in_its_quarter():
    assert [quarter(survey.paper(key)) for key in ("MAE", "BEiT")] == [2021.75, 2021.25]
    some = survey.papers()
    shown = timeline(some, ("MAE", "SimMIM", "BEiT"))
    check(shown)
    (axes,) = shown.figure.axes
    heights = sum(bar.get_height() for bar in axes.patches)
    dated = [one for one in some if quarter(one)]
    assert heights == sum(quarter(one) >= 2020 for one in dated)
    assert f"({len(some) - len(dated)} papers without an arXiv id" in axes.get_xlabel()
    assert "MAE\nSimMIM" in [text.get_text() for text in axes.texts]
    with pytest.raises(UserError, match="unknown paper"):
        timeline(some, ("MEA",))
    dateless = next(one.key for one in some if not one.arxiv_id)
    with pytest.raises(UserError, match="has no arXiv id"):
        timeline(some, (dateless,))


@pytest.mark.parametrize("axes", [("masking", "target"), ("target", "objective"), ("masking", "target", "objective")])
def test_the_grid_writes_each_count_and_frames_what_was_to_be_expected(axes):
    table = gaps.grid(*axes)
    at = "regression" if len(axes) == 3 else ""
    drawing = gap_grid(table, at, dots=gaps.untried()[:3] if at else ())
    check(drawing)
    counts, expected = (values[..., table.words[2].index(at)] if at else values for values in (table.counts, table.expected))
    numbers = [int(text) for text in words(drawing) if text.isdecimal()]
    assert sorted(numbers) == sorted(counts[counts > 0].tolist())
    framed = sum(to_hex(patch.get_edgecolor()) == EMPTY for patch in drawing.axes.patches)
    assert framed == 1 + ((counts == 0) & (expected >= 1)).sum()
    if at:
        with pytest.raises(UserError, match="did you mean 'regression'"):
            gap_grid(table, "regresion")


def test_kappa_by_hand_is_the_kappa_of_the_file():
    labels, truth = held_out.stored_labels()["reading one"], held_out.survey_labels()
    drawing = kappa_by_hand(labels, truth, "task", ("reading one", "the survey"))
    check(drawing)
    one = next(each for each in held_out.agreement(labels, truth) if each.direction == "task")
    assert f"kappa = {one.kappa:.2f}" in words(drawing)
    counted = [int(text) for text in words(drawing) if text.isdecimal()]
    assert sum(counted) == 3 * one.papers and str(one.yes[0]) in words(drawing) and str(one.yes[1]) in words(drawing)
    with pytest.raises(UserError, match="unknown direction"):
        kappa_by_hand(labels, truth, "tasks", ("a", "b"))
    with pytest.raises(UserError, match="no paper in common"):
        kappa_by_hand(labels, {}, "task", ("a", "b"))


def test_kappas_have_a_point_for_each_direction_hollow_where_nothing_is_decided():
    some = held_out.agreement(held_out.stored_labels()["reading one"], held_out.survey_labels())
    shown = kappas({"one": some, "the same": some})
    check(shown)
    (axes,) = shown.figure.axes
    points = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in points[:6]] == [one.kappa for one in some]
    assert [line.get_markerfacecolor() == "white" for line in points[:6]] == [not one.decided for one in some]
    with pytest.raises(UserError, match="cannot be told apart"):
        kappas({str(n): some for n in range(len(SERIES) + 1)})


@pytest.fixture(scope="module")
def clustered():
    return clustering.cluster(survey.papers(modality="medical"))


@pytest.mark.parametrize("k", [1, 2, 9])
def test_a_dendrogram_is_cut_into_as_many_colours_as_clusters_and_names_them(clustered, k):
    shown = dendrogram(clustered, k)
    check(shown)
    (axes,) = shown.figure.axes
    texts = [text.get_text() for text in axes.texts]
    sizes = np.bincount(clustered.cut(k)).tolist()
    assert [int(re.match(r" *(\d+)", text)[1]) for text in texts] == sizes
    assert all(text.split("  ")[-1] == ", ".join(terms) for text, terms in zip(texts, clustered.strongest(k, 4), strict=True))
    (cut,) = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--"] or [None]
    assert (cut is None) == (k == 1)
    if cut:
        assert (clustered.merges[:, 2] > cut).sum() == k - 1
    (lines,) = axes.collections
    grey = sum(to_hex(colour) == "#999999" for colour in lines.get_colors())
    assert grey == 3 * (k - 1) and len(lines.get_segments()) == 3 * len(clustered.merges)
    with pytest.raises(UserError, match="choose from 1 to"):
        dendrogram(clustered, 40)


def test_a_dendrogram_s_leaves_stand_in_their_order(clustered):
    across, up = positions(clustered)
    assert [up[leaf] for leaf in clustered.leaves] == [n + 0.5 for n in range(len(clustered.papers))]
    top = 2 * len(clustered.papers) - 2
    assert across[top] == clustered.merges[-1, 2] == max(across.values())


def test_the_scatter_names_what_may_be_compared_and_greys_the_rest():
    every = pairs("fine-tuned", "linear", one_each=False)
    alike = pairs("fine-tuned", "linear", architecture="ViT-B/16", image_size=224, extra=False, run_by="", epochs=(300, 1600))
    shown = results_scatter(every, alike)
    check(shown)
    (axes,) = shown.figure.axes
    assert sorted(text.get_text() for text in axes.texts) == sorted(a.key for a, _ in alike)
    grey, *coloured = (line for line in axes.lines if len(line.get_xdata()))
    assert len(grey.get_xdata()) == len(every) - len(alike) and sum(len(line.get_xdata()) for line in coloured) == len(alike)
    assert {line.get_color() for line in coloured} == {LEVELS[a.target_level][0] for a, _ in alike}
    shown.figure.draw_without_rendering()
    extents = [text.get_window_extent() for text in axes.texts]
    assert not any(one.overlaps(other) for n, one in enumerate(extents) for other in extents[:n])
    with pytest.raises(UserError, match="no pair"):
        results_scatter([])
