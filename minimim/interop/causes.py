"""Why foreign weights do not fit: a sentence for each cause."""

import re

from torch import Tensor, nn

from minimim.encoders import ViT
from minimim.errors import UserError
from minimim.patches import PatchEmbed

DESIGNS = [  # (pattern of a name, what it belongs to): encoders that compute something else than a plain ViT
    (r"^(layers|stages)\.\d+\.blocks\.|downsample", "blocks in stages, as in Swin"),
    (r"relative_position|rel_pos_bias|attn\.[qv]_bias", "relative positions or split biases in attention, as in BEiT and SimMIM's own code"),
    (r"\.(ls[12]|gamma_[12])\b|layer_scale|lambda_?[12]\b", "layer scale, as in DINOv2, BEiT and CaiT"),
    (r"reg_token|register_token", "register tokens"),
    (r"dist_token|distillation_token", "a distillation token, as in DeiT"),
    (r"\b(norm_pre|ln_pre|pre_layrnorm)\b", "a norm before the blocks, as in CLIP"),
    (r"[qk]_norm", "norms of queries and keys"),
    (r"mlp\.(w\d+|fc1_[gx]|weights_(in|out)|gate_proj)\b", "a gated MLP (SwiGLU)"),
    (r"\brope|rotary", "rotary positions"),
    (r"lora_", "LoRA parts that were not merged into the weights"),
    (r"patch_embed\.(?!proj\.)", "another patch embedding than one linear map"),
    (r"\.(attn|mlp)\.norm\.", "norms inside of attention or MLP"),
]
# Parts that follow the encoder, or stand in for a hidden patch: the encoder computes the same without them.
NOT_THE_ENCODER = re.compile(
    r"decoder\.|encoder\.(vit\.)?(head|fc_norm|pooler|attn_pool|classifier|lm_head|decoder|embeddings\.mask_token|masked_embed)"
)


def refuse_other_encoders(encoder: nn.Module) -> None:
    """Raise UserError for an encoder of ours whose weights are laid out like none of timm's, the official MAE's or Hugging Face's."""
    if not isinstance(encoder, ViT) or not isinstance(encoder.patch_embed, PatchEmbed):
        raise UserError(
            f"only a plain ViT's weights can be exchanged with other code, and this encoder is a {type(encoder).__name__}, whose weights no "
            "other code lays out in the same way: save and load it with minimim.save and minimim.load"
        )


def refuse_other_designs(official: dict[str, Tensor]) -> None:
    """Raise UserError for weights, in the official spelling, whose names show an encoder that computes something else than ours."""
    for pattern, what in DESIGNS:
        name = next((n for n in official if not n.startswith("decoder") and re.search(pattern, n)), None)
        if name:
            raise UserError(has_more(name, f" ({what})"))
    if "fc_norm.weight" in official and "norm.weight" not in official:
        raise UserError(
            "these weights have fc_norm and no norm: they were fine-tuned on the mean of the patches, normed after the mean and not "
            "before it, so this library's encoder would give different features; take the pretrained weights, or wrap timm's model "
            'with global_pool="avg" in interop.TimmEncoder'
        )


def has_more(name: str, what: str = "") -> str:
    """The sentence for an encoder that has parts which ours lacks."""
    return (
        f"these weights have {name}, which this library's encoder does not have{what}, and without it they would compute something else: "
        "give those of a plain ViT, or wrap timm's Vision Transformer as it is in interop.TimmEncoder"
    )


def misfit(source: str, name: str, ours: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    """The sentence for one tensor that is missing, or of another shape than the method's own."""
    have = tuple(ours[name].shape) if name in ours else "nothing"
    cause = why_missing(name, ours) if name not in ours else why_shape(name, ours[name].shape, own[name].shape)
    return f"these {source} weights do not fit: they have {have} for {name}, this method needs {tuple(own[name].shape)}; {cause}"


def why_missing(name: str, ours: dict[str, Tensor]) -> str:
    """What it means that a tensor is not there."""
    part, _, rest = name.partition(".")
    depth = len({n.split(".")[2] for n in ours if n.startswith(f"{part}.blocks.")})
    if rest == "cls_token":
        return "they are of an encoder without CLS: create the method with cls=False"
    if rest == "pos_embed":
        return "their encoder has no table of positions, so it places patches in another way"
    if rest.startswith("blocks.") and int(rest.split(".")[1]) >= depth:
        return f"their {part} has {depth} blocks: create the method with as many"
    if rest.endswith("attn.qkv.bias") and not any(n.endswith(("attn.qkv.bias", "attn.k.bias")) for n in ours):
        return "their attention has no bias, and this library's has one"
    if rest.endswith("bias") and not any(n.endswith(f".{rest.split('.', 2)[-1]}") for n in ours):
        return "their linear layers have no bias, and this library's have one"
    return "the file does not hold the whole network: download it again, or save the whole state_dict()"


def why_shape(name: str, have, need) -> str:
    """What it means that a tensor has another shape."""
    if name.endswith("patch_embed.proj.weight"):
        if len(have) == 5:
            return "they are of a video encoder, whose patches span several frames"
        if have[1] != need[1]:
            return f"they take images of {have[1]} channels: create the method with channels={have[1]}"
        if have[2:] != need[2:]:
            return f"their patches have {have[2]}×{have[3]} pixels: create the method with patch_size={have[2]}"
    if name.endswith("pos_embed") and have[-1] == need[-1]:
        return "they are of another grid, or have other tokens in front: create the method with image_size as they were trained"
    if name.endswith(("mlp.fc1.weight", "mlp.fc1.bias")) and have[1:] == need[1:]:
        return f"their MLP is {have[0]} wide inside, and this library's is always four times the width of the tokens"
    if name.startswith("decoder.pred"):
        return f"their decoder predicts {have[0]} numbers a patch, not its {need[0]} pixels"
    part = name.partition(".")[0]
    option = "size" if part == "encoder" else "decoder_dim"
    return f"their {part} is of another width: create the method with the {option} that they were trained with"
