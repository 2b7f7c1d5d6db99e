"""What is learnt, under which choice? Short pretrainings on the scenes that differ in one option, several seeds each.

    python benchmarks/quality.py                 every setting, seeds 0 to 2; about a minute a run on two CPU cores
    python benchmarks/quality.py --seeds 0 --only "mask ratio"
    python benchmarks/quality.py --smoke         tiny sizes, to see that it works

All runs are one recipe, the demo's MAE, for the same number of steps. A run that is in the results file is not done again,
so the command can be stopped and started at will.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from machine import RESULTS, kind, write

from minimim import data, evaluate, methods
from minimim.diagnose import baseline, effective_rank
from minimim.draws import mix
from minimim.presets import preset
from minimim.train import train
from minimim.train.processes import pick_device

QUESTIONS = {  # what is changed against the demo's recipe, by the question that it answers
    "mask ratio": {f"{ratio:.0%}": {"mask_ratio": ratio} for ratio in (0.25, 0.5, 0.75, 0.9)},
    "decoder depth": {f"{depth} blocks": {"decoder_depth": depth} for depth in (1, 2, 4)},
    "target": {"raw pixels": {"normalize_target": False}, "normalised pixels": {"normalize_target": True}},
}
IMAGES, LABELLED, STEPS = 10_000, 5_000, 600
POINTS = 30  # of the loss curve that are kept


def settings(only: str = "") -> dict[str, dict]:
    """Each different recipe once: its options in words → its options, those of the demo filled in."""
    base = {"mask_ratio": 0.75, "decoder_depth": 2} | preset("demo").options
    found = {}
    for question, choices in QUESTIONS.items():
        for options in choices.values():
            if only in question:
                whole = base | options
                found[", ".join(f"{name}={value}" for name, value in sorted(whole.items()))] = whole
    return found


def measure(encoder_features, train_set, test_set) -> dict:
    """Every probe of one pair of features: value and standard error; for place and size, R² and the mean absolute error in pixels."""
    linear, near = evaluate.linear_probe(*encoder_features), evaluate.knn(*encoder_features)
    place = evaluate.regression_probe(
        encoder_features[0], evaluate.place_and_size(train_set), encoder_features[1], evaluate.place_and_size(test_set)
    )
    rank = effective_rank(encoder_features[1].x[:2000])
    rows = {"linear_probe": linear, "knn": near, "place_and_size": place}
    return {name: [round(s.value, 4), round(s.stderr, 4)] for name, s in rows.items()} | {
        "off": [round(x, 3) for x in place.details["off"]], "effective_rank": round(rank, 2)
    }  # fmt: skip


def one(options: dict, seed: int, images, test, labelled, steps: int, device) -> dict:
    """Pretrain once and measure."""
    base = preset("demo")
    torch.manual_seed(mix(seed))
    method = methods.create(base.method, image_size=32, patch_size=4, size=base.size, **options)
    epochs = steps * base.train.batch_size / len(images)
    config = replace(base.train, epochs=epochs, seed=seed, device=str(device), log_every=max(1, steps // POINTS))
    run = train(method, images, config, bar=False)
    began = time.monotonic()
    features = tuple(evaluate.extract(method.encoder, those) for those in (labelled, test))
    row = measure(features, labelled, test)
    beside = baseline(method.cpu(), images.images[:2000], test.images[:1000], torch.Generator().manual_seed(seed))
    row["hidden_error_over_hole_filler"] = round(beside.numbers["over_hole_filler"], 4)
    row["loss"] = [[line["step"], round(line["loss"], 4)] for line in run.history]
    row["seconds"] = {"pretrain": round(run.seconds, 1), "evaluate": round(time.monotonic() - began, 1)}
    return row


def floors(labelled, test, seed: int) -> dict:
    """The same probes on a random encoder and on raw pixels."""
    torch.manual_seed(mix(seed))
    method = methods.create("mae", image_size=32, patch_size=4, size=preset("demo").size)
    return {name: measure(pair, labelled, test) for name, pair in evaluate.floors(method, labelled, test, seed=seed).items()}


def sizes(smoke: bool) -> tuple:
    """The training images, those of them with labels, the test images, and the steps of a run."""
    count, labels, steps = (256, 200, 3) if smoke else (IMAGES, LABELLED, STEPS)
    images = data.load("scenes", count=count)
    return images, images.take(slice(0, labels)), data.load("scenes", "test", **({"count": 200} if smoke else {})), steps


def main() -> None:
    parser = argparse.ArgumentParser(description="What is learnt under which choice: short pretrainings on the scenes.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", default="", help="part of a question's name: mask ratio, decoder depth or target")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one question, one seed")
    args = parser.parse_args()
    if args.smoke:
        args.seeds, args.only = [0], "target"
    device = pick_device(args.device)
    images, labelled, test, steps = sizes(args.smoke)
    path = args.out / f"quality-{kind(device.type)}.json"
    kept = json.loads(path.read_text()) if path.exists() else {"floors": {}, "runs": []}
    results = {"images": len(images), "labels": len(labelled), "test_images": len(test), "steps": steps, "questions": QUESTIONS}
    results |= {"floors": kept["floors"] or floors(labelled, test, 0), "runs": kept["runs"]}
    done = {(run["at"], run["seed"]) for run in results["runs"]}
    for seed in args.seeds:
        for words, options in settings(args.only).items():
            if (words, seed) in done:
                continue
            row = one(options, seed, images, test, labelled, steps, device)
            results["runs"].append({"at": words, "options": options, "seed": seed, **row})
            print(f"seed {seed}, {words}: linear {row['linear_probe'][0]:.3f}, k-NN {row['knn'][0]:.3f}")
            write("quality", device.type, args.seeds[0], results, args.out)


if __name__ == "__main__":
    main()
