"""The checks of problem set 3, the decoder, the loss and the training step: what is tried, and how it is drawn."""

TASKS = []
