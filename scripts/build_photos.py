"""Make the bundled photographs from scikit-image's sample pictures: python scripts/build_photos.py --source WHEEL/skimage/data.

The folder is that of an unpacked wheel of scikit-image 0.26.0 (`pip download --no-deps scikit-image==0.26.0`, then unzip).
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from minimim.data.photos import FILE, NAMES, SIDE

PICTURES = {  # name → file, its sha256 as scikit-image's _registry.py has it, and the square that is kept: left, top, side
    "astronaut": ("astronaut.png", "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5", (56, 0, 400)),
    "cat": ("chelsea.png", "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb", (85, 0, 300)),
    "coffee": ("coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7", (80, 0, 400)),
    "rocket": ("rocket.jpg", "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c", (140, 67, 360)),
    "retina": ("retina.jpg", "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6", (0, 0, 1411)),
    "galaxies": ("hubble_deep_field.jpg", "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4", (480, 320, 448)),
}


def photograph(source: Path, name: str) -> Image.Image:
    """One square of SIDE pixels. Raises SystemExit for a file that is not the official one."""
    file, sha, (left, top, side) = PICTURES[name]
    path = source / file
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha:
        raise SystemExit(f"{path} is not scikit-image's file: its sha256 differs")
    with Image.open(path) as picture:
        square = picture.convert("RGB").crop((left, top, left + side, top + side))
    return square.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="the folder skimage/data of an unpacked wheel")
    source = parser.parse_args().source
    pixels = np.stack([np.asarray(photograph(source, name)) for name in NAMES])  # (6, SIDE, SIDE, 3)
    path = Path(__file__).parent.parent / "minimim" / "assets" / FILE
    Image.fromarray(pixels.reshape(-1, SIDE, 3)).save(path, lossless=True, quality=100, method=6, exact=True)
    print(f"{path.name}: {path.stat().st_size:,} bytes, sha256 of the pixels {hashlib.sha256(pixels.tobytes()).hexdigest()}")


if __name__ == "__main__":
    main()
