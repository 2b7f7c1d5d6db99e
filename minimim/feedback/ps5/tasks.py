"""The checks of problem set 5, contrast and collapse: what is tried, and how it is drawn."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.feedback.check import Arguments, Task, variants
from minimim.feedback.pictures import beside
from minimim.feedback.ps5 import (
    mistakes_average,
    mistakes_balance,
    mistakes_positives,
    mistakes_queue,
    mistakes_runs,
    runs,
    truth,
)


def drawn(*shape: int, seed: int) -> Tensor:
    """Random numbers of a shape, always the same."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ps5.1


def several_cases() -> Iterable[tuple[str, Arguments]]:
    """Images with one, two and more views, in any order; low temperatures; nobody to be told from."""

    def case(image: list[int], width: int, temperature: float, seed: int) -> Arguments:
        return {"z": drawn(len(image), width, seed=seed), "image": torch.tensor(image), "temperature": temperature}

    example = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 0.5]])
    yield "the example", {"z": example, "image": torch.tensor([5, 5, 5, 8]), "temperature": 1.0}
    uneven = case([3, 0, 3, 9, 0, 3, 0, 3], 5, 0.5, seed=1)
    yield from ((f"images with 4, 3 and 1 views, {words}", a) for words, a in variants(uneven))
    yield "two views each, all first ones in front", case([0, 1, 2, 3, 0, 1, 2, 3], 4, 0.2, seed=2)
    yield "two views each, side by side", case([7, 7, 2, 2, 5, 5], 4, 0.2, seed=3)
    yield "an image with five views, and three with one", case([1, 1, 4, 1, 2, 1, 3, 1], 3, 0.3, seed=4)
    yield "a temperature of 0.005", case([0, 1, 0, 2, 2, 1, 0], 4, 0.005, seed=5)
    yield "one image alone, which has no negatives", case([6, 6, 6], 3, 0.1, seed=6)


SEVERAL = Task(
    name="ps5.1",
    function="several_positives",
    truth=truth.several_positives,
    cases=several_cases,
    mistakes=mistakes_positives.SEVERAL,
    learns=("z",),
)


# ps5.2


def queue_cases() -> Iterable[tuple[str, Arguments]]:
    """Queues that are empty, filling, full and longer than an epoch; batches that are larger than the queue."""

    def case(ids: list[int], queue_ids: list[int], size: int, seed: int, width=4, temperature=0.2) -> Arguments:
        queries, keys = drawn(2, len(ids), width, seed=seed)
        queue = F.normalize(drawn(len(queue_ids), width, seed=seed + 100), dim=-1)
        keys = keys + queries  # two views of an image are somewhat alike
        given = {"queries": queries, "keys": 3 * keys, "ids": torch.tensor(ids), "queue": queue}
        return given | {"queue_ids": torch.tensor(queue_ids, dtype=torch.long), "size": size, "temperature": temperature}

    example = {"queries": torch.tensor([[2.0, 0.0]]), "keys": torch.tensor([[0.0, 5.0]]), "ids": torch.tensor([4])}
    example |= {
        "queue": torch.tensor([[1.0, 0.0], [0.6, 0.8]]),
        "queue_ids": torch.tensor([4, 9]),
        "size": 2,
        "temperature": 1.0,
    }
    yield "the example", example
    longer = case([3, 0, 5], [0, 7, 3, 8, 1, 5, 2], 8, seed=1)
    yield from ((f"a queue that holds older keys of the batch's own images, {words}", a) for words, a in variants(longer))
    yield "an empty queue", case([2, 1], [], 6, seed=2)
    yield "a queue that is not full yet", case([2, 1, 9], [4, 8], 7, seed=3)
    yield "a batch that is larger than the queue", case([5, 1, 0, 7, 3], [1, 2, 4], 3, seed=4)
    yield "an image that is in the queue twice", case([6, 2], [6, 1, 6, 3, 2], 5, seed=5)
    yield "one query, whose own image is all that the queue holds", case([3], [3, 3], 4, seed=6)
    yield "two queries, of which one has no negatives", case([3, 5], [3, 3], 4, seed=10)
    yield "a low temperature", case([1, 4, 0, 2], [9, 0, 8, 7, 1, 3], 6, seed=7, temperature=0.01)
    yield "a queue with room for one key", case([4, 2], [7], 1, seed=9)
    taught = case([1, 4], [9, 1, 8], 4, seed=8)
    taught["keys"].requires_grad_()
    yield "keys that ask for a gradient", taught


def cut_off(result: tuple, arguments: Arguments) -> dict[str, Tensor]:
    """No gradient leads back to the keys."""
    loss, queue, _ = result
    keys, gradient = arguments["keys"], None
    if keys.requires_grad and loss.requires_grad:
        (gradient,) = torch.autograd.grad(loss, keys, allow_unused=True, retain_graph=True)
    return {
        "whether a gradient reaches the keys, where none should: keys.detach()": torch.tensor(gradient is not None),
        "requires_grad of the new queue: it must hold no graph": torch.tensor(queue.requires_grad),
    }


QUEUE = Task(
    name="ps5.2",
    function="with_queue",
    truth=truth.with_queue,
    cases=queue_cases,
    mistakes=mistakes_queue.QUEUE,
    learns=("queries",),
    left=cut_off,
)


# ps5.3


def average_cases() -> Iterable[tuple[str, Arguments]]:
    """Momenta that stay, climb, are 0 or 1 or very near 1; and students that are not finite."""

    def case(momenta: list[float], width: int, seed: int) -> Arguments:
        return {"students": 2 + drawn(len(momenta), width, seed=seed), "momenta": torch.tensor(momenta)}

    yield "the example", {"students": torch.tensor([[4.0], [8.0]]), "momenta": torch.tensor([0.9, 0.9])}
    climbing = case([0.5, 0.8, 0.9, 0.95, 0.99], 4, seed=1)
    yield from ((f"a momentum that climbs, {words}", a) for words, a in variants(climbing))
    yield "a momentum of 0.996 for 12 steps", case([0.996] * 12, 3, seed=2)
    yield "momenta that rise and fall", case([0.2, 0.9, 0.4, 0.0, 0.7], 2, seed=3)
    yield "momenta of 1 at the beginning and between", case([1.0, 1.0, 0.6, 1.0, 0.9], 3, seed=4)
    yield "momenta of 0.99999", case([0.99999] * 6, 5, seed=5)
    yield "one step alone", case([0.75], 2, seed=6)
    broken = case([0.5, 0.9, 0.8, 0.7, 0.9, 0.6], 3, seed=7)
    broken["students"][2, 1], broken["students"][4] = torch.nan, torch.inf
    yield "two students that are not finite", broken
    first = case([0.5, 0.9, 0.8], 2, seed=8)
    first["students"][0] = torch.nan
    yield "a first student that is not finite", first
    taught = case([0.5, 0.9], 3, seed=9)
    taught["students"].requires_grad_()
    yield "students that ask for a gradient", taught


def without_graph(result: Tensor, arguments: Arguments) -> dict[str, Tensor]:
    """A teacher does not learn by gradient."""
    return {"its requires_grad: a teacher is no part of the graph": torch.tensor(result.requires_grad)}


AVERAGE = Task(
    name="ps5.3",
    function="slow_average",
    truth=truth.slow_average,
    cases=average_cases,
    mistakes=mistakes_average.AVERAGE,
    left=without_graph,
)


# ps5.4


def balanced_cases() -> Iterable[tuple[str, Arguments]]:
    """Padding anywhere, fewer rows than prototypes, one row, low temperatures, rows that are far from all others."""

    def case(valid: list[int], kinds: int, temperature: float, rounds: int, seed: int, bias: float = 0.0) -> Arguments:
        scores = drawn(len(valid), kinds, seed=seed)
        scores[:, 0] += bias  # the first prototype is liked by all
        return {"scores": scores, "valid": torch.tensor(valid).bool(), "temperature": temperature, "rounds": rounds}

    logs = torch.tensor([[8.0, 1.0], [2.0, 1.0], [5.0, 5.0]]).log()
    yield "the example", {"scores": logs, "valid": torch.tensor([True, True, False]), "temperature": 1.0, "rounds": 1}
    uneven = case([1, 0, 1, 1, 1, 0, 1], 3, 0.5, 3, seed=1)
    yield from ((f"7 rows of which 2 are padding, {words}", a) for words, a in variants(uneven))
    yield "no padding, and a prototype that all rows prefer", case([1] * 6, 4, 0.5, 2, seed=2, bias=3.0)
    yield "more prototypes than rows", case([1, 1, 0], 5, 0.8, 4, seed=3)
    yield "30 rounds", case([1, 1, 1, 0, 1, 1, 1, 1], 3, 0.5, 30, seed=4)
    yield "one row that is real", case([0, 1, 0], 4, 0.5, 3, seed=5)
    yield "one row and no padding", case([1], 4, 0.5, 2, seed=11)
    yield "one prototype", case([1, 1, 0], 1, 0.5, 2, seed=6)
    empty = case([1, 0, 1, 1, 0], 3, 0.7, 2, seed=7)
    empty["scores"][1], empty["scores"][4] = torch.nan, torch.inf
    yield "padding that holds NaN and ∞", empty
    low = case([1, 1, 0, 1, 1, 1], 3, 0.02, 3, seed=8)
    low["scores"] = 2 + 0.3 * low["scores"]
    yield "a temperature of 0.02", low
    far = case([1, 1, 1, 1], 3, 0.5, 3, seed=9)
    far["scores"][2] -= 100
    yield "a row that lies far below all others", far
    taught = case([1, 0, 1, 1], 3, 0.5, 2, seed=10)
    taught["scores"].requires_grad_()
    yield "scores that ask for a gradient", taught


def no_graph(result: tuple, arguments: Arguments) -> dict[str, Tensor]:
    """Targets have no gradient."""
    return {"its requires_grad: targets are no part of the graph": torch.tensor(any(x.requires_grad for x in result))}


def draw_balanced(mine: tuple, expected: tuple, arguments: Arguments) -> None:
    """The assignments as pictures, a row a row."""
    beside(mine[0].detach(), expected[0], "assignment: a row for each row of scores, a column for each prototype")


BALANCED = Task(
    name="ps5.4",
    function="balanced",
    truth=truth.balanced,
    cases=balanced_cases,
    mistakes=mistakes_balance.BALANCED,
    close=(1e-3, 1e-4),
    draw=draw_balanced,
    left=no_graph,
)


# ps5.5


def verdict_cases() -> Iterable[tuple[str, Arguments]]:
    """The six stored runs, the same settings from other seeds under other letters, and one at a time."""
    yield "the six stored runs", {"stored": runs.load()}
    for seed in runs.SEEDS[1:]:
        yield f"the same six settings from seed {seed}, under other letters", {"stored": runs.load(seed)}
    yield "runs of which nobody has trained one: their numbers are made up", {"stored": runs.made_up()}
    yield "one run alone", {"stored": {"c": runs.load()["c"]}}


VERDICTS = Task(
    name="ps5.5",
    function="verdicts",
    truth=truth.verdicts,
    cases=verdict_cases,
    mistakes=mistakes_runs.VERDICTS,
)


TASKS = [SEVERAL, QUEUE, AVERAGE, BALANCED, VERDICTS]
