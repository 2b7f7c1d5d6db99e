"""The checks of problem set 2, attention and the ViT: what is tried, and how it is drawn."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from minimim.feedback.check import Arguments, Task, variants
from minimim.feedback.pictures import beside
from minimim.feedback.ps2 import mistakes, mistakes_vit, truth


def numbers(batch: int, heads: int, queries: int, keys: int, width: int, groups: int | None = None, seed: int = 0):
    """q, k and v for one case."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, groups or heads, keys, width)
    q = 2 * torch.randn(batch, heads, queries, width, generator=generator)
    return {"q": q, "k": torch.randn(shape, generator=generator), "v": torch.randn(shape, generator=generator)}


# ps2.1


def attend_cases() -> Iterable[tuple[str, Arguments]]:
    """Valid keys stand anywhere, and what is at the others is large."""

    def case(drawn: Arguments, valid: list) -> Arguments:
        valid = torch.tensor(valid).bool()
        padded = ~valid[:, None, :, None]
        return drawn | {"k": drawn["k"] + 3 * padded, "v": drawn["v"] + 9 * padded, "valid": valid}

    one_hot = numbers(1, 1, 4, 6, 6) | {"v": torch.eye(6)[None, None]}
    yield "one-hot values, so that the output is the weights", one_hot | {"valid": torch.tensor([[1, 1, 0, 1, 0, 1]]).bool()}
    padded = case(numbers(2, 3, 5, 7, 4), [[1, 1, 1, 1, 0, 0, 0], [0, 1, 1, 0, 1, 1, 1]])
    yield from ((f"padded keys, {words}", arguments) for words, arguments in variants(padded))
    yield "keys that are all valid", case(numbers(2, 2, 3, 5, 9), [[1] * 5] * 2)
    yield "as many queries as keys, all valid", case(numbers(3, 2, 4, 4, 4), [[1] * 4] * 3)
    yield "batch 1, one head, one valid key", case(numbers(1, 1, 3, 3, 2), [[0, 0, 1]])
    yield "a sample without any valid key", case(numbers(3, 2, 4, 4, 4), [[1, 1, 0, 1], [0] * 4, [0, 1, 0, 0]])


def draw_weights(mine: Tensor, expected: Tensor, arguments: Arguments) -> None:
    """The weights, where the output shows them."""
    if arguments["v"].shape[-1] == 6:
        beside(mine[0, 0], expected[0, 0], "weights, a row a query")


ATTEND = Task(
    name="ps2.1",
    function="attend",
    truth=truth.attend,
    cases=attend_cases,
    mistakes=mistakes.ATTEND,
    learns=("q", "k", "v"),
    draw=draw_weights,
)


# ps2.2


def shared_cases() -> Iterable[tuple[str, Arguments]]:
    """Between one group for all heads and one group for each."""
    yield from ((f"6 heads, 2 groups, {words}", a) for words, a in variants(numbers(2, 6, 3, 5, 4, groups=2)))
    yield "6 heads, 3 groups, batch 1", numbers(1, 6, 4, 4, 8, groups=3)
    yield "8 heads, 2 groups, one query", numbers(2, 8, 1, 6, 3, groups=2)
    yield "4 heads, 1 group", numbers(3, 4, 2, 7, 5, groups=1)
    yield "4 heads, 4 groups", numbers(2, 4, 5, 3, 4)


SHARED_KEYS = Task(
    name="ps2.2",
    function="shared_keys",
    truth=truth.shared_keys,
    cases=shared_cases,
    mistakes=mistakes.SHARED_KEYS,
    learns=("q", "k", "v"),
)


# ps2.3


def window_cases() -> Iterable[tuple[str, Arguments]]:
    """Grids higher than wide and wider than high; the first case shows the weights themselves."""
    blank = torch.zeros(1, 1, 24, 24)
    weights = {"q": blank, "k": blank.clone(), "v": torch.eye(24)[None, None], "grid": (4, 6), "window": 2}
    yield "a 4×6 grid, window 2, equal scores and one-hot values, so that the output is the weights", weights
    wide = numbers(2, 2, 24, 24, 4) | {"grid": (4, 6), "window": 2}
    yield from ((f"a 4×6 grid, window 2, {words}", arguments) for words, arguments in variants(wide))
    yield "a 6×3 grid, window 3, batch 1", numbers(1, 3, 18, 18, 5) | {"grid": (6, 3), "window": 3}
    yield "a 2×8 grid, window 2, one head", numbers(2, 1, 16, 16, 3) | {"grid": (2, 8), "window": 2}
    yield "a 2×3 grid, window 1", numbers(2, 2, 6, 6, 4) | {"grid": (2, 3), "window": 1}
    yield "a 3×3 grid, window 3", numbers(2, 2, 9, 9, 4) | {"grid": (3, 3), "window": 3}


def draw_windows(mine: Tensor, expected: Tensor, arguments: Arguments) -> None:
    """Where three tokens of the 4×6 grid look."""
    if arguments["v"].shape[-1] != 24:
        return
    maps = [
        F.pad(x[0, 0, [0, 9, 22]].view(3, 4, 6), (0, 1), value=0.1) for x in (mine, expected)
    ]  # (3, 4, 7) each, grey between
    beside(*(rearrange(x, "token row col -> row (token col)")[:, :-1] for x in maps), "weights of tokens 0, 9, 22")


WINDOWED = Task(
    name="ps2.3",
    function="windowed",
    truth=truth.windowed,
    cases=window_cases,
    mistakes=mistakes.WINDOWED,
    learns=("q", "k", "v"),
    draw=draw_windows,
)


# ps2.4


def position_cases() -> Iterable[tuple[str, Arguments]]:
    """Grids of three different sides, of one frame, and of one place."""
    sides = [(24, (3, 4, 5)), (6, (2, 3, 4)), (12, (5, 1, 2)), (48, (1, 4, 3)), (30, (4, 4, 4)), (18, (1, 1, 1))]
    return [(f"dim {dim}, grid {grid}", {"dim": dim, "grid": grid}) for dim, grid in sides]


def positions_truth(dim: int, grid: tuple[int, int, int]) -> Tensor:
    """One row after the other: the column counts fastest."""
    frames, rows, cols = grid
    places = [(frame, row, col) for frame in range(frames) for row in range(rows) for col in range(cols)]
    return torch.tensor([truth.position(dim, *place) for place in places])


POSITIONS_3D = Task(
    name="ps2.4",
    function="positions_3d",
    truth=positions_truth,
    cases=position_cases,
    mistakes=mistakes_vit.POSITIONS_3D,
    draw=lambda mine, expected, arguments: beside(mine.T, expected.T, "a column a token"),
)


# ps2.5


def visible_cases() -> Iterable[tuple[str, Arguments]]:
    """Samples that keep different numbers of tokens, and the ends: all, none."""

    def case(hidden: list, dim: int, registers: int) -> Arguments:
        generator = torch.Generator().manual_seed(0)
        hidden = torch.tensor(hidden).bool()
        batch, count = hidden.shape
        shapes = {"tokens": (batch, count, dim), "positions": (count, dim), "registers": (1, registers, dim)}
        return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()} | {"hidden": hidden}

    ragged = case([[1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 1, 0], [1, 1, 1, 1, 1, 0]], 4, 2)
    yield from ((f"2, 4 and 1 visible of 6, {words}", arguments) for words, arguments in variants(ragged))
    yield "batch 1, one register", case([[1, 0, 0, 1, 0, 1, 1, 0, 1]], 5, 1)
    yield "the same number visible in each sample", case([[0, 1, 1, 0], [1, 0, 0, 1]], 3, 4)
    yield "a sample that hides everything", case([[1, 1, 1, 1, 1], [0, 1, 0, 0, 1]], 6, 1)
    yield "nothing hidden", case([[0, 0, 0]] * 2, 8, 3)
    yield "a batch that hides everything, so that Kmax is 0", case([[1, 1, 1]] * 2, 4, 2)
    zero = case([[0, 1, 0, 1], [1, 0, 1, 1]], 3, 1)
    zero["tokens"][0, 0], zero["tokens"][1, 1] = 0, -zero["positions"][1]
    yield "a visible token that is zero, and one that its position makes zero", zero
    blank = case([[0, 0, 1], [0, 1, 1]], 2, 1)
    yield "tokens, positions and registers that are all zero", {n: x if n == "hidden" else 0 * x for n, x in blank.items()}


ENCODE_VISIBLE = Task(
    name="ps2.5",
    function="encode_visible",
    truth=truth.encode_visible,
    cases=visible_cases,
    mistakes=mistakes_vit.ENCODE_VISIBLE,
    learns=("tokens", "positions", "registers"),
)


TASKS = [ATTEND, SHARED_KEYS, WINDOWED, POSITIONS_3D, ENCODE_VISIBLE]
