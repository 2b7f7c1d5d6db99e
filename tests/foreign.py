"""The same weights as other codes spell them, written out by hand: nothing here uses minimim.interop.

An MAE of this library, and Hugging Face's and timm's models on the very same tensors.
"""

from functools import partial

import torch
from helpers import build, calls, generator

from minimim.methods import create

BLOCK = {  # ours: (Hugging Face in memory, Hugging Face on disk and of old)
    "norm1": ("layernorm_before", "layernorm_before"),
    "norm2": ("layernorm_after", "layernorm_after"),
    "attn.proj": ("attention.o_proj", "attention.output.dense"),
    "mlp.fc1": ("mlp.fc1", "intermediate.dense"),
    "mlp.fc2": ("mlp.fc2", "output.dense"),
    "attn.q": ("attention.q_proj", "attention.attention.query"),
    "attn.k": ("attention.k_proj", "attention.attention.key"),
    "attn.v": ("attention.v_proj", "attention.attention.value"),
}
OUTSIDE = {  # ours, outside of the blocks: Hugging Face
    "encoder.cls_token": "vit.embeddings.cls_token",
    "encoder.pos_embed": "vit.embeddings.position_embeddings",
    "encoder.patch_embed.proj.weight": "vit.embeddings.patch_embeddings.projection.weight",
    "encoder.patch_embed.proj.bias": "vit.embeddings.patch_embeddings.projection.bias",
    "encoder.norm.weight": "vit.layernorm.weight",
    "encoder.norm.bias": "vit.layernorm.bias",
    "decoder.mask_token": "decoder.mask_token",
    **{f"decoder.{x}": f"decoder.decoder_{x}" for x in ("embed.weight", "embed.bias", "pos_embed")},
    **{f"decoder.{x}": f"decoder.decoder_{x}" for x in ("norm.weight", "norm.bias", "pred.weight", "pred.bias")},
}
LAYERS = {  # spelling: (encoder's blocks, decoder's blocks, which column of BLOCK)
    "in memory": ("vit.layers", "decoder.decoder_layers", 0),
    "on disk": ("vit.encoder.layer", "decoder.decoder_encoder.layer", 1),
    "of old": ("vit.encoder.layer", "decoder.decoder_layers", 1),
}


def build_mae(**more):
    """A small MAE in eval mode; its tokens, biases and norms have left their start."""
    return build("mae", **{"image_size": 16, "patch_size": 4, **more}).eval()


def official(method):
    """An MAE's weights, or what belongs to them of the same names, as the official code spells them."""
    names = {"encoder.": "", "decoder.mask_token": "mask_token", "decoder.": "decoder_"}
    spelt = {}
    for name, tensor in method.items() if isinstance(method, dict) else method.state_dict().items():
        old = next(start for start in names if name.startswith(start))
        spelt[names[old] + name.removeprefix(old)] = tensor
    return spelt


def timm(method):
    """The encoder's weights as timm spells them: as the official code does."""
    return {n: t for n, t in official(method).items() if not n.startswith("decoder_") and n != "mask_token"}


def hugging_face(method, spelling="in memory"):
    """An MAE's weights, or what belongs to them of the same names, in one of Hugging Face's three spellings."""
    encoder, decoder, column = LAYERS[spelling]
    spelt = {}
    for name, tensor in method.items() if isinstance(method, dict) else method.state_dict().items():
        if ".blocks." not in name:
            spelt[OUTSIDE[name]] = tensor
            continue
        part, _, number, *middle, kind = name.split(".")
        where = f"{encoder if part == 'encoder' else decoder}.{number}"
        middle = ".".join(middle)
        if middle == "attn.qkv":
            for letter, third in zip("qkv", tensor.chunk(3), strict=True):
                spelt[f"{where}.{BLOCK[f'attn.{letter}'][column]}.{kind}"] = third
        else:
            spelt[f"{where}.{BLOCK[middle][column]}.{kind}"] = tensor
    return spelt


def as_hugging_face(method, **more):
    """Hugging Face's MAE on the tensors of ours. Its own start has no positions at all, so none of it is kept."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    encoder, decoder = method.encoder, method.decoder
    rows, cols = encoder.home_grid
    sizes = {
        "image_size": (rows * encoder.patch_size, cols * encoder.patch_size),
        "patch_size": encoder.patch_size,
        "num_channels": encoder.patch_embed.proj.in_channels,
        "hidden_size": encoder.dim,
        "num_hidden_layers": encoder.depth,
        "num_attention_heads": encoder.heads,
        "intermediate_size": 4 * encoder.dim,
        "decoder_hidden_size": decoder.embed.out_features,
        "decoder_num_hidden_layers": len(decoder.blocks),
        "decoder_num_attention_heads": decoder.blocks[0].attn.heads,
        "decoder_intermediate_size": 4 * decoder.embed.out_features,
        "mask_ratio": method.masking.ratio,
        "norm_pix_loss": method.target.normalize,
        "layer_norm_eps": 1e-6,  # its default is 1e-12
    }
    with torch.device("meta"):
        model = ViTMAEForPreTraining(ViTMAEConfig(**{**sizes, **more}))
    model.load_state_dict(hugging_face(method), strict=True, assign=True)
    if rows != cols:  # the model takes any shape; only its patchify insists on squares
        cut = model.patchify
        model.patchify = lambda images, interpolate_pos_encoding=False: cut(images, True)
    return model.eval()


def as_timm(method, weights, **more):
    """timm's Vision Transformer of the encoder's sizes, with these weights, loaded strict."""
    from timm import create_model

    encoder = method.encoder
    rows, cols = encoder.home_grid
    model = create_model(
        "vit_tiny_patch16_224",
        **{
            "img_size": (rows * encoder.patch_size, cols * encoder.patch_size),
            "patch_size": encoder.patch_size,
            "in_chans": encoder.patch_embed.proj.in_channels,
            "embed_dim": encoder.dim,
            "depth": encoder.depth,
            "num_heads": encoder.heads,
            "num_classes": 0,
            **more,
        },
    )
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval()


def inputs(method, batch=2, dtype=torch.float64):
    """Normalised images that fit the method, and noise without ties."""
    encoder = method.encoder
    rows, cols = encoder.home_grid
    channels, side = encoder.patch_embed.proj.in_channels, encoder.patch_size
    images = torch.randn(batch, channels, rows * side, cols * side, generator=generator(1), dtype=torch.float64)
    noise = torch.stack([torch.randperm(rows * cols, generator=generator(b)) for b in range(batch)]) / (rows * cols)
    return images.to(dtype), noise


def ours(method, images, noise):
    """What this library makes of images under a noise: tokens (CLS first), prediction, mask, ids_restore, loss."""
    seen = calls(method.encoder)
    output = method(images, noise=noise)
    (_, mask), encoded = seen[0]
    tokens = torch.cat([encoded.cls.unsqueeze(1), encoded.patches], dim=1)
    parts = {"tokens": tokens, "prediction": output.prediction, "mask": output.mask.to(images.dtype)}
    return {**parts, "ids_restore": mask.restore_ids, "loss": output.loss}


def theirs(model, images, noise):
    """The same of Hugging Face's model."""
    seen = calls(model.vit)
    output = model(images, noise=noise)
    parts = {"tokens": seen[0][1].last_hidden_state, "prediction": output.logits, "mask": output.mask.to(images.dtype)}
    return {**parts, "ids_restore": output.ids_restore, "loss": output.loss}


def fresh_mae(**more):
    """Another MAE of the same sizes, with weights of its own."""
    torch.manual_seed(1)
    return create("mae", **{"image_size": 16, "patch_size": 4, **more}).eval()


def bare(weights):
    """As Hugging Face's encoder alone spells them."""
    return {n.removeprefix("vit."): t for n, t in weights.items() if n.startswith("vit.")}


SPELLINGS = {  # spelling: (how, whose, whether it has a decoder)
    "official MAE": (official, "official MAE", True),
    "timm": (timm, "timm", False),
    **{f"Hugging Face {s}": (partial(hugging_face, spelling=s), "Hugging Face", True) for s in ("in memory", "on disk", "of old")},
    **{
        f"Hugging Face's encoder {s}": (lambda m, s=s: bare(hugging_face(m, s)), "Hugging Face", False)
        for s in ("in memory", "on disk")
    },
}


def assert_same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


def missing(weights, name):
    return {n: t for n, t in weights.items() if n != name}


def with_learnt_positions(method):
    """The same MAE with tables of positions of which nobody can tell the grid."""
    for part in (method.encoder, method.decoder):
        part.pos_embed.data = torch.randn(part.pos_embed.shape, generator=generator())
    return method
