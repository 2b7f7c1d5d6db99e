"""What the checks said last: a small file in the learner's own copy of the course, which `minimim progress` reads."""

import json
import os
from contextlib import suppress
from pathlib import Path

FILE = "progress.json"
ORIGINALS = ".course"  # the folder by which a copy is known: the course's files as they were copied


def copy_around(place: Path) -> Path | None:
    """The learner's copy of the course that a place lies in, or None outside of one."""
    return next((folder for folder in (place, *place.parents) if (folder / ORIGINALS).is_dir()), None)


def remembered(copy: Path) -> dict[str, bool]:
    """{task: whether its check said right the last time}, for each that was checked. A file that cannot be read counts as none."""
    with suppress(OSError, ValueError, AttributeError):
        said = json.loads((copy / FILE).read_text(encoding="utf-8"))
        return {str(name): right for name, right in said.items() if isinstance(right, bool)}
    return {}


def remember(name: str, right: bool) -> None:
    """Keep what a check said. Outside of a copy, and where nothing can be written, nothing is kept: a check never fails for that."""
    with suppress(OSError):
        if copy := copy_around(Path.cwd()):
            said, new = remembered(copy) | {name: right}, copy / f"{FILE}.{os.getpid()}"
            new.write_text(json.dumps(said, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            new.replace(copy / FILE)
