"""minimim progress"""

import filecmp
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from minimim.config import option
from minimim.feedback import tasks
from minimim.feedback.progress import ORIGINALS, copy_around, remembered

ORDER = (  # as README.md has it
    "ps0", "00_start_here", "build", "01_patches", "02_masking", "ps1", "03_attention", "04_vit", "ps2", "05_decoder", "06_losses", "07_training",
    "ps3", "08_is_it_any_good", "09_reading_a_run", "ps4", "10_contrast", "ps5", "11_targets", "12_masks", "13_contrast_two", "ps6", "17_survey",
    "ps8", "18_capstone",
)  # fmt: skip
ELECTIVE = ("13_contrast_two", "17_survey", "ps8")
ALONGSIDE = "build"  # done in pieces while lessons go on, and so never the next step by itself


@dataclass
class Step:
    """One lesson or problem set in the learner's copy. tasks: {task: whether right, or None where it was never checked}, empty for a lesson;
    worked: whether its notebook was saved with something new in it."""

    name: str
    path: Path
    title: str
    worked: bool
    tasks: dict[str, bool | None]

    @property
    def done(self) -> bool:
        """A set when all its tasks are right; a lesson when something of it was run or written, and saved."""
        return all(self.tasks.values()) if self.tasks else self.worked

    @property
    def begun(self) -> bool:
        """Whether something was done in it."""
        return self.worked or any(right is not None for right in self.tasks.values())

    def line(self, width: int) -> str:
        """What is told of it: a mark, the title in so many letters, how far it is."""
        mark = "x" if self.done else "-" if self.begun else " "
        far = "worked in" if self.worked else "not begun"
        if self.tasks:
            wrong = [name for name, right in self.tasks.items() if right is False]
            far = f"{sum(map(bool, self.tasks.values()))} of {len(self.tasks)} tasks right" + (f"; not yet: {', '.join(wrong)}" if wrong else "")
        return f"[{mark}] {self.title:<{width}} {far}"

    def todo(self) -> str:
        """What to do in it."""
        left = next((name for name, right in self.tasks.items() if not right), None)
        return f"{left}, in {self.path}" if left else f"{self.title}, in {self.path}"


@dataclass
class Progress:
    """Show how far you are: which tasks a check called right the last time, which lessons you have worked in, and the next step."""

    out: str = option("work", "the folder of your copy of the course")

    def run(self) -> int:
        """A line for each lesson and problem set, in their order, and the next step."""
        copy = copy_around(Path.cwd()) if self.out == "work" and not Path(self.out).is_dir() else Path(self.out)
        if copy is None or not (copy / ORIGINALS).is_dir():
            print(f"nothing is in {self.out} yet: minimim lab copies the lessons there and opens them; the first step is ps0, six short questions")
            return 0
        said = remembered(copy)
        right = {task: said.get(task) for task in tasks()}
        steps = [step for name in ORDER if (step := look(copy, name, right))]
        for step in steps:
            print(step.line(max(len(step.title) for step in steps)))
        print(f"\nx: all right, or worked in; -: begun; a task counts as its check called it last\n\nnext: {following(steps)}")
        return 0


def look(copy: Path, name: str, right: dict[str, bool | None]) -> Step | None:
    """How far one lesson or problem set is; None where the copy lacks it. right: what was said last of every task of the course."""
    part = Path("exercises", name, f"{name}.ipynb") if name == ALONGSIDE or name.startswith("ps") else Path("notebooks", f"{name}.ipynb")
    mine, origin = copy / part, copy / ORIGINALS / part
    if not mine.is_file():
        return None
    worked = not (origin.is_file() and filecmp.cmp(mine, origin, shallow=False))
    return Step(name, mine, title(origin if origin.is_file() else mine), worked, {task: known for task, known in right.items() if task.partition(".")[0] == name})


def title(notebook: Path) -> str:
    """The heading of a notebook, or its file's name where it has none."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        text = "".join(json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"])
        if text.startswith("# "):
            return text.splitlines()[0][2:].strip()
    return notebook.stem


def following(steps: list[Step]) -> str:
    """The next step: a problem set that was begun, else what comes after the last thing that was worked in. In words."""
    path = [step for step in steps if step.name != ALONGSIDE]
    open_sets = [step for step in path if step.tasks and step.begun and not step.done]
    last = max((number for number, step in enumerate(path) if step.begun), default=-1)
    after = [step for step in path[last + 1 :] if not step.done]
    if not (open_sets or after):
        left = [step.title for step in steps if not step.done]
        return "you have been through the whole course" + (f"; still open: {', '.join(left)}" if left else "")
    step = (open_sets or after)[0]
    words = step.todo() + (" (elective)" if step.name in ELECTIVE else "")
    beside = next((step for step in steps if step.name == ALONGSIDE), None)
    if beside and not beside.done and any(one.begun for one in path if one.name[:2].isdigit()):
        words += f"\nalongside: {beside.todo()}; each lesson from 01 to 08 says which tasks are its own"
    return words
