"""Dicts of parts that several recipes share, so that a derived recipe states only what differs.

    Method(**mae_parts(image_size, patch_size, size) | {"masking": …})
"""

from functools import partial

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders import PrototypeHead, TransformerDecoder
from minimim.encoders import ViT
from minimim.errors import UserError
from minimim.losses import Term, cross_entropy, l2
from minimim.masking import BlockMasking, RandomMasking
from minimim.methods.teacher import Teacher
from minimim.targets import CentredPrototypes, Pixels

DECODERS = {  # dim, depth, heads of the MAE decoder for each size of encoder; base, large and huge as in the paper
    "micro": (64, 2, 4),
    "tiny": (96, 4, 3),
    "small": (256, 8, 8),
    "base": (512, 8, 16),
    "large": (512, 8, 16),
    "huge": (512, 8, 16),
}


def decoder_sizes(size, *, dim: int | None = None, depth: int | None = None, heads: int | None = None) -> dict:
    """Default dim, depth and heads of the decoder for a size of encoder, unless they are given; a size without a name gets the paper's.

    Raises UserError if heads does not divide dim.
    """
    usual = DECODERS[size if isinstance(size, str) and size in DECODERS else "base"]
    dim, heads = dim or usual[0], heads or usual[2]
    if dim % heads:
        raise UserError(f"a decoder of width {dim} cannot be shared out among {heads} heads: choose decoder_heads that divide it")
    return {"dim": dim, "depth": usual[1] if depth is None else depth, "heads": heads}


def mae_parts(image_size, patch_size, size, *, channels=3, cls=True, mask_ratio=0.75, decoder_dim=None, decoder_depth=None,
              decoder_heads=None, normalize_target=True, crop_scale=(0.2, 1.0), flip=True) -> dict:  # fmt: skip
    """The parts of an MAE (arXiv 2111.06377), as arguments for Method."""
    encoder = ViT(image_size, patch_size, size, channels=channels, cls=cls)
    sizes = decoder_sizes(size, dim=decoder_dim, depth=decoder_depth, heads=decoder_heads)
    return {
        "views": RandomViews(image_size, scale=crop_scale, flip=flip),
        "masking": RandomMasking(mask_ratio),
        "encoder": encoder,
        "decoder": TransformerDecoder(encoder.dim, patch_size**2 * channels, encoder.home_grid, **sizes),
        "target": Pixels(patch_size, normalize=normalize_target),
        "terms": [Term("patch", l2)],
    }


def ibot_parts(image_size, patch_size, size, *, channels=3, mask_ratio=(0.1, 0.5), prototypes=None, momentum=(0.996, 1.0),
               crop_scale=(0.3, 1.0), jitter=0.4, drop_path=0.0) -> dict:  # fmt: skip
    """The parts of an iBOT (arXiv 2111.07832), as arguments for Method."""
    encoder = ViT(image_size, patch_size, size, channels=channels, hidden="token", drop_path=drop_path)
    large = encoder.dim >= 384
    prototypes = prototypes or (8192 if large else 1024)
    head = PrototypeHead(
        encoder.dim, prototypes=prototypes, hidden_dim=2048 if large else 512, bottleneck_dim=256 if large else 64
    )
    loss = partial(cross_entropy, temperature=0.1)
    return {
        "views": RandomViews(image_size, count=2, scale=crop_scale, jitter=jitter),
        "masking": BlockMasking(tuple(mask_ratio), chance=0.5),
        "encoder": encoder,
        "decoder": head,
        "target": CentredPrototypes(prototypes),
        "terms": [Term("patch", loss), Term("cls", loss, on="all", pair="other")],
        "teacher": Teacher(encoder, head, momentum),
        "defaults": TrainConfig(lr=5e-4, betas=(0.9, 0.999), clip=3.0, warmup=0.0125, weight_decay=0.04),
    }
