"""The wrong answers to problem set 5, with a part of what the check says of each."""


import torch
import torch.nn.functional as F
from wrong_ps5 import (
    average_feeding,
    average_late,
    average_with,
    average_with_a_graph,
    balanced_of_the_library,
    balanced_powers,
    balanced_with,
    balanced_with_a_graph,
    balanced_zeroed,
    nobody,
    queue_of_the_library,
    queue_room_first,
    queue_with,
    queue_with_a_graph,
    several_detached,
    several_exponents,
    several_in_place,
    several_negatives_cut,
    several_of_the_library,
    several_supcon,
    several_with,
)

TOTAL, DIMENSIONAL, HEALTHY = "total collapse", "dimensional collapse", "healthy"


def chosen(errors, good):
    return torch.where(good, errors, 0)


def judged(judge):
    """judge(trained, random, loss) → a name."""
    return lambda stored: {k: judge(run["trained"], run["random"], run["loss"]) for k, run in stored.items()}


def asked(std="head_std", rank="head_rank"):
    return judged(lambda now, start, loss: TOTAL if now[std] < start[std] / 4 else DIMENSIONAL if now[rank] < start[rank] / 4 else HEALTHY)


WRONG = {
    "ps5.1": [
        ("compared with itself as well", several_with(rivals=lambda same, eye: ~same | eye)),
        ("push each other away", several_supcon),
        ("the row itself too", several_with(rivals=lambda same, eye: same | True, own=False)),
        ("a positive of itself", several_with(positive=lambda same, eye: same)),
        ("the positive is missing among the candidates", several_with(own=False)),
        ("are added up; their mean", several_with(end=lambda e, g: chosen(e, g).sum(1)[g.any(1)].mean())),
        ("each pair counts the same", several_with(end=lambda e, g: e[g].mean())),
        ("are counted, with loss 0", several_with(end=lambda e, g: (chosen(e, g).sum(1) / g.sum(1).clamp(min=1)).mean())),
        ("the rows are summed", several_with(end=lambda e, g: (chosen(e, g).sum(1) / g.sum(1).clamp(min=1)).sum())),
        ("only the first other view", several_with(positive=lambda same, eye: (same & ~eye) & ((same & ~eye).cumsum(1) == 1))),
        ("not brought to length 1", several_with(rows=lambda z: z)),
        ("multiplied with", several_with(scale=lambda s, t: s * t)),
        ("the temperature is not used", several_with(scale=lambda s, t: s)),
        ("the sign is turned", several_with(end=lambda e, g: -(chosen(e, g).sum(1) / g.sum(1).clamp(min=1))[g.any(1)].mean())),
        ("use logsumexp or cross_entropy", several_exponents),
        ("no gradient comes back", several_detached),
        ("the gradient of z is wrong", several_negatives_cut),
        ("changed its argument z", several_in_place),
        ("expected", several_of_the_library),
        ("several_positives raised", lambda z, image, temperature: F.cross_entropy(z, image)),
    ],
    "ps5.2": [
        ("meets its own key once more", queue_with(before=True, barred=nobody)),
        ("the other keys of the batch count as negatives, and the oldest ones are gone", queue_with(before=True)),
        ("an older key of the same image counts", queue_with(barred=nobody)),
        ("left out for all queries", queue_with(barred=lambda ids, told: torch.isin(told, ids).expand(len(ids), -1))),
        ("only the keys of the query's own image count", queue_with(barred=lambda ids, told: ids[:, None] != told)),
        ("here the negatives come from the queue alone", queue_with(batch=True)),
        ("not brought to length 1", queue_with(unit=lambda x: x)),
        ("they go in with length 1", queue_with(store=lambda keys: keys)),
        ("multiplied with", queue_with(temper=lambda s, t: s * t)),
        ("the temperature is not used", queue_with(temper=lambda s, t: s)),
        ("keeps its oldest entries", queue_with(cut=lambda x, size: x[:size])),
        ("grows without end", queue_with(cut=lambda x, size: x)),
        ("in reverse order", queue_with(cut=lambda x, size: x[-size:].flip(0))),
        ("whether a gradient reaches the keys", queue_with(detach=False)),
        ("it must hold no graph", queue_with_a_graph),
        ("result 1 of 3", queue_of_the_library),
        ("its shape is", queue_room_first),
        ("3 results were asked for", lambda queries, keys, ids, queue, queue_ids, size, temperature: F.cosine_similarity(queries, keys).mean()),
    ],
    "ps5.3": [
        ("there is no correction", average_with(divide=lambda a, w, t, m: a)),
        ("the average begins with the first student; it begins at 0", average_with(start=lambda s: s, divide=lambda a, w, t, m: a)),
        ("and is divided all the same", average_with(start=lambda s: s)),
        ("only the first step is corrected", average_with(divide=lambda a, w, t, m: a / w if t == 1 and w else a)),
        ("raised to the number of steps", average_with(divide=lambda a, w, t, m: a / (1 - m**t) if t and m < 1 else 0 * a)),
        ("what the next step begins with", average_feeding),
        ("the momentum weighs the student", average_with(step=lambda a, s, m: (1 - m) * a + m * s)),
        ("the momentum of the step before", average_late),
        ("was taken in", average_with(skip=False)),
        ("still counts in the correction", average_with(counted=True)),
        ("a teacher is no part of the graph", average_with_a_graph),
        ("its shape is", lambda students, momenta: average_with()(students, momenta)[-1]),
    ],
    "ps5.4": [
        ("padding takes part: leave its rows out", balanced_with(real=torch.ones_like)),
        ("set to 0 only at the end", lambda scores, valid, temperature, rounds: (
            (a := balanced_with(real=torch.ones_like)(scores, valid, temperature, rounds)[0] * valid[:, None]), a.sum(0) / (valid.sum() / a.shape[1]))),
        ("a softmax of its own", balanced_with(dims=(1,), times=lambda n: 1)),
        ("does the rows first", balanced_with(dims=(1, 0))),
        ("only the columns are balanced", balanced_with(dims=(0,))),
        ("one round too many", balanced_with(times=lambda n: n + 1)),
        ("preceded by a softmax of each row", balanced_with(first=lambda x: x.log_softmax(1))),
        ("multiplied with", balanced_with(scale=lambda s, t: s * t)),
        ("the temperature is not used", balanced_with(scale=lambda s, t: s)),
        ("it stays soft", balanced_with(after=lambda x: F.one_hot(x.argmax(1), x.shape[1]) * x.any(1, keepdim=True).double())),
        ("each over V / K was asked for", balanced_with(used=lambda x, v: x.sum(0))),
        ("divided by B / K", balanced_with(used=lambda x, v: x.sum(0) / (len(v) / x.shape[1]))),
        ("which sums to 1", balanced_with(used=lambda x, v: x.sum(0) / v.sum())),
        ("used is 1 everywhere", balanced_with(used=lambda x, v: torch.ones(x.shape[1]))),
        ("NaN · 0 and ∞ · 0 are NaN", balanced_zeroed),
        ("is ∞ in float32", balanced_powers(lambda x: 0)),
        ("only the highest of all scores", balanced_powers(lambda x: x.max())),
        ("targets are no part of the graph", balanced_with_a_graph),
        ("values differ", balanced_of_the_library),
        ("2 results were asked for", lambda scores, valid, temperature, rounds: scores.softmax(1)),
    ],
    "ps5.5": [
        ("the loss decides which runs", judged(lambda now, start, loss: TOTAL if loss[-1] < 0.01 else HEALTHY)),
        ("the loss tells total collapse", judged(lambda now, start, loss: TOTAL if loss[-1] < 0.01 else DIMENSIONAL if now["head_rank"] < start["head_rank"] / 4 else HEALTHY)),
        ("a loss that does not fall", judged(lambda now, start, loss: TOTAL if loss[-1] > 0.85 * loss[0] or loss[-1] < 0.05 else HEALTHY)),
        ("k-NN decides", judged(lambda now, start, loss: HEALTHY if now["knn"] - start["knn"] > 2 * now["knn_error"] else TOTAL)),
        ("the rank is that of the noise", judged(lambda now, start, loss: DIMENSIONAL if now["head_rank"] < start["head_rank"] / 4 else HEALTHY)),
        ("names every collapse total", judged(lambda now, start, loss: TOTAL if now["head_rank"] < start["head_rank"] / 4 else HEALTHY)),
        ("the standard deviation of the head's outputs decides alone", judged(lambda now, start, loss: TOTAL if now["head_std"] < start["head_std"] / 4 else HEALTHY)),
        ("the effective rank is asked first", judged(
            lambda now, start, loss: DIMENSIONAL if now["head_rank"] < start["head_rank"] / 4 else TOTAL if now["head_std"] < start["head_std"] / 4 else HEALTHY)),
        ("the features of the encoder are looked at", asked("std", "rank")),
        ("the standard deviation is that of the encoder's features", asked("std")),
        ("the effective rank is that of the encoder's features", asked(rank="rank")),
        ("the bounds are fixed numbers", judged(lambda now, start, loss: TOTAL if now["head_std"] < 0.1 else DIMENSIONAL if now["head_rank"] < 5 else HEALTHY)),
        ("the two kinds of collapse are exchanged", lambda stored: {
            k: {TOTAL: DIMENSIONAL, DIMENSIONAL: TOTAL}.get(name, name) for k, name in asked()(stored).items()}),
        ("every run is called healthy", lambda stored: dict.fromkeys(stored, HEALTHY)),
        ("is none of the names", lambda stored: dict.fromkeys(stored, "collapse")),
        ("a dict with the keys", lambda stored: list(asked()(stored).values())),
        ("not right yet", lambda stored: asked()(stored) | {"a": TOTAL}),
        ("changed its argument stored", lambda stored: (asked()(stored), next(iter(stored.values()))["trained"].update(head_std=0.0))[0]),
    ],
}  # fmt: skip

HELD = {"ps5.1": [several_of_the_library, several_supcon], "ps5.2": [queue_of_the_library], "ps5.4": [balanced_of_the_library]}
