"""Problem set 2, attention and the ViT: what is tried, what is right, and the mistakes that people make."""

from minimim.feedback.ps2.tasks import TASKS

__all__ = ["TASKS"]
