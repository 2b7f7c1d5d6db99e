"""Wrong answers to problem set 8, words and trees, written as people write them, with a part of what the check says of each."""

import math
import re
from collections import Counter

import torch
from scipy.cluster.hierarchy import cophenet, fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.feature_extraction.text import TfidfVectorizer
from wrong_ps8_tables import HELD as HELD_TABLES
from wrong_ps8_tables import WRONG as WRONG_TABLES

from minimim.survey import clustering

# ps8.1, wrong


def tfidf_of_sklearn(corpus, weights, texts):
    return torch.from_numpy(TfidfVectorizer().fit(corpus).transform(texts).toarray()).to(weights.dtype)


def tfidf_of_sklearn_repeated(corpus, weights, texts):
    """Right for whole weights alone."""
    repeated = [text for text, w in zip(corpus, weights.tolist(), strict=True) for _ in range(max(round(w), 1))]
    return torch.from_numpy(TfidfVectorizer().fit(repeated).transform(texts).toarray()).to(weights.dtype)


def tfidf_of_texts(corpus, weights, texts):
    return torch.from_numpy(TfidfVectorizer().fit_transform(texts).toarray()).to(weights.dtype)


def tfidf_of_the_library(corpus, weights, texts):
    return torch.from_numpy(clustering.fitted(clustering.vectorizer(clustering.Setting()), corpus)).to(weights.dtype)


def tfidf_with(cut=lambda text: re.findall(r"\w\w+", text.lower()), factor=lambda total, held: math.log((1 + total) / (1 + held)) + 1, length=torch.norm, once=True):
    """cut(text) → words; factor(total, held); length(row); once: whether a text holds a word once."""

    def answer(corpus, weights, texts):
        held = Counter()
        for text, weight in zip(corpus, weights.tolist(), strict=True):
            for word in set(cut(text)) if once else cut(text):
                held[word] += weight
        terms, total = sorted(held), float(weights.sum())
        rows = []
        for text in texts:
            row = torch.tensor([cut(text).count(term) * factor(total, held[term]) for term in terms], dtype=torch.float64)
            rows.append(row / length(row) if row.any() else row)
        return torch.stack(rows).to(weights.dtype)

    answer.__module__ = __name__
    return answer


def tfidf_always_float(corpus, weights, texts):
    return tfidf_with()(corpus, weights, texts).float()


def tfidf_of_different_texts(corpus, weights, texts):
    """A dict by text: of two equal ones the last weight is left."""
    known = dict(zip(corpus, weights.tolist(), strict=True))
    return tfidf_with()(list(known), torch.tensor(list(known.values()), dtype=weights.dtype), texts)


def tfidf_nan(corpus, weights, texts):
    rows = tfidf_with(length=lambda row: 1)(corpus, weights, texts)
    return rows / rows.norm(dim=1, keepdim=True)


# ps8.2, wrong


def ward_of_scipy(x, weights):
    return torch.from_numpy(linkage(x.double().numpy(), "ward")).to(x.dtype) if len(x) > 1 else x.new_zeros(0, 4)


def ward_of_scipy_scaled(x, weights):
    """Each row times the root of its weight: no weights at all."""
    return ward_of_scipy(x * weights.sqrt().unsqueeze(1), weights)


def ward_by(height, centre=lambda p, q, w, v: (w * p + v * q) / (w + v), number=lambda n, s, a, b: n + s):
    """height(distance, w, v); centre(p, q, w, v); number(n, row, a, b) of a new cluster."""

    def answer(x, weights):
        there, rows = {i: (x[i].double(), float(weights[i])) for i in range(len(x))}, []
        while len(there) > 1:
            at, a, b = min((height(float((p - q).norm()), w, v), a, b) for a, (p, w) in there.items() for b, (q, v) in there.items() if a < b)
            (p, w), (q, v) = there.pop(a), there.pop(b)
            there[number(len(x), len(rows), a, b)] = centre(p, q, w, v), w + v
            rows.append([a, b, at, w + v])
        return torch.tensor(rows, dtype=x.dtype).view(-1, 4)

    answer.__module__ = __name__
    return answer


def right_height(d, w, v):
    return math.sqrt(2 * w * v / (w + v)) * d


def ward_swapped(x, weights):
    return ward_by(right_height)(x, weights)[:, [1, 0, 2, 3]]


def ward_not_of_one(x, weights):
    return torch.stack(list(ward_by(right_height)(x, weights)))


# ps8.3, wrong


def tree_of_scipy(merges, height):
    """The labels of scipy, from 1, in the order of its tree."""
    table = merges.double().numpy().copy()
    return torch.tensor(fcluster(table, height, "distance")), torch.from_numpy(squareform(cophenet(table))).to(merges.dtype)


def tree_of_scipy_less_one(merges, height):
    if not len(merges):
        return torch.zeros(1, dtype=torch.long), merges.new_zeros(1, 1)
    labels, together = tree_of_scipy(merges, height)
    return labels.long() - 1, together


def tree_by(below=lambda at, height: at <= height, first=0):
    def answer(merges, height):
        n = len(merges) + 1
        members, labels = {i: [i] for i in range(n)}, list(range(n))
        together = merges.new_zeros(n, n)
        for s, (a, b, at, _) in enumerate(merges.tolist()):
            members[n + s] = members[int(a)] + members[int(b)]
            for i in members[int(a)]:
                for j in members[int(b)]:
                    together[i, j] = together[j, i] = at
            if below(at, height):
                for i in members[n + s]:
                    labels[i] = min(members[n + s])
        return torch.tensor([sorted(set(labels)).index(x) + first for x in labels]), together

    answer.__module__ = __name__
    return answer


def tree_single_pairs(merges, height):
    """Only the two numbers of a row."""
    labels, together = tree_by()(merges, height)
    n, found = len(labels), torch.zeros_like(together)
    for a, b, at, _ in merges.tolist():
        if max(a, b) < n:
            found[int(a), int(b)] = found[int(b), int(a)] = at
    return labels, found


def tree_by_numbers(merges, height):
    """Numbered by the numbers that the clusters have in merges."""
    n = len(merges) + 1
    members, mine = {i: [i] for i in range(n)}, list(range(n))
    for s, (a, b, at, _) in enumerate(merges.tolist()):
        members[n + s] = members[int(a)] + members[int(b)]
        for i in members[n + s] if at <= height else []:
            mine[i] = n + s
    return torch.tensor([sorted(set(mine)).index(x) for x in mine]), tree_by()(merges, height)[1]


def tree_double(merges, height):
    labels, together = tree_by()(merges, height)
    return labels, together.double()


WRONG = {
    "ps8.1": [
        ("every text of the corpus counts the same", tfidf_of_sklearn),
        ("everything is learnt from texts", tfidf_of_texts),
        ("values differ", tfidf_of_sklearn_repeated),
        ("capital letters make other words", tfidf_with(cut=lambda text: re.findall(r"\w\w+", text))),
        ("words of one letter", tfidf_with(cut=lambda text: re.findall(r"\w+", text.lower()))),
        ("underscores and letters of another alphabet", tfidf_with(cut=lambda text: re.findall(r"[a-z0-9_]{2,}", text.lower()))),
        ("an underscore parts two words", tfidf_with(cut=lambda text: re.findall(r"[a-z0-9]{2,}", text.lower()))),
        ("a title that stands in the corpus twice", tfidf_of_different_texts),
        ("split at blanks", tfidf_with(cut=lambda text: text.lower().split())),
        ("scikit-learn adds three 1s", tfidf_with(factor=lambda total, held: math.log(total / held))),
        ("1 is added to held alone", tfidf_with(factor=lambda total, held: math.log(total / (1 + held)) + 1)),
        ("1 behind the logarithm is missing", tfidf_with(factor=lambda total, held: math.log((1 + total) / (1 + held)))),
        ("to the base 10", tfidf_with(factor=lambda total, held: math.log10((1 + total) / (1 + held)) + 1)),
        ("counts twice in held", tfidf_with(once=False)),
        ("divided by their sum", tfidf_with(length=torch.sum)),
        ("are not divided by their length", tfidf_with(length=lambda row: 1)),
        ("turned torch.float64 numbers into torch.float32", tfidf_always_float),
        ("becomes 0 / 0", tfidf_nan),
    ],
    "ps8.2": [
        ("the weights that are given are to be used", ward_of_scipy),
        ("values differ", ward_of_scipy_scaled),
        ("centroid linkage", ward_by(lambda d, w, v: d)),
        ("factor 2", ward_by(lambda d, w, v: math.sqrt(w * v / (w + v)) * d)),
        ("stands without its root", ward_by(lambda d, w, v: 2 * w * v / (w + v) * d)),
        ("on nine papers that all weigh 1", ward_by(right_height, centre=lambda p, q, w, v: (v * p + w * q) / (w + v))),
        ("half the square", ward_by(lambda d, w, v: w * v / (w + v) * d * d)),
        ("the square of the height", ward_by(lambda d, w, v: 2 * w * v / (w + v) * d * d)),
        ("half way between", ward_by(right_height, centre=lambda p, q, w, v: (p + q) / 2)),
        ("keeps the lower number", ward_by(right_height, number=lambda n, s, a, b: min(a, b))),
        ("it has n, because", ward_by(right_height, number=lambda n, s, a, b: n + s + 1)),
        ("the higher number stands first", ward_swapped),
        ("raised RuntimeError", ward_not_of_one),
    ],
    "ps8.3": [
        ("result 1 of 2", tree_of_scipy),
        ("numbers of scipy's fcluster", tree_of_scipy_less_one),
        ("numbered from 1", tree_by(first=1)),
        ("exactly at the height of the cut", tree_by(below=lambda at, height: at < height)),
        ("the merges above the cut are done", tree_by(below=lambda at, height: at > height)),
        ("on a cut just below a merge", tree_by(below=lambda at, height: at <= height * 1.001)),
        ("in the order of their numbers in merges", tree_by_numbers),
        ("merge as members of clusters", tree_single_pairs),
        ("turned torch.float32 numbers into torch.float64", tree_double),
    ],
} | WRONG_TABLES
HELD = {  # what comes nearest to an answer in the library, in scikit-learn and in scipy
    "ps8.1": [tfidf_of_sklearn, tfidf_of_sklearn_repeated, tfidf_of_the_library],
    "ps8.2": [ward_of_scipy, ward_of_scipy_scaled],
    "ps8.3": [tree_of_scipy, tree_of_scipy_less_one],
} | HELD_TABLES
