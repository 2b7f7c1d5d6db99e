"""The checks of problem set 6, tasks 3 to 5, masks: what is tried, and how it is drawn."""

from collections.abc import Iterable

import torch
from torch import Tensor

from minimim.feedback.check import Arguments, Task, variants
from minimim.feedback.pictures import beside
from minimim.feedback.ps6 import truth
from minimim.feedback.ps6.mistakes_blocks import INNER_BLOCKS as BLOCK_MISTAKES
from minimim.feedback.ps6.mistakes_hint import HINT_MASK as HINT_MISTAKES
from minimim.feedback.ps6.mistakes_targets import TARGETS as TARGET_MISTAKES


def uniform(*shape: int, seed: int) -> Tensor:
    """Random numbers between 0 and 1 of a shape, always the same."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


ERRORS = {
    "TypeError: argsort()": "argsort takes `stable` only beside a dimension that is named: argsort(dim=1, stable=True)",
    "tensors used as indices must be": "an index is a tensor of floats; torch.tensor of an empty list is one, unless it gets dtype=torch.long",
}


def worst(mine: Tensor, expected: Tensor) -> int:
    """The image whose mask differs most."""
    return int((mine != expected).flatten(1).sum(1).argmax())


# ps6.3


def block_cases() -> Iterable[tuple[str, Arguments]]:
    """Rectangles that overlap, that fill the inner grid, that are too many and too few; counts from none to all."""

    def case(seed: int, batch: int, rectangles: int, grid: tuple[int, int], count: int, most: int) -> Arguments:
        generator = torch.Generator().manual_seed(seed)
        sides = [torch.randint(1, min(most, side - 2) + 1, (batch, rectangles, 1), generator=generator) for side in grid]
        corners = torch.rand(batch, rectangles, 2, generator=generator)
        return {"sizes": torch.cat(sides, dim=-1), "corners": corners, "grid": grid, "count": count}

    example = {"sizes": torch.tensor([[[2, 2], [1, 3]]]), "corners": torch.tensor([[[0.0, 0.75], [0.4, 0.0]]])}
    yield "the example", example | {"grid": (5, 6), "count": 6}
    many = case(1, 3, 4, (6, 8), 11, 3)
    yield from ((f"three images, four rectangles, a 6×8 grid, {words}", a) for words, a in variants(many))
    yield "rectangles that are too small together", case(2, 2, 2, (7, 5), 9, 2)
    yield (
        "one rectangle that fills all inner patches",
        {"sizes": torch.tensor([[[3, 4]]]), "corners": torch.tensor([[[0.9, 0.5]]]), "grid": (5, 6), "count": 7},
    )
    corner = torch.tensor([[[0.0, 0.0], [0.99, 0.99], [0.99, 0.0], [0.0, 0.99]]])
    yield (
        "single patches in the four inner corners",
        {"sizes": torch.ones(1, 4, 2).long(), "corners": corner, "grid": (6, 5), "count": 4},
    )
    places = torch.linspace(0, 0.999, 12).view(12, 1, 1).expand(12, 1, 2).contiguous()
    yield (
        "twelve images with one 1×2 rectangle at many places",
        {"sizes": torch.tensor([[[1, 2]]] * 12), "corners": places, "grid": (7, 9), "count": 2},
    )
    yield "nothing is to be hidden", case(4, 2, 2, (4, 4), 0, 2)
    yield "all inner patches are to be hidden", case(5, 2, 1, (4, 7), 10, 2)
    yield "a grid of 3×3, whose only inner patch is in the middle", case(6, 1, 1, (3, 3), 1, 1)
    yield (
        "the same rectangle three times",
        {"sizes": torch.tensor([[[2, 3]] * 3]), "corners": torch.full((1, 3, 2), 0.5), "grid": (6, 7), "count": 8},
    )


def draw_mask(mine: Tensor, expected: Tensor, arguments: Arguments) -> None:
    """The mask of one image."""
    image, (rows, cols) = worst(mine, expected), arguments["grid"]
    beside(*(x[image].view(rows, cols).float() for x in (mine, expected)), f"image {image}: white is hidden")


INNER_BLOCKS = Task(
    name="ps6.3",
    function="inner_blocks",
    truth=truth.inner_blocks,
    cases=block_cases,
    mistakes=BLOCK_MISTAKES,
    draw=draw_mask,
    errors=ERRORS,
)


# ps6.4


def hint_cases() -> Iterable[tuple[str, Arguments]]:
    """Maps of all kinds, flat ones among them; objects that are shown whole, hidden whole, empty or everything."""

    def case(seed: int, batch: int, grid: tuple[int, int], patch_size: int, count: int, top: int, hint: int) -> Arguments:
        importance = uniform(batch, grid[0] * patch_size, grid[1] * patch_size, seed=seed)
        noise = uniform(batch, grid[0] * grid[1], seed=seed + 100)
        return {"importance": importance, "patch_size": patch_size, "noise": noise, "count": count, "top": top, "hint": hint}

    row = torch.tensor([[0.5, 0.9, 0.8, 0.1, 0.7, 0.2]]).view(1, 2, 3)
    chance = torch.tensor([[0.2, 0.6, 0.3, 0.9, 0.8, 0.4]])
    yield "the example", {"importance": row, "patch_size": 1, "noise": chance, "count": 4, "top": 3, "hint": 1}
    usual = case(1, 3, (4, 5), 2, 11, 7, 2)
    yield from ((f"three images of 4×5 patches of 2 pixels, {words}", a) for words, a in variants(usual))
    yield "no hint", case(2, 2, (3, 4), 1, 8, 5, 0)
    yield "an object that is shown whole", case(3, 2, (3, 3), 2, 4, 3, 3)
    yield "no object", case(4, 1, (2, 5), 2, 6, 0, 0)
    yield "an object of all patches", case(5, 2, (2, 4), 1, 5, 8, 3)
    yield "nothing is hidden but the object", case(6, 2, (4, 4), 3, 5, 7, 2)
    yield "nothing is hidden", case(7, 2, (3, 3), 1, 0, 2, 2)
    even = case(8, 2, (3, 4), 2, 7, 5, 2)
    yield "a map that is the same everywhere", even | {"importance": torch.full((2, 6, 8), 0.5)}
    flat = case(12, 1, (10, 10), 2, 37, 37, 0)
    yield "a map of 10×10 patches that is the same everywhere", flat | {"importance": torch.full((1, 20, 20), 0.25)}
    steps = case(9, 2, (3, 4), 2, 8, 5, 1)
    steps["importance"] = (6 * uniform(2, 3, 4, seed=10)).floor().div(2).repeat_interleave(2, 1).repeat_interleave(2, 2)
    yield "a map with few different values", steps
    low = case(11, 1, (4, 3), 1, 6, 4, 1)
    low["importance"] = low["importance"] - 5
    yield "a map below 0", low


def draw_hidden(mine: tuple, expected: tuple, arguments: Arguments) -> None:
    """Mask and hint of one image."""
    cols = arguments["importance"].shape[2] // arguments["patch_size"]
    image = max(worst(mine[0], expected[0]), 0)
    pictures = ((x[0].float() + 0.5 * x[1].float())[image].view(-1, cols) for x in (mine, expected))
    beside(*pictures, f"image {image}: white is hidden, grey the hint")


HINT_MASK = Task(
    name="ps6.4",
    function="hint_mask",
    truth=truth.hint_mask,
    cases=hint_cases,
    mistakes=HINT_MISTAKES,
    draw=draw_hidden,
    errors=ERRORS,
)


# ps6.5


def target_cases() -> Iterable[tuple[str, Arguments]]:
    """Candidates that overlap, touch and come twice; images in which too few fit; contexts that miss all targets."""

    def case(
        seed: int, batch: int, candidates: int, grid: tuple[int, int], size: tuple[int, int], targets: int, least: int
    ) -> Arguments:
        generator = torch.Generator().manual_seed(seed)

        def number(low: int, high: int, *shape: int) -> Tensor:
            return torch.randint(low, high + 1, shape, generator=generator)

        corners = torch.stack([number(0, side - s, batch, candidates) for side, s in zip(grid, size, strict=True)], dim=-1)
        high, wide = (number(least, side, batch) for side in grid)
        top, left = (
            (torch.rand(batch, generator=generator) * (side - s + 1)).long()
            for side, s in zip(grid, (high, wide), strict=True)
        )
        noise = torch.rand(batch, grid[0] * grid[1], generator=generator)
        context = torch.stack([top, left, high, wide], dim=1)
        return {"corners": corners, "size": size, "targets": targets, "context": context, "noise": noise, "grid": grid}

    example = {
        "corners": torch.tensor([[[0, 3], [0, 2], [2, 0]]]),
        "size": (1, 2),
        "targets": 2,
        "context": torch.tensor([[0, 1, 3, 4]]),
    }
    yield "the example", example | {"noise": torch.linspace(0.9, 0.05, 15).view(1, 15), "grid": (3, 5)}
    usual = case(1, 3, 12, (6, 8), (2, 3), 3, 4)
    yield from ((f"three images, twelve candidates of 2×3 patches, {words}", a) for words, a in variants(usual))
    yield "two targets of 3×2 patches, a 7×5 grid", case(2, 2, 9, (7, 5), (3, 2), 2, 3)
    yield "more targets than fit", case(3, 3, 8, (5, 5), (2, 3), 4, 4)
    yield "one image, one target, one candidate", case(4, 1, 1, (4, 6), (2, 2), 1, 3)
    touching = {
        "corners": torch.tensor([[[0, 0], [0, 2], [1, 1], [2, 0], [2, 2]]]),
        "size": (2, 2),
        "targets": 4,
        "context": torch.tensor([[0, 0, 5, 5]]),
    }
    yield "blocks that touch", touching | {"noise": uniform(1, 25, seed=5), "grid": (5, 5)}
    passed = {
        "corners": torch.tensor([[[0, 0], [0, 1], [0, 2], [3, 3]]] * 2),
        "size": (2, 2),
        "targets": 2,
        "context": torch.tensor([[0, 0, 5, 5], [1, 0, 4, 5]]),
    }
    yield "a candidate that meets one that was passed over", passed | {"noise": uniform(2, 25, seed=6), "grid": (5, 5)}
    twice = {
        "corners": torch.tensor([[[1, 1], [1, 1], [1, 1]]]),
        "size": (2, 1),
        "targets": 3,
        "context": torch.tensor([[0, 0, 4, 4]]),
    }
    yield "the same candidate three times", twice | {"noise": uniform(1, 16, seed=7), "grid": (4, 4)}
    covered = {
        "corners": torch.tensor([[[0, 0], [0, 2]], [[2, 0], [2, 2]]]),
        "size": (2, 2),
        "targets": 2,
        "context": torch.tensor([[0, 0, 2, 4], [0, 0, 2, 4]]),
    }
    yield "a context that targets cover in one image", covered | {"noise": uniform(2, 16, seed=8), "grid": (4, 4)}
    yield "single patches", case(9, 4, 10, (4, 5), (1, 1), 6, 3)


def draw_layout(mine: tuple, expected: tuple, arguments: Arguments) -> None:
    """Targets and context of one image."""
    image, grid = worst(mine[0], expected[0]) or worst(mine[1], expected[1]), arguments["grid"]
    pictures = []
    for blocks, visible in (mine, expected):
        numbers = torch.arange(1, blocks.shape[1] + 1).view(-1, 1) / blocks.shape[1]
        pictures.append(((blocks[image] * numbers).sum(0) - 0.5 * visible[image].float()).view(grid))
    beside(*pictures, f"image {image}: black is the context, brighter than the rest are targets")


TARGETS = Task(
    name="ps6.5",
    function="targets_and_context",
    truth=truth.targets_and_context,
    cases=target_cases,
    mistakes=TARGET_MISTAKES,
    draw=draw_layout,
    errors=ERRORS,
)
