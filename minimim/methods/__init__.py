"""Methods by name: each a recipe of a few lines, in a file for the family that the survey puts it in."""

import inspect

from minimim.errors import UserError, unknown
from minimim.methods.masking_strategy import hpm, mae, simmim
from minimim.methods.method import Method, Output, joint_embedding, reconstruction
from minimim.methods.target_features import data2vec
from minimim.methods.targets_and_objectives import ibot
from minimim.methods.teacher import Seen, Teacher

RECIPES = {recipe.__name__: recipe for recipe in (mae, simmim, data2vec, ibot, hpm)}

__all__ = ["Method", "Output", "Seen", "Teacher", "create", "joint_embedding", "names", "options", "reconstruction"]


def names() -> list[str]:
    """The methods that `create` knows."""
    return list(RECIPES)


def options(name: str) -> dict:
    """What a method's recipe can be told besides image_size, patch_size and size, with the defaults."""
    if name not in RECIPES:
        raise unknown("method", name, RECIPES)
    parameters = inspect.signature(RECIPES[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def create(name: str, *, image_size: int | tuple[int, int] = 32, patch_size: int = 4, size: str = "micro", **more) -> Method:
    """Build a method by name, with fresh weights.

    image_size: (H, W) or one side, in pixels. size: micro, tiny, small, base, large or huge. more: see `options(name)`.
    Raises UserError for a name, a size or an option that is not there, for a value of another kind than the default, and for
    sizes that do not fit together.
    """
    defaults = options(name)
    for option, value in more.items():
        if option not in defaults:
            raise unknown(f"option of {name}", option, defaults)
        check_kind(option, value, defaults[option])
    image_size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    check_kind("image_size", image_size, (32, 32))
    for side in image_size:
        check_kind("image_size", side, 32)
    check_kind("patch_size", patch_size, 4)
    method = RECIPES[name](image_size, patch_size, size, **more)
    method.spec = method.encoder.spec = {"name": name, "image_size": image_size, "patch_size": patch_size, "size": size, **more}
    return method


def check_kind(name: str, value, default) -> None:
    """Raise UserError for a value that is not as many numbers as its default, or no whole number where the default is one, or
    is None and goes by size. A value of None is left to the recipe."""
    if isinstance(default, tuple) and value is not None and not (isinstance(value, list | tuple) and len(value) == len(default)):
        raise UserError(f"{name} is {len(default)} numbers, such as {' '.join(map(str, default))}, not {value}")
    least = 0 if name == "decoder_depth" else 1  # a decoder without blocks is a linear map
    if type(default) in (int, type(None)) and value is not None and not (isinstance(value, int) and value >= least):
        raise UserError(f"{name} must be a whole number of {least} or more, not {value}")
