"""What a small MAE made of two images on the day it was equal to Hugging Face's, to twelve digits.

Weights and images come from a formula, so nothing here depends on a random generator or on another package. After a
change of the arithmetic that is meant, `python tests/test_golden.py` writes the file anew, and refuses to while the
result differs from Hugging Face's.
"""

from pathlib import Path

import pytest
import torch
from foreign import as_hugging_face, ours, theirs
from safetensors.torch import load_file, save_file

from minimim.methods import create

FILE = Path(__file__).parent / "golden_mae.safetensors"
PLACES = 16  # 2 rows and 8 columns


def wave(shape, speed, start):
    """sin(speed · index + start), float64, of a shape."""
    return torch.sin(speed * torch.arange(torch.Size(shape).numel(), dtype=torch.float64) + start).view(shape)


def model(normalize_target):
    """An MAE whose every weight is a wave; positions, which are the library's own, stay."""
    method = create("mae", image_size=(8, 32), patch_size=4, normalize_target=normalize_target).double().eval()
    with torch.no_grad():
        for number, (name, p) in enumerate(sorted(method.named_parameters())):
            if name.endswith("pos_embed"):
                continue
            is_scale = ".norm" in name and name.endswith("weight")
            p.copy_(is_scale + 0.1 * wave(p.shape, 0.7 + 0.01 * number, number))
    return method


def inputs():
    """Two images (2, 3, 8, 32), and noise in which no two numbers of an image are equal."""
    order = torch.arange(PLACES) * 7 % PLACES
    return wave((2, 3, 8, 32), 0.37, 1.0), torch.stack([order, (5 * order + 3) % PLACES]) / PLACES


@torch.no_grad()
def compute(function=ours, convert=lambda method: method):
    """Tokens (2, 5, 128), prediction (2, 16, 48), mask and ids_restore (2, 16), and the losses of both targets."""
    normalized = function(convert(model(normalize_target=True)), *inputs())
    plain = function(convert(model(normalize_target=False)), *inputs())
    normalized["loss_of_plain_pixels"] = plain["loss"]
    return {name: tensor.contiguous() for name, tensor in normalized.items()}


def assert_equal(mine, expected):
    assert mine.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(mine[name], expected[name], rtol=0, atol=1e-12)


def test_the_mae_still_computes_what_it_did():
    assert_equal(compute(), load_file(FILE))


def test_what_is_kept_is_what_hugging_face_computes():
    pytest.importorskip("transformers")
    assert_equal(compute(theirs, as_hugging_face), load_file(FILE))


def test_what_is_kept_has_something_to_say():
    kept = load_file(FILE)
    for name in ("tokens", "prediction"):
        assert kept[name].std() > 0.1 and (kept[name][0] - kept[name][1]).abs().max() > 0.1
    assert kept["mask"].sum(1).tolist() == [12, 12] and not torch.equal(kept["mask"][0], kept["mask"][1])
    assert FILE.stat().st_size < 60_000


if __name__ == "__main__":
    assert_equal(compute(), compute(theirs, as_hugging_face))
    save_file(compute(), FILE)
