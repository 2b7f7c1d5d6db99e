"""The checks of problem set 8, the field as data: what is tried on words and trees, and how it is drawn."""

from collections.abc import Iterable

import torch
from torch import Tensor

from minimim.feedback.check import Arguments, Task, variants
from minimim.feedback.pictures import beside
from minimim.feedback.ps8 import mistakes_tree, mistakes_ward, mistakes_words, tasks_tables, truth

TITLES = (
    "Masked Autoencoders Are Scalable Vision Learners",
    "SimMIM: A Simple Framework for Masked Image Modeling",
    "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre-Training",
    "VideoMAE V2: Scaling Video Masked Autoencoders with Dual Masking",
    "Masked Feature Prediction for Self-Supervised Visual Pre-Training",
    "Masked Autoencoders in 3D Point Cloud Representation Learning",
)


def drawn(*shape: int, seed: int) -> Tensor:
    """Random numbers of a shape, always the same."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def several(n: int, seed: int) -> Tensor:
    """Weights between 0.2 and 3."""
    return 0.2 + 2.8 * torch.rand(n, generator=torch.Generator().manual_seed(seed))


# ps8.1


def tfidf_cases() -> Iterable[tuple[str, Arguments]]:
    """Weights of 1, whole and broken ones; the corpus itself and other texts; capitals, digits, underscores, hyphens, empty texts."""

    def case(corpus: Iterable[str], weights: Tensor, texts: Iterable[str] = ()) -> Arguments:
        corpus = list(corpus)
        return {"corpus": corpus, "weights": weights, "texts": list(texts) or list(corpus)}

    yield (
        "the example",
        case(
            ["Masked images", "Masked video, masked"], torch.tensor([1.0, 3.0]), ["masked VIDEO masked", "unmasked images"]
        ),
    )
    yield "six titles that all weigh 1", case(TITLES, torch.ones(6))
    halves = case(TITLES, torch.tensor([1.0, 1, 0.5, 0.5, 1, 2]))
    yield from ((f"six titles of which two are one work in two versions, {words}", a) for words, a in variants(halves))
    yield (
        "other texts than those of the corpus",
        case(TITLES[:4], several(4, 1), [*TITLES[4:], "Video, video, VIDEO learners!"]),
    )
    odd = ["", "Unheard-of wor.ds", "x y z", "mae-2 MAE_2 mae 2 v2"]
    yield "a text without words, one of strangers, one of single letters", case(TITLES, several(6, 2), odd)
    signs = ["Pre_training über alles", "pre_training ist alles, pre training"]
    yield "underscores and letters of another alphabet", case(signs, torch.tensor([1.0, 0.5]))
    doubled = case([*TITLES[:3], TITLES[0]], torch.tensor([1.0, 2.0, 0.5, 0.25]), TITLES[:4])
    yield "a title that stands in the corpus twice", doubled
    yield "one text alone", case(["3D vision is vision in 3D"], torch.tensor([0.25]), ["vision"])
    yield "one term", case(["MAE", "mae, MAE"], torch.tensor([1.0, 2.0]), ["mae?"])
    yield "weights of 9 and of 0.1", case(TITLES[:3], torch.tensor([9.0, 0.1, 1.0]), TITLES[1:])
    yield "the corpus in another order than the texts", case(TITLES[::-1], several(6, 3), TITLES)


def draw_rows(mine: Tensor, expected: Tensor, arguments: Arguments) -> None:
    """The vectors as a picture, a row a text."""
    beside(mine.detach(), expected, "a row for each text, a column for each term")


TFIDF = Task(
    name="ps8.1",
    function="tfidf",
    truth=truth.tfidf,
    cases=tfidf_cases,
    mistakes=mistakes_words.TFIDF,
    draw=draw_rows,
)


# ps8.2


def ward_cases() -> Iterable[tuple[str, Arguments]]:
    """Weights of 1, whole and broken ones; two papers and one; rows on a line, and clouds of rows."""
    line = torch.tensor([[0.0], [2.0], [4.5]])
    yield "the example", {"x": line, "weights": torch.tensor([6.0, 1.0, 1.0])}
    yield "the example with weights of 1", {"x": line, "weights": torch.ones(3)}
    yield "nine papers that all weigh 1", {"x": drawn(9, 4, seed=1), "weights": torch.ones(9)}
    uneven = {"x": drawn(8, 3, seed=2), "weights": several(8, 2)}
    yield from ((f"eight papers of different weights, {words}", a) for words, a in variants(uneven))
    clouds = 0.3 * drawn(12, 2, seed=3) + 4 * drawn(3, 2, seed=4).repeat(4, 1)
    yield "three clouds", {"x": clouds, "weights": several(12, 3)}
    yield "whole weights", {"x": drawn(6, 5, seed=5), "weights": torch.tensor([1.0, 3, 2, 1, 4, 1])}
    yield "very uneven weights", {"x": drawn(7, 2, seed=6), "weights": torch.tensor([50.0, 0.02, 1, 9, 0.3, 1, 2])}
    yield "two papers", {"x": drawn(2, 3, seed=7), "weights": torch.tensor([0.5, 2.0])}
    yield "one paper", {"x": drawn(1, 3, seed=8), "weights": torch.tensor([2.0])}
    vectors = truth.tfidf(list(TITLES), torch.ones(6, dtype=torch.float64), list(TITLES))
    yield "titles as TF-IDF vectors", {"x": vectors, "weights": torch.tensor([1.0, 1, 0.5, 0.5, 1, 1], dtype=torch.float64)}


WARD = Task(name="ps8.2", function="ward", truth=truth.ward, cases=ward_cases, mistakes=mistakes_ward.WARD)


# ps8.3


def tree_cases() -> Iterable[tuple[str, Arguments]]:
    """Trees of few and many papers, of other linkages, cut below, above, between and exactly at merges."""
    example = truth.ward(torch.tensor([[0.0], [5.0], [1.0], [6.5], [20.0]]), torch.ones(5))
    yield "the example", {"merges": example, "height": 3.0}
    tree = truth.ward(drawn(9, 3, seed=1), torch.ones(9))
    for words, arguments in variants({"merges": tree, "height": float(tree[5, 2]) + 0.001}):
        yield f"nine papers, {words}", arguments
    yield "a cut exactly at a merge", {"merges": tree, "height": float(tree[4, 2])}
    yield "a cut just below a merge", {"merges": tree, "height": float(tree[4, 2]) - 1e-4}
    yield "a cut below all merges", {"merges": tree, "height": 0.0}
    yield "a cut above all merges", {"merges": tree, "height": 1e6}
    chain = truth.ward(torch.tensor([[1.6**i] for i in range(7)]), torch.ones(7))
    yield "a chain, in which one paper after the other joins", {"merges": chain, "height": 4.0}
    yield "two papers", {"merges": torch.tensor([[0.0, 1.0, 2.5, 2.0]]), "height": 2.0}
    yield "one paper", {"merges": torch.zeros(0, 4), "height": 1.0}
    level = torch.tensor([[1.0, 3, 1, 2], [0, 2, 1, 2], [4, 5, 2, 3], [6, 7, 2, 5]])
    yield "merges at equal heights", {"merges": level, "height": 1.5}
    wide = truth.ward(drawn(24, 2, seed=5), torch.ones(24))
    yield "24 papers", {"merges": wide, "height": float(wide[16, 2]) + 0.01}


def draw_together(mine: tuple, expected: tuple, arguments: Arguments) -> None:
    """Where each two papers come together, dark where low."""
    beside(mine[1].detach(), expected[1], "together: a row and a column for each paper")


TREE = Task(
    name="ps8.3",
    function="read_tree",
    truth=truth.read_tree,
    cases=tree_cases,
    mistakes=mistakes_tree.TREE,
    draw=draw_together,
)


TASKS = [TFIDF, WARD, TREE, *tasks_tables.TASKS]
