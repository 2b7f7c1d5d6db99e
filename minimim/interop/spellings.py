"""Rename the weights of one encoder as the official MAE does: whose names they have, and which prefix they share.

Hugging Face alone has named the same weights in three ways, in memory and on disk, in old and new versions. A prefix comes from
what was wrapped around the encoder: `module.` from several GPUs, `_orig_mod.` from torch.compile, `backbone.` or `teacher.`
from the training code.
"""

import re
import warnings

import torch
from torch import Tensor

from minimim.errors import UserError

HUGGING_FACE = [  # (pattern, official spelling), in this order
    (r"^(vit\.)?embeddings\.cls_token$", "cls_token"),
    (r"^(vit\.)?embeddings\.position_embeddings$", "pos_embed"),
    (r"^(vit\.)?embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^(vit\.)?(encoder\.layer|layers)\.(?=\d)", "blocks."),
    (r"^(vit\.)?layernorm\.", "norm."),
    (r"^decoder\.(decoder_encoder\.layer|decoder_layers)\.(?=\d)", "decoder_blocks."),
    (r"^decoder\.(?=decoder_|mask_token)", ""),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.attention\.(attention\.query|q_proj)\.", ".attn.q."),
    (r"\.attention\.(attention\.key|k_proj)\.", ".attn.k."),
    (r"\.attention\.(attention\.value|v_proj)\.", ".attn.v."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
]
ON_DISK = [  # (pattern of an official name, as Hugging Face's ViTModel has it in a file), in this order
    (r"^cls_token$", "embeddings.cls_token"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^norm\.", "layernorm."),
    (r"^blocks\.", "encoder.layer."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.(query|key|value)\.", r".attention.attention.\1."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
]
WRAPPERS = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")  # anywhere in a name
FIRST = re.compile(r"^((?:.*?\.)??)(patch_embed\.proj|(vit\.)?embeddings\.patch_embeddings\.projection)\.weight$")
USUAL = (  # of several encoders in one file, the one that is evaluated: in DINO and iBOT, I-JEPA, MoCo v3; and averages
    "teacher", "target_encoder", "base_encoder", "model_ema", "state_dict_ema", "ema",
)  # fmt: skip


def to_official(weights: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """The code whose names the weights have, and the weights under the official MAE's names. Raises UserError for unknown names."""
    check_tensors(weights)
    names = ", ".join(sorted(weights)[:3])
    weights = one_encoder(weights)
    if "decoder.embed.weight" in weights:
        return "minimim", {from_ours(name): tensor for name, tensor in weights.items()}
    if any(re.search(r"\bembeddings\.(cls_token|p)", name) for name in weights):
        return "Hugging Face", merge_qkv({rename(name): tensor for name, tensor in weights.items()})
    if "patch_embed.proj.weight" in weights:
        return ("official MAE" if "decoder_embed.weight" in weights else "timm"), weights
    raise UserError(f"these weights ({names}, …) are not spelt as the official MAE, timm or Hugging Face's ViTMAE spell them")


def check_tensors(weights) -> None:
    """Raise UserError unless weights are a dict of tensors by name, not quantised and of finite numbers."""
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise UserError(f"weights are names with tensors, as load_file or state_dict() gives them, not of type {type(weights).__name__}")
    for name, tensor in weights.items():
        if tensor.dim() and tensor.dtype in (torch.int8, torch.uint8):
            raise UserError(f"these weights are quantised, {name} is {tensor.dtype}: give those in floats")
        if not tensor.is_meta and not torch.isfinite(tensor).all():
            raise UserError(f"these weights are of no use: {name} holds numbers that are not finite, as after a training that diverged")


def one_encoder(weights: dict[str, Tensor], key: str = "") -> dict[str, Tensor]:
    """The weights of one encoder, and of its decoder where that stands beside it, without the prefix that they share.

    key: which one, where there are several: a part of its prefix, such as "teacher". By default the one that its paper
    evaluates is taken, with a warning. Weights without an encoder are returned as they are.
    Raises UserError when no encoder, or more than one, answers to the key, or none of several is the usual one.
    """
    weights = {WRAPPERS.sub("", name): tensor for name, tensor in weights.items()}
    found = sorted({match.group(1) for name in weights if (match := FIRST.match(name))})
    prefix = choose(found, key)
    others = tuple(other for other in found if other != prefix and other.startswith(prefix))
    mine = {name: tensor for name, tensor in weights.items() if name.startswith(prefix) and not name.startswith(others)}
    return {name[len(prefix) :]: tensor for name, tensor in mine.items()} | decoder_beside(weights, prefix)


def decoder_beside(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The MAE decoder that this library's own spelling has beside `encoder.`, not under it, as decoder.*; or nothing."""
    if not prefix.endswith("encoder."):
        return {}
    place = prefix.removesuffix("encoder.")
    beside = {name[len(place) :]: tensor for name, tensor in weights.items() if name.startswith(f"{place}decoder.")}
    return beside if "decoder.embed.weight" in beside else {}


def choose(found: list[str], key: str) -> str:
    """The prefix of one encoder among those that were found, "" where there is none to choose from."""
    names = ", ".join(f'"{prefix.rstrip(".") or "(no prefix)"}"' for prefix in found)
    answering = [prefix for prefix in found if f".{key}." in f".{prefix}"] if key else found
    answering = [f"{key}."] if f"{key}." in answering else answering
    if key and not answering:
        raise UserError(f'there is no encoder under key="{key}": {f"there are {names}" if names else "no encoder was found at all"}')
    if len(answering) < 2:
        return answering[0] if answering else ""
    usual = [prefix for name in USUAL for prefix in answering if f".{name}." in f".{prefix}"]
    if not usual:
        raise UserError(f"these weights hold several encoders, {names}: say which by key=, with a part of its name")
    warnings.warn(
        f'these weights hold several encoders, {names}: "{usual[0].rstrip(".")}" was taken, as is usual for its method; '
        "key= takes another",
        stacklevel=4,
    )
    return usual[0]


def rename(name: str, spelling: list[tuple[str, str]] = HUGGING_FACE) -> str:
    """A Hugging Face name in the official spelling, or by ON_DISK the other way."""
    for pattern, other in spelling:
        name = re.sub(pattern, other, name)
    return name


def merge_qkv(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Stack separate queries, keys and values, (D, D) each, into one qkv map, (3D, D)."""
    merged = dict(weights)
    for name in weights:
        trio = [name.replace(".attn.q.", f".attn.{letter}.") for letter in "qkv"]
        if ".attn.q." in name and all(each in weights for each in trio):
            merged[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat([merged.pop(each) for each in trio])
    return merged


def to_hugging_face(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """An encoder's weights, under the official MAE's and timm's names, as Hugging Face's ViTModel has them in a file: queries, keys and
    values apart, (D, D) each."""
    apart = {}
    for name, tensor in official.items():
        if ".attn.qkv." in name:
            apart |= {name.replace(".qkv.", f".{each}."): part for each, part in zip(("query", "key", "value"), tensor.chunk(3), strict=True)}
        else:
            apart[name] = tensor
    return {rename(name, ON_DISK): tensor for name, tensor in apart.items()}


def to_ours(name: str) -> str:
    """An official MAE name in this library's spelling."""
    if name == "mask_token":
        return "decoder.mask_token"
    return f"decoder.{name.removeprefix('decoder_')}" if name.startswith("decoder_") else f"encoder.{name}"


def from_ours(name: str) -> str:
    """The inverse of `to_ours`: a name of this library's decoder, or of its encoder without `encoder.`, in the official spelling."""
    if name == "decoder.mask_token":
        return "mask_token"
    return f"decoder_{name.removeprefix('decoder.')}" if name.startswith("decoder.") else name
