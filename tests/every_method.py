"""Every method of the registry, small: what the tests that walk it use, and what two processes compute of each.

Run by torchrun with a folder for what comes out; the same function, called in a process that is alone, gives what it has to equal.
"""

import sys
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file

from minimim.data.scenes import scenes
from minimim.masking import RandomMasking
from minimim.methods import create, names
from minimim.patches import patchify, unpatchify
from minimim.processes import rank
from minimim.train import TrainConfig, train
from minimim.train.processes import join, leave

NAMES = names()
SMALL: dict[str, dict] = {"ibot": {"prototypes": 64}}  # options that make a method small enough for a test, where its own are large


@cache
def data(count=24, split="train"):
    """Scenes of 16×16 pixels, with all that is known of them."""
    return scenes(split, count, image_size=16)


class Dimmed(RandomMasking):
    """Hidden patches are dimmed, so nothing is left out, and the encoder's mask token has no gradient."""

    def forward(self, inputs, grid, *given, **more):
        (mask,) = super().forward(inputs, grid, *given, **more)
        patches = patchify(inputs["image"], 4)
        mask.inputs = {"image": unpatchify(torch.where(mask.hidden.unsqueeze(-1), patches / 2, patches), 4, grid)}
        return [mask]


def small(name, seed=0):
    """A small method, as `create` makes it from a seed; "dimmed" is none of the registry's."""
    torch.manual_seed(seed)
    if name == "dimmed":
        method = create("simmim", image_size=16, patch_size=4)
        method.masking = Dimmed(0.5)
        return method
    return create(name, image_size=16, patch_size=4, **SMALL.get(name, {}))


def settings(method, steps=2, **more):
    """A run of so many steps of 8 images at a rate that moves the weights, everything else as the method has it."""
    d = method.defaults
    more = {"lr": 0.02, "batch_size": 8, "warmup": 0.0, "clip": d.clip, "betas": d.betas, "device": "cpu", "log_every": 1, **more}
    return TrainConfig(epochs=steps * more["batch_size"] / 24, weight_decay_end=d.weight_decay_end, **more)


def double(name):
    """The weights after two steps in double precision, and what was told."""
    torch.set_default_dtype(torch.float64)
    try:
        method = small(name).double()
        run = train(method, data(), settings(method, batch_size=7), bar=False)
        losses = [line["loss"] for line in run.history]
        return {name: t.detach().clone() for name, t in method.state_dict().items()} | {"told": torch.tensor(losses, dtype=torch.float64)}
    finally:
        torch.set_default_dtype(torch.float32)


def main(out: Path):
    torch.set_num_threads(1)
    join(torch.device("cpu"))
    for name in (*NAMES, "dimmed"):
        try:
            save_file({key: t.contiguous() for key, t in double(name).items()}, out / f"{name} {rank()}")
        except Exception as error:  # noqa: BLE001 (the others are still to come; both processes fail alike, or torchrun's time runs out)
            (out / f"{name} {rank()}.error").write_text(repr(error))
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
