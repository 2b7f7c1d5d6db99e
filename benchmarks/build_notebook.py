"""What does a solved Build your MAE get? Its run of two minutes with both of its targets, several seeds, beside its baselines.

    python benchmarks/build_notebook.py             seeds 0 to 2; about two minutes a run on two CPU cores
    python benchmarks/build_notebook.py --smoke     three steps, to see that it works

The cells are those of solutions/build/build.ipynb, so what is measured is what a learner runs. A run that is in the results file is not
done again.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
from machine import RESULTS, kind, write

NOTEBOOK = Path(__file__).parents[1] / "solutions/build/build.ipynb"
TARGETS = {"normalised": "mae_loss", "plain pixels": "pixel_loss"}  # target → the loss of the notebook that has it
SEEDED = 1  # of the weights of the random baseline, as the notebook has it


def parts() -> dict:
    """The functions and classes of the notebook by name: its cells are run without the lines that train, measure or draw."""
    space = {"__name__": "build"}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        code = "".join(cell["source"])
        if cell["cell_type"] == "code":
            for mark in ("model, losses = pretrain(", "smooth =", "pictures, noise =", "torch.manual_seed(1)\n", "if AGAIN:"):
                code = code.partition(mark)[0]
            exec(compile(code, cell["id"], "exec"), space)  # noqa: S102
    return space


def main() -> None:
    parser = argparse.ArgumentParser(description="What does a solved Build your MAE get? Its run of two minutes with both of its targets.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="cpu", choices=["cpu"])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="three steps on a few images, one seed")
    args = parser.parse_args()
    os.environ.pop("MINIMIM_QUICK", None)
    if args.smoke:
        os.environ["MINIMIM_QUICK"], args.seeds = "1", [0]
    space = parts()
    path = args.out / f"build-{kind(args.device)}.json"
    kept = json.loads(path.read_text()) if path.exists() else {"floors": {}, "runs": []}
    results = {"steps": space["STEPS"], "labels": len(space["labelled"]), "test_images": len(space["test"]), **{key: kept[key] for key in ("floors", "runs")}}
    if not results["floors"]:
        raw = space["evaluate"].linear_probe(*(space["evaluate"].raw_pixels(space[name]) for name in ("labelled", "test")))
        torch.manual_seed(SEEDED)
        results["floors"] = {"raw pixels": [raw.value, raw.stderr], "random weights": list(space["probe"](space["MAE"](space["mae_loss"]).encoder))}
    done = {(run["target"], run["seed"]) for run in results["runs"]}
    for seed in args.seeds:
        for target, loss in TARGETS.items():
            if (target, seed) not in done:
                began = time.monotonic()
                model, losses = space["pretrain"](space[loss], space["STEPS"], seed)
                seconds = round(time.monotonic() - began)
                probe = [round(value, 4) for value in space["probe"](model.encoder)]
                results["runs"].append({"target": target, "seed": seed, "linear_probe": probe, "loss": round(losses[-50:].mean().item(), 4), "seconds": seconds})
                print(f"seed {seed}, {target}: linear {probe[0]:.3f}")
    write("build", args.device, args.seeds[0], results, args.out)


if __name__ == "__main__":
    main()
