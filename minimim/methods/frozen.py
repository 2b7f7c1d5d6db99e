"""A frozen teacher, trained before, whose weights never change: the recipe holds its description, and `prepare` reads its weights."""

import os

import torch
from torch import nn

from minimim import checkpoint
from minimim.data.views import as_inputs, statistics_for
from minimim.encoders.foreign import KINDS, foreign, renormalized
from minimim.errors import UserError
from minimim.methods.registry import create

BUNDLED = {"mae-scenes": "scenes"}  # bundled checkpoint → the images that it was trained on
RANDOM, LIKE = "random", "mae-scenes"  # a teacher that was never trained, and the checkpoint whose encoder it has
PLURALS = {"label": "labels", "caption": "captions", "depth": "depths", "segmentation": "segmentations"}


class Frozen(nn.Module):
    """A frozen teacher: an encoder that is never trained (EVA, arXiv 2211.07636).

    teacher: the name of a bundled checkpoint, the path of a checkpoint that minimim wrote, "timm:NAME" or "torchvision:NAME"; "random",
    the encoder of the bundled MAE with new random weights, which are drawn in `prepare`: a control that shows how much of a result needs
    a trained teacher; or a dict, the description in a saved method. Of a path only the description is read here; the weights are read
    in `prepare`, at the start of a run, and saved with the method, so that it can be loaded where the teacher's file does not exist.
    Without weights it raises UserError when it is called. image_size: (H, W) in pixels of the images that it will see. option: the name of the recipe's option for it.

    Attributes: encoder; decoder: a head for the teacher's output, if there is one (a CLIP's projection), else None; dim: the width of its
    output; resolved: what replaces the name in the method's spec; saw: the data that it was trained on, in words.
    Raises UserError for a teacher that does not exist, or that cannot take such images.
    """

    def __init__(self, teacher: str | dict, image_size, option: str = "teacher"):
        super().__init__()
        self.saved = isinstance(teacher, dict)
        self.about = dict(teacher) if self.saved else described(teacher)
        with torch.random.fork_rng(devices=[]):  # random weights here are overwritten, and must not change the student's
            if "spec" in self.about:
                method = create(**self.about["spec"])
                self.encoder = method.encoder
                self.decoder = method.decoder if getattr(method.decoder, "answers_as_teacher", False) else None
                self.encoder.grid({"image": torch.empty(1, 1, *image_size, device="meta")})  # raises if it cannot cut such images into patches
                self.about.setdefault("saw", in_words(method, self.about.pop("header", {})))
                self.channels = self.about["spec"].get("channels", 3)
            else:
                self.encoder, self.decoder = foreign(self.about["name"]), None
                self.about.setdefault("saw", self.encoder.saw)
                self.channels = None  # a foreign encoder converts channels itself
        self.dim = self.encoder.dim if self.decoder is None else self.decoder.dim
        self.resolved, self.saw = {option: self.about}, self.about["saw"]
        self.register_buffer("read", torch.zeros((), dtype=torch.uint8))  # saved, so that a loaded teacher counts as read
        self.ready = False
        self.encoder.register_forward_pre_hook(self.before_it_looks)
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Frozen":
        """Stay in eval mode."""
        return super().train(False)

    def before_it_looks(self, encoder: nn.Module, given: tuple) -> tuple:
        """The inputs of its encoder: grey images are repeated to three channels if it was trained on colour. Raises UserError if no weights
        were read."""
        if not self.ready:
            raise UserError("the weights of the frozen teacher have not been read: call method.prepare(data) first, as training does")
        inputs = as_inputs(given[0])
        if self.channels is None or inputs["image"].shape[1] == self.channels:
            return given
        return ({**inputs, "image": renormalized(inputs["image"], *statistics_for(self.channels))}, *given[1:])

    def prepare(self, data, generator=None) -> None:
        """Read the weights, or draw those of a random teacher from the generator, unless they came with a saved method. Raises UserError if
        they are missing or do not fit."""
        if self.saved and self.ready:
            return
        if self.about.get("weights") == RANDOM:
            seed = int(torch.randint(2**31, (), generator=generator))  # never those that the student begins with
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self.encoder.load_state_dict(create(**self.about["spec"]).encoder.state_dict())
            self.read.fill_(1)
            self.ready = True
            return
        if "spec" not in self.about:
            self.encoder.read_weights()
        else:
            tensors, _ = checkpoint.read(place(self.about["weights"]))
            own = {name: tensor for name, tensor in self.state_dict().items() if name != "read"}
            found = {name: tensors.get(f"method.{name}") for name in own}
            if any(found[name] is None or found[name].shape != own[name].shape for name in own):
                raise UserError(f"{self.about['weights']} no longer holds the teacher that it held: it is of another method or shape now")
            self.load_state_dict(found, strict=False)
        self.read.fill_(1)
        self.ready = True

    def _load_from_state_dict(self, *args, **more) -> None:
        """Load as any module does, and note whether the loaded teacher has weights."""
        super()._load_from_state_dict(*args, **more)
        self.ready = bool(self.read)

    def begin_again(self) -> None:
        """Do nothing, because a frozen teacher does not follow the student."""


def described(teacher: str) -> dict:
    """The description of a teacher from its name or path: {"name"} for other libraries, {"spec", "weights", "header"} for minimim's own; a random teacher's
    weights are "random".

    Raises UserError for a teacher that does not exist, and for a checkpoint without the spec of a method.
    """
    kind, _, name = teacher.partition(":")
    if kind in KINDS and name:
        return {"name": teacher}
    if teacher == RANDOM:
        spec = checkpoint.description(place(LIKE))["spec"]
        return {"spec": spec, "weights": RANDOM, "saw": f"nothing: random weights ({spec['size']}, patches of {spec['patch_size']})"}
    path = place(teacher)
    if not os.path.exists(path):
        raise UserError(
            f"there is no teacher '{teacher}': name a bundled checkpoint ({', '.join(BUNDLED)}), a run's folder, a .safetensors file that "
            "minimim wrote, timm:NAME or torchvision:NAME, or random"
        )
    header = checkpoint.description(path)
    if "name" not in (header.get("spec") or {}):
        raise UserError(f"{teacher} holds no method that `create` could make again, so it cannot be a teacher: give a pretrained one")
    header.setdefault("data_name", BUNDLED.get(teacher))
    return {"spec": header["spec"], "weights": teacher, "header": header}


def place(teacher: str):
    """The path of a teacher: that of a bundled checkpoint by its name, else the given path."""
    return checkpoint.bundled(teacher) if teacher in checkpoint.CHECKPOINTS else teacher


def in_words(method, header: dict) -> str:
    """The training of a method of minimim, in words, as far as its checkpoint states it."""
    spec, count = method.spec, header.get("images")
    images = f"{count:,} images" if count else "images"
    source = f" of {header['data_name']}" if header.get("data_name") else ""
    beside = " and ".join(f"their {PLURALS[name]}" for name in method.needs)
    words = f"{spec['name']} ({spec['size']}, patches of {spec['patch_size']}), trained on {images}{source} {f'and {beside}' if beside else 'without labels'}"
    if header.get("step", 0) < header.get("total", 0):
        words += f", {header['step']} of {header['total']} steps"
    if header.get("from"):
        words += f", begun from {header['from']['weights']}"
    return words + (f"; its own teacher: {method.teacher.saw}" if getattr(method.teacher, "saw", None) else "")
