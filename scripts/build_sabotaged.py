"""Make the seven methods among which problem set 4 looks for faults: python scripts/build_sabotaged.py, some four minutes on one CPU core.

Each is a small run on the scenes, kept in half precision with its loss curve; the hashes that the tests compare are printed.
Students should not read on: the code below shows which letter has which fault."""

import argparse
import hashlib
import time
from dataclasses import dataclass

import torch

from minimim import checkpoint, data
from minimim.config import TrainConfig
from minimim.draws import mix
from minimim.feedback import sabotaged
from minimim.train import train

IMAGES, SEED, POINTS = 10_000, 0, 50


@dataclass
class Recipe:
    """How a case is made. fault: its name; steps: of training; trained_as: what is trained instead, where the fault is added afterwards."""

    fault: str
    steps: int = 800
    trained_as: str | None = None


CASES = {
    "a": Recipe("untrained features"),
    "b": Recipe("collapse", steps=250),
    "c": Recipe("ids not restored", trained_as="healthy"),
    "d": Recipe("healthy"),
    "e": Recipe("leak", steps=250),
    "f": Recipe("post-norm", steps=400),
    "g": Recipe("loss on visible"),
}


def make(name: str, images) -> None:
    """Train one case and write its file."""
    recipe, number = CASES[name], sabotaged.NAMES.index(name)
    torch.manual_seed(mix(SEED, number))
    method = sabotaged.FAULTS[recipe.trained_as or recipe.fault]()
    steps = {"epochs": recipe.steps * 64 / len(images), "log_every": recipe.steps // POINTS}
    config = TrainConfig(batch_size=64, lr=8e-3, seed=number, device="cpu", **steps)
    history = train(method, images, config, bar=False).history
    kept = [{"step": line["step"], **{key: float(f"{line[key]:.4g}") for key in ("loss", "grad_norm", "lr")}} for line in history]
    tensors = {f"method.{key}": tensor.half() for key, tensor in method.state_dict().items()}
    about = {"kind": "weights", "spec": None, "fault": recipe.fault, "command": "python scripts/build_sabotaged.py"}
    checkpoint.write(sabotaged.path(name), tensors, {**about, "seed": SEED, "history": kept})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sabotaged.NAMES, default=sabotaged.NAMES, help="letters")
    torch.set_num_threads(1)
    images = data.load("scenes", count=IMAGES)
    for name in parser.parse_args().only:
        began = time.monotonic()
        make(name, images)
        file = sabotaged.path(name).read_bytes()
        print(f"{name}: {len(file):,} bytes, sha256 {hashlib.sha256(file).hexdigest()}, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
