"""Problem set 3, the decoder, the loss and the training step: what is tried, what is right, and the mistakes that people make."""

from minimim.feedback.ps3.tasks import TASKS

__all__ = ["TASKS"]
