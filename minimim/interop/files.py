"""A file of foreign weights, read without running anything that is in it.

A PyTorch checkpoint is a pickle, and a pickle can run code. So it is read by torch's restricted reader, which accepts
tensors and plain containers, and besides these only the few classes in HARMLESS, which cannot do anything.
"""

import argparse
import datetime
import pathlib
import re
import types
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file as load_safetensors
from torch import Tensor

from minimim.errors import UserError
from minimim.interop.says import Weights, stated_beside, stated_inside
from minimim.interop.spellings import FIRST, one_encoder


def without_default(_factory=None) -> dict:
    """An empty dict, as which a defaultdict is read, because torch's reader fills plain dicts alone."""
    return {}


PATHS = ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
HARMLESS = [  # classes that training codes leave in `args`: (class, the name in the file) or the class alone
    argparse.Namespace,
    *(types.SimpleNamespace, datetime.datetime, datetime.date, datetime.timedelta),
    *((without_default, "collections.defaultdict"), int, float, list, dict, set),  # and the types that it would make
    *((pathlib.PurePosixPath, f"{module}.{name}") for module in ("pathlib", "pathlib._local") for name in PATHS),
    np.dtype,
    np.ndarray,
    *{type(np.dtype(kind)) for kind in "?bBhHiIlLqQefdUS"},
    *((np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((np.zeros(1).__reduce__()[0], f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
]


def load_file(path, key: str = "") -> Weights:
    """One encoder's weights, and its decoder's, from a .safetensors file or a PyTorch checkpoint, without a shared prefix.

    key: which encoder, where the file holds several ("student", "teacher"); by default the one that its method evaluates,
    with a warning. What the file states besides tensors comes with them, as `says`; so do config.json and
    preprocessor_config.json from the same folder.
    Raises UserError for a file that is damaged, holds no weights, or holds anything that could run code.
    """
    path = Path(path).expanduser()
    content = read(path)
    flat = flatten(content) if isinstance(content, dict) else {}
    if any(FIRST.match(name) for name in flat) or (key and flat):
        return Weights(one_encoder(flat, key), stated_beside(path) | stated_inside(content))
    for wrapper in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        held = f"; it holds {', '.join(map(str, list(content)[:5]))}" if isinstance(content, dict) else f"; it holds a {type(content).__name__}"
        raise UserError(f"{path} holds no state dict: names with tensors were expected{held}")
    return Weights(content)


def read(path: Path):
    """The content of a file. Raises UserError when it cannot be read, or could run code."""
    if not path.is_file():
        raise UserError(f"there is no file {path}{': it is a folder, give the file of weights in it' if path.is_dir() else ''}")
    if path.name.endswith(".index.json") or re.search(r"-\d+-of-\d+\.", path.name):
        raise UserError(
            f"{path} belongs to weights that were cut into several files: join them first, by loading the model in the code that "
            "wrote it and saving its state_dict() with torch.save"
        )
    try:
        if holds_safetensors(path):
            with safe_open(path, framework="pt") as file:
                ours = "minimim" in (file.metadata() or {})
            content = load_safetensors(path)
        else:
            ours = False
            with torch.serialization.safe_globals(HARMLESS), open(path, "rb") as file:
                content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(f"{path} is refused: {cause(str(error))}") from error
    if ours:
        raise UserError(f"{path} was written by minimim: read it with minimim.load, or name it by --checkpoint")
    return content


def holds_safetensors(path: Path) -> bool:
    """Whether a file begins as the safetensors format does, whatever its name: 8 bytes with the length of a JSON text, and that."""
    with open(path, "rb") as file:
        start = file.read(9)
    return len(start) == 9 and start.endswith(b"{") and int.from_bytes(start[:8], "little") < path.stat().st_size


def cause(error: str) -> str:
    """Why torch refused a file, from its error message, and what to do."""
    if "TorchScript" in error:
        return "it is a TorchScript archive, which is a program; ask its author for the state_dict() of the model"
    held = re.search(r"(?:GLOBAL|unsupported class|unrecognized function|but got <class) '?([\w.]+)", error)
    if not held:
        return "it is damaged, or no file of weights; ask its author for a .safetensors file"
    return (
        f"besides tensors it holds {held[1]}, which could run any code; if you trust its author, save its tensors alone: "
        'torch.save(torch.load(FILE, weights_only=False)["model"], NEW_FILE), with the key that the file has (of a whole network, '
        ".state_dict()); or ask for a .safetensors file"
    )


def flatten(content: dict, prefix: str = "", depth: int = 4) -> dict[str, Tensor]:
    """The tensors of nested dicts by dotted names, at most `depth` dicts deep; all other values are left out."""
    flat = {}
    for name, value in content.items():
        if isinstance(value, Tensor):
            flat[f"{prefix}{name}"] = value
        elif isinstance(value, dict) and depth > 1:
            flat |= flatten(value, f"{prefix}{name}.", depth - 1)
    return flat
