"""Do the cached linear probe and the papers' own agree? The bundled encoder is probed by both, and by the papers' with one thing
changed at a time.

    python benchmarks/protocols.py               about an hour and a quarter on two CPU cores; what is done is not done again
    python benchmarks/protocols.py --smoke       tiny sizes, to see that it works

Both pool the mean of the patches. The official protocol is shortened to 30 epochs on 5,000 labels.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from machine import RESULTS, kind, machine, write

import minimim
from minimim import data, evaluate
from minimim.cli import printable
from minimim.evaluate import OfficialConfig
from minimim.train.processes import pick_device

LABELLED = 5_000
OFFICIAL = OfficialConfig(epochs=30, pool="mean")
SETTINGS = {  # in words → the official protocol, or None for the cached one
    "cached": None,
    "official": OFFICIAL,
    "official, crops of 67 % and more": replace(OFFICIAL, crop=0.67),
    "official, no crops": replace(OFFICIAL, crop=1.0),
    "official, no crops, rate of the paper scaled to the batch": replace(OFFICIAL, crop=1.0, lr=0.1),
    "official, no crops, 90 epochs": replace(OFFICIAL, crop=1.0, epochs=90),
    "official, no crops, 90 epochs, twice the rate": replace(OFFICIAL, crop=1.0, epochs=90, lr=6.4),
    "official, no crops, no flips, 90 epochs, twice the rate": replace(OFFICIAL, crop=1.0, flip=False, epochs=90, lr=6.4),
}


def one(config: OfficialConfig | None, encoder, train, test, seed: int, device: str) -> dict:
    """Accuracy, its standard error, and seconds, with the machine that took them."""
    began = time.monotonic()
    if config is None:
        score = evaluate.linear_probe(*(evaluate.extract(encoder, images) for images in (train, test)), seed=seed)
    else:
        score = evaluate.official_probe(encoder, train, test, replace(config, seed=seed, device=device), bar=False)
        if score is None:
            sys.exit("stopped: the same command goes on with what is not done yet")
    took = {"seconds": round(time.monotonic() - began, 1), "machine": machine(device.partition(":")[0])}
    return {"accuracy": round(score.value, 4), "stderr": round(score.stderr, 4), **took}


def main() -> None:
    printable()
    parser = argparse.ArgumentParser(description="The cached linear probe beside the papers' own.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    args = parser.parse_args()
    device = pick_device(args.device)
    encoder = minimim.load(minimim.bundled("mae-scenes")).encoder.to(device)
    train, test = data.load("scenes", count=300 if args.smoke else LABELLED), data.load("scenes", "test", count=300 if args.smoke else 2000)
    path = args.out / f"protocols-{kind(device.type)}.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    about = {"checkpoint": "mae-scenes", "labels": len(train), "test_images": len(test), "official": asdict(OFFICIAL)}
    for seed in args.seeds:
        for words, config in SETTINGS.items():
            if any((row["protocol"], row["seed"]) == (words, seed) for row in rows):
                continue
            if args.smoke and config:
                config = replace(config, epochs=1)
            rows.append({"protocol": words, "seed": seed, **one(config, encoder, train, test, seed, str(device))})
            print(f"seed {seed}  {words:58} {rows[-1]['accuracy']:.3f} ± {rows[-1]['stderr']:.3f}   {rows[-1]['seconds']:6.1f} s")
            rows.sort(key=lambda row: (row["seed"], list(SETTINGS).index(row["protocol"])))
            write("protocols", device.type, args.seeds[0], {**about, "rows": rows}, args.out)


if __name__ == "__main__":
    main()
