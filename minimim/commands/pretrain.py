"""minimim pretrain"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from minimim import evaluate, methods
from minimim.commands.weights import Start, begin, opened, refuse_another_start
from minimim.config import option
from minimim.data import available, load
from minimim.data.folders import part_folders
from minimim.draws import mix
from minimim.errors import UserError
from minimim.evaluate.features import image_size
from minimim.presets import Preset, images_of, preset
from minimim.processes import rank
from minimim.prompt import typed
from minimim.show import filling
from minimim.train import Run, checkpoint, settled, train
from minimim.train.loop import plan
from minimim.train.processes import join, leave, pick_device


@dataclass
class Pretrain:
    """Pretrain an encoder on images without labels. The run can be stopped by Ctrl-C and resumed; started by torchrun, it
    uses every process."""

    method: str | None = option(None, "the method, see `minimim methods` (mae)")
    data: str | None = option(None, "the images: a name such as scenes or cifar10, or folder:PATH (scenes)")
    image_size: int | tuple[int, ...] | None = option(None, "pixels: a side, or height and width (by default as the data has them)")
    patch_size: int | None = option(None, "side of a patch in pixels (about an eighth of the image's side, at most 16)")
    size: str | None = option(None, "size of the encoder: micro, tiny, small, base, large or huge (micro)")
    preset: str | None = option(None, "a named run to start from, see `minimim presets`; other options change it")
    fast: bool = option(False, "shorten the preset to about a minute on a CPU, to see that it works")
    from_: str = option(
        "",
        "begin with trained weights instead of random ones: a run's folder, a .safetensors file, or a foreign file, as --checkpoint and "
        "--weights of `minimim probe` take them. Encoder and decoder are taken over if the method is the same and everything fits, otherwise "
        "the encoder alone; optimiser, schedule and number of steps never are. Method and sizes are those of the weights, unless you give others. "
        "With --resume the weights are not read again",
    )
    key: str = option("", "which encoder of a file that holds several, such as teacher or student")
    out: str = option("", "folder for checkpoints and metrics.jsonl (runs/pretrain, or runs/PRESET)")
    resume: bool = option(False, "go on from the checkpoint in --out")
    options: dict = field(default_factory=dict)  # of the recipe
    train: dict = field(default_factory=dict)  # changes to the TrainConfig

    def run(self) -> int:
        """Train, save, and say what can be done next. Returns 130 after Ctrl-C, so that a script does not go on."""
        join(pick_device(self.train.get("device", "auto")))
        base = chosen(self.preset, self.fast, self.data)
        if base and self.image_size is not None:
            base = replace(base, image_size=self.image_size, read_size=None)
        first, out = rank() == 0, self.out or place(self.preset, self.fast)
        start, spec, note = self.beginning(out)
        name = given(self.method, base.method if base else spec.get("name", "mae"))
        own = base if base and name == base.method else None  # another method does not keep options and schedule
        methods.options(name)  # an unknown method is refused before anything is read
        if base:
            images, shape = images_of(base, "pretrain", crops=True), base.image_size
        else:
            images = load(given(self.data, "scenes"), "train", image_size=given(self.image_size, spec.get("image_size")))
            shape = image_size(images)
        options = own.options if own else further(spec) if name == spec.get("name") and not base else {}
        options = {**options, **self.options}
        if self.resume:
            options = as_saved(options, checkpoint.description(out).get("spec") or {})
        if not hasattr(images, "files") and images.images.shape[1] != 3:
            options.setdefault("channels", images.images.shape[1])
        sizes = base.sizes if base else spec or {"patch_size": default_patch(*shape), "size": "micro"}
        torch.manual_seed(mix(self.train.get("seed", 0)))
        method = methods.create(
            name,
            image_size=shape,
            patch_size=given(self.patch_size, sizes["patch_size"]),
            size=given(self.size, sizes["size"]),
            **options,
        )
        if start:
            note = {"from": {"weights": start.path, "carried": begin(method, start)}}
            if first:
                print(f"begins with {note['from']['carried']} of {start.path}")
        if first and getattr(method.teacher, "saw", None):
            print(f"the teacher: {method.teacher.saw}")
        config = settled(own.train if own else method.defaults, **self.train)
        if first:
            print(plan(len(images), config), flush=True)
        note["data_name"] = base.data if base else given(self.data, "scenes")
        pictures = filling(images) if config.tensorboard and first else None
        run = train(method, images, config, out=out, resume=self.resume, monitor=watch(images, config), pictures=pictures, note=note)
        leave()
        if first:
            self.report(run, out, base, images.labels is not None)
        return 130 if run.by_hand and not run.finished else 0

    def beginning(self, out: str) -> tuple[Start | None, dict, dict]:
        """What the run begins with: trained weights or None, the spec of their method or {}, and the note for the checkpoint."""
        if self.key and not self.from_:
            raise UserError("--key chooses among the encoders in the file of --from: give both, or neither")
        if self.resume:
            then = checkpoint.description(out)
            begun = then.get("from")
            refuse_another_start(out, begun, self.from_)
            return (None, then["spec"], {"from": begun}) if begun else (None, {}, {})
        if not self.from_:
            return None, {}, {}
        start = opened(self.from_, self.key, image_size=self.image_size)
        return start, start.method.spec, {}

    def report(self, run: Run, out: str, base: Preset | None, labelled: bool = True) -> None:
        """One or two lines about how the run ended, and the command that comes next. labelled: whether its images were."""
        if not run.finished:
            print(f"stopped after {run.steps} of {run.total} steps, saved in {run.path}: the same command with --resume goes on")
            return
        print(f"{run.steps} steps, {run.seconds:.0f} s; the encoder is in {run.path}")
        words = ["--preset", self.preset, *["--fast"] * self.fast] if base else []
        if self.out or not base:
            words += ["--checkpoint", out]
        data = with_both_parts(self.data or "scenes", labelled)
        if self.data or not base:
            words += ["--data", data or "folder:PATH"]
        line = typed("minimim", "probe", *words, "--floors")
        print(f"next: {line}" if data else f"to measure it, sort labelled pictures into PATH/train/CLASS/ and PATH/test/CLASS/, then {line}")


def further(spec: dict) -> dict:
    """The options of a recipe without its sizes."""
    return {name: value for name, value in spec.items() if name not in ("name", "image_size", "patch_size", "size")}


def as_saved(options: dict, spec: dict) -> dict:
    """The options of a resumed run. A frozen teacher that is named as before is taken as the checkpoint describes it: its file may be
    gone, and its weights are in the checkpoint."""
    saved = {name: spec[name] for name in options if isinstance(spec.get(name), dict)}
    return {**options, **{name: about for name, about in saved.items() if about.get("weights") == options[name]}}


def with_both_parts(data: str, labelled: bool) -> str | None:
    """The name of the labelled images to probe with after pretraining on `data`: for a folder that is the train part of another, that
    other folder. None for a folder without such parts."""
    kind, _, path = data.partition(":")
    if kind != "folder":
        return data
    above = Path(path).parent if Path(path).name not in ("", "..") else Path(path, "..")
    for name, top in ((data, Path(path)), (f"folder:{above}", above)):
        if labelled and available(name, "test"):
            train = part_folders(top, "train").get("train")
            if name == data or train and os.path.samefile(train, Path(path).expanduser()):
                return name
    return None


def chosen(name: str | None, fast: bool, data: str | None) -> Preset | None:
    """The preset that was asked for, on the data that was asked for.

    Raises UserError for an unknown preset, and for --fast without one.
    """
    if name is None:
        if fast:
            raise UserError("--fast shortens a preset: name one with --preset, see minimim presets")
        return None
    base, whole = preset(name, fast), preset(name)
    if data is not None:
        return replace(base, data=data, split="train")
    if base.data != whole.data and rank() == 0:
        print(f"{whole.data} is not on this machine: the bundled scenes take its place")
    return base


def given(value, otherwise):
    """A value that was given, even if it is 0 or empty; otherwise the default."""
    return otherwise if value is None else value


def place(name: str | None, fast: bool) -> str:
    """The folder of a pretraining for which no folder was given."""
    return f"runs/{name or 'pretrain'}" + "-fast" * fast


def default_patch(height: int, width: int) -> int:
    """The largest patch size that divides both sides, and is at most an eighth of the shorter one and at most 16."""
    sizes = range(1, max(1, min(16, min(height, width) // 8)) + 1)
    return max(size for size in sizes if height % size == 0 and width % size == 0)


def watch(images, config):
    """The monitor of a run, if one is wanted: k-NN and effective rank on up to 4,000 labelled images, three quarters of them as neighbours
    and the rest as queries. Raises UserError for images without labels, and for too few images or classes."""
    if not config.probe_every:
        return None
    if images.labels is None:
        raise UserError("probe_every needs labels, and these images have none: set it to 0, or sort the images into a folder for each class")
    picks = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:4000]
    cut = len(picks) * 3 // 4
    known, asked = picks[:cut], picks[cut:]
    asked = asked[torch.isin(images.labels[asked], images.labels[known])]  # of many classes, some are not among the known
    if len(images.labels[known].unique()) < 2 or not len(asked):
        raise UserError("probe_every needs at least two classes with several images each: set it to 0, or give more images")
    return evaluate.monitor(images.take(known), images.take(asked))
