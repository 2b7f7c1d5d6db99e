"""minimim finetune"""

from dataclasses import asdict, dataclass

import torch

from minimim.commands.probe import ready, write_json
from minimim.config import option
from minimim.draws import mix
from minimim.evaluate import FinetuneConfig, finetune
from minimim.methods import create


@dataclass
class Finetune(FinetuneConfig):
    """Let the whole encoder learn the labels, its early layers more slowly than its late ones, and measure it on test
    images."""

    checkpoint: str = option("runs/pretrain", "a run's folder, or a .safetensors file")
    data: str = option("scenes", "labelled images with a train and a test part")
    scratch: bool = option(False, "start from random weights instead: the floor that pretraining has to beat")
    out: str = option("", "a .json file for the figures")

    def run(self) -> int:
        """Print the test accuracy, and write it where it was asked for."""
        method, train, test = ready(self.checkpoint, self.data, self.device)
        if self.scratch:
            torch.manual_seed(mix(self.seed))
            method = create(**method.spec)
        score = finetune(method.encoder, train, test, self)
        start = "random weights" if self.scratch else self.checkpoint
        print(f"fine-tuned from {start}: {score} on {score.n} test images, after {score.details['steps']} steps")
        if self.out:
            write_json(self.out, {"finetune": asdict(self), "figures": asdict(score)})
        return 0
