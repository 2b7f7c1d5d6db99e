"""What is right in problem set 5, number by number: slow, and easy to believe."""

import math

import torch
from torch import Tensor

from minimim.feedback.ps5.runs import DIMENSIONAL, HEALTHY, TOTAL


def unit(row: list[float]) -> list[float]:
    """A row of length 1."""
    length = math.sqrt(sum(x * x for x in row))
    return [x / length for x in row]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def chosen(score: float, rivals: list[float]) -> float:
    """Cross-entropy of choosing one score among itself and its rivals."""
    highest = max([score, *rivals])
    return highest + math.log(sum(math.exp(x - highest) for x in [score, *rivals])) - score


def several_positives(z: Tensor, image: Tensor, temperature: float) -> Tensor:
    """Row by row, positive by positive, against the rows of all other images."""
    rows, images = [unit(row) for row in z.tolist()], image.tolist()
    losses = []
    for i, mine in enumerate(rows):
        scores = [dot(mine, other) / temperature for other in rows]
        negatives = [s for s, name in zip(scores, images, strict=True) if name != images[i]]
        errors = [chosen(scores[j], negatives) for j in range(len(rows)) if j != i and images[j] == images[i]]
        if errors:
            losses.append(sum(errors) / len(errors))
    return torch.tensor(sum(losses) / len(losses), dtype=z.dtype)


def with_queue(queries: Tensor, keys: Tensor, ids: Tensor, queue: Tensor, queue_ids: Tensor, size: int, temperature: float):
    """Query by query against its own key and what other images have left in the queue; then the keys go to the end of it."""
    new = [unit(row) for row in keys.tolist()]
    old, names = queue.tolist(), queue_ids.tolist()
    losses = []
    for query, key, name in zip(queries.tolist(), new, ids.tolist(), strict=True):
        mine = unit(query)
        negatives = [dot(mine, row) / temperature for row, other in zip(old, names, strict=True) if other != name]
        losses.append(chosen(dot(mine, key) / temperature, negatives))
    kept = list(zip(old + new, names + ids.tolist(), strict=True))[-size:]
    rows = torch.tensor([row for row, _ in kept], dtype=queue.dtype)
    return torch.tensor(sum(losses) / len(losses), dtype=queries.dtype), rows, torch.tensor([name for _, name in kept])


def slow_average(students: Tensor, momenta: Tensor) -> Tensor:
    """Step by step: a total of students, and the total of the weights with which they came in."""
    rows, total, weight = [], [0.0] * students.shape[1], 0.0
    for student, momentum in zip(students.tolist(), momenta.tolist(), strict=True):
        if all(math.isfinite(x) for x in student):
            total = [momentum * a + (1 - momentum) * x for a, x in zip(total, student, strict=True)]
            weight = momentum * weight + (1 - momentum)
        rows.append([a / weight if weight else 0.0 for a in total])
    return torch.tensor(rows, dtype=students.dtype)


def balanced(scores: Tensor, valid: Tensor, temperature: float, rounds: int) -> tuple[Tensor, Tensor]:
    """Each round: every column to the same sum, then every row to the sum 1. The sums of logarithms are taken apart from their highest."""
    rows = [[x / temperature for x in row] for row, real in zip(scores.tolist(), valid.tolist(), strict=True) if real]

    def log_sum(numbers: list[float]) -> float:
        highest = max(numbers)
        return highest + math.log(sum(math.exp(x - highest) for x in numbers))

    for _ in range(rounds):
        held = [log_sum(list(column)) for column in zip(*rows, strict=True)]
        rows = [[x - h for x, h in zip(row, held, strict=True)] for row in rows]
        rows = [[x - log_sum(row) for x in row] for row in rows]
    found = iter([[math.exp(x) for x in row] for row in rows])
    assigned = [next(found) if real else [0.0] * scores.shape[1] for real in valid.tolist()]
    fair = len(rows) / scores.shape[1]
    used = [sum(column) / fair for column in zip(*assigned, strict=True)]
    return torch.tensor(assigned, dtype=scores.dtype), torch.tensor(used, dtype=scores.dtype)


def verdicts(stored: dict[str, dict]) -> dict[str, str]:
    """As the settings of the runs have it: a test says so of each that was trained."""
    return {letter: told(run) for letter, run in stored.items()}


def told(run: dict) -> str:
    """What a run is, by what its head gives beside what a random one gives."""
    trained, random = run["trained"], run["random"]
    if trained["head_std"] < 0.3 * random["head_std"]:
        return TOTAL
    return DIMENSIONAL if trained["head_rank"] < 0.3 * random["head_rank"] else HEALTHY
