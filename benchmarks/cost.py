"""What does it cost? A training step of MAE against the mask ratio and the image size, and a linear probe.

    python benchmarks/cost.py                    all three
    python benchmarks/cost.py mask               one of them: mask, size or probe
    python benchmarks/cost.py --smoke            tiny sizes, to see that it works

The runs of one question take turns, and each ratio to the first of them is taken within a round.
"""

import argparse
import math
import statistics
from pathlib import Path

import torch
from machine import RESULTS, kind, quartiles, seconds, write
from peers import Ours
from throughput import SETTINGS, SMOKE, Step, flops
from torch import Tensor, nn

from minimim.evaluate.features import Features
from minimim.evaluate.probe import linear_probe
from minimim.masking import RandomMasking
from minimim.masking.mask import Mask

RATIOS = (0.0, 0.25, 0.5, 0.75, 0.9)
SIDES = (96, 128, 160, 192, 224)
BATCH = {"cpu": 4, "cuda": 128}


class HideNothing(nn.Module):
    """The masking at ratio 0: the encoder reads every patch, in order, and all of them are scored."""

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        patches = grid[0] * grid[1]
        hidden = torch.zeros(len(inputs["image"]), patches, dtype=torch.bool, device=inputs["image"].device)
        return [Mask(hidden, scored=(~hidden,), visible=patches)]


def cost(title: str, model: Ours, runs: dict, device: str, rounds: int) -> list[dict]:
    """Images a second and operations of a training step of each run, and its time as a ratio to the first run's; runs take turns.

    runs: (masking, images) by name. One model serves all.
    """
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    work = {}
    for name, (model.method.masking, images) in runs.items():
        work[name] = flops(model.cpu(), images[:2].cpu())
    step, taken = Step(model.to(device).train(), dtype), {name: [] for name in runs}
    for number in range(1 + rounds):  # the first is to warm up
        for name, (model.method.masking, images) in runs.items():
            took = seconds(lambda images=images: step(images), device, 10 if device == "cuda" else 1)
            if number:
                taken[name].append(took)
    first, rows = next(iter(taken.values())), []
    print(f"\n{title}, batch {len(images)}, {str(dtype).removeprefix('torch.')}")
    for name, took in taken.items():
        rate = len(images) / statistics.median(took)
        part = quartiles([mine / whole for mine, whole in zip(took, first, strict=True)])
        rows.append({"at": name, "images_per_second": rate, "flops_per_image": work[name], "time_to_first": part})
        print(
            f"  {name:>5} {rate:9.1f} images/s {work[name] / 1e9:8.1f} GFLOP an image"
            f"   {part['median']:.2f} of the first's time ({part['low']:.2f} to {part['high']:.2f})"
        )
    return rows


def clouds(count: int, dim: int, generator, classes: int = 10) -> Features:
    """Synthetic features that take a probe about as long as an encoder's: classes overlap, and the variances of the mixed dimensions
    differ."""
    labels = torch.arange(count) % classes
    spread = torch.arange(1, dim + 1) ** -0.5  # (D,)
    centres = torch.randn(classes, dim, generator=torch.Generator().manual_seed(1)) * 1.8 / math.sqrt(dim)
    mix = torch.randn(dim, dim, generator=torch.Generator().manual_seed(2)) / math.sqrt(dim)
    x = (torch.randn(count, dim, generator=generator) + centres[labels]) * spread @ mix
    return Features(x, labels, "clouds")


def probe(dims, count: int, seed: int) -> list[dict]:
    """Seconds of a linear probe on cached features, including the choice of its L2 penalty."""
    rows = []
    print(f"\nA linear probe on {count:,} cached features of 10 classes, on the CPU")
    for dim in dims:
        generator = torch.Generator().manual_seed(seed)
        train, test = (clouds(n, dim, generator) for n in (count, count // 5))
        scores = []
        took = seconds(lambda a=train, b=test, s=scores: s.append(linear_probe(a, b, seed=seed)), "cpu")
        rows.append({"features": count, "dim": dim, "seconds": took, "accuracy": scores[0].value})
        print(f"  {dim:5} wide {took:7.1f} s   accuracy {scores[0].value:.3f}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="What a training step of MAE and a linear probe cost.")
    parser.add_argument("what", nargs="?", default="all", choices=["all", "mask", "size", "probe"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cpu", "cuda"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    args = parser.parse_args()
    torch.set_num_threads(1 if args.smoke else 2)
    torch.manual_seed(args.seed)
    name, setting = next(iter((SMOKE if args.smoke else SETTINGS).items()))
    rounds, batch = (2, 2) if args.smoke else (args.rounds, BATCH[args.device])
    about = {"device": kind(args.device), "setting": name, "batch": batch, "rounds": rounds}
    model = Ours(setting)

    def images(side: int) -> Tensor:
        return torch.randn(batch, 3, side, side, device=args.device)

    if args.what in ("all", "mask"):
        whole = images(setting.image_size)
        runs = {str(ratio): (RandomMasking(ratio) if ratio else HideNothing(), whole) for ratio in RATIOS}
        rows = cost(f"{name}, by mask ratio", model, runs, args.device, rounds)
        write("cost-mask", args.device, args.seed, {**about, "measured": rows}, args.out)
    if args.what in ("all", "size"):
        sides = (16, 24) if args.smoke else SIDES
        runs = {str(side): (RandomMasking(0.75), images(side)) for side in sides}
        rows = cost("The same model, by image size, at mask ratio 0.75", model, runs, args.device, rounds)
        write("cost-size", args.device, args.seed, {**about, "measured": rows}, args.out)
    if args.what in ("all", "probe"):
        rows = probe((16,) if args.smoke else (192, 768), 500 if args.smoke else 50_000, args.seed)
        write("cost-probe", "cpu", args.seed, {"device": "cpu", "measured": rows}, args.out)


if __name__ == "__main__":
    main()
