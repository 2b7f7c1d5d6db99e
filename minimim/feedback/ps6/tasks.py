"""The checks of problem set 6, tasks 1 and 2, targets: what is tried, and how it is drawn."""

from collections.abc import Iterable

import torch
from torch import Tensor

from minimim.feedback.check import Arguments, Task, variants
from minimim.feedback.pictures import beside
from minimim.feedback.ps6 import truth
from minimim.feedback.ps6.mistakes_codes import REVIVE as REVIVE_MISTAKES
from minimim.feedback.ps6.mistakes_hog import HOG as HOG_MISTAKES
from minimim.feedback.ps6.tasks_masks import HINT_MASK, INNER_BLOCKS, TARGETS


def drawn(*shape: int, seed: int) -> Tensor:
    """Random numbers of a shape, always the same."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ps6.1


def hog_cases() -> Iterable[tuple[str, Arguments]]:
    """Gradients in all directions, some of length 0; cells of all forms, whose margins meet the edge of the image."""

    def case(
        seed: int, batch: int, size: tuple[int, int], patch_size: int, cells: tuple[int, int], margin: int, bins: int
    ) -> Arguments:
        across, down = drawn(2, batch, *size, seed=seed)
        given = {"across": across, "down": down, "patch_size": patch_size}
        return given | {"cells": cells, "margin": margin, "bins": bins}

    small = torch.tensor([[[3.0, 8.0**0.5], [0.0, 0.0]]]), torch.tensor([[[0.0, 8.0**0.5], [4.0, 0.0]]])
    named = {"across": small[0], "down": small[1], "patch_size": 2, "cells": (1, 2), "bins": 2}
    yield "the example, margin 0", named | {"margin": 0}
    yield "the example, margin 1", named | {"margin": 1}
    plain = case(1, 2, (8, 12), 4, (2, 1), 1, 5)
    yield from (
        (f"two images of 8×12 pixels, patches of 4, cells (2, 1), margin 1, {words}", a) for words, a in variants(plain)
    )
    yield "two images of one patch of 6 pixels, cells (3, 2), margin 0", case(2, 2, (6, 6), 6, (3, 2), 0, 9)
    yield "patches of 4, cells (2, 4), margin 2, 3 directions", case(3, 1, (12, 8), 4, (2, 4), 2, 3)
    yield "one direction", case(4, 1, (4, 8), 4, (2, 2), 1, 1)
    yield "a margin that is wider than the image", case(5, 2, (4, 4), 2, (1, 1), 5, 4)
    angles = torch.arange(0, 360, 11.25).deg2rad().view(1, 4, 8)
    around = {"across": 2 * angles.cos(), "down": 2 * angles.sin(), "patch_size": 2, "cells": (1, 2), "margin": 0, "bins": 4}
    yield "gradients of length 2 in 32 directions", around
    corner = {"patch_size": 2, "cells": (1, 2), "margin": 0, "bins": 4}
    hair = {"across": torch.tensor([[[1.0, 1.0], [3.0, 2.0]]]), "down": torch.tensor([[[-1e-8, 1.0], [-1e-8, 1.0]]])}
    yield "directions a hair below 180°", hair | corner
    left = {"across": torch.tensor([[[-1.0, 1.0], [-3.0, 2.0]]]), "down": torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])}
    yield "gradients that point to the left, 180°", left | corner
    faint = case(6, 2, (4, 8), 4, (2, 2), 0, 4)
    faint["across"][0] *= 1e-6
    faint["down"][0] *= 1e-6
    yield "an image whose gradients are about a millionth", faint
    flat = case(7, 1, (8, 8), 4, (2, 2), 0, 3)
    flat["across"][0, :4, :4], flat["down"][0, :4, :4] = 0, 0
    yield "a patch without any gradient", flat


def draw_histograms(mine: Tensor, expected: Tensor, arguments: Arguments) -> None:
    """The numbers of one image's patches."""
    image = int((mine - expected).detach().flatten(1).abs().amax(1).argmax())
    beside(mine[image], expected[image], f"image {image}: a row for each patch, a column for each of its numbers")


HOG = Task(
    name="ps6.1",
    function="hog",
    truth=truth.hog,
    cases=hog_cases,
    mistakes=HOG_MISTAKES,
    draw=draw_histograms,
    errors={
        "Class values must be smaller": "the number of a direction reaches `bins`; after the last direction comes direction 0 again, also "
        "for an angle of 180°, and for a tiny negative one, whose remainder is the divisor itself in float32",
        "Class values must be non-negative": "the number of a direction is below 0; a gradient and its opposite have the same direction, "
        "0° to 180°",
    },
)


# ps6.2


def revive_cases() -> Iterable[tuple[str, Arguments]]:
    """Far latents side by side, far latents of dead codes, one code that lives, nothing that is far."""

    def case(
        seed: int, codes: int, latents: int, width: int, usage: list[float], momentum=0.8, threshold=0.5, scale=3.0
    ) -> Arguments:
        given = {"codes": drawn(codes, width, seed=seed), "latents": scale * drawn(latents, width, seed=seed + 50)}
        return given | {"usage": torch.tensor(usage), "momentum": momentum, "threshold": threshold}

    line = {
        "codes": [[0.0], [10.0], [99.0], [98.0]],
        "latents": [[0.0], [2.0], [9.0], [14.0], [15.0]],
        "usage": [4.0, 2.0, 0.5, 0.5],
    }
    yield "the example", {n: torch.tensor(v) for n, v in line.items()} | {"momentum": 0.5, "threshold": 1.0}
    several = case(1, 6, 12, 3, [2.0, 0.1, 3.0, 0.01, 0.2, 5.0], momentum=0.9)
    yield from ((f"six codes, two of which nearly nobody chose, {words}", a) for words, a in variants(several))
    pair = [[-4.0, 0.0], [-4.0, 0.5], [3.0, 0.0], [0.0, 0.0], [0.5, 0.25]]
    side = {"codes": torch.tensor([[0.0, 0.0], [50.0, 50.0], [60.0, 50.0]]), "latents": torch.tensor(pair)}
    yield "two far latents side by side", side | {"usage": torch.tensor([5.0, 0.0, 0.0]), "momentum": 0.5, "threshold": 0.5}
    own = {
        "codes": torch.tensor([[0.0, 0.0], [6.0, 0.0], [1.0, 1.0]]),
        "latents": torch.tensor([[0.5, 0.0], [6.0, 0.25], [0.0, 2.0]]),
    }
    yield (
        "a dead code that one latent is nearest to",
        own | {"usage": torch.tensor([8.0, 0.0, 4.0]), "momentum": 0.9, "threshold": 0.5},
    )
    yield "one code alone lives", case(4, 5, 9, 2, [3.0, 0.0, 0.0, 0.0, 0.0], momentum=0.99, threshold=1.5)
    yield "no code is dead", case(5, 4, 9, 2, [3.0, 4.0, 2.0, 5.0], threshold=0.25)
    edge = {"codes": torch.tensor([[0.0], [4.0], [20.0]]), "latents": torch.tensor([[0.0], [1.0], [3.0], [7.0]])}
    yield (
        "a usage that is just the threshold",
        edge | {"usage": torch.tensor([2.0, 2.0, 2.0]), "momentum": 0.5, "threshold": 1.0},
    )
    few = {
        "codes": torch.tensor([[0.0, 1.0], [9.0, 9.0], [8.0, 9.0], [7.0, 7.0]]),
        "latents": torch.tensor([[0.0, 1.0], [2.0, 1.0], [2.0, 1.0]]),
    }
    yield (
        "fewer different latents than dead codes",
        few | {"usage": torch.tensor([3.0, 0.0, 0.25, 0.5]), "momentum": 0.5, "threshold": 1.0},
    )
    near = {"codes": torch.tensor([[0.0], [5.0]]), "latents": torch.tensor([[0.0], [0.25]])}
    yield (
        "latents that are all near to a living code",
        near | {"usage": torch.tensor([3.0, 0.5]), "momentum": 0.5, "threshold": 1.0},
    )
    still = {"codes": torch.tensor([[1.0, 2.0], [5.0, 5.0]]), "latents": torch.tensor([[1.0, 2.0], [1.0, 2.0]])}
    yield (
        "latents that all lie on a living code",
        still | {"usage": torch.tensor([1.0, 0.5]), "momentum": 0.5, "threshold": 1.0},
    )
    same = {"codes": torch.tensor([[0.0], [0.0], [30.0]]), "latents": torch.tensor([[-3.0], [3.0], [1.0]])}
    yield (
        "codes and latents that are equally far",
        same | {"usage": torch.tensor([2.0, 4.0, 0.0]), "momentum": 0.5, "threshold": 1.0},
    )


REVIVE = Task(name="ps6.2", function="revive", truth=truth.revive, cases=revive_cases, mistakes=REVIVE_MISTAKES)


TASKS = [HOG, REVIVE, INNER_BLOCKS, HINT_MASK, TARGETS]
