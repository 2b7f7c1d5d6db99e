"""Methods by name: a decorator registers each recipe, with its section in the survey's taxonomy and its paper."""

import inspect
import types
import typing
from collections.abc import Callable

import torch

from minimim.errors import UserError, unknown
from minimim.methods.method import Method

RECIPES: dict[str, Callable[..., Method]] = {}
SECTIONS = {  # of the survey, arXiv 2408.06687v3
    "3.1": "masking strategy",
    "3.2": "target features",
    "3.3": "objective function",
    "3.6": "model architecture",
    "3.7": "target features and objective function",
    "3.8": "model architecture and objective function",
    "3.10": "masking strategy and model architecture",
    "3.11": "masking strategy and objective function",
    "3.12": "masking strategy and downstream task",
    "3.14": "model architecture and target features",
    "3.15": "objective function and theoretical analysis",
    "3.16": "masking strategy, model architecture and objective function",
    "beyond": "not in the survey: references, and what came after",
}


def recipe(*, section: str, paper: str):
    """Register a function (image_size, patch_size, size, *, options…) → Method under its name, in RECIPES.

    section: of the survey, a key of SECTIONS. paper: its arXiv id, or where it was published. The keyword-only parameters are the
    method's options; their annotations give the type: a number, a pair, a bool, text or a choice (Literal). Raises UserError for an
    unknown section, and for an option without annotation or default.
    """
    if section not in SECTIONS:
        raise unknown("section of the survey", section, SECTIONS)

    def enter(build: Callable[..., Method]) -> Callable[..., Method]:
        build.section, build.paper = section, paper
        for option, kind in parameters(build).items():
            if kind.annotation is kind.empty or kind.default is kind.empty:
                raise UserError(f"{option} of {build.__name__} needs a kind and a default, such as {option}: float = 0.5")
        RECIPES[build.__name__] = build
        return build

    return enter


def names() -> list[str]:
    """The methods that `create` knows, in the order of the survey's sections, and within a section by their paper's arXiv id."""
    return sorted(RECIPES, key=lambda name: ([*SECTIONS].index(RECIPES[name].section), RECIPES[name].paper))


def options(name: str) -> dict:
    """The options of a method besides image_size, patch_size and size: {option: default}. Raises UserError for an unknown method."""
    return {option: parameter.default for option, parameter in told(name).items()}


def kinds(name: str) -> dict:
    """The types of these options: {option: annotation}. Raises UserError for an unknown method."""
    return {option: parameter.annotation for option, parameter in told(name).items()}


def told(name: str) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a recipe. Raises UserError for an unknown method."""
    if name not in RECIPES:
        raise unknown("method", name, RECIPES)
    return parameters(RECIPES[name])


def parameters(build: Callable) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a function; postponed annotations (`from __future__ import annotations`) are evaluated."""
    return {p.name: p for p in inspect.signature(build, eval_str=True).parameters.values() if p.kind is p.KEYWORD_ONLY}


def create(name: str, *, image_size: int | tuple[int, int] = 32, patch_size: int = 4, size: str = "micro", **more) -> Method:
    """Build a method by name, with fresh weights.

    image_size: (H, W) or one side, in pixels; patch_size: in pixels. size: micro, tiny, small, base, large or huge. more: see
    `options(name)`. Raises UserError for an unknown name, size or option, for a value of the wrong type, and for sizes that do not fit
    together.
    """
    known, defaults = kinds(name), options(name)
    for option, value in more.items():
        if option not in known:
            raise unknown(f"option of {name}", option, known)
        check_kind(option, value, known[option], defaults[option])
    image_size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    check_kind("image_size", image_size, tuple[int, int], (32, 32))
    for side in image_size:
        check_kind("image_size", side, int, 32)
    check_kind("patch_size", patch_size, int, 4)
    method = RECIPES[name](image_size, patch_size, size, **more)
    resolved = getattr(method.teacher, "resolved", {})  # a frozen teacher is saved as its description, not as a path
    method.spec = {"name": name, "image_size": image_size, "patch_size": patch_size, "size": size, **more, **resolved}
    method.encoder.spec = method.spec
    return method


def anew(method: Method, seed: int = 0) -> Method:
    """The same method with new random weights from a seed, on the same device: a baseline for what the method has learnt. Parts that are
    fitted before training, such as a tokenizer, are copied from the method."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = create(**method.spec)
    for name, part in method.parts("prepare"):
        fresh.get_submodule(name).load_state_dict(part.state_dict())
    return fresh.to(next(method.parameters()).device)


def alternatives(kind) -> tuple:
    """The types that an annotation allows: int | None → (int, NoneType)."""
    return typing.get_args(kind) if typing.get_origin(kind) in (types.UnionType, typing.Union) else (kind,)


def check_kind(name: str, value, kind, default) -> None:
    """Raise UserError for a value that does not have an option's type: a wrong number of numbers, not a whole number, an unknown choice."""
    allowed = alternatives(kind)
    if value is None:
        if type(None) not in allowed:
            raise UserError(f"{name} must have a value: leave it out to get the recipe's own, {words(default)}")
        return  # the recipe chooses
    pairs = [one for one in allowed if typing.get_origin(one) is tuple]
    choices = next((typing.get_args(one) for one in allowed if typing.get_origin(one) is typing.Literal), None)
    if isinstance(value, list | tuple):
        lengths = [len(typing.get_args(one)) for one in pairs]
        if lengths and (len(value) not in lengths or any(isinstance(x, str) for x in value)):
            raise UserError(f"{name} is {lengths[0]} numbers, such as {words(default)}, not {value}")
        if not lengths:
            raise UserError(f"{name} is one value, not {value}")
        return
    single = [one for one in allowed if one is not type(None) and one not in pairs]
    if pairs and not single:
        raise UserError(f"{name} is {len(typing.get_args(pairs[0]))} numbers, such as {words(default)}, not {value}")
    if choices and value not in choices:
        raise unknown(name, value, choices)
    if single == [bool] and not isinstance(value, bool):
        raise UserError(f"{name} is True or False, not {value!r}")
    least = 0 if name == "decoder_depth" else 1  # a decoder without blocks is a linear map
    if single == [int] and not (isinstance(value, int) and value >= least):
        raise UserError(f"{name} must be a whole number of {least} or more, not {value}")
    if single == [float] and not isinstance(value, int | float):
        raise UserError(f"{name} is a number, not {value!r}")
    if single == [str] and not isinstance(value, str | dict):
        raise UserError(f"{name} is text, not {value!r}")


def words(default) -> str:
    """A default value as it would be typed on the command line."""
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
