"""minimim probe"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from minimim import data, evaluate
from minimim.config import option
from minimim.errors import UserError
from minimim.methods import Method
from minimim.train import load
from minimim.train.processes import pick_device


@dataclass
class Probe:
    """Measure what an encoder has learnt: linear probe and k-NN on frozen features, the same for train and test images.
    The figures are accuracies with their standard error from the size of the test set."""

    checkpoint: str = option("runs/pretrain", "a run's folder, or a .safetensors file")
    data: str = option("scenes", "labelled images with a train and a test part")
    floors: bool = option(False, "also probe raw pixels and the same encoder with random weights")
    layer: int = option(-1, "the block that the features are taken after; -1 is the last")
    pool: str = option("mean", "mean of the patches, or cls")
    sweep: bool = option(False, "probe every layer and pooling")
    seed: int = option(0, "of the random encoder among the floors")
    device: str = option("auto", "auto, cpu, cuda or mps")
    out: str = option("", "a .json file for the figures")

    def run(self) -> int:
        """Print a table, and write it where it was asked for."""
        method, train, test = ready(self.checkpoint, self.data, self.device)
        if self.sweep:
            pools = ("mean", "cls") if method.encoder.cls_token is not None else ("mean",)
            rows = evaluate.sweep(method.encoder, train, test, pools=pools)
            print(f"{'layer':>5} {'pool':>5} {'linear probe':>15} {'k-NN':>15}   (chosen by: held-out part of train)")
            for row in rows:
                held_out = row["linear_probe"].details["held_out"]
                print(f"{row['layer']:5} {row['pool']:>5} {row['linear_probe']!s:>15} {row['knn']!s:>15}   {held_out:.3f}")
            figures = [{**row, "linear_probe": asdict(row["linear_probe"]), "knn": asdict(row["knn"])} for row in rows]
        else:
            scores = evaluate.compare(
                method, train, test, with_floors=self.floors, layer=self.layer, pool=self.pool, seed=self.seed
            )
            print(evaluate.table(scores))
            print(f"{len(train)} train and {len(test)} test images; chance is 1 in {len(train.classes)}")
            figures = {kind: {name: asdict(score) for name, score in rows.items()} for kind, rows in scores.items()}
        if self.out:
            write_json(self.out, {"probe": asdict(self), "figures": figures})
        return 0


def ready(checkpoint: str, source: str, device: str) -> tuple[Method, data.Images, data.Images]:
    """A trained method on its device, and the labelled images to measure it on, at its own image size."""
    method = load(checkpoint).to(pick_device(device))
    size = tuple(method.spec["image_size"])
    train, test = (data.load(source, split, image_size=size) for split in ("train", "test"))
    return method, train, test


def write_json(path: str, content: dict) -> None:
    """Write figures to a file. Raises UserError where that cannot be."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}; choose another place") from error
