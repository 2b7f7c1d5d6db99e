"""Problem set 6, targets and masks: what is tried, what is right, and the mistakes that people make."""

from minimim.feedback.ps6.tasks import TASKS

__all__ = ["TASKS"]
