"""What nobody has tried: the papers as a grid of what they hide, what they predict and how they compare it, and a method for an empty cell.

A paper stands in every cell that its facets name, so one with two masks and two targets stands in four cells, whether it combines all of
them or not. A cell with papers may therefore be emptier than it looks; an empty one is empty, among these papers and in these words.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

import numpy as np

from minimim.errors import UserError, unknown
from minimim.survey.catalogue import FACETS, Paper, papers

AXES = ("masking", "target", "objective")
NOTHING = ("none", "other")  # words that are left out of a grid: they name no choice that could be combined


@dataclass(frozen=True)
class Grid:
    """Papers by two or three axes. The counts have one dimension an axis, in the order of `axes`, and one place a word of it."""

    axes: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]  # of each axis
    papers: tuple[Paper, ...]  # those with a word on every axis

    @cached_property
    def counts(self) -> np.ndarray:
        """(words of the first axis, of the second, …) how many papers stand in each cell."""
        table = np.zeros([len(words) for words in self.words], dtype=int)
        for one in self.papers:
            for place in product(*(self.has(one, n) for n in range(len(self.axes)))):
                table[place] += 1
        return table

    @cached_property
    def expected(self) -> np.ndarray:
        """How many papers would stand in each cell if the choices were independent: all papers, times the fraction of them that has the
        word, for each axis."""
        fractions = [np.zeros(len(words)) for words in self.words]
        for one in self.papers:
            for n, fraction in enumerate(fractions):
                fraction[self.has(one, n)] += 1 / len(self.papers)
        table = np.array(float(len(self.papers)))
        for fraction in fractions:
            table = table[..., None] * fraction
        return table

    def has(self, one: Paper, n: int) -> list[int]:
        """The places of a paper's words on the axis of this number."""
        return [self.words[n].index(word) for word in getattr(one, f"{self.axes[n]}_facets") if word in self.words[n]]

    def cell(self, *place: str) -> list[Paper]:
        """The papers of one cell, named by its words, one for each axis. Raises UserError for another number of words, and for unknown ones."""
        if len(place) != len(self.axes):
            raise UserError(f"a cell of this grid has {len(self.axes)} words, for {', '.join(self.axes)}, not {len(place)}")
        for axis, words, word in zip(self.axes, self.words, place, strict=True):
            if word not in words:
                raise unknown(axis, word, words)
        return [
            one
            for one in self.papers
            if all(word in getattr(one, f"{axis}_facets") for axis, word in zip(self.axes, place, strict=True))
        ]

    def empty(self) -> list[tuple[str, ...]]:
        """The cells without a paper, by their words: those first in which most papers would stand if the choices were independent."""
        places = sorted(
            np.argwhere(self.counts == 0).tolist(), key=lambda place: -self.expected[tuple(place)]
        )  # sorted keeps the order of equals
        return [tuple(words[n] for words, n in zip(self.words, place, strict=True)) for place in places]

    def expected_in(self, *place: str) -> float:
        """How many papers would stand in a cell, named by its words, if the choices were independent."""
        return float(self.expected[tuple(words.index(word) for words, word in zip(self.words, place, strict=True))])


def grid(*axes: str, some: list[Paper] | None = None, **query) -> Grid:
    """The papers by axes of `facets()`: `grid()` is masking × target × objective, `grid("masking", "target", modality="image")` two of them.

    some: papers, all of the catalogue if not given. query: as of `papers`. The words "none" and "other" are left out, and so is a paper that
    has no other word on an axis. Raises UserError for an unknown axis, the same one twice, or other than two or three.
    """
    axes = axes or AXES
    for axis in axes:
        if axis not in FACETS:
            raise unknown("axis of the papers", axis, FACETS)
    if not 2 <= len(set(axes)) == len(axes) <= 3:
        raise UserError(f"a grid has two or three different axes, of {', '.join(FACETS)}, not {', '.join(axes)}")
    words = tuple(tuple(word for word in FACETS[axis] if word not in NOTHING) for axis in axes)
    asked = papers(**query)
    chosen = asked if some is None else [one for one in some if one in asked]
    there = [
        one
        for one in chosen
        if all(set(getattr(one, f"{axis}_facets")) & set(known) for axis, known in zip(axes, words, strict=True))
    ]
    if not there:
        raise UserError("no paper has a word on each of these axes: ask for more papers")
    return Grid(axes, words, tuple(there))


def untried(some: list[Paper] | None = None, **query) -> list[tuple[str, str, str]]:
    """The empty cells of masking × target × objective that `build` can make: those first in which most papers would stand by chance."""
    from minimim.survey.assembly import missing

    return [cell for cell in grid(some=some, **query).empty() if not missing(*cell)]


def neighbours(cell: tuple[str, ...], within: Grid) -> dict[str, list[Paper]]:
    """The papers nearest to a cell: those that share all of its words but one, by the axis in which they differ."""
    answer = {}
    for kept in combinations(range(len(cell)), len(cell) - 1):
        (other,) = set(range(len(cell))) - set(kept)
        answer[within.axes[other]] = [
            one for one in within.papers if all(within.words[n].index(cell[n]) in within.has(one, n) for n in kept)
        ]
    return answer


def build(masking: str, target: str, objective: str, image_size: int = 32, patch_size: int = 4, size: str = "micro"):
    """A Method for a cell, with fresh weights, out of this library's parts: see `minimim.survey.assembly`.

    masking, target, objective: facets, as `grid` has them. image_size, patch_size: in pixels; size: of the encoder. Raises UserError with
    what is missing where the library has no part for it, and for sizes that do not fit together.
    """
    from minimim.survey.assembly import assembled

    return assembled(masking, target, objective, image_size, patch_size, size)
