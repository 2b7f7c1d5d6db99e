"""Make the bundled checkpoint: python scripts/build_checkpoint.py, some minutes on two CPU cores; it can be stopped and
started again. It keeps the weights alone, with the scores measured on them, and prints the hash that the tests compare."""

import argparse
import hashlib
import platform
from pathlib import Path

import torch

import minimim
from minimim import checkpoint, data, evaluate
from minimim.commands import Pretrain
from minimim.commands.demo import LABELLED
from minimim.presets import preset

SEED = 0


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    run, name = Path("runs/bundled"), "bundled"
    Pretrain(preset=name, out=str(run), resume=(run / checkpoint.NAME).exists(), train={"seed": SEED}).run()
    method = minimim.load(run)
    train, test = (data.load(preset(name).data, split) for split in ("train", "test"))
    scores = evaluate.compare(method, train.take(slice(0, LABELLED)), test, seed=SEED)
    print(evaluate.table(scores))
    about = {kind: {row: [round(s.value, 4), round(s.stderr, 4)] for row, s in rows.items()} for kind, rows in scores.items()}
    about |= {"command": "python scripts/build_checkpoint.py", "seed": SEED, "labels": LABELLED, "device": "cpu"}
    about |= {"torch": torch.__version__.partition("+")[0], "python": platform.python_version()}
    path = minimim.bundled("mae-scenes")
    minimim.save(path, method, about=about)
    print(f"{path.name}: {path.stat().st_size:,} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
