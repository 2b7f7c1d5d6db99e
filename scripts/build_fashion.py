"""Make the bundled part of Fashion-MNIST from the four official .gz files: python scripts/build_fashion.py --source DIR."""

import argparse
import gzip
import hashlib
from pathlib import Path

import numpy as np

from minimim.data.fashion import FILE, digest

OFFICIAL = {  # name → md5, as torchvision has them
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
PER_CLASS = {"train": 500, "test": 100}


def read(path: Path, header: int) -> np.ndarray:
    """The bytes of one official file after its header. Raises SystemExit for a file that is not the official one."""
    packed = path.read_bytes()
    if hashlib.md5(packed).hexdigest() != OFFICIAL[path.name]:
        raise SystemExit(f"{path} is not the official file: its md5 differs")
    return np.frombuffer(gzip.decompress(packed), np.uint8)[header:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder with the four official .gz files")
    source = parser.parse_args().source
    out = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images = read(source / f"{prefix}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        labels = read(source / f"{prefix}-labels-idx1-ubyte.gz", 8)
        chosen = np.sort(np.concatenate([np.flatnonzero(labels == c)[: PER_CLASS[split]] for c in range(10)]))
        out[f"{split}_images"], out[f"{split}_labels"] = images[chosen], labels[chosen]
    path = Path(__file__).parent.parent / "minimim" / "assets" / FILE
    np.savez_compressed(path, **out)
    print(f"{path.name}: {path.stat().st_size:,} bytes, sha256 of the arrays {digest(out)}")


if __name__ == "__main__":
    main()
