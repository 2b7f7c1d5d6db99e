"""The result of a diagnosis."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """The result of one diagnosis. healthy: whether nothing is wrong; words: what was found; numbers: what the words are based on."""

    healthy: bool
    words: str
    numbers: dict[str, float]

    def __str__(self) -> str:
        return self.words
