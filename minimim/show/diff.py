"""What two versions of a page of code, or the parts of two methods, have in common and what not, line by line."""

import difflib
import html
from collections.abc import Callable
from inspect import getsource

from minimim.losses.term import loss_name

LEFT_OUT = ("training", "seen", "want", "dim", "depth", "heads", "patch_size", "image_size", "home_grid", "cues", "reads_mask", "predicts", "norm")  # sizes, and bookkeeping
COLOURS = {"+": "background:#e2f5e9", "-": "background:#fbe4e0;text-decoration:line-through;color:#7a3b30", " ": ""}


class Diff:
    """Two versions, line by line: what is taken out (−), what is put in (+), and what stays. Each version: lines, a text, a function,
    or a Method, whose parts are then compared."""

    def __init__(self, before, after):
        if hasattr(before, "masking") and hasattr(after, "masking"):
            pairs = [([f"{name:8}{line}" for line in old], [f"{name:8}{line}" for line in new]) for (name, old), new in zip(parts_of(before).items(), parts_of(after).values(), strict=True)]
        else:
            pairs = [(lines_of(before), lines_of(after))]
        self.lines = [line for old, new in pairs for line in difflib.ndiff(old, new) if not line.startswith("?")]

    def __repr__(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)

    def _repr_html_(self) -> str:
        rows = (f'<div style="{COLOURS[line[0]]};padding:0 6px">{html.escape(line.replace("- ", "− ", 1) if line[0] == "-" else line)}</div>' for line in self.lines)
        return '<pre style="line-height:1.35;border:1px solid #dddddd;display:inline-block;padding:4px 0">' + "".join(rows) + "</pre>"


def lines_of(version) -> list[str]:
    """The lines of a version."""
    if isinstance(version, Callable):
        version = getsource(version)
    return version.rstrip().split("\n") if isinstance(version, str) else list(version)


def parts_of(method) -> dict[str, list[str]]:
    """The parts of a Method in words: views, masking, encoder, head, target, teacher, and a line for each term."""
    terms = [f"{term.name or term.stream}: {loss_name(term.loss)}" + {"other": ", other view", "views": ", all views"}.get(term.pair, "") for term in method.terms]
    teacher = "none" if method.teacher is None else said(method.teacher)
    found = {"views": said(method.views), "masking": said(method.masking), "encoder": said(method.encoder), "head": said(method.decoder), "target": said(method.target)}
    return {name: [words] for name, words in found.items()} | {"teacher": [teacher], "terms": terms}


def said(part) -> str:
    """A part by the name of its class and those of its numbers and words that were chosen."""
    chosen = {name: value for name, value in vars(part).items() if not name.startswith("_") and name not in LEFT_OUT}
    words = ", ".join(f"{name}={value}" for name, value in chosen.items() if isinstance(value, int | float | str) or (isinstance(value, tuple) and all(isinstance(v, int | float) for v in value)))
    inner = [said(value) for value in getattr(part, "_modules", {}).values() if type(part).__name__ == "FirstViewsMasking"]
    return f"{type(part).__name__}({', '.join(filter(None, [*inner, words]))})"
