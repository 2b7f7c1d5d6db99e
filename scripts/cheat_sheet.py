"""Write docs/cheat-sheet.md, one page of symbols, shapes and methods: python scripts/cheat_sheet.py

The shapes are those of one batch on its way through MAE: each is written in symbols, and the script stops where the tensor has another
shape. The five choices are asked of every method's own parts. tests/course/test_cheat_sheet.py says when the page is stale: make pages.
"""

import re
from math import prod
from pathlib import Path

import torch
from claims import row
from torch import Tensor, nn

from minimim import data, methods, patches
from minimim.data.views import normalize
from minimim.losses.term import loss_name

TOP = Path(__file__).parent.parent
PAGE = TOP / "docs/cheat-sheet.md"
MEANINGS = {
    "B": "batch", "C": "channels", "H": "height", "W": "width of the image", "P": "side of a patch", "N": "patches, rows · cols of the grid", "K": "visible patches, (1 − mask ratio) · N",
    "D": "width of a token", "d": "width of a head, D / heads", "T": "width of the target",
}  # fmt: skip
HEAD = """# Cheat sheet

A method is five choices: what is hidden (masking), which encoder, what is predicted (target), by which head (decoder), and how it is
compared (loss terms). Some have a teacher, too.

"""
FOOT = """
A number before × is the weight of a loss where it is not 1, and the word before a colon is the stream that it compares where this is not
the patches. A dash stands for none. The [map](map.md) says which lesson brings in which file of the library. `make pages` writes this
page from the library; in the web edition (`make book`) it prints on one sheet.
"""


def example() -> tuple[dict[str, int], list[tuple[str, str, Tensor]]]:
    """One batch of two scenes on its way through a small MAE: the value of each symbol, and (what, shape in symbols, tensor) in order."""
    images = data.load("scenes", "test", count=2).images / 255  # (B, C, H, W)
    method, kept = methods.create("mae", image_size=32, patch_size=4), {}
    for part in ("masking", "encoder", "decoder", "target"):
        getattr(method, part).register_forward_hook(lambda module, given, made, part=part: kept.update({part: made}))
    output = method.eval()(images, generator=torch.Generator().manual_seed(0))
    (mask,), encoded = kept["masking"], kept["encoder"]
    cut = patches.patchify(images, 4)
    B, C, H, W = images.shape
    symbols = {
        "B": B, "C": C, "H": H, "W": W, "P": method.encoder.patch_size, "N": cut.shape[1], "K": encoded.patches.shape[1],
        "D": method.encoder.dim, "d": method.encoder.dim // method.encoder.heads, "T": output.target.shape[2],
    }  # fmt: skip
    walk = [
        ("images", "(B, C, H, W)", images),
        ("patches", "(B, N, P·P·C)", cut),
        ("tokens", "(B, N, D)", method.encoder.patch_embed(normalize(images))),
        ("mask, True = hidden", "(B, N)", mask.hidden),
        ("ids of the visible", "(B, K)", mask.visible_ids),
        ("latents: encoder of the visible", "(B, K, D)", encoded.patches),
        ("prediction: decoder of all", "(B, N, T)", kept["decoder"]["patch"]),
        ("target", "(B, N, T)", kept["target"]["patch"]),
        ("loss over the scored", "()", output.loss),
        ("features, afterwards", "(B, D)", method.encoder.features(images)),
    ]
    for what, shape, tensor in walk:
        if sizes(shape, symbols) != tuple(tensor.shape):
            raise ValueError(f"{what} have the shape {tuple(tensor.shape)}, and the cheat sheet says {shape} = {sizes(shape, symbols)}")
    return symbols, walk


def sizes(shape: str, symbols: dict[str, int]) -> tuple[int, ...]:
    """A shape in symbols, such as (B, N, P·P·C), as numbers."""
    return tuple(prod(symbols[one] for one in axis.split("·")) for axis in re.findall(r"[\w·]+", shape))


def symbol_table(symbols: dict[str, int]) -> str:
    """What each symbol means, and its value in the example."""
    table = row("symbol", "means", "here") + row(*["---"] * 3)
    table += "".join(row(f"**{name}**", MEANINGS[name], str(value)) for name, value in symbols.items())
    return table


def walk_table(walk: list[tuple[str, str, Tensor]]) -> str:
    """What a batch becomes, step by step."""
    table = row("the walk of a batch", "shape", "here") + row(*["---"] * 3)
    return table + "".join(row(what, f"`{shape}`", f"`{tuple(tensor.shape)}`") for what, shape, tensor in walk)


def compared(method: methods.Method) -> str:
    """The loss terms of a method in a line: weights that are not 1, streams that are not the patches."""
    told = []
    for term in method.terms:
        name, weight = term.name or term.stream, "" if term.weight == 1 else f"{term.weight:g} × "
        told.append(("" if name == "patch" else f"{name}: ") + weight + loss_name(term.loss))
    return "; ".join(told).replace("_", "\\_")


def kind(part: nn.Module | None) -> str:
    """The class of a part; of one that holds several side by side, the classes of these."""
    several = getattr(part, "decoders", getattr(part, "targets", None))
    if isinstance(several, nn.ModuleDict | nn.ModuleList):
        return " + ".join(type(each).__name__ for each in several.children())
    return "–" if part is None else type(part).__name__


def method_table() -> str:
    """The five choices of every method, and its teacher."""
    table = row("method", "§", "what is hidden", "encoder", "what is predicted", "head", "compared by", "teacher") + row(*["---"] * 8)
    for name in methods.names():
        method, section = methods.create(name), methods.RECIPES[name].section
        parts = map(kind, (method.masking, method.encoder, method.target, method.decoder))
        table += row(f"**{name}**".replace("_", "\\_"), "" if section == "beyond" else section, *parts, compared(method), kind(method.teacher))
    return table


def page() -> str:
    """The page as it should be."""
    symbols, walk = example()
    parts = {"Symbols": symbol_table(symbols), "Shapes": walk_table(walk), "Five choices of every method": method_table()}
    return HEAD + "\n".join(f"## {heading}\n\n{table}" for heading, table in parts.items()) + FOOT


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
