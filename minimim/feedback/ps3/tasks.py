"""The checks of problem set 3, tasks 1 to 3, the decoder's input, the target and the loss: what is tried, and how it is drawn."""

from collections.abc import Iterable

import torch
from einops import rearrange
from torch import Tensor

from minimim.feedback.check import Arguments, Task, variants
from minimim.feedback.pictures import beside
from minimim.feedback.ps3 import truth
from minimim.feedback.ps3.mistakes_loss import IMAGE_LOSS as LOSS_MISTAKES
from minimim.feedback.ps3.mistakes_restore import RESTORE as RESTORE_MISTAKES
from minimim.feedback.ps3.mistakes_target import WINDOW_TARGET as TARGET_MISTAKES
from minimim.feedback.ps3.tasks_step import PLAN, TRAIN


def drawn(seed: int, **shapes) -> Arguments:
    """A random tensor of each shape."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def worst(mine: Tensor, expected: Tensor) -> int:
    """The image that differs most."""
    return int((mine - expected).detach().flatten(1).abs().amax(1).argmax())


# ps3.1


def restore_cases() -> Iterable[tuple[str, Arguments]]:
    """Tokens in any order; what stands at the padding is large or no number at all, and its ids are anything."""

    def case(ids: list, real: list, count: int, dim: int) -> Arguments:
        ids, valid = torch.tensor(ids, dtype=torch.long), torch.tensor(real).bool()
        given = drawn(0, latents=(*ids.shape, dim), mask_token=(1, 1, dim), positions=(count, dim))
        latents = given.pop("latents") + 9 * ~valid.unsqueeze(-1)
        return {"latents": latents, "ids": ids, "valid": valid} | given

    ragged = case([[4, 0, 5, 2], [3, 1, 3, 0], [2, 0, 0, 0]], [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], 6, 4)
    yield from (
        (f"three images that show 4, 2 and 1 of 6 patches, {words}", arguments) for words, arguments in variants(ragged)
    )
    yield "two images that show 3 of 5 patches each", case([[2, 0, 3], [1, 4, 0]], [[1, 1, 1]] * 2, 5, 3)
    yield "padding between the tokens", case([[3, 7, 1, 3], [2, 8, 6, 0]], [[0, 1, 0, 1], [1, 0, 1, 1]], 9, 5)
    yield "padding with the ids −1", case([[3, 1, 0], [2, -1, -1]], [[1, 1, 1], [1, 0, 0]], 4, 2)
    undefined = case([[3, 1, 0], [2, 2, 2]], [[1, 1, 1], [0, 1, 0]], 5, 2)
    undefined["latents"][1, 0], undefined["latents"][1, 2] = torch.nan, torch.inf
    yield "padding that holds NaN and ∞", undefined
    zero = case([[6, 2, 3]], [[1, 1, 1]], 8, 3)
    zero["latents"][0, 1] = 0
    yield "a batch of one image, one of whose tokens is 0 throughout", zero
    yield "an image without any visible token", case([[1, 3], [0, 0]], [[1, 1], [0, 0]], 4, 6)
    yield "images that hide nothing", case([[2, 0, 1], [1, 2, 0]], [[1, 1, 1]] * 2, 3, 4)


def draw_tokens(mine: Tensor, expected: Tensor, arguments: Arguments) -> None:
    """The tokens of one image."""
    image = worst(mine, expected)
    beside(mine[image].T, expected[image].T, f"image {image}, a column a place")


RESTORE = Task(
    name="ps3.1",
    function="restore",
    truth=truth.restore,
    cases=restore_cases,
    mistakes=RESTORE_MISTAKES,
    learns=("latents", "mask_token", "positions"),
    draw=draw_tokens,
)


# ps3.2


def window_cases() -> Iterable[tuple[str, Arguments]]:
    """Bright and dark windows, some with nothing visible, one flat."""

    def case(seed: int, batch: int, grid: tuple[int, int], window: int, width: int, show: float) -> Arguments:
        count = grid[0] * grid[1]
        given = drawn(seed, patches=(batch, count, width), bright=(batch, count, 1), noise=(batch, count))
        hidden = given["noise"].argsort(1) >= max(1, round(show * count))
        return {"patches": given["patches"] + 2 * given["bright"], "hidden": hidden, "grid": grid, "window": window}

    wide = case(1, 2, (4, 6), 2, 4, 0.5)
    yield from ((f"a 4×6 grid, window 2, {words}", arguments) for words, arguments in variants(wide))
    yield "one image, a 6×3 grid, window 3", case(2, 1, (6, 3), 3, 3, 0.4)
    yield "three images, a 2×8 grid, window 2", case(3, 3, (2, 8), 2, 2, 0.8)
    yield "a 3×3 grid, window 3", case(4, 2, (3, 3), 3, 12, 0.3)
    yield "a 2×3 grid, window 1, nothing hidden", case(5, 2, (2, 3), 1, 5, 1)
    flat = case(6, 2, (4, 4), 2, 3, 0.6)
    flat["patches"][0, [0, 1, 4, 5]], flat["hidden"][0, [0, 1, 4, 5]] = 0.5, torch.tensor([False, True, False, True])
    yield "a window whose visible patches hold the same number everywhere", flat
    faint = case(8, 2, (2, 4), 2, 4, 0.6)
    faint["patches"][0] *= 1e-3
    yield "an image whose numbers are about a thousandth", faint
    bare = case(7, 2, (6, 6), 3, 2, 0.7)
    bare["hidden"][1, [3, 4, 5, 9, 10, 11, 15, 16, 17]] = True
    yield "a window without a visible patch", bare


def draw_target(mine: tuple, expected: tuple, arguments: Arguments) -> None:
    """The target as a picture, where a patch is a square of 2×2 pixels."""
    if arguments["patches"].shape[2] == 4:
        image, rows = worst(mine[0], expected[0]), arguments["grid"][0]
        pictures = (rearrange(x[0][image], "(r s) (p q) -> (r p) (s q)", r=rows, p=2) for x in (mine, expected))
        beside(*pictures, f"target of image {image}")


WINDOW_TARGET = Task(
    name="ps3.2",
    function="window_target",
    truth=truth.window_target,
    cases=window_cases,
    mistakes=TARGET_MISTAKES,
    draw=draw_target,
)


# ps3.3


def loss_cases() -> Iterable[tuple[str, Arguments]]:
    """Images that hide different numbers of patches, or none that weighs; and what is no number where it is visible."""

    def case(hidden: list, width: int) -> Arguments:
        hidden = torch.tensor(hidden).bool()
        given = drawn(0, prediction=(*hidden.shape, width), target=(*hidden.shape, width), weights=hidden.shape)
        weights = 0.1 + given.pop("weights").square()
        return given | {"hidden": hidden, "weights": weights}

    ragged = case([[1, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 1, 0]], 3)
    yield from (
        (f"three images that hide 4, 1 and 2 of 5 patches, {words}", arguments) for words, arguments in variants(ragged)
    )
    yield "a batch of one image", case([[1, 0, 1, 0, 1, 1]], 4)
    yield "patches of one number, T = 1", case([[1, 0, 1, 1], [0, 1, 1, 0]], 1)
    yield "an image that hides nothing", case([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1]], 2)
    weightless = case([[1, 1, 0], [0, 1, 1]], 3)
    weightless["weights"][0, :2] = 0
    yield "an image whose hidden patches all weigh 0", weightless
    light = case([[1, 0, 1, 1], [0, 1, 0, 0]], 2)
    light["weights"] *= 0.05
    light["weights"][1, 1] = 0.02
    yield "weights of a few hundredths", light
    yield "a batch that hides nothing", case([[0, 0, 0]] * 2, 3)
    idle = case([[1, 0, 1], [0, 1, 0]], 3)
    yield "a batch whose hidden patches all weigh 0", idle | {"weights": 0 * idle["weights"]}
    for name in ("target", "prediction", "weights"):
        for sign, number in {"∞": torch.inf, "NaN": torch.nan}.items():
            spoilt = case([[1, 0, 1, 1], [0, 1, 0, 1]], 3)
            spoilt[name][~spoilt["hidden"]] = number
            yield f"{name} with {sign} at visible patches", spoilt


IMAGE_LOSS = Task(
    name="ps3.3",
    function="image_loss",
    truth=truth.image_loss,
    cases=loss_cases,
    mistakes=LOSS_MISTAKES,
    learns=("prediction",),
)


TASKS = [RESTORE, WINDOW_TARGET, IMAGE_LOSS, PLAN, TRAIN]
