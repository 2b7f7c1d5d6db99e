"""A score with its standard error."""

import math
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Score:
    """The result of an evaluation. value: an accuracy or a mean IoU, 0 to 1, or an R²; stderr: its standard error, from the choice of
    test images alone unless the evaluation says otherwise; n: test images; details: what the evaluation chose, and what else it saw."""

    value: float
    stderr: float
    n: int
    details: dict = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.stderr:.3f}"


def accuracy(predicted: Tensor, labels: Tensor, **details) -> Score:
    """The fraction of right predictions, with its standard error √(p(1−p)/n); predicted, labels: class numbers, (n,) each."""
    n = len(labels)
    value = (predicted == labels).double().mean().item()
    return Score(value, math.sqrt(value * (1 - value) / n), n, details)
