"""What is right in problem set 8, number by number: slow, and easy to believe. A test holds it against scikit-learn and scipy."""

import math
import re

import torch
from torch import Tensor

FIELDS = {  # what the name of a flaw is, and the field of a row that it is seen in
    "protocol": "protocol",
    "architecture": "architecture",
    "image size": "image_size",
    "epochs": "epochs",
    "extra data": "extra",
    "run by others": "run_by",
}
SOUND = "sound"


class Flaws(dict):
    """Table → name of its flaw. names: all that there are, so that a check gives none away when it lists them."""

    names = (*FIELDS, SOUND)


def words(text: str) -> list[str]:
    """The words of a text: at least two letters, digits or underscores in a row, in lower case."""
    return re.findall(r"\w\w+", text.lower())


def tfidf(corpus: list[str], weights: Tensor, texts: list[str]) -> Tensor:
    """Term by term: the weight of the texts that hold it; then text by text, how often it stands there."""
    counted = weights.tolist()
    terms = sorted({word for text in corpus for word in words(text)})
    idf = []
    for term in terms:
        held = sum(weight for text, weight in zip(corpus, counted, strict=True) if term in words(text))
        idf.append(math.log((1 + sum(counted)) / (1 + held)) + 1)
    rows = []
    for text in texts:
        row = [words(text).count(term) * factor for term, factor in zip(terms, idf, strict=True)]
        length = math.sqrt(sum(x * x for x in row))
        rows.append([x / length if length else 0.0 for x in row])
    return torch.tensor(rows, dtype=weights.dtype).view(len(texts), len(terms))


def ward(x: Tensor, weights: Tensor) -> Tensor:
    """Step by step: of all pairs of clusters, the one whose merge costs least."""
    clusters = dict(enumerate(zip(x.tolist(), weights.tolist(), strict=True)))  # number → (centre, weight)
    merges = []
    while len(clusters) > 1:
        height, a, b = min((rise(*clusters[a], *clusters[b]), a, b) for a in clusters for b in clusters if a < b)
        (first, w), (second, v) = clusters.pop(a), clusters.pop(b)
        centre = [(w * p + v * q) / (w + v) for p, q in zip(first, second, strict=True)]
        clusters[len(x) + len(merges)] = (centre, w + v)
        merges.append([a, b, height, w + v])
    return torch.tensor(merges, dtype=x.dtype).view(len(x) - 1, 4)


def rise(first: list[float], w: float, second: list[float], v: float) -> float:
    """How high two clusters merge."""
    return math.sqrt(2 * w * v / (w + v) * sum((p - q) ** 2 for p, q in zip(first, second, strict=True)))


def read_tree(merges: Tensor, height: float) -> tuple[Tensor, Tensor]:
    """Row by row, with the papers of each cluster in a list."""
    n = len(merges) + 1
    below = {i: [i] for i in range(n)}
    together, label = [[0.0] * n for _ in range(n)], list(range(n))  # label: the lowest paper of one's cluster
    for step, (a, b, at, _) in enumerate(merges.tolist()):
        for i in below[int(a)]:
            for j in below[int(b)]:
                together[i][j] = together[j][i] = at
        below[n + step] = below[int(a)] + below[int(b)]
        if at <= height:
            for i in below[n + step]:
                label[i] = min(below[n + step])
    numbers = {lowest: number for number, lowest in enumerate(sorted(set(label)))}
    labels = torch.tensor([numbers[lowest] for lowest in label])
    return labels, torch.tensor(together, dtype=merges.dtype).view(n, n)


def agreement(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Question by question, over the papers to which both give an answer."""
    rows = []
    for mine, theirs in zip(one.T.tolist(), other.T.tolist(), strict=True):
        both = [(a, b) for a, b in zip(mine, theirs, strict=True) if a >= 0 and b >= 0]
        if not both:
            rows.append([math.nan] * 3)
            continue
        agreed = sum(a == b for a, b in both) / len(both)
        p, q = (sum(answers) / len(both) for answers in zip(*both, strict=True))
        chance = p * q + (1 - p) * (1 - q)
        constant = len({answer for pair in both for answer in pair}) == 1
        rows.append([agreed, max(q, 1 - q), math.nan if constant else (agreed - chance) / (1 - chance)])
    agreed, always, kappa = torch.tensor(rows, dtype=torch.float64).view(-1, 3).T
    return agreed, always, kappa


def verdicts(tables: dict[str, list[dict]]) -> tuple[dict[str, str], Tensor]:
    """Table by table: the row that differs from every other in one of the six, and who is highest among the rest."""
    flaws, leaders = Flaws(), []
    for letter, rows in tables.items():
        found = [(name, i) for name in FIELDS for i in range(len(rows)) if stranger(rows, i, name)]
        flaws[letter], odd = found[0] if found else (SOUND, None)
        leaders.append(max((row["accuracy"], i) for i, row in enumerate(rows) if i != odd)[1])
    return flaws, torch.tensor(leaders)


def stranger(rows: list[dict], i: int, name: str) -> bool:
    """Whether row i differs from every other row in what a flaw is named after."""
    field = FIELDS[name]
    others = [row[field] for j, row in enumerate(rows) if j != i]
    if name == "epochs":
        return all(far(rows[i][field], other) for other in others)
    return all(rows[i][field] != other for other in others)


def far(a: int | None, b: int | None) -> bool:
    """Whether two numbers of epochs are more than a factor of two apart, or one of them is not stated."""
    return a is None or b is None or max(a, b) > 2 * min(a, b)
