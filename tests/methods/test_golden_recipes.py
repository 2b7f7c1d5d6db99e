"""What five recipes made of a few steps on the day the interface was widened for the others: losses, gradients and weights were then
equal, bit for bit, to those before. Processors round differently, so here they are compared to a few parts in ten thousand.

After a change of a recipe that is meant, `python tests/methods/test_golden_recipes.py` writes the file anew.
"""

import json
from pathlib import Path

import pytest
import torch
from helpers import raw

from minimim.data import Images
from minimim.methods import create
from minimim.train import TrainConfig, train

FILE = Path(__file__).parent / "golden_recipes.json"
NAMES = ("mae", "simmim", "hpm", "data2vec", "ibot")


def steps_of(name):
    """Loss and gradient norm of four steps, and then how long all weights are that a gradient or a teacher moves."""
    torch.manual_seed(0)
    method = create(name, image_size=16, patch_size=4)
    if name == "ibot":  # its truncated normal weights are other numbers in other versions of torch, so it begins with these
        with torch.no_grad():
            for weight in (p for p in method.decoder.parameters() if p.dim() > 1):
                weight.copy_(0.02 * torch.randn(weight.shape))
        method.teacher.begin_again()
    config = TrainConfig(epochs=1, batch_size=8, lr=3e-3, clip=method.defaults.clip, log_every=1, device="cpu", precision="fp32")
    run = train(method, Images(raw(32), torch.arange(32) % 4), config, bar=False)
    lines = [value for line in run.history for value in (line["loss"], line["grad_norm"])]
    return [*lines, float(torch.cat([p.detach().double().flatten() for p in method.parameters()]).norm())]


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_still_computes_what_it_did(name):
    assert steps_of(name) == pytest.approx(json.loads(FILE.read_text())[name], rel=5e-4)


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: steps_of(name) for name in NAMES}, indent=1) + "\n")
