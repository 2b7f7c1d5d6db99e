"""How a class is checked: it is built, given the library's weights by their names, and run on some input."""

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from minimim.feedback.build.use import behind
from minimim.feedback.check import WrongAnswer

CLOSE = (1e-5, 1e-5)  # relative and absolute: how near to the library's an answer must be
FIXED = ("pos_embed",)  # parts that do not learn, and may be kept as a parameter, as a buffer, or in any other way
REACHED = "the number of weights that a gradient reaches"
Weights = dict[str, Tensor]


def drawn(model: nn.Module, seed: int = 0) -> Weights:
    """Random weights for all that learns in a model, none of them 0 or 1, as those of a fresh LayerNorm or bias would be."""
    draw = torch.Generator().manual_seed(seed)
    return {
        name: 0.4 * torch.randn(x.shape, generator=draw) + 1.0 * ("norm" in name and name.endswith("weight"))
        for name, x in model.named_parameters()
        if x.requires_grad
    }


def tried(name: str, sizes: tuple[str, ...], inputs: tuple[str, ...]) -> Callable:
    """For a Task's `adapt`: makes of a class a function of its sizes, its weights and its inputs, by these names, in this order.

    name: of the task, "build.6".
    """
    order = (*sizes, "weights", *inputs)

    def adapt(answer: Callable) -> Callable:
        answer = behind(answer)

        def run(*given, **named):
            named |= dict(zip(order, given, strict=False))
            model = built(name, answer, {size: named[size] for size in sizes})
            load(name, model, named["weights"])
            return told(model, model(*(named[one] for one in inputs)))

        run.__signature__ = inspect.Signature([inspect.Parameter(one, inspect.Parameter.POSITIONAL_OR_KEYWORD) for one in order])
        return run

    return adapt


def built(name: str, answer: Callable, sizes: dict) -> nn.Module:
    """An instance of the learner's class. Raises WrongAnswer where that cannot be."""
    if not inspect.isclass(answer) and not callable(answer):
        raise WrongAnswer(f"{name}: a class was asked for, and this is {type(answer).__name__}")
    try:
        inspect.signature(answer).bind(*sizes.values())
    except (TypeError, ValueError):
        raise WrongAnswer(f"{name}: the class must be built with the arguments {', '.join(sizes)}, in this order") from None
    model = answer(*sizes.values())
    if not isinstance(model, nn.Module):
        raise WrongAnswer(f"{name}: the class must be an nn.Module, so that its weights are found: write class Name(nn.Module)")
    return model


def load(name: str, model: nn.Module, weights: Weights) -> None:
    """Give a model these weights by name. Raises WrongAnswer where the names, the shapes or what learns is not as it was asked for."""
    mine = {key: x for key, x in model.state_dict().items() if key not in FIXED}
    if missing := [key for key in weights if key not in mine]:
        raise WrongAnswer(f"{name}: {lacking(missing[0], missing, list(mine))}")
    if strange := [key for key in mine if key not in weights]:
        raise WrongAnswer(f"{name}: there is a parameter {strange[0]}, which was not asked for; those asked for are {listed(weights)}")
    if wrong := [key for key in weights if mine[key].shape != weights[key].shape]:
        shapes = f"{tuple(mine[wrong[0]].shape)}, and {tuple(weights[wrong[0]].shape)} was asked for"
        raise WrongAnswer(f"{name}: the parameter {wrong[0]} has the shape {shapes}")
    learning = {key for key, x in model.named_parameters() if x.requires_grad}
    if fixed := [key for key in FIXED if key in learning]:
        raise WrongAnswer(f"{name}: {fixed[0]} would be learnt, and the table of positions stays as it is: nn.Parameter(…, requires_grad=False)")
    if idle := [key for key in weights if key not in learning]:
        raise WrongAnswer(f"{name}: {idle[0]} would not be learnt: make it by nn.Linear or nn.Parameter, and leave its requires_grad as it is")
    model.load_state_dict(weights, strict=False)


def lacking(first: str, missing: list[str], mine: list[str]) -> str:
    """What is to be said of parameters that are not there."""
    part = first.partition(".")[0]
    if part == "blocks" and not any(key.startswith("blocks.") for key in mine):
        return "no blocks are found: keep them in self.blocks = nn.ModuleList(…), because a module does not look into a plain list"
    if part == "blocks" and first.startswith("blocks.") and any(key.startswith("blocks.0.") for key in mine) and first.split(".")[1] != "0":
        return f"the parameter {first} is missing: there must be `depth` blocks, each made by a call of its own"
    if first.endswith(".bias") and f"{first.removesuffix('bias')}weight" in mine:
        return f"{first.removesuffix('.bias')} has no bias, and the library's has one"
    there = f"yours are {listed(mine)}" if mine else "yours has none: assign each layer to self, such as self.proj = nn.Linear(dim, dim)"
    return f"a parameter {first} is missing; {there}"


def listed(names, most: int = 8) -> str:
    """Names of parameters, not too many."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def told(model: nn.Module, result):
    """The result, with the number of weights that a gradient reaches from it."""
    if isinstance(result, Tensor):
        result.reached = reached(model, result)
    return result


def reached(model: nn.Module, result: Tensor) -> Tensor:
    """How many learning numbers of a model a gradient of a result reaches: ()."""
    learning = [p for p in model.parameters() if p.requires_grad]
    if not result.requires_grad:
        return torch.tensor(0)
    found = torch.autograd.grad(result.square().sum(), learning, allow_unused=True, retain_graph=True)
    return torch.tensor(sum(p.numel() for p, gradient in zip(learning, found, strict=True) if gradient is not None))


def gradients(result: Tensor, arguments: dict) -> dict[str, Tensor]:
    """For a Task's `left`: what `told` has counted."""
    return {REACHED: result.reached}
