"""What a diagnosis says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """healthy: whether nothing was found; words: what was found, for people; numbers: what the words rest on."""

    healthy: bool
    words: str
    numbers: dict[str, float]

    def __str__(self) -> str:
        return self.words
