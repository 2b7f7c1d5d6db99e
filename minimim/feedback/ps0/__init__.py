"""Problem set 0, ready?: what is tried, what is right, and the mistakes that people make."""

from minimim.feedback.ps0.tasks import TASKS

__all__ = ["TASKS"]
