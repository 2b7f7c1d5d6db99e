"""The data sets that the survey describes (arXiv 2408.06687v3, §5), with its figure beside the usual one.

Rows are those of assets/survey/datasets.csv. The survey's table of all data sets is not among what could be read; these are the ten of
its text.
"""

from dataclasses import dataclass
from functools import cache

from minimim.errors import unknown
from minimim.survey.tables import read, table


@dataclass(frozen=True)
class Dataset:
    """One data set: a row of datasets.csv, with the sizes in words, because the survey and the usual count differ in what they count."""

    key: str
    modality: str
    role: str  # what papers use it for
    survey: str  # how large the survey says it is
    usual: str  # how large it is usually said to be
    differs: bool  # whether the survey states another number than the usual one
    note: str  # why, or what the number leaves out
    source: str
    unverified: tuple[str, ...]  # names of fields


def datasets(key: str = "") -> list[Dataset]:
    """The data sets of the survey's text, or the one of a name, as a list. Raises UserError for a name that is not among them."""
    found = [one for one in rows() if key.lower() in ("", one.key.lower())]
    if not found:
        raise unknown("data set of the survey", key, [one.key for one in rows()])
    return found


@cache
def rows() -> tuple[Dataset, ...]:
    """All rows of datasets.csv."""
    return tuple(read(row, Dataset) for row in table("datasets.csv"))
