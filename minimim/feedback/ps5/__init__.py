"""Problem set 5, contrast and collapse: what is tried, what is right, and the mistakes that people make."""

from minimim.feedback.ps5.tasks import TASKS

__all__ = ["TASKS"]
