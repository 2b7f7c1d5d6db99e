"""Problem set 8, the field as data: its checks."""

from minimim.feedback.ps8.tasks import TASKS

__all__ = ["TASKS"]
