"""Training: one loop for every method, with checkpoints from which a killed run is resumed bit for bit."""

from minimim import checkpoint
from minimim.config import TrainConfig
from minimim.train.loop import NotFinite, Run, settled, train
from minimim.train.state import load, save

__all__ = ["NotFinite", "Run", "TrainConfig", "checkpoint", "load", "save", "settled", "train"]
