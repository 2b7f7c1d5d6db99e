"""Problem set 1, patches and masks: what is tried, what is right, and the mistakes that people make."""

from minimim.feedback.ps1.tasks import TASKS

__all__ = ["TASKS"]
