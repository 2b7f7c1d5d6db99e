"""A figure and how sure it is."""

import math
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Score:
    """An accuracy, 0 to 1. stderr: its standard error, from the size of the test set alone; n: test images;
    details: what the evaluation chose and saw on the way."""

    value: float
    stderr: float
    n: int
    details: dict = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.stderr:.3f}"


def accuracy(predicted: Tensor, labels: Tensor, **details) -> Score:
    """The share of right predictions, (n,) class numbers both, with the standard error of a share, √(p(1−p)/n)."""
    n = len(labels)
    value = (predicted == labels).double().mean().item()
    return Score(value, math.sqrt(value * (1 - value) / n), n, details)
