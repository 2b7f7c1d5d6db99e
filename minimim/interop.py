"""Weights in and out: the official MAE's, timm's and Hugging Face's, whichever it is.

All three hold the same numbers under other names. Everything is first renamed to the official MAE's spelling, whose
encoder is timm's; from there it is one step to ours: encoder.* and decoder.*. Hugging Face alone has spelt the same
weights in three ways, in memory and on disk, old and new.
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file as load_safetensors
from torch import Tensor, nn

from minimim.errors import UserError
from minimim.methods import Method, create
from minimim.patches import resize_positions
from minimim.vit import SIZES, Encoded, layer_number

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

# What stands behind the encoder, or in for a hidden patch: without it the encoder still computes the same.
NOT_THE_ENCODER = re.compile(r"decoder\.|encoder\.(vit\.)?(head|fc_norm|pooler|classifier|lm_head|embeddings\.mask_token)")


@dataclass
class Loaded:
    """What came in. source: whose spelling it was; decoder: whether the decoder came too; ignored: names not used."""

    source: str
    decoder: bool
    ignored: list[str]


def load(method: Method, weights: dict[str, Tensor]) -> Loaded:
    """Fill an MAE method with foreign weights; which code wrote them, it finds out.

    Positions of another grid are interpolated. A decoder is filled when the weights hold one, else it stays as it is.
    Raises UserError when the encoder is not all there, or of another shape.
    """
    source, official = to_official(weights)
    ours = {to_ours(name): tensor for name, tensor in official.items()}
    own = method.state_dict()
    adapt_positions(ours, method)
    parts = [part for part in ("encoder", "decoder") if part == "encoder" or "decoder.pred.weight" in ours]
    for name in own:
        if name.partition(".")[0] not in parts:
            continue
        if name not in ours or ours[name].shape != own[name].shape:
            have = tuple(ours[name].shape) if name in ours else "nothing"
            raise UserError(
                f"these {source} weights do not fit: they have {have} for {name}, this method needs "
                f"{tuple(own[name].shape)}; create it with the size, patch_size and decoder that they were trained with"
            )
    wanted = {name: tensor for name, tensor in ours.items() if name in own and name.partition(".")[0] in parts}
    method.load_state_dict(wanted, strict=False)
    return Loaded(source, "decoder" in parts, sorted(set(ours) - set(wanted)))


def method_for(weights: dict[str, Tensor]) -> Method:
    """An MAE of the size that foreign weights are of, filled with them: width, depth and patch are read off their shapes.

    Raises UserError for weights of another size than micro to huge, for an encoder that has more to it than ours (such as
    DINOv2's layer scale), and for what `load` refuses.
    """
    _, official = to_official(weights)
    for name in ("patch_embed.proj.weight", "pos_embed"):
        if name not in official:
            raise UserError(f"these weights have no {name}, so their size cannot be told: give the whole encoder's")
    dim, channels, patch_size, _ = official["patch_embed.proj.weight"].shape
    depth = len({name.split(".")[1] for name in official if name.startswith("blocks.")})
    size = next((name for name, known in SIZES.items() if known[:2] == (dim, depth)), None)
    if size is None:
        raise UserError(f"these weights have width {dim} and {depth} blocks, which is none of the sizes {', '.join(SIZES)}")
    more = {}
    if "decoder_embed.weight" in official:
        blocks = {name.split(".")[1] for name in official if name.startswith("decoder_blocks.")}
        more = {"decoder_dim": len(official["decoder_embed.weight"]), "decoder_depth": len(blocks)}
    side = round((official["pos_embed"].shape[1] - 1) ** 0.5) * patch_size
    method = create("mae", image_size=side, patch_size=patch_size, size=size, channels=channels, **more)
    unused = [name for name in load(method, weights).ignored if not NOT_THE_ENCODER.match(name)]
    if unused:
        raise UserError(
            f"these weights have {unused[0].removeprefix('encoder.')}, which this library's encoder has not, and without it they "
            "would compute something else: give those of a plain ViT, or wrap timm's model in interop.TimmEncoder"
        )
    return method.eval()


def to_official(weights: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Whose weights these are, and the same under the official MAE's names. Raises UserError for anyone else's."""
    if any("embeddings.cls_token" in name for name in weights):
        return "Hugging Face", merge_qkv({rename(name): tensor for name, tensor in weights.items()})
    if "patch_embed.proj.weight" in weights and "blocks.0.attn.qkv.weight" in weights:
        return ("official MAE" if "decoder_embed.weight" in weights else "timm"), dict(weights)
    names = ", ".join(sorted(weights)[:3])
    raise UserError(f"these weights ({names}, …) are not spelt as the official MAE, timm or Hugging Face's ViTMAE spell them")


def rename(name: str) -> str:
    """A Hugging Face name in the official spelling."""
    for pattern, official in HUGGING_FACE:
        name = re.sub(pattern, official, name)
    return name


def merge_qkv(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Stack separate queries, keys and values, (D, D) each, into one qkv map, (3D, D)."""
    merged = dict(weights)
    for name in weights:
        trio = [name.replace(".attn.q.", f".attn.{letter}.") for letter in "qkv"]
        if ".attn.q." in name and all(each in weights for each in trio):
            merged[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat([merged.pop(each) for each in trio])
    return merged


def to_ours(name: str) -> str:
    """An official MAE name in this library's spelling."""
    if name == "mask_token":
        return "decoder.mask_token"
    return f"decoder.{name.removeprefix('decoder_')}" if name.startswith("decoder_") else f"encoder.{name}"


def adapt_positions(weights: dict[str, Tensor], method: Method) -> None:
    """Interpolate positions (1, 1+N, D) that are of another, square grid than the method's."""
    for part in ("encoder", "decoder"):
        table, module = weights.get(f"{part}.pos_embed"), getattr(method, part)
        if table is None or not hasattr(module, "home_grid") or table.shape[1] == module.pos_embed.shape[1]:
            continue
        side = round((table.shape[1] - 1) ** 0.5)
        if side * side == table.shape[1] - 1:
            patches = resize_positions(table[0, 1:], (side, side), module.home_grid)
            weights[f"{part}.pos_embed"] = torch.cat([table[0, :1], patches]).unsqueeze(0)


def load_file(path) -> dict[str, Tensor]:
    """Foreign weights from a .safetensors file or a PyTorch checkpoint that holds tensors only.

    A PyTorch checkpoint is a pickle, and a pickle can run code: only tensors, plain containers and the
    argparse.Namespace that the official MAE adds are let in. Raises UserError for everything else.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        if path.suffix == ".safetensors":
            return load_safetensors(path)
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged pickle can raise has no end
        raise UserError(
            f"{path} is refused: it is damaged, or holds more than tensors; ask its author for a .safetensors file"
        ) from error
    for wrapper in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{path} holds no state dict: names with tensors were expected")
    return content


def to_timm(method: Method) -> dict[str, Tensor]:
    """The encoder's weights as timm's `vit_*` models (num_classes=0) load them, strict."""
    return {name: tensor.clone() for name, tensor in method.encoder.state_dict().items() if name != "mask_token"}


class TimmEncoder(nn.Module):
    """A timm Vision Transformer with this library's `features`, so that the same protocol can probe it.

    Raw images are normalised with the mean and spread that the timm model was trained with.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.dim, self.depth = model.num_features, len(model.blocks)

    def features(self, images: Tensor, layer: int = -1, pool: str = "mean") -> Tensor:
        """(B, C, H, W), uint8 or normalised → (B, D) or tokens, from one block's normed output, as `ViT.features` does."""
        if images.dtype == torch.uint8:
            config = self.model.pretrained_cfg
            mean, std = (torch.tensor(config[key], device=images.device).view(-1, 1, 1) for key in ("mean", "std"))
            images = (images / 255 - mean) / std
        number, cls = layer_number(layer, self.depth), self.model.has_class_token
        found = self.model.get_intermediate_layers(images, [number], return_prefix_tokens=cls, norm=True)[0]
        encoded = Encoded(found[0], cls=found[1][:, 0]) if cls else Encoded(found)
        return encoded.pooled(pool)  # (B, D), or (B, N, D)
