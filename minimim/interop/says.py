"""What a checkpoint states besides its tensors, in this library's words.

The tensors do not show how many heads share a width, where a row of patches ends, or what the decoder was trained to
predict. Some files state it: the official MAE in `args`, Hugging Face and timm in JSON files beside the weights.
"""

import argparse
import json
from collections import OrderedDict
from pathlib import Path

from torch import Tensor

STATED = {  # their word: (ours, the types that its value may have)
    "norm_pix_loss": ("normalize_target", (bool,)),
    "mask_ratio": ("mask_ratio", (float,)),
    "input_size": ("image_size", (int,)),
    "image_size": ("image_size", (int,)),
    "num_attention_heads": ("heads", (int,)),
    "num_heads": ("heads", (int,)),  # timm's, like the next
    "img_size": ("image_size", (int,)),
    "act_layer": ("activation", (str,)),
    "decoder_num_attention_heads": ("decoder_heads", (int,)),
    "layer_norm_eps": ("eps", (float,)),
    "hidden_act": ("activation", (str,)),
    "hidden_size": ("dim", (int,)),
    "num_hidden_layers": ("depth", (int,)),
    "image_mean": ("mean", (float, int)),
    "image_std": ("std", (float, int)),
    "mean": ("mean", (float, int)),
    "std": ("std", (float, int)),
}
BESIDE = ("config.json", "preprocessor_config.json")  # where Hugging Face and timm describe the weights in the same folder


class Weights(dict[str, Tensor]):
    """A state dict, with what its file states besides. says: {word: value}, in the words of `method_for`'s arguments."""

    def __init__(self, tensors=(), says: dict | None = None):
        super().__init__(tensors)
        self.says = says or {}

    def __reduce__(self):
        """Pickle as a plain OrderedDict, which every restricted reader accepts; `says` is not saved."""
        return OrderedDict, (), None, None, iter(self.items())


def stated(about) -> dict:
    """What a description, a dict or a Namespace, states in our words; a value of an unexpected type is left out."""
    about = vars(about) if isinstance(about, argparse.Namespace) else about
    says = {}
    for name, value in about.items() if isinstance(about, dict) else ():
        word, kinds = STATED.get(name, (None, ()))
        many = isinstance(value, list | tuple)
        right = word in ("mean", "std") or (word == "image_size" and len(value) in (2, 3)) if many else word not in ("mean", "std")
        if right and all(type(each) in kinds for each in (value if many else [value])):
            says[word] = tuple(value) if many else value
    if isinstance(says.get("image_size"), tuple):
        says["image_size"] = says["image_size"][-2:]  # timm's is (C, H, W)
    return says


def stated_inside(content: dict) -> dict:
    """What a PyTorch checkpoint states of its training."""
    says = {}
    for place in ("args", "config", "hyper_parameters"):
        says |= stated(content.get(place))
    return says


def stated_beside(path: Path) -> dict:
    """What the files of Hugging Face or timm beside the weights state; a file that is no JSON states nothing."""
    says = {}
    for name in BESIDE:
        try:
            about = json.loads(path.with_name(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        says |= stated(about)
        if isinstance(about, dict):
            says |= stated(about.get("pretrained_cfg")) | stated(about.get("model_args"))  # timm's
    return says
