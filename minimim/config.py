"""How a run is trained: one small dataclass; the command line makes its options from the same fields."""

import math
from dataclasses import dataclass, field

from minimim.errors import UserError, unknown


def option(default, text: str):
    """A field with the sentence that `--help` shows."""
    return field(default=default, metadata={"help": text})


def argument(text: str):
    """A positional argument, without a flag."""
    return field(metadata={"help": text, "positional": True})


@dataclass
class TrainConfig:
    """Everything about a training run that is not the method or the data. Raises UserError for impossible values."""

    epochs: float = option(40, "passes over the data")
    batch_size: int = option(256, "images a step, over all processes and all accumulated parts")
    lr: float = option(1.5e-4, "learning rate for 256 images a step; scaled with the batch size")
    warmup: float = option(0.05, "fraction of the run in which the learning rate rises to its maximum")
    weight_decay: float = option(0.05, "weight decay; biases and norms have none")
    weight_decay_end: float | None = option(None, "weight decay at the end of the run, reached along a cosine (by default the same as at the start)")
    betas: tuple[float, float] = option((0.9, 0.95), "AdamW's decay rates for the averages of the gradient and of its square")
    clip: float = option(0.0, "largest norm of the gradient, above which it is scaled down; 0 does not clip")
    accumulate: int = option(1, "parts into which a batch is divided when it does not fit in memory")
    seed: int = option(0, "random seed, from which everything random in the run follows")
    device: str = option("auto", "auto, cpu, cuda or mps")
    precision: str = option("auto", "auto (bf16 on GPUs that have it, else fp32), fp32 or bf16")
    compile: bool = option(False, "torch.compile the encoder and the decoder")
    workers: int = option(2, "processes that read images, for data that does not fit in memory")
    save_every: float = option(120.0, "seconds between checkpoints")
    max_minutes: float = option(0.0, "minutes after which the run is saved and stopped, to be resumed later; 0 sets no limit")
    log_every: int = option(20, "steps between lines of metrics.jsonl")
    tensorboard: bool = option(False, "also write the curves, and pictures that are filled in, for TensorBoard: tensorboard --logdir shows them")
    probe_every: float = option(0.0, "epochs between measurements of the encoder (k-NN and effective rank); 0 never measures")

    def __post_init__(self):
        for name in ("epochs", "batch_size", "lr", "accumulate", "log_every"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("weight_decay", "clip", "workers", "save_every", "max_minutes", "probe_every"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.weight_decay_end is not None and not self.weight_decay_end >= 0:
            raise UserError(f"weight_decay_end must be 0 or more, or not given, not {self.weight_decay_end}")
        self.betas = tuple(self.betas) if isinstance(self.betas, list | tuple) else (self.betas,)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"betas are two numbers from 0 to below 1, not {' '.join(map(str, self.betas))}")
        if not 0 <= self.warmup < 1:
            raise UserError(f"warmup is a fraction of the run, from 0 to below 1, not {self.warmup}")
        if self.precision not in ("auto", "fp32", "bf16"):
            raise unknown("precision", self.precision, ["auto", "fp32", "bf16"])
