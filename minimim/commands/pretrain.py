"""minimim pretrain"""

from dataclasses import dataclass, field

import torch

from minimim import evaluate, methods
from minimim.config import option
from minimim.data import load
from minimim.draws import mix
from minimim.errors import UserError
from minimim.presets import preset
from minimim.processes import rank
from minimim.train import Run, settled, train
from minimim.train.processes import join, leave, pick_device


@dataclass
class Pretrain:
    """Pretrain an encoder on images without labels. The run can be stopped by Ctrl-C and resumed; started by torchrun, it
    uses every process."""

    method: str | None = option(None, "how: see `minimim methods` (mae)")
    data: str | None = option(None, "on what: scenes, fashion, cifar10, stl10, imagenette or folder:PATH (scenes)")
    image_size: int | tuple[int, ...] | None = option(None, "pixels: a side, or height and width (as the data has them)")
    patch_size: int | None = option(None, "pixels of a patch's side (about an eighth of the image's, at most 16)")
    size: str | None = option(None, "of the encoder: micro, tiny, small, base or large (micro)")
    preset: str | None = option(None, "a named run to start from; other options change it")
    out: str = option("runs/pretrain", "folder for checkpoints and metrics.jsonl")
    resume: bool = option(False, "go on from the checkpoint in --out")
    options: dict = field(default_factory=dict)  # of the recipe
    train: dict = field(default_factory=dict)  # changes to the TrainConfig

    def run(self) -> int:
        """Train, save, and say what can be done next."""
        base = preset(self.preset) if self.preset else None
        name = self.method or (base.method if base else "mae")
        source = self.data or (base.data if base else "scenes")
        chosen = base if base and name == base.method else None
        methods.options(name)  # an unknown method is told before anything is read
        config = {"seed": 0, "device": "auto", **self.train}
        join(pick_device(config["device"]))
        try:
            images = load(source, "train", image_size=self.image_size or (base.image_size if base else None))
            height, width = images[0].shape[-2:] if hasattr(images, "files") else images.images.shape[-2:]
            options = {**(chosen.options if chosen else {}), **self.options}
            if not hasattr(images, "files") and images.images.shape[1] != 3:
                options.setdefault("channels", images.images.shape[1])
            torch.manual_seed(mix(config["seed"]))
            method = methods.create(
                name,
                image_size=(height, width),
                patch_size=self.patch_size or (base.patch_size if base else default_patch(height, width)),
                size=self.size or (base.size if base else "micro"),
                **options,
            )
            config = settled(chosen.train if chosen else method.defaults, **self.train)
            run = train(method, images, config, out=self.out, resume=self.resume, monitor=watch(source, images, config))
        finally:
            leave()
        if rank() == 0:
            self.report(run, source)
        return 0

    def report(self, run: Run, source: str) -> None:
        """One or two lines about how the run ended."""
        if not run.finished:
            print(f"stopped after {run.steps} of {run.total} steps, saved in {run.path}: the same command with --resume goes on")
            return
        print(f"{run.steps} steps, {run.seconds:.0f} s; the encoder is in {run.path}")
        print(f"next: minimim probe --checkpoint {self.out} --data {source.removesuffix('/train')} --floors")


def default_patch(height: int, width: int) -> int:
    """The largest patch that divides both sides and is at most an eighth of the shorter one, and at most 16."""
    sizes = range(1, max(1, min(16, min(height, width) // 8)) + 1)
    return max(size for size in sizes if height % size == 0 and width % size == 0)


def watch(source: str, images, config):
    """The monitor of a run, where one is wanted: k-NN and effective rank on up to 4,000 images that have labels."""
    if not config.probe_every:
        return None
    if images.labels is None:
        raise UserError("probe_every needs labels to look at, and these images have none: set it to 0, or sort them into folders")
    picks = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:4000]
    cut = len(picks) * 3 // 4
    return evaluate.monitor(images.take(picks[:cut]), images.take(picks[cut:]))
