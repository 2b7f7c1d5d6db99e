"""The mistakes that people make in ps8.1, TF-IDF: what a check says of each, and a function that makes it."""

import math
import re
from collections.abc import Callable

import torch

from minimim.feedback.check import only
from minimim.feedback.ps8.truth import words


def lengths(rows: torch.Tensor) -> torch.Tensor:
    return rows.norm(dim=1, keepdim=True).clamp(min=1e-300)


def smooth(total: float, held: float) -> float:
    return math.log((1 + total) / (1 + held)) + 1


def weighing(
    *, cut=words, terms=None, learnt=lambda corpus, texts: corpus, use=lambda weights: weights, total=sum, held=None, idf=smooth,
    count=lambda found, term: found.count(term), size=lengths, end=None
) -> Callable:  # fmt: skip
    """A mistake: cut(text) → other words; terms(corpus, texts) → another list; learnt(corpus, texts) → the texts whose words are counted;
    use(weights) → others; total(weights); held(weights, texts, term, cut) → what holds a term; idf(total, held); count(words, term);
    size(rows) → what rows are divided by; end(rows, corpus, texts, weights, cut) → other rows."""

    def mistaken(corpus, weights, texts):
        known = terms(corpus, texts, cut) if terms else sorted({word for text in corpus for word in cut(text)})
        seen = [cut(text) for text in learnt(corpus, texts)]
        mine = use(weights.tolist()) if learnt(corpus, texts) is corpus else [1.0] * len(seen)
        parts = held or (lambda mine, seen, term: sum(w for w, found in zip(mine, seen, strict=True) if term in found))
        factors = torch.tensor([idf(total(mine), parts(mine, seen, term)) for term in known], dtype=torch.float64)
        counts = [[count(cut(text), term) for term in known] for text in texts]
        rows = torch.tensor(counts, dtype=torch.float64).view(len(texts), len(known)) * factors
        only(
            not bool((0 < rows.abs().sum(1)).logical_and(rows.norm(dim=1) < 1e-6).any())
        )  # dividing would bring up rounding alone
        if end:
            return end(rows, corpus, texts, weights, cut).to(weights.dtype)
        return (rows / size(rows)).to(weights.dtype)

    return lambda corpus, weights, texts: mistaken(corpus, weights, texts)


def as_they_come(corpus, texts, cut) -> list[str]:
    return list(dict.fromkeys(word for text in corpus for word in cut(text)))


def strangers_too(rows, corpus, texts, weights, cut):
    """The words that the corpus does not have count for the length."""
    known = {word for text in corpus for word in cut(text)}
    most = smooth(float(weights.sum()), 0)
    extra = torch.tensor([sum((cut(text).count(w) * most) ** 2 for w in set(cut(text)) - known) for text in texts])
    return rows / (rows.square().sum(1) + extra.double()).sqrt().clamp(min=1e-300).unsqueeze(1)


def times_weights(rows, corpus, texts, weights, cut):
    only(len(texts) == len(weights))
    rows = rows / lengths(rows)
    return rows * weights.double().unsqueeze(1)


def by_columns(rows, corpus, texts, weights, cut):
    return rows / rows.norm(dim=0, keepdim=True).clamp(min=1e-300)


TFIDF = {
    "capital letters make other words: take text.lower() first": weighing(cut=lambda text: re.findall(r"\w\w+", text)),
    "words of one letter are counted; a word here has at least two": weighing(
        cut=lambda text: re.findall(r"\w+", text.lower())
    ),
    "the text is split at blanks alone, so that a colon or a hyphen stays in a word: use re.findall": weighing(
        cut=lambda text: text.lower().split()
    ),
    "an underscore parts two words, or letters beyond a to z are left out; the words are those that re.findall gives": weighing(
        cut=lambda text: re.findall(r"[a-z0-9]{2,}", text.lower())
    ),
    "every text of the corpus counts the same; it counts by its weight": weighing(use=lambda w: [1.0] * len(w)),
    "the texts that hold a term count by their weight, but all texts together count as their number: that is the sum of the weights too": weighing(
        total=len
    ),
    "all texts together count by their weights, but those that hold a term by their number: that is the sum of their weights too": weighing(
        held=lambda mine, seen, term: sum(term in found for found in seen)
    ),
    "the weights are brought to a mean of 1 first; they are used as they are, because 1 is added to their sums": weighing(
        use=lambda w: [x * len(w) / sum(w) for x in w]
    ),
    "a text that holds a term twice counts twice in held; it counts once, by its weight": weighing(
        held=lambda mine, seen, term: sum(w * found.count(term) for w, found in zip(mine, seen, strict=True))
    ),
    "the 1 behind the logarithm is missing, so that words of all texts get the factor 0": weighing(
        idf=lambda total, held: math.log((1 + total) / (1 + held))
    ),
    "the two 1s inside the logarithm are missing": weighing(
        idf=lambda total, held: math.log(total / held) + 1 if held else 0.0
    ),
    "log(total / held), as in many books; scikit-learn adds three 1s": weighing(
        idf=lambda total, held: math.log(total / held) if held else 0.0
    ),
    "1 is added to held alone; it is added to total too": weighing(idf=lambda total, held: math.log(total / (1 + held)) + 1),
    "the logarithm is to the base 2; the natural one is asked for": weighing(
        idf=lambda total, held: math.log2((1 + total) / (1 + held)) + 1
    ),
    "the logarithm is to the base 10; the natural one is asked for": weighing(
        idf=lambda total, held: math.log10((1 + total) / (1 + held)) + 1
    ),
    "the fraction is upside down: rare words get the smaller factor": weighing(
        idf=lambda total, held: math.log((1 + held) / (1 + total)) + 1
    ),
    "no factor is used, so that the rows are counts alone": weighing(idf=lambda total, held: 1.0),
    "the factor is used twice": weighing(idf=lambda total, held: smooth(total, held) ** 2),
    "a word counts once however often it stands in a text": weighing(count=lambda found, term: float(term in found)),
    "the logarithm of the count is taken, scikit-learn's sublinear_tf; the count itself is asked for": weighing(
        count=lambda found, term: 1 + math.log(found.count(term)) if term in found else 0.0
    ),
    "the rows are not divided by their length": weighing(size=lambda rows: 1.0),
    "the rows are divided by their sum; their length, the root of the sum of squares, is asked for": weighing(
        size=lambda rows: rows.sum(1, keepdim=True).clamp(min=1e-300)
    ),
    "the columns are divided by their length, and not the rows": weighing(end=by_columns),
    "a text without any term becomes 0 / 0, NaN: leave its row at 0": weighing(
        size=lambda rows: rows.norm(dim=1, keepdim=True)
    ),
    "what holds a term is counted in texts; it is counted in the corpus, which alone is known when a new text comes": weighing(
        learnt=lambda corpus, texts: texts
    ),
    "everything is learnt from texts; terms and factors are those of the corpus": weighing(
        terms=lambda corpus, texts, cut: sorted({word for text in texts for word in cut(text)}),
        learnt=lambda corpus, texts: texts,
    ),
    "the terms are the words of texts; they are those of the corpus": weighing(
        terms=lambda corpus, texts, cut: sorted({word for text in texts for word in cut(text)})
    ),
    "the terms are the words of the corpus and of texts; a word that the corpus does not have is left out": weighing(
        terms=lambda corpus, texts, cut: sorted({word for text in [*corpus, *texts] for word in cut(text)})
    ),
    "the columns stand in the order in which the words come; they are sorted": weighing(terms=as_they_come),
    "words that the corpus does not have count for the length of a row; they are left out before it is taken": weighing(
        end=strangers_too
    ),
    "the rows are multiplied by the weights; these only say how much a text of the corpus counts in total and held": weighing(
        end=times_weights
    ),
}
