"""What does the normalised target change, part by part? Short pretrainings on the scenes with parts of it, several seeds each.

    python benchmarks/normalised.py                 every setting, seeds 0 to 2; about two minutes a run on two CPU cores
    python benchmarks/normalised.py --seeds 0 --only "without the mean"
    python benchmarks/normalised.py --smoke         tiny sizes, to see that it works

A patch x has a mean μ and a standard deviation σ. Normalising it does two things: it takes μ out, so that the mean is no longer asked
for, and it divides by σ, so that each patch weighs the same. Here either is done alone. "Rate" is the normalised target at half and at
twice the learning rate, which was chosen with the raw one. All else is the demo's recipe, as in quality.py, whose question "target" has
both and neither. A run that is in the results file is not done again, so the command can be stopped and started at will.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from machine import RESULTS, kind, write
from quality import POINTS, floors, measure, sizes
from torch import nn

from minimim import evaluate, methods
from minimim.draws import mix
from minimim.patches import patchify
from minimim.presets import preset
from minimim.train import train
from minimim.train.processes import pick_device

SETTINGS = {  # name → whether the mean is kept, whether the rest is divided by the standard deviation, how many times the learning rate
    "without the mean": (False, False, 1),
    "divided, with the mean": (True, True, 1),
    "normalised, half the rate": (False, True, 0.5),
    "normalised, twice the rate": (False, True, 2),
}


class Parts(nn.Module):
    """Pixels of which the mean is kept or not, and the rest divided by its standard deviation or not: (B, N, P·P·C)."""

    predicts = "pixels"

    def __init__(self, patch_size: int, mean: bool, divided: bool):
        super().__init__()
        self.patch_size, self.mean, self.divided, self.normalize = patch_size, mean, divided, True

    def forward(self, content, teacher=None, mask=None, progress=0.0):
        """{"patch": (B, N, P·P·C)} from normalised images."""
        patches = patchify(content["image"], self.patch_size)  # (B, N, P·P·C)
        mean, variance = patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)  # (B, N, 1), with n − 1
        rest = (patches - mean) / ((variance + 1e-6).sqrt() if self.divided else 1)
        return {"patch": rest + mean if self.mean else rest}


def one(name: str, seed: int, images, test, labelled, steps: int, device) -> dict:
    """Pretrain once and measure."""
    base, (mean, divided, rate) = preset("demo"), SETTINGS[name]
    torch.manual_seed(mix(seed))
    method = methods.create(base.method, image_size=32, patch_size=4, size=base.size, **base.options)
    method.target = Parts(4, mean, divided)
    epochs = steps * base.train.batch_size / len(images)
    config = replace(base.train, epochs=epochs, lr=rate * base.train.lr, seed=seed, device=str(device), log_every=max(1, steps // POINTS))
    run = train(method, images, config, bar=False)
    began = time.monotonic()
    row = measure(tuple(evaluate.extract(method.encoder, those) for those in (labelled, test)), labelled, test)
    row["loss"] = [[line["step"], round(line["loss"], 4)] for line in run.history]
    return row | {"seconds": {"pretrain": round(run.seconds, 1), "evaluate": round(time.monotonic() - began, 1)}}


def main() -> None:
    parser = argparse.ArgumentParser(description="What does the normalised target change, part by part? Short pretrainings on the scenes.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="these settings alone", metavar="SETTING")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one seed")
    args = parser.parse_args()
    if args.smoke:
        args.seeds = [0]
    device = pick_device(args.device)
    images, labelled, test, steps = sizes(args.smoke)
    path = args.out / f"normalised-{kind(device.type)}.json"
    kept = json.loads(path.read_text()) if path.exists() else {"floors": {}, "runs": []}
    settings = {name: dict(zip(("mean", "divided", "rate"), values, strict=True)) for name, values in SETTINGS.items()}
    results = {"images": len(images), "labels": len(labelled), "test_images": len(test), "steps": steps, "settings": settings}
    results |= {"floors": kept["floors"] or floors(labelled, test, 0), "runs": kept["runs"]}
    done = {(run["target"], run["seed"]) for run in results["runs"]}
    for seed in args.seeds:
        for name in args.only:
            if (name, seed) not in done:
                row = one(name, seed, images, test, labelled, steps, device)
                results["runs"].append({"target": name, "seed": seed, **row})
                print(f"seed {seed}, {name}: linear {row['linear_probe'][0]:.3f}, k-NN {row['knn'][0]:.3f}, place {row['place_and_size'][0]:.3f}")
                write("normalised", device.type, args.seeds[0], results, args.out)


if __name__ == "__main__":
    main()
