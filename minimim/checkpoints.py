"""What is shipped with the library: small checkpoints, made by scripts/build_checkpoint.py."""

from importlib.resources import files
from pathlib import Path

from minimim.errors import unknown

CHECKPOINTS = ("mae-scenes",)


def bundled(name: str) -> Path:
    """The file of a bundled checkpoint, for `minimim.load`. Raises UserError for a name that is not there."""
    if name not in CHECKPOINTS:
        raise unknown("bundled checkpoint", name, CHECKPOINTS)
    return Path(str(files("minimim") / "assets" / f"{name}.safetensors"))
