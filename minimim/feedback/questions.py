"""The questions of problem set 0 and the game of lesson 00: what was typed in place of `None`, whatever kind of sequence it is, and what to say of it."""

from collections.abc import Iterable
from itertools import islice
from numbers import Number
from typing import Any

LONGEST = 1000  # of an answer; a generator may have no end


def values(mine: Any) -> Any:
    """An answer in numbers, texts and lists of these: tensors, arrays, tuples, ranges and generators become lists."""
    if hasattr(mine, "tolist"):  # a tensor, an array, or one number of an array
        mine = mine.tolist()
    if isinstance(mine, Iterable) and not isinstance(mine, str | bytes | dict | set | frozenset):
        return [values(item) for item in islice(mine, LONGEST)]
    return mine


def described(answer: Any) -> str:
    """What kind of thing an answer is: "a list of 5 numbers"."""
    if isinstance(answer, bool):
        return "True or False"
    if isinstance(answer, Number):
        return "a number"
    if isinstance(answer, str):
        return "a text in quotes"
    if isinstance(answer, set | frozenset):
        return "a set, which has no order"
    if not isinstance(answer, list):
        return f"of the type {type(answer).__name__}"
    inside = {described(item) for item in answer}
    if len(inside) != 1:
        return f"a list of {len(answer)} things of different kinds" if answer else "an empty list"
    one = inside.pop()
    if len(answer) == 1:
        return f"a list with {one} in it"
    noun, _, rest = one.removeprefix("a ").partition(" ")
    return f"a list of {len(answer)} {noun}s {rest}".rstrip() if one.startswith("a ") else f"a list of {len(answer)} times {one}"


def ask(mine: Any, right: Any, mistakes: Iterable[tuple[Any, str]] = ()) -> None:
    """Print what is to be said of an answer. mistakes: pairs of a known wrong answer and what it confuses."""
    if mine is None:
        print("write your answer above, then run this cell again")
        return
    mine, right = values(mine), values(right)
    known = [why for wrong, why in mistakes if mine == values(wrong)]
    if mine == right:
        print("right")
    elif not known and described(mine) != described(right):
        print(f"wanted is {described(right)}, and yours is {described(mine)}")
    else:
        print(f"not {mine}: {known[0] if known else 'unfold the refresher'}")


def chosen(mine: Any, count: int, limit: int) -> list[int]:
    """`count` different whole numbers below `limit`, from any collection of them; nothing, and a printed sentence, otherwise."""
    if mine is None:
        print("write your version above, then run this cell again")
        return []
    numbers = list(mine) if isinstance(mine, set | frozenset) else values(mine)
    wanted = f"{count} different numbers from 0 to {limit - 1} are wanted"
    if not isinstance(numbers, list):
        print(f"{wanted}, in a list; yours is {described(numbers)}")
    elif odd := [x for x in numbers if isinstance(x, bool) or not isinstance(x, Number) or x not in range(limit)]:
        print(f"{wanted}; {odd[0]!r} is none of these")
    elif len(set(numbers)) != count or len(numbers) != count:
        print(f"{wanted}; here are {len(set(numbers))}: {sorted(set(numbers))}")
    else:
        return [int(x) for x in numbers]
    return []
