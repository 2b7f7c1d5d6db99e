"""CIFAR-10 on a CPU: pretrain by the preset `cifar10-cpu`, then probe beside the floors.

    python benchmarks/cifar10.py                 about a quarter of an hour on two CPU cores; it can be stopped and started again
    python benchmarks/cifar10.py --smoke         tiny sizes, on the scenes, to see that it works

The set is read from a pack of JPEG copies where there is one, else from the original, and the results say which. The
probes have 10,000 labels, drawn once. Nothing of this has been run on a GPU.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from machine import RESULTS, write

from minimim import data, evaluate, methods
from minimim.data.named import PACKS, packs
from minimim.draws import mix
from minimim.presets import preset
from minimim.train import checkpoint, train

LABELLED = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description="CIFAR-10 on a CPU: pretrain, probe, and keep the figures.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu"], default="cpu")
    parser.add_argument("--run", type=Path, default=Path("runs/cifar10-cpu"), help="folder of the checkpoint")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    args = parser.parse_args()
    base = preset("cifar10-cpu")
    source = "scenes" if args.smoke else base.data
    config = replace(base.train, seed=args.seed, device=args.device, **({"epochs": 0.5} if args.smoke else {}))
    few, place = ({"count": 200}, args.out / "run") if args.smoke else ({}, args.run)
    images, test = (data.load(source, split, **few) for split in ("train", "test"))

    torch.manual_seed(mix(args.seed))
    sizes = {"image_size": base.image_size, "patch_size": base.patch_size, "size": base.size}
    method = methods.create(base.method, **sizes, **base.options)
    run = train(method, images, config, out=place, resume=(place / checkpoint.NAME).exists(), bar=not args.smoke)
    if not run.finished:
        print(f"stopped after {run.steps} of {run.total} steps: the same command goes on from there")
        return
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:LABELLED]
    scores = evaluate.compare(method.eval(), images.take(chosen), test, seed=mix(args.seed))
    print(evaluate.table(scores))
    lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    curve = [[line["step"], round(line["loss"], 4)] for line in lines if "loss" in line]
    pack = packs() if source in PACKS else None
    copies = bool(pack and (pack / PACKS[source][0]).is_file())
    results = {
        "preset": asdict(base),
        "data": f"{source}, " + ("JPEG copies" if copies else "the original"),
        "labels": min(LABELLED, len(images)),
        "test_images": len(test),
        "steps": run.total,
        "seconds_of_the_last_call": round(run.seconds, 1),
        "scores": {kind: {row: [round(s.value, 4), round(s.stderr, 4)] for row, s in rows.items()} for kind, rows in scores.items()},
        "loss": curve[:: max(1, len(curve) // 60)],
    }
    write("cifar10", args.device, args.seed, results, args.out)


if __name__ == "__main__":
    main()
