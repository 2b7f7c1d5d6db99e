"""The lessons' folded solutions of the tasks of Build your MAE: each is right by the task's own check."""

import math
import re

import nbformat
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from graded import defined_in
from helpers import TOP
from torch import nn

from minimim.feedback import check
from minimim.feedback.build import TASKS, library
from minimim.layers import Mlp

LESSONS = sorted((TOP / "notebooks").glob("*.ipynb"))
AT_HAND = {"math": math, "torch": torch, "F": F, "rearrange": rearrange, "nn": nn, "Mlp": Mlp}


def folded(path):
    """The code of each folded solution of a lesson that belongs to a task: [(task, code)]."""
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown" and "exercises/build/build.ipynb" in cell.source:
            for code in re.findall(r"<summary>Solution</summary>\n\n```python\n(.*?)\n```", cell.source, re.DOTALL):
                found += [(task, code) for task in TASKS if re.search(rf"^(def|class) {task.function}\b", code, re.MULTILINE)]
    return found


FOLDED = [(path, task, code) for path in LESSONS for task, code in folded(path)]


@pytest.mark.parametrize(("path", "task", "code"), FOLDED, ids=[f"{path.stem}-{task.name}" for path, task, _ in FOLDED])
def test_a_solution_that_a_lesson_folds_is_right(path, task, code):
    theirs = {function.__name__: function for function in defined_in(path)}
    space = theirs | {name: getattr(library, name) for name in library.__all__} | AT_HAND | {"__name__": path.stem}
    exec(compile(code, path.stem, "exec"), space)  # noqa: S102
    check(task.name, space[task.function])
