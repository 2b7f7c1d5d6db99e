"""Methods by name: each a recipe of a few lines, in a file for the family that the survey puts it in."""

import inspect

from minimim.errors import unknown
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
    Raises UserError for a name, a size or an option that is not there, and for sizes that do not fit together.
    """
    for option in more:
        if option not in options(name):
            raise unknown(f"option of {name}", option, options(name))
    if name not in RECIPES:
        raise unknown("method", name, RECIPES)
    image_size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    method = RECIPES[name](image_size, patch_size, size, **more)
    method.spec = method.encoder.spec = {"name": name, "image_size": image_size, "patch_size": patch_size, "size": size, **more}
    return method
