"""How much the clusters of the survey's papers hang on how they were made: the third of the checks that its summary asks for.

Two clusterings of the same papers are compared by the adjusted Rand index, over all pairs of papers: whether a pair is together in one
and in the other. It is 1 for equal clusterings, about 0 for labels dealt out at random, and may fall below 0. Beside each index stands
what chance gives: the 95th percentile of the index after one side's labels are shuffled.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minimim.errors import UserError, unknown
from minimim.survey.catalogue import Paper, papers
from minimim.survey.clustering import LINKAGES, STOP_WORDS, WEIGHTINGS, Setting, changed, cluster, texts_of

AXES: dict[str, tuple] = {  # what is varied, one at a time
    "ngrams": ((1, 1), (1, 2), (1, 3), (2, 2)),
    "weighting": tuple(WEIGHTINGS),
    "stop_words": tuple(STOP_WORDS),
    "linkage": LINKAGES,
    "k": (6, 12, 18, 24, 36),
}
DAMAGE: dict[str, tuple[float, ...]] = {
    "kept": (0.75, 0.5, 0.25),  # the first of the words, as a fraction: a shorter text
    "dropped": (0.1, 0.25, 0.5),  # words lost at random, each with this probability
    "scrambled": (1.0,),  # the words of all texts dealt out anew: what is left without any meaning
}
PLAIN = {  # how a change is named for a reader
    "ngrams": "{0[0]} to {0[1]} words a term",
    "weighting": "weighting: {}",
    "stop_words": "stop words: {}",
    "linkage": "linkage: {}",
    "k": "{} clusters",
    "kept": "first {:.0%} of the words kept",
    "dropped": "{:.0%} of the words dropped",
    "scrambled": "{:.0%} of the words dealt out anew",
}


@dataclass(frozen=True)
class Row:
    """One change of the clustering: the adjusted Rand index to the unchanged clustering, and to the survey's taxonomy."""

    axis: str
    value: object
    to_base: float  # mean over the repeats
    low: float  # 2.5th and 97.5th percentile of them; all three are equal where nothing is drawn
    high: float
    chance_base: float  # the index that 95 in 100 shuffles of the labels stay below
    to_taxonomy: float  # mean over the repeats
    chance_taxonomy: float

    @property
    def name(self) -> str:
        """What was changed, for a reader: "12 clusters", "linkage: single", "10 % of the words dropped"."""
        return PLAIN[self.axis].format(self.value).replace("%", " %")


def settings(
    base: Setting | None = None,
    axes: dict[str, Iterable] = AXES,
    *,
    texts: str | Path = "titles",
    some: list[Paper] | None = None,
    seed: int = 0,
) -> list[Row]:
    """Change one field of a setting at a time, and compare each clustering with the base's and with the taxonomy. One row each.

    axes: {field of Setting: values}. texts: see `texts_of`. some: papers, those of the survey if not given. seed: of the shuffles.
    """
    base, some, words = start(base, some, texts)
    first = cluster(some, texts=words, setting=base)
    generator = np.random.default_rng(seed)
    return [
        row(axis, value, [cluster(some, texts=words, setting=changed(base, {axis: value})).labels], first, generator)
        for axis, values in axes.items()
        for value in values
    ]


def damage(
    base: Setting | None = None,
    kinds: dict[str, Iterable[float]] = DAMAGE,
    *,
    texts: str | Path = "titles",
    some: list[Paper] | None = None,
    repeats: int = 20,
    seed: int = 0,
) -> list[Row]:
    """Shorten all texts, drop words from them, or scramble them, and compare the clusters with those of the whole texts. One row each.

    repeats: draws of each kind that draws. Raises UserError for an unknown kind.
    """
    base, some, words = start(base, some, texts)
    first = cluster(some, texts=words, setting=base)
    generator = np.random.default_rng(seed)
    rows = []
    for kind, amounts in kinds.items():
        for amount in amounts:
            draws = [damaged(words, kind, amount, generator) for _ in range(1 if kind == "kept" else repeats)]
            rows.append(
                row(kind, amount, [cluster(some, texts=one, setting=base).labels for one in draws], first, generator)
            )
    return rows


def resampled(
    base: Setting | None = None,
    fraction: float = 0.8,
    *,
    texts: str | Path = "titles",
    some: list[Paper] | None = None,
    repeats: int = 50,
    seed: int = 0,
    scramble: bool = False,
) -> np.ndarray:
    """(repeats,) the index between the clusters of all papers and those of a random part, over the papers of that part.

    Each part is drawn without repeats and clustered from the beginning, its terms included, into as many clusters. scramble: deal the
    words of all texts out anew first, for the stability that texts without meaning have. Raises UserError for a fraction that leaves
    fewer papers than clusters.
    """
    base, some, words = start(base, some, texts)
    size = round(fraction * len(some))
    if not base.k <= size <= len(some):
        raise UserError(
            f"a fraction of {fraction} leaves {size} of {len(some)} papers: between {base.k} and {len(some)} are needed"
        )
    generator = np.random.default_rng(seed)
    words = damaged(words, "scrambled", 1, generator) if scramble else words
    whole = cluster(some, texts=words, setting=base).labels
    answer = np.empty(repeats)
    for i in range(repeats):
        part = np.sort(generator.choice(len(some), size, replace=False))
        labels = cluster([some[j] for j in part], texts=[words[j] for j in part], setting=base).labels
        answer[i] = rand_index(labels, whole[part])
    return answer


def between(many: list[Setting], *, texts: str | Path = "titles", some: list[Paper] | None = None) -> np.ndarray:
    """(S, S) the index between the clusterings by S settings, each with each."""
    _, some, words = start(None, some, texts)
    labels = [cluster(some, texts=words, setting=one).labels for one in many]
    return np.array([[rand_index(a, b) for b in labels] for a in labels])


def rand_index(one: Sequence, other: Sequence) -> float:
    """The adjusted Rand index of two labellings of the same n things, by any labels (Hubert and Arabie 1985).

    With the pairs that are together in both, in one, and in the other: (both - expected) / ((one + other) / 2 - expected), where
    expected = one · other / all pairs. It is 1 where the labellings agree although nothing can differ, as with one cluster.
    """
    if len(one) != len(other):
        raise UserError(f"two labellings of the same things are compared, not of {len(one)} and {len(other)}")
    a, b = (np.unique(labels, return_inverse=True)[1] for labels in (one, other))
    together = np.zeros((a.max() + 1, b.max() + 1))  # (clusters of one, clusters of the other): how many things are in both
    np.add.at(together, (a, b), 1)
    both, first, second = (pairs(counts) for counts in (together, together.sum(1), together.sum(0)))
    expected = first * second / max(pairs(np.array([len(a)])), 1)
    most = (first + second) / 2
    return 1.0 if most == expected else float((both - expected) / (most - expected))


def pairs(counts: np.ndarray) -> float:
    """How many pairs can be made within groups of these sizes, together."""
    return float((counts * (counts - 1) / 2).sum())


def shuffled(
    one: Sequence, other: Sequence, shuffles: int = 200, generator: np.random.Generator | None = None
) -> np.ndarray:
    """(shuffles,) the index when the first labels are dealt out at random: what chance gives with clusters of these sizes."""
    generator = generator or np.random.default_rng(0)
    return np.array([rand_index(generator.permutation(np.asarray(one)), other) for _ in range(shuffles)])


def damaged(texts: list[str], kind: str, amount: float, generator: np.random.Generator) -> list[str]:
    """Texts of which the first part is kept, of which words are dropped, or whose words are dealt out anew, see DAMAGE. Each text that had
    a word keeps one. Raises UserError for an unknown kind, and for an amount that is not from 0 to 1."""
    if kind not in DAMAGE:
        raise unknown("damage to texts", kind, DAMAGE)
    if not 0 <= amount <= 1:
        raise UserError(f"the amount of damage is a fraction from 0 to 1, not {amount}")
    words = [text.split() for text in texts]
    if kind == "kept":
        return [" ".join(line[: max(round(amount * len(line)), 1)]) for line in words]
    if kind == "scrambled":
        pool = iter(generator.permutation([word for line in words for word in line]))
        return [" ".join(next(pool) for _ in line) for line in words]
    kept = [[word for word, draw in zip(line, generator.random(len(line)), strict=True) if draw >= amount] for line in words]
    return [
        " ".join(some or [line[generator.integers(len(line))]] if line else [])
        for some, line in zip(kept, words, strict=True)
    ]


def start(base: Setting | None, some: list[Paper] | None, texts: str | Path) -> tuple[Setting, list[Paper], list[str]]:
    """The setting, the papers in the order of their keys, as `cluster` has them, and their texts."""
    some = sorted(papers(in_survey=True) if some is None else some, key=lambda one: one.key)
    return base or Setting(), some, texts_of(some, texts)


def row(axis: str, value, labels: list[np.ndarray], first, generator: np.random.Generator) -> Row:
    """A row from the labels of each repeat and the unchanged clustering. Papers that the taxonomy leaves out are left out beside it."""
    known = [i for i, one in enumerate(first.papers) if one.branch]
    branches = [first.papers[i].branch for i in known]
    to_base = [rand_index(one, first.labels) for one in labels]
    low, high = np.percentile(to_base, [2.5, 97.5])
    return Row(
        axis,
        value,
        float(np.mean(to_base)),
        float(low),
        float(high),
        float(np.percentile(shuffled(labels[0], first.labels, generator=generator), 95)),
        float(np.mean([rand_index(one[known], branches) for one in labels])),
        float(np.percentile(shuffled(labels[0][known], branches, generator=generator), 95)),
    )
