"""Build your MAE: what is tried, what is right, the mistakes that people make, and what the notebook goes on with."""

from minimim.feedback.build import attention, decoder, encoder, loss, patches, vit
from minimim.feedback.build.use import board, finished, size, use

TASKS = [*patches.TASKS, *attention.TASKS, *vit.TASKS, *encoder.TASKS, *decoder.TASKS, *loss.TASKS]

__all__ = ["TASKS", "board", "finished", "size", "use"]
