"""A teacher that was trained before, on something else, and never changes: a spec in the recipe, weights read in `prepare`."""

import torch
from torch import nn


class Frozen(nn.Module):
    """An encoder that is only looked through (EVA, arXiv 2211.07636).

    teacher: a bundled checkpoint's name, the path of one that minimim wrote, "timm:NAME" or "torchvision:NAME"; or what a saved
    method says of it, a dict. From a path only the description is read here, and the weights in `prepare`, at the start of a run;
    they are saved with the method, so that it loads where the file is not.
    resolved: what the spec of the method says in place of the name. saw: what the teacher has seen, in words.
    Raises UserError for a teacher that is not there.
    """

    def __init__(self, teacher: str | dict, image_size, option: str = "teacher"):
        super().__init__()
        from minimim.encoders.foreign import (
            foreign,  # timm and torchvision are looked for only where one of theirs is asked for
        )

        self.about = teacher if isinstance(teacher, dict) else described(teacher)
        if "spec" in self.about:
            from minimim.methods.registry import create

            self.encoder = create(**self.about["spec"]).encoder
        else:
            self.encoder = foreign(self.about["name"], image_size)
        self.decoder, self.resolved, self.saw = None, {option: self.about}, self.about["saw"]
        self.register_buffer("read", torch.zeros((), dtype=torch.bool))
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Frozen":
        """It is always in eval mode."""
        return super().train(False)

    def prepare(self, data, generator=None) -> None:
        """Read the weights. Raises UserError where they are gone."""
        if "spec" in self.about:
            from minimim.train.state import load

            self.encoder.load_state_dict(load(self.about["weights"]).encoder.state_dict())
        else:
            self.encoder.read_weights()
        self.read.fill_(True)

    def begin_again(self) -> None:
        """Nothing: it follows nobody."""


def described(teacher: str) -> dict:
    """What a name or a path says of a teacher: {"spec" or "name", "weights", "saw"}."""
    kind, _, name = teacher.partition(":")
    if kind in ("timm", "torchvision") and name:
        return {"name": teacher, "saw": f"{name} of {kind}, with the data that its weights were trained on"}
    return {}
