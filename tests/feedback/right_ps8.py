"""Right answers to problem set 8, in many hands."""

import math
import re
from collections import Counter

import numpy as np
import torch
from scipy.cluster.hierarchy import cophenet, fcluster
from scipy.spatial.distance import squareform

# ps8.1, right


def tfidf_counters(corpus, weights, texts):
    cut = re.compile(r"\w{2,}").findall
    held = Counter()
    for text, weight in zip(corpus, weights, strict=True):
        for word in set(cut(text.lower())):
            held[word] += weight.item()
    terms, total = sorted(held), weights.sum().item()
    rows = []
    for text in texts:
        counts = Counter(cut(text.lower()))
        row = torch.tensor([counts[t] * (math.log((1 + total) / (1 + held[t])) + 1) for t in terms], dtype=torch.float64)
        rows.append(row / row.norm() if row.any() else row)
    return torch.stack(rows).to(weights)


def tfidf_matrices(corpus, weights, texts):
    """Whether a term stands in a text of the corpus, as a table; its product with the weights."""
    words = [re.findall(r"\w\w+", text.lower()) for text in corpus]
    terms = sorted({word for line in words for word in line})
    inside = torch.tensor([[term in line for term in terms] for line in words]).to(weights.dtype)  # (n, W)
    factor = ((1 + weights.sum()) / (1 + weights @ inside)).log() + 1
    counts = torch.tensor([[re.findall(r"\w\w+", text.lower()).count(term) for term in terms] for text in texts])
    return torch.nn.functional.normalize(counts.to(weights.dtype) * factor, dim=1)


def tfidf_numpy(corpus, weights, texts):
    """The term frequency as a fraction of the text's words: the length takes that out again."""
    numbers = weights.double().numpy()
    known = sorted(set(re.findall(r"\w\w+", "\n".join(corpus).lower())))
    holds = np.array([[bool(re.search(rf"\b{term}\b", text.lower())) for term in known] for text in corpus])
    idf = 1 + np.log1p(numbers.sum()) - np.log1p(numbers @ holds)
    rows = np.zeros((len(texts), len(known)))
    for i, text in enumerate(texts):
        words = re.findall(r"\w\w+", text.lower())
        for word in words:
            if word in known:
                rows[i, known.index(word)] += idf[known.index(word)] / len(words)
    length = np.sqrt((rows**2).sum(1, keepdims=True))
    return torch.from_numpy(np.divide(rows, length, out=rows, where=length > 0)).to(weights.dtype)


# ps8.2, right


def ward_tables(x, weights):
    """All heights of a step as a table."""
    centres, mass, names = x.double(), weights.double(), list(range(len(x)))
    merges = []
    for step in range(len(x) - 1):
        heights = (2 * mass * mass[:, None] / (mass + mass[:, None])).sqrt() * (centres[:, None] - centres).norm(dim=-1)
        heights[torch.tril(torch.ones_like(heights)).bool()] = torch.inf
        i, j = divmod(int(heights.argmin()), len(names))
        total = mass[i] + mass[j]
        merges.append([*sorted((names[i], names[j])), float(heights[i, j]), float(total)])
        rest = [k for k in range(len(names)) if k not in (i, j)]
        centre = (mass[i] * centres[i] + mass[j] * centres[j]) / total
        centres, mass = torch.cat([centres[rest], centre[None]]), torch.cat([mass[rest], total[None]])
        names = [names[k] for k in rest] + [len(x) + step]
    return torch.tensor(merges).view(-1, 4).to(x)


def ward_by_cost(x, weights):
    """By the rise of the cost, from the papers themselves."""
    x, w = x.double(), weights.double()
    groups = {i: [i] for i in range(len(x))}

    def cost(members):
        centre = (w[members, None] * x[members]).sum(0) / w[members].sum()
        return (w[members] * (x[members] - centre).square().sum(1)).sum()

    rows = []
    while len(groups) > 1:
        rises = {(a, b): cost(groups[a] + groups[b]) - cost(groups[a]) - cost(groups[b]) for a in groups for b in groups if a < b}
        a, b = min(rises, key=rises.get)
        members = groups.pop(a) + groups.pop(b)
        groups[len(weights) + len(rows)] = members
        rows.append(torch.stack([torch.tensor(a), torch.tensor(b), (2 * rises[a, b]).sqrt(), w[members].sum()]))
    return torch.stack(rows).to(weights.dtype) if rows else weights.new_zeros(0, 4)


def ward_by_lance_and_williams(x, weights):
    """From squared heights alone: a new cluster's are a sum of the old ones'."""
    n = len(x)
    mass = dict(enumerate(weights.tolist()))
    high = {}
    for i in range(n):
        for j in range(i + 1, n):
            high[i, j] = 2 * mass[i] * mass[j] / (mass[i] + mass[j]) * float((x[i].double() - x[j].double()).square().sum())
    result = torch.zeros(n - 1, 4, dtype=x.dtype)
    for step in range(n - 1):
        (a, b), at = min(high.items(), key=lambda item: item[1])
        new = n + step
        for k, m in mass.items():
            if k not in (a, b):
                ka, kb = high.pop((min(k, a), max(k, a))), high.pop((min(k, b), max(k, b)))
                high[k, new] = ((mass[a] + m) * ka + (mass[b] + m) * kb - m * at) / (mass[a] + mass[b] + m)
        high.pop((a, b))
        mass[new] = mass.pop(a) + mass.pop(b)
        result[step] = torch.tensor([a, b, math.sqrt(at), mass[new]])
    return result


# ps8.3, right


def tree_lists(merges, height):
    n = merges.shape[0] + 1
    below = [[i] for i in range(n)]
    together, lowest = torch.zeros((n, n), dtype=merges.dtype), list(range(n))
    for a, b, at, _ in merges.tolist():
        left, right = below[int(a)], below[int(b)]
        for i in left:
            together[i, right] = at
            together[right, i] = at
        below.append(left + right)
        if at <= height:
            for i in below[-1]:
                lowest[i] = min(below[-1])
    return torch.tensor([sorted(set(lowest)).index(x) for x in lowest]), together


def tree_from_heights(merges, height):
    """The labels from the heights: papers that come together up to the cut."""
    n = len(merges) + 1
    members = {i: {i} for i in range(n)}
    rows = [[0.0] * n for _ in range(n)]
    for s in range(n - 1):
        a, b = members[int(merges[s, 0])], members[int(merges[s, 1])]
        for i in a:
            for j in b:
                rows[i][j] = rows[j][i] = float(merges[s, 2])
        members[n + s] = a | b
    labels = []
    for i in range(n):
        mate = next((j for j in range(i) if rows[i][j] <= height), None)
        labels.append(max(labels, default=-1) + 1 if mate is None else labels[mate])
    return torch.tensor(labels, dtype=torch.int32), torch.tensor(rows, dtype=merges.dtype)


def tree_scipy(merges, height):
    if not len(merges):
        return torch.zeros(1, dtype=torch.long), torch.zeros(1, 1, dtype=merges.dtype)
    table = merges.double().numpy().copy()
    found = fcluster(table, height, "distance").tolist()
    order = list(dict.fromkeys(found))
    return torch.tensor([order.index(x) for x in found]), torch.from_numpy(squareform(cophenet(table))).to(merges.dtype)


# ps8.4, right


def agreement_by_question(one, other):
    rows = []
    for k in range(one.shape[1]):
        here = (one[:, k] != -1) & (other[:, k] != -1)
        a, b = one[here, k].double(), other[here, k].double()
        agreed, p, q = (a == b).double().mean(), a.mean(), b.mean()
        chance = p * q + (1 - p) * (1 - q)
        rows.append(torch.stack([agreed, torch.maximum(q, 1 - q), (agreed - chance) / (1 - chance)]))
    return tuple(torch.stack(rows).T)


def agreement_by_counts(one, other):
    """From the four counts of each question."""
    yy, yn, ny, nn = (((one == a) & (other == b)).sum(0).double() for a, b in ((1, 1), (1, 0), (0, 1), (0, 0)))
    n = yy + yn + ny + nn
    chance = (yy + yn) * (yy + ny) + (nn + yn) * (nn + ny)
    return (yy + nn) / n, torch.maximum(yy + ny, nn + yn) / n, (n * (yy + nn) - chance) / (n * n - chance)


def agreement_lists(one, other):
    def numbers(mine, theirs):
        pairs = [(a, b) for a, b in zip(mine, theirs, strict=True) if min(a, b) >= 0]
        if not pairs:
            return (math.nan,) * 3
        n = len(pairs)
        both, yes, their_yes = sum(a == b for a, b in pairs), sum(a for a, _ in pairs), sum(b for _, b in pairs)
        expected = (yes * their_yes + (n - yes) * (n - their_yes)) / n
        return both / n, max(their_yes, n - their_yes) / n, math.nan if expected == n else (both - expected) / (n - expected)

    rows = [numbers(mine, theirs) for mine, theirs in zip(one.T.tolist(), other.T.tolist(), strict=True)]
    return tuple(torch.tensor(column, dtype=torch.float64) for column in zip(*rows, strict=True))


# ps8.5, right

FIELDS = {"protocol": "protocol", "architecture": "architecture", "image size": "image_size", "epochs": "epochs", "extra data": "extra", "run by others": "run_by"}


def tables_by_counting(tables):
    """A value that stands once among others that stand more often; epochs by the middle one of those that are stated."""
    flaws, leaders = {}, []
    for letter, rows in tables.items():
        out, name = None, "sound"
        for flaw, field in FIELDS.items():
            values = [row[field] for row in rows]
            if flaw == "epochs":
                stated = [v for v in values if v]
                strange = [v is None or sum(max(v, w) > 2 * min(v, w) for w in stated) >= len(values) - 1 for v in values]
            else:
                counts = Counter(values)
                strange = [counts[v] == 1 and len(counts) > 1 for v in values]
            if sum(strange) == 1:
                out, name = strange.index(True), flaw
        flaws[letter] = name
        best = sorted((i for i in range(len(rows)) if i != out), key=lambda i: -rows[i]["accuracy"])
        leaders.append(best[0])
    return flaws, torch.tensor(leaders, dtype=torch.int32)


def tables_by_leaving_out(tables):
    """The row without which the others agree."""

    def fits(a, b):
        same = all(a[f] == b[f] for f in ("protocol", "architecture", "image_size", "extra", "run_by"))
        return same and None not in (a["epochs"], b["epochs"]) and 0.5 <= a["epochs"] / b["epochs"] <= 2

    def sound(rows):
        return all(fits(a, b) for a in rows for b in rows)

    flaws, leaders = {}, []
    for letter, rows in tables.items():
        kept, name = list(range(len(rows))), "sound"
        if not sound(rows):
            out = next(i for i in kept if sound(rows[:i] + rows[i + 1 :]))
            kept.remove(out)
            apart = {flaw: field for flaw, field in FIELDS.items() if flaw != "epochs" and rows[out][field] != rows[kept[0]][field]}
            name = next(iter(apart), "epochs")
        flaws[letter] = name
        leaders.append(kept[int(np.argmax([rows[i]["accuracy"] for i in kept]))])
    return flaws, torch.tensor(leaders)


RIGHT = {
    "ps8.1": [tfidf_counters, tfidf_matrices, tfidf_numpy],
    "ps8.2": [ward_tables, ward_by_cost, ward_by_lance_and_williams],
    "ps8.3": [tree_lists, tree_from_heights, tree_scipy],
    "ps8.4": [agreement_by_question, agreement_by_counts, agreement_lists],
    "ps8.5": [tables_by_counting, tables_by_leaving_out],
}
