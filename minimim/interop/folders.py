"""An encoder as a folder that other libraries open: model.safetensors, and the JSON files in which they look for what it is."""

import json
import os
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from minimim.checkpoint import write_bytes
from minimim.encoders import SIZES
from minimim.errors import UserError, unknown
from minimim.interop.fill import depth_of
from minimim.interop.says import Weights
from minimim.interop.spellings import to_hugging_face
from minimim.interop.timm import to_timm
from minimim.methods import Method

WEIGHTS = "model.safetensors"


def to_folder(method: Method, out: str | os.PathLike, to: str = "timm") -> None:
    """Write a method's encoder to a folder.

    to: "timm", for timm.create_model("local-dir:FOLDER"), whose answer to an image is `encoder.features(image)`; or "huggingface", for
    transformers' ViTModel.from_pretrained("FOLDER", add_pooling_layer=False) and AutoImageProcessor.from_pretrained("FOLDER").
    Raises UserError for an encoder that is not a plain ViT, for one without CLS that Hugging Face's ViT does not have, for an unknown
    `to`, and for a folder that already holds weights.
    """
    out, code = Path(out), CODES.get(to)
    if code is None:
        raise unknown("library", to, CODES)
    if (out / WEIGHTS).exists():
        raise UserError(f"{out} already holds {WEIGHTS}: choose another --out")
    weights, described = code(to_timm(method))
    for name, about in described.items():
        write_bytes(out / name, (json.dumps(about, indent=2) + "\n").encode())
    write_bytes(out / WEIGHTS, save({name: tensor.cpu().contiguous() for name, tensor in weights.items()}, metadata={"format": "pt"}))


def for_timm(weights: Weights) -> tuple[dict[str, Tensor], dict[str, dict]]:
    """The weights, and timm's config.json. The global pooling is the mean of the normed patches, as `features` has it."""
    says, dim, depth = weights.says, len(weights["norm.weight"]), depth_of(weights, "blocks.")
    channels, side = weights["patch_embed.proj.weight"].shape[1:3]
    named = next((name for name, numbers in SIZES.items() if numbers == (dim, depth, says["heads"]) and name != "micro"), "tiny")
    pretrained = {
        "input_size": [channels, *says["image_size"]], "fixed_input_size": True, "num_classes": 0, "interpolation": "bilinear", "crop_pct": 1.0,
        "mean": says["mean"], "std": says["std"], "first_conv": "patch_embed.proj", "classifier": "head",
    }  # fmt: skip
    made = {
        "img_size": says["image_size"], "patch_size": side, "in_chans": channels, "embed_dim": dim, "depth": depth, "num_heads": says["heads"],
        "class_token": "cls_token" in weights, "global_pool": "avg", "fc_norm": False,
    }  # fmt: skip
    architecture = f"vit_{named}_patch{14 if named == 'huge' else 16}_224"
    about = {"architecture": architecture, "num_classes": 0, "num_features": dim, "global_pool": "avg"}
    return weights, {"config.json": {**about, "pretrained_cfg": pretrained, "model_args": made}}


def for_hugging_face(weights: Weights) -> tuple[dict[str, Tensor], dict[str, dict]]:
    """The weights as Hugging Face's ViTModel stores them, its config.json, and the preprocessor_config.json of its images."""
    if "cls_token" not in weights:
        raise UserError("Hugging Face's ViT always has a CLS token, and this encoder has none: export it to timm, whose ViT can do without")
    says, dim, depth = weights.says, len(weights["norm.weight"]), depth_of(weights, "blocks.")
    (height, width), (channels, side) = says["image_size"], weights["patch_embed.proj.weight"].shape[1:3]
    config = {
        "architectures": ["ViTModel"], "model_type": "vit", "torch_dtype": "float32", "hidden_size": dim, "num_hidden_layers": depth,
        "num_attention_heads": says["heads"], "intermediate_size": len(weights["blocks.0.mlp.fc1.weight"]), "hidden_act": "gelu", "qkv_bias": True,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "layer_norm_eps": 1e-6, "num_channels": channels, "patch_size": side,
        "image_size": height if height == width else [height, width],
    }  # fmt: skip
    images = {
        "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": height, "width": width}, "resample": 2,
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": says["mean"], "image_std": says["std"],
    }  # fmt: skip
    return to_hugging_face(weights), {"config.json": config, "preprocessor_config.json": images}


CODES = {"timm": for_timm, "huggingface": for_hugging_face}
