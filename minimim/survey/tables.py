"""CSV files of assets/survey as dataclasses: one row, one object, each cell turned into the type of its field."""

import csv
from dataclasses import fields
from importlib.resources import files

from minimim.errors import UserError

KINDS = {  # the types of fields, as an error names them
    str: "a text",
    bool: "yes or no",
    int: "a whole number",
    int | None: "a whole number or nothing",
    float: "a number",
    float | None: "a number or nothing",
    tuple[str, ...]: "texts with semicolons between them",
}


def table(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file in assets/survey, each a dict of text."""
    text = (files("minimim") / "assets" / "survey" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def read(row: dict[str, str], kind: type):
    """A row as a dataclass: each text is turned into the type of its field. Raises UserError for a text that does not fit, and for a
    row with too few or too many columns."""
    name, values = next(iter(row.values())), {}
    if None in row:  # where csv puts what is beyond the last column
        raise UserError(f'the row {name!r} has more than {len(row) - 1} columns: write a text with a comma as "a, b"')
    for field in fields(kind):
        if row.get(field.name) is None:
            raise UserError(f"the row {name!r} has no {field.name}: it needs a column for each name in the first line")
        try:
            values[field.name] = typed(row[field.name].strip(), field.type)
        except ValueError:
            raise UserError(
                f"{field.name} of {name!r} is {row[field.name]!r}, where {KINDS[field.type]} is expected"
            ) from None
    return kind(**values)


def typed(text: str, kind):
    """A cell of a CSV as its field's type: yes and no for bool, semicolons between the members of a tuple, nothing for None.

    Raises ValueError for a text that is none.
    """
    if kind is str:
        return text
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(";") if part.strip())
    if kind is bool:
        return ("no", "yes").index(text) == 1
    if not text and kind in (int | None, float | None):
        return None
    return int(text) if kind in (int, int | None) else float(text)
