"""Two of the runs of collapse.py, one that collapses and one that does not, looked at after every step: what the collapse theatre plays.

    python benchmarks/collapse_steps.py                 both runs; half a minute of one quiet CPU core
    python benchmarks/collapse_steps.py --smoke         tiny sizes, to see that it works

The result, minimim/assets/collapse-steps.npz, is read by `minimim.show.collapse_theatre`. It holds numbers that were computed here, and
no pictures: those are named by their places in the bundled test images.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from collapse import IMAGES, RUNS, SHORT, TRAIN, method
from machine import about, options
from torch import Tensor

from minimim import data, diagnose
from minimim.checkpoint import writing
from minimim.config import TrainConfig
from minimim.data.batches import batches
from minimim.draws import mix
from minimim.train.step import Stepper, adamw

ASSETS = Path(__file__).parents[1] / "minimim" / "assets"
LICENCE = "Apache-2.0: numbers computed by this repository; the garments themselves lie in fashion-mnist-6000.npz under their own licence"
NAMES, SEED, LOOKED_AT, SHOWN = ("agreement alone", "InfoNCE"), 0, 200, 6  # test images that are measured, and shown of each class


def one(name: str, images, test, steps: int) -> dict[str, Tensor]:
    """Train a run, and look at it before the first step and after each: vectors (steps + 1, n, T), of unit length, as the loss sees
    them, and their standard deviation and effective rank, (steps + 1,) each."""
    torch.manual_seed(mix(SEED))
    built = method(**RUNS[name][1])
    config = TrainConfig(batch_size=TRAIN.batch_size, lr=TRAIN.lr, seed=SEED)
    stepper, seen = Stepper(built.train(), adamw(built, config), config, steps), [look(built, test)]
    for step, batch in enumerate(batches(images, config.batch_size, seed=SEED, stop=steps)):
        stepper(step, [batch])
        seen.append(look(built, test))
    return {key: torch.stack([torch.as_tensor(each[key]) for each in seen]) for key in seen[0]}


@torch.no_grad()
def look(built, test) -> dict:
    """What a method makes of whole test images now."""
    vectors = F.normalize(diagnose.head_output(built, test), dim=1)  # (n, T)
    return {"vectors": vectors, "vector_std": diagnose.relative_std(vectors), "vector_rank": diagnose.effective_rank(vectors)}


def plane(vectors: Tensor) -> Tensor:
    """The two directions along which vectors (…, T) differ most: (T, 2), orthogonal and of unit length."""
    x = vectors.flatten(0, -2)
    axes = torch.linalg.svd(x - x.mean(dim=0), full_matrices=False)[2][:2]  # (2, T)
    return (axes * axes.sum(dim=1, keepdim=True).sign()).T


def shown(labels: Tensor, each: int) -> Tensor:
    """The places of the first so many images of each class: (k,)."""
    return torch.cat([(labels == label).nonzero().flatten()[:each] for label in labels.unique()])


def main() -> None:
    args = options("A run that collapses and one that does not, step by step.", ASSETS).parse_args()
    torch.set_num_threads(1)  # models as small as these gain nothing from more
    count, steps = (200, 4) if args.smoke else (IMAGES, SHORT)
    images, test = data.load("fashion").take(slice(0, count)), data.load("fashion", "test").take(slice(0, LOOKED_AT))
    runs = {name: one(name, images, test, steps) for name in NAMES}
    axes, some = plane(torch.cat([run["vectors"] for run in runs.values()])), shown(test.labels, SHOWN)
    made = about("cpu", SEED) | {"images": count, "test_images": LOOKED_AT, "batch_size": TRAIN.batch_size, "steps": steps, "licence": LICENCE}
    stored = {"about": np.array(json.dumps(made)), "names": np.array(NAMES), "shown": some.numpy().astype(np.int16)}
    for key in runs[NAMES[0]]:
        if key != "vectors":
            stored[key] = torch.stack([run[key] for run in runs.values()]).numpy().astype(np.float32)  # (runs, steps + 1)
    places = torch.stack([run["vectors"][:, some] @ axes for run in runs.values()])  # (runs, steps + 1, k, 2)
    stored["places"] = places.numpy().astype(np.float16)
    path = args.out / "collapse-steps.npz"
    with writing(path):
        np.savez_compressed(path, **stored)
    for name, run in runs.items():
        print(f"{name}: standard deviation of the vectors {run['vector_std'][0]:.3f} to {run['vector_std'][-1]:.3f}, effective rank {run['vector_rank'][0]:.1f} to {run['vector_rank'][-1]:.1f}")
    print(f"written to {path}, {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
