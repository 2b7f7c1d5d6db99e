"""The grid of what papers hide, predict and compare; its empty cells; and the methods that are made for them."""

import math
import re
from itertools import product

import pytest
import torch

from minimim import survey
from minimim.data.scenes import scenes
from minimim.errors import UserError
from minimim.losses.term import loss_name
from minimim.survey import assembly, gaps
from minimim.survey.catalogue import FACETS
from minimim.train import TrainConfig, train

ALL = list(product(assembly.MASKS, assembly.TARGETS, assembly.OBJECTIVES))
MADE = [cell for cell in ALL if not assembly.missing(*cell)]


def test_a_paper_stands_in_each_cell_that_its_words_name():
    whole = gaps.grid()
    assert whole.axes == ("masking", "target", "objective") and whole.counts.shape == tuple(map(len, whole.words))
    assert whole.cell("random", "tokens", "distillation") == [survey.paper("iBOT")]
    for one in whole.papers[:40]:
        words = product(one.masking_facets, one.target_facets, one.objective_facets)
        assert all(one in whole.cell(*place) for place in words if "none" not in place and "other" not in place)
    for place in [("random", "pixels", "regression"), ("learned", "pixels", "ranking"), ("noise", "hog", "regression")]:
        where = tuple(words.index(word) for words, word in zip(whole.words, place, strict=True))
        assert whole.counts[where] == len(whole.cell(*place))


def test_two_axes_are_a_table_whose_expectation_is_that_of_independent_choices():
    three = [survey.paper(key) for key in ("MAE", "MaskFeat", "data2vec")]  # random pixels, block hog, block latents
    table = gaps.grid("masking", "target", some=three)
    assert table.cell("block", "hog") == [three[1]] and table.cell("random", "hog") == []
    assert table.expected_in("block", "hog") == pytest.approx(3 * 2 / 3 * 1 / 3)
    assert table.expected.sum() == pytest.approx(3)  # here each paper has one word on each axis
    assert table.empty()[:1] == [("block", "pixels")] and len(table.empty()) == table.counts.size - 3
    assert gaps.neighbours(("random", "hog"), table) == {"masking": [three[1]], "target": [three[0]]}


def test_the_empty_cells_are_all_that_hold_nobody_those_first_in_which_most_were_to_be_expected():
    whole = gaps.grid()
    empty = whole.empty()
    assert len(empty) == len(set(empty)) == (whole.counts == 0).sum()
    assert all(whole.cell(*place) == [] for place in empty[:60])
    chances = [whole.expected_in(*place) for place in empty]
    assert chances == sorted(chances, reverse=True) and chances[0] > 1


def test_a_query_and_some_papers_narrow_the_grid():
    masks = gaps.grid("masking", "target", modality="video")
    assert len(masks.papers) < len(gaps.grid("masking", "target").papers)
    assert all("video" in one.modality_facets for one in masks.papers)


def test_what_is_no_grid_is_said_in_a_sentence():
    for axes, words in [
        (("masking", "targets"), "did you mean 'target'"),
        (("masking",), "two or three"),
        (("masking", "masking"), "different"),
        (("masking", "target", "objective", "encoder"), "two or three"),
    ]:
        with pytest.raises(UserError, match=re.escape(words)):
            gaps.grid(*axes)
    with pytest.raises(UserError, match="no paper has a word"):
        gaps.grid("masking", "target", some=[])
    with pytest.raises(UserError, match="has 3 words"):
        gaps.grid().cell("random", "pixels")
    with pytest.raises(UserError, match="did you mean 'hog'"):
        gaps.grid().cell("random", "hogs", "regression")


def test_for_each_facet_there_is_a_part_or_a_sentence():
    for axis, known in (("masking", assembly.MASKS), ("target", assembly.TARGETS), ("objective", assembly.OBJECTIVES)):
        for word in FACETS[axis]:
            assert (word in known) != (word in assembly.WITHOUT) or word in ("frequency", "none", "other"), f"{axis} {word}"
    for cell in product(*(FACETS[axis] for axis in gaps.AXES)):
        said = assembly.missing(*cell)
        assert not said or (said[0].islower() and not said.endswith(".")), said
    assert set(assembly.CANNOT) | {"uniformity"} == set(assembly.OBJECTIVES)


def test_what_cannot_be_made_says_what_is_missing():
    with pytest.raises(
        UserError, match="random × shape × regression can be made of this library's parts: this library has no point clouds"
    ):
        gaps.build("random", "shape", "regression")
    with pytest.raises(UserError, match="these are classes"):
        gaps.build("random", "tokens", "regression")
    with pytest.raises(UserError, match="did you mean 'learned'"):
        gaps.build("learnt", "hog", "regression")
    with pytest.raises(UserError, match="choose patch_size=4"):
        gaps.build("attention", "features", "regression", image_size=32, patch_size=8)


def a_step(cell, images):
    """A method of a cell, trained for two steps, and its losses."""
    torch.manual_seed(0)
    method = gaps.build(*cell, image_size=16)
    before = method.encoder.patch_embed.proj.weight.clone()
    run = train(
        method,
        images,
        TrainConfig(epochs=1, batch_size=8, lr=0.02, warmup=0.0, clip=3.0, log_every=1, device="cpu"),
        bar=False,
    )
    losses = [line["loss"] for line in run.history]
    assert all(map(math.isfinite, losses)) and not torch.equal(before, method.encoder.patch_embed.proj.weight), cell
    return method, run


@pytest.mark.parametrize(
    "cell",
    [
        c
        for c in MADE
        if c[0] == "random" or c[1:] in (("hog", "regression"), ("features", "contrastive"), ("frequency", "regression"))
    ],
    ids=" ".join,
)
def test_the_method_of_a_cell_trains(cell):
    method, run = a_step(cell, scenes("train", 16, image_size=16))
    masking, target, objective = cell
    assert type(method.masking) is type(assembly.MASKS[masking]())
    assert method.target.predicts in {
        "pixels": ("pixels",),
        "tokens": ("tokens",),
        "hog": ("hog",),
        "frequency": ("spectrum",),
    }.get(target, ("features", "prototypes", "clusters"))
    assert ("uniformity" in run.history[0]) == (objective == "uniformity")
    assert ("difficulty" in run.history[0]) == (masking == "learned" or objective == "ranking")


def test_each_word_stands_for_the_part_of_its_name():
    masks = {
        "random": "Random", "block": "Block", "noise": "Colour", "attention": "Attention", "learned": "Hardest", "semantic": "Semantic",
        "frequency": "Frequency",
    }  # fmt: skip
    assert {word: type(make()).__name__ for word, make in assembly.MASKS.items()} == {
        word: f"{name}Masking" for word, name in masks.items()
    }
    losses = {
        ("pixels", "regression"): "l2", ("features", "regression"): "cosine", ("frequency", "regression"): "SpectrumDistance",
        ("tokens", "classification"): "cross_entropy", ("clusters", "classification"): "cross_entropy", ("hog", "contrastive"): "patch_nce",
        ("latents", "distillation"): "cross_entropy",
    }  # fmt: skip
    for (target, objective), name in losses.items():
        (term,) = gaps.build("random", target, objective, image_size=16).terms
        assert loss_name(term.loss) == name
    for objective, names in {
        "adversarial": ["l2", "Adversary"],
        "uniformity": ["l2", "uniformity"],
        "ranking": ["l2", "ranking"],
    }.items():
        assert [loss_name(term.loss) for term in gaps.build("random", "pixels", objective, image_size=16).terms] == names


@pytest.mark.slow
def test_every_cell_that_can_be_made_trains():
    images = scenes("train", 16, image_size=16)
    for cell in MADE:
        a_step(cell, images)


def test_what_is_untried_can_be_made_and_stands_in_no_cell():
    found, whole = gaps.untried(), gaps.grid()
    assert found and all(cell in MADE and not whole.cell(*cell) for cell in found)
    assert ("random", "pixels", "regression") not in found and ("random", "tokens", "regression") not in found
    assert found[0] == max(found, key=lambda cell: whole.expected_in(*cell))
