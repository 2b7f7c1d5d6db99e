"""Wrong answers to problem set 8, answers of readers and tables of results, with a part of what the check says of each."""

import torch
from sklearn.metrics import cohen_kappa_score

from minimim.survey import Result, held_out
from minimim.survey.results import differences

# ps8.4, wrong


def agreement_of_sklearn(one, other):
    """Kappa with −1 as a third answer."""
    agreed = (one == other).double().mean(0)
    q = (other == 1).double().mean(0)
    kappas = [cohen_kappa_score(a, b) for a, b in zip(one.T.tolist(), other.T.tolist(), strict=True)]
    return agreed, torch.maximum(q, 1 - q), torch.tensor(kappas, dtype=torch.float64)


def agreement_of_the_library(one, other):
    """The survey lab's kappa takes yes and no alone."""
    kappa = held_out.kappa(one.T.numpy() == 1, other.T.numpy() == 1)
    q = (other == 1).double().mean(0)
    return (one == other).double().mean(0), torch.maximum(q, 1 - q), torch.from_numpy(kappa)


def agreement_by(count=lambda a, b: (a >= 0) & (b >= 0), chance=lambda p, q: p * q + (1 - p) * (1 - q), usual=lambda p, q: max(q, 1 - q)):
    def answer(one, other):
        rows = []
        for a, b in zip(one.T, other.T, strict=True):
            here = count(a, b)
            mine, theirs = (a[here] == 1).double(), (b[here] == 1).double()
            agreed, p, q = (mine == theirs).double().mean(), mine.mean(), theirs.mean()
            e = chance(p, q)
            rows.append([agreed, usual(p, q), (agreed - e) / (1 - e)])
        return tuple(torch.tensor(rows, dtype=torch.float64).T)

    answer.__module__ = __name__
    return answer


def agreement_in_single_precision(one, other):
    return tuple(x.float() for x in agreement_by()(one, other))


def agreement_complete_papers(one, other):
    kept = ((one >= 0) & (other >= 0)).all(1)
    return agreement_by()(one[kept], other[kept])


# ps8.5, wrong

FIELDS = {"protocol": "protocol", "architecture": "architecture", "image size": "image_size", "epochs": "epochs", "extra data": "extra", "run by others": "run_by"}


def tables_by(far=lambda a, b: a is None or b is None or max(a, b) > 2 * min(a, b), fields=FIELDS, whole=False, against=None):
    """far(epochs, epochs); fields; whole: whether the odd row may lead; against: the row that all are compared with."""

    def answer(tables):
        flaws, leaders = {}, []
        for letter, rows in tables.items():
            flaws[letter], odd = "sound", None
            for name, field in fields.items():
                differ = far if name == "epochs" else lambda a, b: a != b
                for i, row in enumerate(rows):
                    others = [rows[against]] if against is not None else [r for r in rows if r is not row]
                    if odd is None and row is not others[0] and all(differ(row[field], other[field]) for other in others):
                        flaws[letter], odd = name, i
            accuracies = [row["accuracy"] if whole or i != odd else 0.0 for i, row in enumerate(rows)]
            leaders.append(accuracies.index(max(accuracies)))
        return flaws, torch.tensor(leaders)

    answer.__module__ = __name__
    return answer


def as_result(row):
    """A row as minimim.survey has it."""
    model, _, size = row["architecture"].partition("-")
    size, _, patch = size.partition("/")
    same = {name: row[name] for name in ("run_by", "protocol", "epochs", "image_size", "accuracy", "extra", "target_level", "year")}
    return Result(row["name"], "", model=model, size=size, patch=int(patch) if patch else None, scheme="", source="", verified="yes", unverified=(), **same)


def tables_of_the_library(tables):
    """What keeps two results apart, by the survey lab: it says nothing of who ran them."""
    said = {"model": "architecture", "size": "architecture", "patch": "architecture", "image_size": "image size", "extra": "extra data"}
    flaws, leaders = {}, []
    for letter, rows in tables.items():
        results, found = [as_result(row) for row in rows], []
        for i, one in enumerate(results):
            apart = [differences(one, other) for j, other in enumerate(results) if j != i]
            found += [(i, field) for field in apart[0] if all(field in each for each in apart)]
        odd, field = found[0] if found else (None, "sound")
        flaws[letter] = said.get(field, field)
        leaders.append(max((row["accuracy"], i) for i, row in enumerate(rows) if i != odd)[1])
    return flaws, torch.tensor(leaders)


def tables_by_accuracy(tables):
    """The best row is taken for the odd one."""
    flaws, leaders = {}, []
    for letter, rows in tables.items():
        order = sorted(range(len(rows)), key=lambda i: rows[i]["accuracy"])
        best, other = rows[order[-1]], rows[order[-2]]
        flaws[letter] = next((name for name, field in FIELDS.items() if best[field] != other[field]), "sound")
        leaders.append(order[-1] if flaws[letter] == "sound" else order[-2])
    return flaws, torch.tensor(leaders)


def tables_by_heart(tables):
    """The eight tables as they were, and nothing that reads a row."""
    flaws = dict(zip("abcdefgh", ("epochs", "sound", "image size", "architecture", "extra data", "run by others", "sound", "protocol"), strict=True))
    leaders = dict(zip("abcdefgh", (2, 2, 1, 4, 1, 1, 1, 1), strict=True))
    return {letter: flaws.get(letter, "sound") for letter in tables}, torch.tensor([leaders.get(letter, 0) for letter in tables])


def tables_by_mean(tables):
    """Epochs are compared with the mean of all, to which the odd row belongs."""
    flaws, leaders = tables_by(fields={k: v for k, v in FIELDS.items() if v != "epochs"})(tables)
    for n, (letter, rows) in enumerate(tables.items()):
        mean = sum(row["epochs"] or 0 for row in rows) / len(rows)
        odd = [i for i, row in enumerate(rows) if row["epochs"] is None or max(row["epochs"], mean) > 2 * min(row["epochs"], mean)]
        if odd:
            flaws[letter] = "epochs"
            leaders[n] = max((row["accuracy"], i) for i, row in enumerate(rows) if i != odd[0])[1]
    return flaws, leaders


def tables_as_lists(tables):
    flaws, leaders = tables_by()(tables)
    return flaws, leaders.tolist()


def epochs_alike(a, b):
    return a != b


WRONG = {
    "ps8.4": [
        ("", agreement_of_sklearn),
        ("", agreement_of_the_library),
        ("counted as no", agreement_by(count=lambda a, b: torch.ones_like(a).bool())),
        ("chance is only that both say yes", agreement_by(chance=lambda p, q: p * q)),
        ("one half", agreement_by(chance=lambda p, q: 0.5)),
        ("Scott's pi", agreement_by(chance=lambda p, q: ((p + q) / 2) ** 2 + (1 - (p + q) / 2) ** 2)),
        ("that of one", agreement_by(usual=lambda p, q: max(p, 1 - p))),
        ("always is the fraction of yes", agreement_by(usual=lambda p, q: q)),
        ("turned torch.float64 numbers into torch.float32", agreement_in_single_precision),
        ("a paper with one open question is left out", agreement_complete_papers),
    ],
    "ps8.5": [
        ("", tables_of_the_library),
        ("not right yet", tables_by_accuracy),
        ("not right yet: p, q, r, s", tables_by_heart),
        ("values differ", tables_by_mean),
        ("epochs that differ at all", tables_by(far=epochs_alike)),
        ("not stated passes", tables_by(far=lambda a, b: None not in (a, b) and max(a, b) > 2 * min(a, b))),
        ("exactly two", tables_by(far=lambda a, b: None in (a, b) or max(a, b) >= 2 * min(a, b))),
        ("who ran a method is not looked at", tables_by(fields={k: v for k, v in FIELDS.items() if v != "run_by"})),
        ("the protocol is not looked at", tables_by(fields={k: v for k, v in FIELDS.items() if v != "protocol"})),
        ("extra data are not looked at", tables_by(fields={k: v for k, v in FIELDS.items() if v != "extra"})),
        ("is among those of which one leads", tables_by(whole=True)),
        ("compared with the first", tables_by(against=0)),
        ("a tensor was asked for", tables_as_lists),
    ],
}
HELD = {
    "ps8.4": [agreement_of_sklearn, agreement_of_the_library],
    "ps8.5": [tables_of_the_library],
}
