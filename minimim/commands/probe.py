"""minimim probe"""

import json
from dataclasses import asdict, dataclass, fields, replace

from minimim import checkpoint, data, evaluate
from minimim.commands.pretrain import chosen, given, place
from minimim.commands.weights import wanted
from minimim.config import option
from minimim.data.images import few
from minimim.errors import UserError, unknown
from minimim.evaluate import OfficialConfig, Score
from minimim.evaluate.features import check_labels, image_size, pixel_size
from minimim.evaluate.official import fitted
from minimim.methods import Method
from minimim.patches import grid_of
from minimim.presets import Preset, images_of
from minimim.processes import rank
from minimim.train import settled
from minimim.train.processes import join, leave, pick_device

PROTOCOLS = ("cached", "official", "both")
IDLE = {  # what would be ignored beside each of these, and what to do instead
    "--protocol cached": (("epochs", "batch_size", "accumulate"), "ask for --protocol official or both"),
    "--protocol official": (("floors", "layer"), "ask for --protocol both"),
    "--sweep": (("floors", "layer", "pool"), "probe without --sweep"),
}


@dataclass
class Probe:
    """Measure what an encoder has learnt: linear probe and k-NN on frozen features, the same for train and test images.
    The numbers are accuracies; the error after ± is the standard error that follows from the size of the test set."""

    checkpoint: str = option("", "a run's folder, or a .safetensors file (runs/pretrain, or runs/PRESET)")
    weights: str = option("", "foreign weights instead: a file of the official MAE's, timm's or Hugging Face's")
    key: str = option("", "which encoder of a file that holds several, such as teacher or student")
    data: str | None = option(None, "labelled images with a train and a test part (scenes)")
    image_size: int | tuple[int, ...] | None = option(None, "pixels of the images: a side, or height and width (by default as in pretraining)")
    preset: str | None = option(None, "a named run, for its data and its settings of the official protocol")
    fast: bool = option(False, "shorten the preset to about a minute on a CPU, to see that it works")
    protocol: str = option("cached", "cached (features are computed once, and the best linear map is found), official (as in papers, with crops and LARS), or both")
    epochs: float | None = option(None, "passes over the images in the official protocol (90)")
    batch_size: int | None = option(None, "images a step in the official protocol (512, or as the preset says)")
    accumulate: int | None = option(None, "parts into which such a batch is divided when it does not fit (1); BatchNorm then sees one part at a time")
    workers: int | None = option(None, "processes that read images, for data that does not fit in memory")
    floors: bool = option(False, "also probe raw pixels and the same encoder with random weights (cached)")
    layer: int = option(-1, "the block after which features are taken; -1 is the last (cached)")
    pool: str | None = option(None, "mean of the patches, or cls (by default mean in cached, and cls in official if there is one)")
    shots: int = option(0, "labelled images of each class that may be used; 0 is all")
    sweep: bool = option(False, "probe every layer and pooling (cached)")
    seed: int = option(0, "random seed of the random encoder, of the choice of shots, and of the official protocol")
    device: str = option("auto", "auto, cpu, cuda or mps")
    out: str = option("", "a .json file for the numbers")

    def run(self) -> int:
        """Print a table, and write it to --out if that is given."""
        if self.protocol not in PROTOCOLS:
            raise unknown("protocol", self.protocol, PROTOCOLS)
        if self.pool not in (None, "mean", "cls"):
            raise unknown("pooling", self.pool, ["mean", "cls"])
        self.refuse_idle()
        join(pick_device(self.device))
        base = chosen(self.preset, self.fast, self.data)
        method = ready(self, self.device)
        train, test = labelled(self, base, method, self.seed)
        check_labels(train, test)
        if self.protocol != "cached":
            fitted(self.official_config(method, base), len(train))  # what is impossible is refused before hours of computing features
        tell(f"{len(train)} train and {len(test)} test images; chance is 1 in {len(train.classes)}")
        figures, score = {}, None
        if self.sweep:
            figures["sweep"] = self.every_layer(method, train, test)
        elif self.protocol != "official":
            scores = evaluate.compare(
                method,
                train,
                test,
                with_floors=self.floors,
                layer=self.layer,
                pool=self.pool or "mean",
                seed=self.seed,
                workers=self.workers,
            )
            tell(evaluate.table(scores))
            height, width = pixel_size(*image_size(test))
            if self.floors and (height, width) != image_size(test):
                tell(f"raw pixels: at {height}×{width}")
            figures |= {kind: {name: asdict(score) for name, score in rows.items()} for kind, rows in scores.items()}
        if self.protocol != "cached":
            score = self.official(method, train, test, base)
            tell(f"{'official protocol':18}{score or 'stopped before its end: nothing was kept'!s:>14}")
        if score:
            figures["official"] = asdict(score)
        if self.out and figures and rank() == 0:
            write_json(self.out, {"probe": asdict(self), "figures": figures})
        leave()
        return 0 if score or self.protocol == "cached" else 130

    def refuse_idle(self) -> None:
        """Raise UserError for an option that would be ignored beside another."""
        defaults = {f.name: f.default for f in fields(self)}
        for beside in (f"--protocol {self.protocol}", *["--sweep"] * self.sweep):
            idle, instead = IDLE.get(beside, ((), ""))
            for name in idle:
                if getattr(self, name) != defaults[name]:
                    raise UserError(f"--{name.replace('_', '-')} has no effect with {beside}: leave it out, or {instead}")

    def official_config(self, method: Method, base: Preset | None) -> OfficialConfig:
        """The settings of the linear probe as papers do it."""
        pool = self.pool or ("mean" if method.encoder.cls_token is None else "cls")
        asked = {name: getattr(self, name) for name in ("seed", "device", "epochs", "batch_size", "accumulate", "workers")}
        return settled(base.probe if base else OfficialConfig(), pool=pool, **asked)

    def official(self, method: Method, train, test, base: Preset | None) -> Score | None:
        """The linear probe as papers do it, trained on larger images if the preset wants that for its crops."""
        config = self.official_config(method, base)
        if base and base.read_size and config.crop < 1:
            train, _ = labelled(self, base, method, self.seed, crops=True)
        return evaluate.official_probe(method.encoder, train, test, config)

    def every_layer(self, method: Method, train, test) -> list[dict]:
        """The cached protocol after every block."""
        pools = ("mean", "cls") if method.encoder.cls_token is not None else ("mean",)
        rows = evaluate.sweep(method.encoder, train, test, pools=pools, workers=self.workers)
        tell(f"{'layer':>5} {'pool':>5} {'linear probe':>15} {'k-NN':>15}   (chosen by: held-out part of train)")
        for row in rows:
            held_out = row["linear_probe"].details["held_out"]
            tell(f"{row['layer']:5} {row['pool']:>5} {row['linear_probe']!s:>15} {row['knn']!s:>15}   {held_out:.3f}")
        return [{**row, "linear_probe": asdict(row["linear_probe"]), "knn": asdict(row["knn"])} for row in rows]


def ready(command, device: str) -> Method:
    """The trained method that a command names, on its device. Prints a line if its run has not finished."""
    start = wanted(command, place(command.preset, command.fast), image_size=command.image_size)
    about = {} if command.weights else checkpoint.description(start.path)
    if about.get("step", 0) < about.get("total", 0):
        tell(f"the run in {start.path} was trained for {about['step']} of {about['total']} steps")
    if getattr(start.method.teacher, "saw", None):
        tell(f"its teacher: {start.method.teacher.saw}")
    return start.method.to(pick_device(device))


def origin(command) -> str:
    """Where the trained weights of a command lie."""
    return command.weights or command.checkpoint or place(command.preset, command.fast)


def labelled(command, base: Preset | None, method: Method, seed: int, *, crops: bool = False) -> tuple[data.Images, data.Images]:
    """The labelled training images and the test images, at the size that was asked for, or else at the method's own; with `crops`,
    the training images are as the preset wants them for random crops. Raises UserError for a size that the patches do not divide, and
    for the photographs, which have no test images of their own."""
    if source(command, base) == "photos":
        raise UserError(
            "photos are six pictures to look at, the same in train and test, so an accuracy on them means nothing: measure on scenes, or on "
            "images of your own as folder:PATH"
        )
    size = given(command.image_size, tuple(method.spec["image_size"]))
    size = (size, size) if isinstance(size, int) else size
    grid_of(*size, method.spec["patch_size"])
    if base:
        read_size = base.read_size if size == (base.image_size, base.image_size) else None
        base = replace(base, image_size=size, read_size=read_size)
        train, test = images_of(base, "train", crops=crops), images_of(base, "test")
    else:
        train, test = (data.load(source(command, base), split, image_size=size) for split in ("train", "test"))
    return few(train, command.shots, seed=seed) if command.shots else train, test


def source(command, base: Preset | None) -> str:
    """The name of the images that a command reads."""
    return base.data if base else given(command.data, "scenes")


def tell(text: str) -> None:
    """Print, on the first process alone."""
    if rank() == 0:
        print(text, flush=True)


def write_json(path: str, content: dict) -> None:
    """Write numbers to a JSON file. Raises UserError where that is impossible."""
    checkpoint.write_bytes(path, (json.dumps(content, indent=1) + "\n").encode())
