"""The checks of problem set 8, the field as data: what is tried on answers and on tables of results."""

from collections.abc import Iterable

import torch
from torch import Tensor

from minimim.feedback.check import Arguments, Task
from minimim.feedback.ps8 import mistakes_kappa, mistakes_tables, tables, truth

# ps8.4


def agreement_cases() -> Iterable[tuple[str, Arguments]]:
    """Full tables, gaps on one side and on both, questions that cannot be decided, one paper, one question."""

    def answers(n: int, questions: int, yes: float, gaps: float, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        table = (torch.rand(n, questions, generator=generator) < yes).long()
        return table.masked_fill(torch.rand(n, questions, generator=generator) < gaps, -1)

    def case(n: int, questions: int, seed: int, gaps: float = 0.0, same: float = 0.6) -> Arguments:
        one, other = answers(n, questions, 0.35, gaps, seed), answers(n, questions, 0.5, gaps, seed + 100)
        keep = torch.rand(n, questions, generator=torch.Generator().manual_seed(seed + 200)) < same
        return {"one": one, "other": torch.where(keep & (other >= 0) & (one >= 0), one, other)}

    yield "the example", {"one": torch.tensor([[1, 1, 0, 0, -1]]).T, "other": torch.tensor([[1, 0, 0, 0, 1]]).T}
    yield "30 papers and six questions, all answered", case(30, 6, 1)
    full = case(40, 6, 2, gaps=0.2)
    yield "40 papers with gaps on both sides", full
    yield "the same, not contiguous", {name: table.T.contiguous().T for name, table in full.items()}
    yield "gaps on one side", {"one": case(25, 3, 3, gaps=0.4)["one"], "other": case(25, 3, 4)["other"]}
    yield (
        "answers that agree less often than chance",
        case(30, 4, 5, same=0.0) | {"one": 1 - case(30, 4, 5, same=0.5)["other"]},
    )
    always = torch.tensor([[1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]]).T
    yield (
        "questions with one answer to all",
        {
            "one": always,
            "other": torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]]).T,
        },
    )
    yield (
        "a question to which nobody gives both answers",
        {
            "one": torch.tensor([[1, -1], [0, -1], [-1, 1], [1, 1]]),
            "other": torch.tensor([[1, 0], [1, 1], [0, -1], [0, -1]]),
        },
    )
    yield "one paper", {"one": torch.tensor([[1, 0, -1]]), "other": torch.tensor([[1, 1, 0]])}
    yield "one question", case(12, 1, 8, gaps=0.1)
    yield "a rare yes", {"one": (torch.arange(40) == 3).long()[:, None], "other": (torch.arange(40) == 7).long()[:, None]}


AGREEMENT = Task(
    name="ps8.4",
    function="agreement",
    truth=truth.agreement,
    cases=agreement_cases,
    mistakes=mistakes_kappa.AGREEMENT,
    close=(1e-6, 1e-8),
)


# ps8.5


def row(accuracy: float, **more) -> dict:
    """A made-up row: whatever is not said is the same for all."""
    plain = {
        "name": f"method {accuracy}",
        "architecture": "ViT-S/16",
        "protocol": "linear",
        "epochs": 300,
        "image_size": 224,
    }
    return plain | {"extra": "", "run_by": "", "target_level": "low", "year": 2023, "accuracy": accuracy} | more


def made_up() -> dict[str, list[dict]]:
    """What real tables do not show: the odd row first and last, leading and behind, richer and poorer than the rest."""
    taught, again = {"extra": "CLIP as teacher"}, {"run_by": "somebody"}
    return {
        "A": [row(71.0, epochs=1200), row(70.0), row(72.0, year=2020)],
        "B": [row(60.0), row(70.0), row(50.0, epochs=140), row(65.0, target_level="high")],
        "C": [row(60.0, **taught), row(70.0, **taught), row(80.0, **taught)],
        "D": [row(75.0), row(70.0, **taught), row(74.0, **taught)],
        "E": [row(60.0, **again), row(61.0, **again), row(64.0), row(63.0, **again)],
        "F": [row(60.0, architecture="ViT-S/8"), row(58.0), row(59.0)],
        "G": [row(60.0), row(61.0, image_size=448), row(59.0)],
        "H": [row(60.0), row(61.0), row(59.0), row(90.0, protocol="fine-tuned")],
        "I": [row(61.0, epochs=None), row(63.0), row(60.0, epochs=600)],
        "J": [row(61.0, epochs=400), row(62.0, epochs=200), row(60.0, epochs=300, year=2019, target_level="view")],
        "K": [row(60.0, epochs=1600, **taught), row(61.0, epochs=900, **taught), row(59.0, epochs=1600, **taught)],
        "M": [row(61.0, epochs=600), row(60.0), row(62.0, epochs=300)],
        "L": [row(61.0), row(60.0), row(58.0, run_by="somebody")],
    }


def table_cases() -> Iterable[tuple[str, Arguments]]:
    """The tables of the statement, others, made-up ones, and one alone."""
    yield "the eight tables", {"tables": tables.load()}
    yield "four other tables of real numbers", {"tables": tables.load(1)}
    turned = {letter: rows[::-1] for letter, rows in reversed(tables.load().items())}
    yield "the eight tables from the last to the first, their rows too", {"tables": turned}
    yield "tables whose numbers are made up", {"tables": made_up()}
    yield "one table alone", {"tables": {"f": tables.load()["f"]}}


VERDICTS = Task(
    name="ps8.5",
    function="verdicts",
    truth=truth.verdicts,
    cases=table_cases,
    mistakes=mistakes_tables.VERDICTS,
)


TASKS = [AGREEMENT, VERDICTS]
