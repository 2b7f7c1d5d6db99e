"""Problem set 4, measurement and a leak hunt: what is tried, what is right, and the mistakes that people make."""

from minimim.feedback.ps4.tasks import TASKS

__all__ = ["TASKS"]
