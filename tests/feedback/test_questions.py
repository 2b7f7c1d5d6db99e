"""The questions of problem set 0, and the game of lesson 00: an answer may be any sequence, and what is wrong is told in a sentence."""

import json
from collections import deque

import numpy as np
import pytest
import torch
from einops import EinopsError, rearrange
from helpers import TOP

from minimim.feedback.questions import ask, chosen

CELLS = ["".join(c["source"]) for c in json.loads((TOP / "solutions/ps0/ps0.ipynb").read_text(encoding="utf-8"))["cells"]]
QUESTIONS = [cell for cell in CELLS if "ask(mine" in cell]
SEQUENCES = {
    "list": list,
    "tuple": tuple,
    "deque": deque,
    "generator": lambda numbers: (x for x in numbers),
    "map": lambda numbers: map(int, numbers),
    "array": np.array,
    "tensor": torch.tensor,
    "floats": lambda numbers: torch.tensor(numbers).float(),
    "list of tensors": lambda numbers: [torch.tensor(x) for x in numbers],
    "list of numpy numbers": lambda numbers: [np.int64(x) for x in numbers],
}


def answered(number, answer, capsys):
    """What question 1 … 6 of the set says of an answer."""
    names = {"torch": torch, "nn": torch.nn, "ask": ask, "EinopsError": EinopsError, "rearrange": rearrange}
    before, after = QUESTIONS[number - 1].split("mine = None")
    exec(before, names)  # noqa: S102
    names["mine"] = answer
    exec(after.partition("\n")[2], names)  # noqa: S102
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize("kind", SEQUENCES)
def test_every_kind_of_sequence_is_taken(kind, capsys):
    make = SEQUENCES[kind]
    assert answered(1, make([4, 5, 3]), capsys) == "right"
    assert answered(3, make([3, 0, 4, 2, 1]), capsys) == "right"
    assert answered(3, make([1, 4, 3, 0, 2]), capsys).endswith("Asked is at which place each one stands")
    assert answered(3, make([0, 1, 2, 3, 4]), capsys) == "not [0, 1, 2, 3, 4]: unfold the refresher" or kind == "floats"
    assert chosen(make(list(range(3, 19))), 16, 64) == list(range(3, 19))


def test_nested_answers_numbers_and_patterns(capsys):
    for rows in ([[12, 10], [21, 21]], ((12, 10), (21, 21)), torch.tensor([[12, 10], [21, 21]]), np.array([[12, 10], [21, 21]]),
                 [torch.tensor([12, 10]), (21, 21)], zip([12, 21], [10, 21], strict=True)):  # fmt: skip
        assert answered(2, rows, capsys) == "right"
    for thirteen in (10, 10.0, torch.tensor(10), np.int64(10)):
        assert answered(4, thirteen, capsys) == "right"
    assert answered(5, torch.tensor(9.0), capsys) == "right"
    assert answered(6, "b c h w -> b (h w) c", capsys) == "right"
    assert answered(3, range(5), capsys) == "not [0, 1, 2, 3, 4]: unfold the refresher"


@pytest.mark.parametrize(
    ("number", "answer", "sentence"),
    [
        (1, "(4, 5, 3)", "wanted is a list of 3 numbers, and yours is a text in quotes"),
        (1, (4, 5), "wanted is a list of 3 numbers, and yours is a list of 2 numbers"),
        (1, 453, "wanted is a list of 3 numbers, and yours is a number"),
        (2, [12, 10, 21, 21], "wanted is a list of 2 lists of 2 numbers, and yours is a list of 4 numbers"),
        (3, [[3, 0, 4, 2, 1]], "wanted is a list of 5 numbers, and yours is a list with a list of 5 numbers in it"),
        (3, {3, 0, 4, 2, 1}, "wanted is a list of 5 numbers, and yours is a set, which has no order"),
        (3, ["3", 0, 4, 2, 1], "wanted is a list of 5 numbers, and yours is a list of 5 things of different kinds"),
        (3, [], "wanted is a list of 5 numbers, and yours is an empty list"),
        (3, {0: 3}, "wanted is a list of 5 numbers, and yours is of the type dict"),
        (4, [10], "wanted is a number, and yours is a list with a number in it"),
        (5, "9", "wanted is a number, and yours is a text in quotes"),
        (6, ["b c h w"], "wanted is a text in quotes, and yours is a list with a text in quotes in it"),
        (6, 6, "wanted is a text in quotes, and yours is a number"),
        (3, None, "write your answer above, then run this cell again"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_told_what_is_wanted(number, answer, sentence, capsys):
    assert answered(number, answer, capsys) == sentence


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, "write your version above, then run this cell again"),
        (7, "16 different numbers from 0 to 63 are wanted, in a list; yours is a number"),
        ("0 to 15", "16 different numbers from 0 to 63 are wanted, in a list; yours is a text in quotes"),
        (range(15), f"16 different numbers from 0 to 63 are wanted; here are 15: {list(range(15))}"),
        ([*range(16), 15], f"16 different numbers from 0 to 63 are wanted; here are 16: {list(range(16))}"),
        (range(60, 76), "16 different numbers from 0 to 63 are wanted; 64 is none of these"),
        ([0.5, *range(15)], "16 different numbers from 0 to 63 are wanted; 0.5 is none of these"),
        (torch.arange(16).view(4, 4), "16 different numbers from 0 to 63 are wanted; [0, 1, 2, 3] is none of these"),
    ],
)
def test_what_is_missing_of_the_chosen_numbers_is_told(answer, sentence, capsys):
    assert chosen(answer, 16, 64) == []
    assert capsys.readouterr().out.strip() == sentence


def test_a_set_of_patches_is_taken_because_their_order_does_not_matter():
    assert sorted(chosen(set(range(16)), 16, 64)) == list(range(16))
