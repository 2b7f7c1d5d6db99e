"""Clusters of papers from their texts, as arXiv 2408.06687v3, §4 makes them: TF-IDF vectors, Ward's linkage, a dendrogram.

The survey's texts are titles with abstracts. Abstracts are not ours to ship, so here the text is the title; a reader who has abstracts
gives them in a file. The survey names neither n-grams, stop words nor the number of clusters: `Setting` holds what we chose, and
`minimim.survey.robustness` asks what hangs on it. scikit-learn and scipy are imported only where they are used.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path

import numpy as np

from minimim.errors import UserError, unknown
from minimim.survey.catalogue import Paper, paper, papers

KINDS = {
    "titles": "the title alone",
    "keywords": "the title and this catalogue's own words on masking, target, encoder, decoder, objective and modality",
}
KEYWORDS = ("title", "masking", "target", "encoder", "decoder", "objective", "modality")
WEIGHTINGS = {  # name → the options of scikit-learn's TfidfVectorizer
    "tf-idf": {},
    "sublinear": {"sublinear_tf": True},  # 1 + log of how often a word stands in the text
    "binary": {"binary": True},  # whether it stands there
    "tf": {"use_idf": False},  # how often, and words that all texts share count as much as rare ones
}
STOP_WORDS = {
    "none": None,  # as in the survey, which leaves it to TF-IDF to damp them
    "english": "english",  # scikit-learn's list
    "field": "english",  # and the words that most titles here share
}
FIELD = [
    "autoencoder",
    "autoencoders",
    "image",
    "mae",
    "masked",
    "masking",
    "modeling",
    "pre",
    "pretraining",
    "training",
    "vision",
]
LINKAGES = ("ward", "average", "complete", "single")


@dataclass(frozen=True)
class Setting:
    """How texts become clusters. k = 18 is our count of the themes that the survey names in §4; it gives no number itself."""

    ngrams: tuple[int, int] = (1, 1)  # the shortest and the longest run of words that counts as a term
    weighting: str = "tf-idf"  # of WEIGHTINGS
    stop_words: str = "none"  # of STOP_WORDS
    linkage: str = "ward"  # of LINKAGES, on Euclidean distances between vectors of unit length
    k: int = 18

    def __post_init__(self):
        for name, known in (("weighting", WEIGHTINGS), ("stop_words", STOP_WORDS), ("linkage", LINKAGES)):
            if getattr(self, name) not in known:
                raise unknown(name.replace("_", " "), getattr(self, name), known)
        if not 1 <= self.ngrams[0] <= self.ngrams[1]:
            raise UserError(f"ngrams are the shortest and the longest run of words, such as (1, 2), not {self.ngrams}")


@dataclass(frozen=True)
class Clustering:
    """Papers in clusters: n papers, W terms. What it holds follows the order of `papers`."""

    papers: list[Paper]  # n, in the order of their keys
    setting: Setting
    terms: list[str]  # W
    vectors: np.ndarray  # (n, W), rows of unit length, or zero where a text has no term
    merges: np.ndarray  # (n - 1, 4), scipy's linkage matrix: two clusters, their distance, the papers in both

    @cached_property
    def labels(self) -> np.ndarray:
        """(n,) the cluster of each paper when the tree is cut into the setting's k."""
        return self.cut(self.setting.k)

    def cut(self, k: int) -> np.ndarray:
        """(n,) the cluster of each paper, 0 to k-1, numbered as they stand in the dendrogram from the left. The last k-1 merges are
        undone. Raises UserError unless k is between 1 and n."""
        n = len(self.papers)
        if not 1 <= k <= n:
            raise UserError(f"{n} papers can be cut into 1 to {n} clusters, not {k}")
        labels = needed("scipy.cluster.hierarchy").cut_tree(self.merges, k).ravel()
        number = {label: i for i, label in enumerate(dict.fromkeys(labels[self.leaves]))}
        return np.array([number[label] for label in labels])

    @cached_property
    def leaves(self) -> list[int]:
        """The papers, by their numbers, from left to right in the dendrogram."""
        return needed("scipy.cluster.hierarchy").leaves_list(self.merges).tolist()

    def members(self, k: int | None = None) -> list[list[Paper]]:
        """The papers of each cluster, from left to right in the dendrogram. k: clusters, if not the setting's."""
        labels = self.labels if k is None else self.cut(k)
        return [[self.papers[i] for i in np.flatnonzero(labels == number)] for number in range(labels.max() + 1)]

    def strongest(self, k: int | None = None, terms: int = 5) -> list[list[str]]:
        """The terms that set each cluster apart: by their mean weight inside it minus their mean weight in all papers. (k) lists."""
        labels = self.labels if k is None else self.cut(k)
        everywhere = self.vectors.mean(0)  # (W,)
        answer = []
        for number in range(labels.max() + 1):
            excess = self.vectors[labels == number].mean(0) - everywhere
            answer.append([self.terms[i] for i in np.argsort(-excess, kind="stable")[:terms] if excess[i] > 0])
        return answer


def cluster(
    some: list[Paper] | None = None,
    *,
    texts: str | Path | list[str] = "titles",
    setting: Setting | None = None,
    **changes,
) -> Clustering:
    """Cluster papers by their texts.

    some: those of the survey, if not given. texts: "titles", "keywords", a file of abstracts or other texts (see `texts_of`), or one
    text for each paper. setting and changes: `cluster(k=10, stop_words="english")`. The papers are sorted by key first, so their order
    does not matter. Raises UserError where scikit-learn and scipy are missing, for an unknown setting, and for fewer than two papers.
    """
    some = papers(in_survey=True) if some is None else list(some)
    if len(some) < 2:
        raise UserError(f"clusters need at least two papers, not {len(some)}")
    texts = texts if isinstance(texts, list) else texts_of(some, texts)
    if len(texts) != len(some):
        raise UserError(f"one text for each paper is needed: there are {len(texts)} texts and {len(some)} papers")
    setting = changed(setting or Setting(), changes)
    order = sorted(range(len(some)), key=lambda i: some[i].key)
    some, texts = [some[i] for i in order], [texts[i] for i in order]
    weigh = vectorizer(setting)
    vectors = fitted(weigh, texts)
    merges = needed("scipy.cluster.hierarchy").linkage(vectors, setting.linkage)
    return Clustering(some, setting, list(weigh.get_feature_names_out()), vectors, merges)


def similar(
    key: str, n: int = 5, *, texts: str | Path = "titles", setting: Setting | None = None
) -> list[tuple[Paper, float]]:
    """The n papers of the whole catalogue whose texts are nearest to a paper's, each with the cosine similarity (0 to 1), nearest first.

    Papers that share no term with it are left out. Raises UserError for an unknown paper.
    """
    one, everybody = paper(key), papers()
    vectors = fitted(vectorizer(setting or Setting()), texts_of(everybody, texts))
    nearness = vectors @ vectors[everybody.index(one)]  # (papers,)
    order = [i for i in np.argsort(-nearness, kind="stable") if everybody[i] != one and nearness[i] > 0]
    return [(everybody[i], float(nearness[i])) for i in order[:n]]


def texts_of(some: list[Paper], texts: str | Path = "titles") -> list[str]:
    """The text of each paper: a kind of KINDS, or each title with what a file (see `abstracts`) adds to it. Raises UserError for an
    unknown kind, and for a file that is not as it should be."""
    if texts == "titles":
        return [one.title for one in some]
    if texts == "keywords":
        return [" ".join(getattr(one, name) for name in KEYWORDS) for one in some]
    if isinstance(texts, str) and not Path(texts).exists():
        raise UserError(
            f"texts are {' or '.join(KINDS)}, or a file of texts: there is neither a kind nor a file of the name '{texts}'"
        )
    more = abstracts(texts)
    return [f"{one.title} {more.get(one.key, '')}".strip() for one in some]


def abstracts(file: str | Path) -> dict[str, str]:
    """Texts from a file: a line for each paper, its key (or arXiv id), a tab, and its text. Papers may be missing: for them the title
    has to do. Raises UserError for a file that is not there, a line without a tab, an unknown paper, and a paper told twice."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        raise UserError(
            f"{file} cannot be read: a file is needed with a line for each paper, its key, a tab, and its text"
        ) from None
    answer = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        key, tab, text = line.partition("\t")
        if not tab:
            raise UserError(f"line {number} of {file} has no tab: a paper's key, a tab, and its text are expected")
        key = paper(key.strip()).key
        if key in answer:
            raise UserError(f"line {number} of {file} tells of {key} again: each paper may have one line")
        answer[key] = text.strip()
    return answer


def vectorizer(setting: Setting):
    """scikit-learn's TfidfVectorizer for a setting."""
    text = needed("sklearn.feature_extraction.text")
    stop = sorted(text.ENGLISH_STOP_WORDS.union(FIELD)) if setting.stop_words == "field" else STOP_WORDS[setting.stop_words]
    return text.TfidfVectorizer(ngram_range=setting.ngrams, stop_words=stop, **WEIGHTINGS[setting.weighting])


def fitted(weigh, texts: list[str]) -> np.ndarray:
    """(texts, W) the vectors of texts, by a vectorizer that learns its terms from them. Raises UserError where no term is left."""
    try:
        return weigh.fit_transform(texts).toarray()
    except ValueError:
        raise UserError(
            f"no term is left in {len(texts)} texts: take fewer stop words, shorter n-grams or longer texts"
        ) from None


def changed(setting: Setting, changes: dict) -> Setting:
    """A setting with some of its fields changed. Raises UserError for an unknown field or value."""
    for name in changes:
        if name not in Setting.__dataclass_fields__:
            raise unknown("setting of a clustering", name, Setting.__dataclass_fields__)
    return replace(setting, **changes)


def needed(module: str):
    """A module of scikit-learn or scipy. Raises UserError, with what to install, where it is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise UserError(
            "texts of papers are compared with scikit-learn and scipy, which are not there: pip install minimim[lab]"
        ) from None
