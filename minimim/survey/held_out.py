"""The survey's taxonomy held out: whether a paper's place can be told from its title. The first of the checks that its summary asks for.

A labelling answers six yes/no questions (`minimim.survey.definitions`) for some papers: the survey's own, that of a model which has read
titles (nearest neighbours or a linear model), a stored one, or the reader's. Two of them are compared by Cohen's kappa, direction by
direction: (agreed - expected) / (1 - expected), with `expected` from how often each says yes. It is 1 for full agreement and 0 for what
chance gives; always giving the more frequent answer has kappa 0, however often it is right.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from minimim.errors import UserError, unknown
from minimim.survey.catalogue import Paper, paper, papers
from minimim.survey.clustering import Setting, fitted, needed, texts_of, vectorizer
from minimim.survey.definitions import DEFINITIONS
from minimim.survey.taxonomy import directions

Labelling = dict[str, dict[str, bool]]  # a paper's key → direction → yes or no
FEWEST = 5  # yes and no, in both labellings: with fewer, a kappa says nothing
NEIGHBOURS = 5
COLUMNS = ("key", "labeller", *DEFINITIONS)  # of labels.csv


@dataclass(frozen=True)
class Agreement:
    """How far two labellings agree in one direction."""

    direction: str
    papers: int  # that both label
    yes: tuple[int, int]  # how many of them the one and the other call yes
    agreed: float  # fraction of the papers
    majority: float  # fraction on which always giving the other's more frequent answer would agree with the other
    kappa: float | None  # None where both give one and the same answer to all papers
    low: float | None  # 2.5th and 97.5th percentile, papers drawn anew with repeats
    high: float | None
    decided: bool  # whether both have at least FEWEST of each answer; if not, the answer is "cannot be decided"


def agreement(one: Labelling | list[Labelling], other: Labelling, *, draws: int = 1000, seed: int = 0) -> list[Agreement]:
    """Compare two labellings over the papers that both have: one Agreement for each direction.

    one: several labellings of the same papers, such as repeats of a cross-validation, count as their mean. draws, seed: of the bootstrap
    behind the interval. Raises UserError where they have no paper in common.
    """
    one = one if isinstance(one, list) else [one]
    keys = [key for key in other if all(key in each for each in one)]
    if not keys:
        raise UserError("the two labellings have no paper in common: they need answers to at least one of the same papers")
    drawn = np.random.default_rng(seed).integers(len(keys), size=(draws, len(keys)))
    answer = []
    for name in DEFINITIONS:
        a = np.array([[each[key][name] for key in keys] for each in one])  # (repeats, papers)
        b = np.array([other[key][name] for key in keys])  # (papers,)
        value = kappa(a, b).mean()  # nan where it has none
        spread = kappa(a[:, drawn], b[drawn]).mean(0)  # (repeats, draws) → (draws,)
        low, high = np.nanpercentile(spread, [2.5, 97.5]) if not np.isnan(value) else (np.nan, np.nan)
        yes = (round(float(a.sum(1).mean())), int(b.sum()))
        decided = all(FEWEST <= count <= len(keys) - FEWEST for count in yes)
        majority = max(float(b.mean()), 1 - float(b.mean()))
        answer.append(
            Agreement(name, len(keys), yes, float((a == b).mean()), majority, *map(number, (value, low, high)), decided)
        )
    return answer


def kappa(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cohen's kappa of two rows of yes and no, (..., papers) → (...); nan where both give one and the same answer throughout."""
    agreed = (one == other).mean(-1)
    p, q = one.mean(-1), other.mean(-1)  # how often each says yes
    expected = p * q + (1 - p) * (1 - q)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected < 1, (agreed - expected) / (1 - expected), np.nan)


def number(value: float) -> float | None:
    """A number, or None for one that is not."""
    return None if np.isnan(value) else float(value)


def differences(one: Labelling, other: Labelling) -> list[tuple[Paper, str, bool, bool]]:
    """Where two labellings differ: (paper, direction, the one's answer, the other's), in the order of the directions."""
    return [
        (paper(key), name, one[key][name], other[key][name])
        for name in DEFINITIONS
        for key in one
        if key in other and one[key][name] != other[key][name]
    ]


def survey_labels() -> Labelling:
    """The survey's own answers, for the papers that have a branch in its taxonomy."""
    return {one.key: directions(one) for one in papers(in_survey=True) if one.branch}


def stored_labels(file: str | Path | None = None) -> dict[str, Labelling]:
    """Labellings by who made them, from titles and definitions alone: {labeller: Labelling}.

    file: a CSV with the columns key, labeller, and the six directions as 0 or 1; assets/survey/labels.csv, if not given. Raises UserError
    for a file that is not there, a missing column, an unknown paper, a paper labelled twice, and an answer that is neither 0 nor 1.
    """
    source = Path(file) if file else files("minimim") / "assets" / "survey" / "labels.csv"
    try:
        rows = list(csv.DictReader(source.read_text(encoding="utf-8").splitlines()))
    except OSError:
        raise UserError(f"there are no labels at {source}: a CSV with the columns {', '.join(COLUMNS)} is needed") from None
    labellings: dict[str, Labelling] = {}
    for number, row in enumerate(rows, 2):
        missing = [name for name in COLUMNS if not row.get(name)]
        if missing:
            raise UserError(f"line {number} of {source} has no {missing[0]}: the columns are {', '.join(COLUMNS)}")
        key, mine = paper(row["key"]).key, labellings.setdefault(row["labeller"], {})
        if key in mine:
            raise UserError(
                f"line {number} of {source}: {row['labeller']} has labelled {key} before; each paper may have one line"
            )
        wrong = [name for name in DEFINITIONS if row[name] not in ("0", "1")]
        if wrong:
            raise UserError(f"line {number} of {source}: {wrong[0]} is {row[wrong[0]]!r}, where 0 or 1 is expected")
        mine[key] = {name: row[name] == "1" for name in DEFINITIONS}
    return labellings


def label(
    some: list[Paper] | None = None, *, by: str = "linear", texts: str | Path = "titles", setting: Setting | None = None
) -> Labelling:
    """Label papers from their texts, by a model that has read the survey's papers and their branches.

    some: the papers outside the survey, if not given. by: "neighbours" or "linear". texts: see `texts_of`; "keywords" were written by
    people who knew the branches, and so only bound what titles can give. Raises UserError for an unknown model, and for papers that the
    model has read.
    """
    some, truth = papers(in_survey=False) if some is None else some, survey_labels()
    known = [paper(key) for key in truth]
    read = [one.key for one in some if one.key in truth]
    if read:
        raise UserError(f"the model has read {read[0]} and its branch: papers of the survey are labelled by cross_validated")
    table = predicted(by, texts_of(known, texts), as_table(truth, known), texts_of(some, texts), setting)
    return as_labelling(table, some)


def cross_validated(
    *,
    by: str = "linear",
    texts: str | Path = "titles",
    folds: int = 10,
    repeats: int = 5,
    seed: int = 0,
    setting: Setting | None = None,
) -> list[Labelling]:
    """Label the survey's own papers, each by a model that has not seen it, nor learnt terms from it: one labelling for each repeat.

    folds: parts into which the papers are dealt at random; as many as papers leaves one out at a time. Raises UserError for an unknown
    model, and for folds that are not between 2 and the number of papers.
    """
    truth = survey_labels()
    known = [paper(key) for key in truth]
    if not 2 <= folds <= len(known):
        raise UserError(f"{len(known)} papers can be dealt into 2 to {len(known)} folds, not {folds}")
    words, table = texts_of(known, texts), as_table(truth, known)
    generator = np.random.default_rng(seed)
    answer = []
    for _ in range(repeats):
        guesses = np.empty_like(table)
        for part in np.array_split(generator.permutation(len(known)), folds):
            rest = np.setdiff1d(np.arange(len(known)), part)
            seen, asked = [words[i] for i in rest], [words[i] for i in part]
            guesses[part] = predicted(by, seen, table[rest], asked, setting)
        answer.append(as_labelling(guesses, known))
    return answer


def as_table(truth: Labelling, known: list[Paper]) -> np.ndarray:
    """(papers, 6) a labelling as a table of yes and no."""
    return np.array([[truth[one.key][name] for name in DEFINITIONS] for one in known])


def as_labelling(table: np.ndarray, some: list[Paper]) -> Labelling:
    """The way back: a table (papers, 6) as a labelling of these papers."""
    return {one.key: dict(zip(DEFINITIONS, row.tolist(), strict=True)) for one, row in zip(some, table, strict=True)}


def predicted(by: str, seen: list[str], table: np.ndarray, asked: list[str], setting: Setting | None = None) -> np.ndarray:
    """(asked, 6) answers for texts, by a model that has read other texts and their answers (seen, 6). TF-IDF learns from these alone."""
    if by not in MODELS:
        raise unknown("model of titles", by, MODELS)
    weigh = vectorizer(setting or Setting())
    vectors = fitted(weigh, seen)
    return MODELS[by](vectors, table, weigh.transform(asked).toarray())


def by_neighbours(vectors: np.ndarray, table: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Yes where most of the NEIGHBOURS nearest papers, by cosine similarity, are yes."""
    nearness = asked @ vectors.T  # (asked, seen)
    nearest = np.argsort(-nearness, axis=1, kind="stable")[:, :NEIGHBOURS]
    return table[nearest].mean(1) > 0.5  # (asked, neighbours, 6) → (asked, 6)


def by_linear(vectors: np.ndarray, table: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Logistic regression for each direction, in which the papers that are yes weigh as much together as those that are no."""
    model = needed("sklearn.linear_model").LogisticRegression
    answer = np.empty((len(asked), table.shape[1]), dtype=bool)
    for i, truth in enumerate(table.T):
        both = 0 < truth.sum() < len(truth)
        answer[:, i] = model(class_weight="balanced").fit(vectors, truth).predict(asked) if both else truth[0]
    return answer


MODELS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "neighbours": by_neighbours,
    "linear": by_linear,
}
