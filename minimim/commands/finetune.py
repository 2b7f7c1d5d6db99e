"""minimim finetune"""

from dataclasses import asdict, dataclass, field

from minimim.commands.pretrain import chosen
from minimim.commands.probe import labelled, origin, ready, source, write_json
from minimim.config import option
from minimim.draws import mix
from minimim.errors import UserError
from minimim.evaluate import FinetuneConfig, finetune
from minimim.evaluate.features import image_size
from minimim.methods import anew
from minimim.processes import rank
from minimim.train import settled
from minimim.train.loop import plan
from minimim.train.processes import join, leave, pick_device


@dataclass
class Finetune:
    """Train the encoder on labels, all of it or its last blocks, with a lower learning rate for early layers, and measure it on test
    images. Can be stopped, resumed and spread over processes, as pretraining can."""

    config_type = FinetuneConfig

    checkpoint: str = option("", "a run's folder, or a .safetensors file (runs/pretrain, or runs/PRESET)")
    weights: str = option("", "foreign weights instead: a file of the official MAE's, timm's or Hugging Face's")
    key: str = option("", "which encoder of a file that holds several, such as teacher or student")
    data: str | None = option(None, "labelled images with a train and a test part (scenes)")
    image_size: int | tuple[int, ...] | None = option(None, "pixels of the images: a side, or height and width (by default as in pretraining)")
    preset: str | None = option(None, "a named run, for its data and its settings of fine-tuning; other options change them")
    fast: bool = option(False, "shorten the preset to about a minute on a CPU, to see that it works")
    scratch: bool = option(False, "start from random weights instead: the baseline that pretraining has to beat")
    shots: int = option(0, "labelled images of each class that may be used; 0 is all")
    out: str = option("", "folder for the checkpoint, metrics.jsonl and figures.json; without it nothing is saved")
    resume: bool = option(False, "go on from the checkpoint in --out")
    train: dict = field(default_factory=dict)  # changes to the FinetuneConfig

    def run(self) -> int:
        """Print the test accuracy, and write it to --out if that is given."""
        if self.train.get("probe_every"):
            raise UserError("--probe-every measures the encoder during pretraining, and has no effect in fine-tuning: leave it out")
        join(pick_device(self.train.get("device", "auto")))
        first = rank() == 0
        base = chosen(self.preset, self.fast, self.data)
        config = settled(base.finetune if base else FinetuneConfig(), **self.train)
        method = ready(self, config.device)
        train, test = labelled(self, base, method, config.seed, crops=config.crop < 1)
        if self.scratch:
            method = anew(method, mix(config.seed))
        if first:
            print(plan(len(train), settled(config, batch_size=min(config.batch_size, len(train)))), flush=True)
        score = finetune(method.encoder, train, test, config, out=self.out or None, resume=self.resume)
        leave()
        if score is None and first:
            print("stopped before the end: " + ("the same command with --resume goes on" if self.out else "nothing was saved, because there is no --out"))
        if score is None:
            return 0 if self.out else 130
        if first:
            start = "random weights" if self.scratch else self.weights or self.checkpoint or "the pretrained encoder"
            print(f"fine-tuned from {start}: {score} on {score.n} test images, after {score.details['steps']} steps")
            if self.out:
                names = {"data": source(self, base), "checkpoint": origin(self)}
                about = {"config": asdict(config), "shots": self.shots, "scratch": self.scratch}
                about |= {"image_size": image_size(test), "classes": train.classes}
                write_json(f"{self.out}/figures.json", {**names, **about, "figures": asdict(score)})
        return 0
