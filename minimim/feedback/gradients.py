"""Whether gradients pass through an answer as they would through the right one.

What is right is a slow loop without a graph, so its slope is measured: every argument that learns moves a little to both
sides, along one random direction for all of them. The answer's own gradient must give the same slope.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Arguments = dict[str, Any]
Parts = dict[str, Tensor]
STEP = 1e-6  # how far the arguments move, in float64


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def learning(arguments: Arguments, names: tuple[str, ...]) -> Parts:
    """The arguments that learn, in float64."""
    return {name: arguments[name].detach().double() for name in names}


def directions(parts: Parts) -> Parts:
    """A random direction for each argument, always the same."""
    return {
        name: torch.randn(x.shape, generator=generator(number), dtype=x.dtype)
        for number, (name, x) in enumerate(parts.items())
    }


def weighted(result: Any) -> Tensor:
    """One number made of all numbers of a result, each with a weight of its own: ()."""
    parts = [x.double() for x in (result if isinstance(result, tuple | list) else [result]) if x.is_floating_point()]
    return sum(
        (x * torch.randn(x.shape, generator=generator(number), dtype=x.dtype)).sum() for number, x in enumerate(parts)
    )


def moved(arguments: Arguments, parts: Parts) -> Arguments:
    """A copy of the arguments with some of them replaced, all tensors of floats in float64."""
    return {name: parts[name] if name in parts else doubled(copy.deepcopy(value)) for name, value in arguments.items()}


def doubled(value: Any) -> Any:
    """A tensor of floats in float64; anything else as it is."""
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def slope(truth: Callable, arguments: Arguments, along: Parts) -> float:
    """How fast the right result changes where the arguments move along some directions."""
    parts = learning(arguments, tuple(along))
    ends = [moved(arguments, {name: x + side * STEP * along[name] for name, x in parts.items()}) for side in (1, -1)]
    ahead, behind = (float(weighted(truth(**end))) for end in ends)
    return (ahead - behind) / (2 * STEP)


def problem(truth: Callable, answer: Callable, arguments: Arguments, names: tuple[str, ...], expected: float) -> str:
    """What is wrong with the gradients of an answer whose values are right, in words; nothing where they are right too.

    expected: the slope of the right result along `directions`.
    """
    parts = {name: x.requires_grad_() for name, x in learning(arguments, names).items()}
    result = answer(**moved(arguments, {name: x.clone() for name, x in parts.items()}))
    total = weighted(result)
    found = [None]
    if total.requires_grad:
        found = torch.autograd.grad(total, list(parts.values()), allow_unused=True)
    if all(gradient is None for gradient in found):
        cut = (
            ".item(), .tolist(), .detach(), .numpy(), torch.tensor(…) or torch.no_grad() cut it off, and so does a constant"
        )
        return f"no gradient comes back from the result, so nothing could learn from it: {cut}"
    slopes = {name: torch.zeros_like(x) if g is None else g for (name, x), g in zip(parts.items(), found, strict=True)}
    for name, gradient in slopes.items():
        if not gradient.isfinite().all():
            reason = (
                "an infinite or undefined number times 0 is not 0, so choose (index, torch.where) before it is computed with"
            )
            return f"the gradient of {name} is not finite at {place(~gradient.isfinite())}: {reason}"
    along = directions(parts)
    if agree(sum(float((slopes[name] * along[name]).sum()) for name in names), expected):
        return ""
    return next((text for name in names if (text := compared(truth, arguments, name, slopes[name], along[name]))), "")


def compared(truth: Callable, arguments: Arguments, name: str, gradient: Tensor, along: Tensor) -> str:
    """Where the gradient of one argument is another than that of the right result, found by halving."""
    here = torch.ones_like(along, dtype=torch.bool)

    def differ(where: Tensor) -> bool:
        return not agree(float((gradient * along)[where].sum()), slope(truth, arguments, {name: along * where}))

    if not differ(here):
        return ""
    if not gradient.any():
        return f"no gradient reaches {name}, and it should learn: something on the way cuts it off, such as .detach(), .item() or .data"
    while int(here.sum()) > 1:
        first = here & (here.flatten().cumsum(0).view(here.shape) <= int(here.sum()) // 2)
        here = first if differ(first) else here & ~first
    right = slope(truth, arguments, {name: here.double()})
    return f"the gradient of {name} is wrong at {place(here)}: yours is {float(gradient[here]):.4g}, expected {right:.4g}"


def agree(mine: float, expected: float) -> bool:
    return abs(mine - expected) <= 1e-4 * (1 + abs(expected))


def place(where: Tensor) -> str:
    """The first place that is True, as an index: [0, 2, 1]."""
    return str(where.nonzero()[0].tolist())
