"""Errors for people: one sentence that says what was wrong, what was expected, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """A mistake in what was asked for. The command line prints its sentence alone, without a traceback."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for an unknown name, with the nearest known one.

    >>> print(unknown("method", "mea", ["mae", "simmim"]))
    unknown method 'mea': did you mean 'mae'? Known: mae, simmim
    """
    known = sorted(known)
    lower = {word.lower(): word for word in known}
    near = get_close_matches(str(name).lower(), lower, n=1, cutoff=0.4)
    hint = f"did you mean '{lower[near[0]]}'? " if near else ""
    return UserError(f"unknown {kind} '{name}': {hint}Known: {', '.join(known)}")
