"""Recipes whose contribution is the masking strategy (survey, arXiv 2408.06687, §3.1): MAE, SimMIM, HPM."""

import math

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder, Together, TransformerDecoder
from minimim.errors import UserError
from minimim.losses import Term, l1, l2, ranking
from minimim.masking import HardestMasking, RandomMasking
from minimim.methods.method import Method, reconstruction
from minimim.methods.teacher import Teacher
from minimim.targets import Pixels
from minimim.vit import ViT

DECODERS = {  # dim, depth, heads of the MAE decoder beside each size of encoder; base, large and huge as in the paper
    "micro": (64, 2, 4),
    "tiny": (96, 4, 3),
    "small": (256, 8, 8),
    "base": (512, 8, 16),
    "large": (512, 8, 16),
    "huge": (512, 8, 16),
}


def mae(image_size, patch_size, size, *, channels=3, cls=True, mask_ratio=0.75, decoder_dim=None, decoder_depth=None,
        decoder_heads=None, normalize_target=True, crop_scale=(0.2, 1.0), flip=True) -> Method:  # fmt: skip
    """Masked Autoencoder (He et al., arXiv 2111.06377): a heavy encoder on the visible quarter, a light decoder on all.

    cls: whether the encoder has a CLS token. A size that has no name takes the decoder of the paper, unless told.
    Differs: bilinear, not bicubic crops; decoders for micro, tiny and small are ours, the paper has none.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels, cls=cls)
    pixels = patch_size**2 * channels
    dim, depth, heads = DECODERS[size if isinstance(size, str) else "base"]
    dim, heads = decoder_dim or dim, decoder_heads or heads
    if dim % heads:
        raise UserError(f"a decoder of width {dim} cannot be shared out among {heads} heads: choose decoder_heads that divide it")
    return reconstruction(
        views=RandomViews(image_size, scale=crop_scale, flip=flip),
        masking=RandomMasking(mask_ratio),
        encoder=encoder,
        decoder=TransformerDecoder(
            encoder.dim,
            pixels,
            encoder.home_grid,
            dim=dim,
            depth=depth if decoder_depth is None else decoder_depth,
            heads=heads,
        ),
        target=Pixels(patch_size, normalize=normalize_target),
        loss=l2,
    )


def simmim(image_size, patch_size, size, *, channels=3, mask_ratio=0.6, unit=None, crop_scale=(0.67, 1.0)) -> Method:
    """SimMIM (Xie et al., arXiv 2111.09886): mask tokens go through the encoder, a linear map predicts raw pixels, l1.

    unit: patches along the side of what is hidden as one; by default 32 pixels of 224, in proportion.
    Differs: fixed sine-cosine positions, where the paper's ViT has learnt relative ones, and no layer scale.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels, cls=False, hidden="token")
    return reconstruction(
        views=RandomViews(image_size, scale=crop_scale),
        masking=RandomMasking(mask_ratio, unit or default_unit(encoder.home_grid)),
        encoder=encoder,
        decoder=LinearDecoder(encoder.dim, patch_size**2 * channels),
        target=Pixels(patch_size),
        loss=l1,
        defaults=TrainConfig(lr=2e-4, betas=(0.9, 0.999), clip=5.0, warmup=0.0125),
    )


def default_unit(grid: tuple[int, int]) -> int:
    """The largest square of patches that divides the grid and is at most a seventh of it (32 pixels of 224)."""
    common = math.gcd(*grid)
    return max(u for u in range(1, max(1, round(common / 7)) + 1) if common % u == 0)


def hpm(image_size, patch_size, size, *, channels=3, mask_ratio=0.75, hardest=0.5, momentum=(0.999, 1.0),
        crop_scale=(0.2, 1.0)) -> Method:  # fmt: skip
    """Hard Patches Mining (Wang et al., arXiv 2304.05919): a second decoder learns which patches are hard, and a slow
    average of it and of the encoder chooses what is hidden, from easy to hard.

    The second decoder is scored on pairs: is this hidden patch harder than that one, by the loss just made?
    """
    encoder = ViT(image_size, patch_size, size, channels=channels)
    dim, depth, heads = DECODERS[size]
    sizes = {"dim": dim, "depth": depth, "heads": heads}
    painter = TransformerDecoder(encoder.dim, patch_size**2 * channels, encoder.home_grid, **sizes)
    judge = TransformerDecoder(encoder.dim, 1, encoder.home_grid, **sizes)
    return Method(
        views=RandomViews(image_size, scale=crop_scale),
        masking=HardestMasking(mask_ratio, hardest),
        encoder=encoder,
        decoder=Together(patch=painter, difficulty=judge),
        target=Pixels(patch_size, normalize=True),
        terms=[Term("patch", l2), Term("difficulty", ranking, against="patch")],
        teacher=Teacher(encoder, Together(difficulty=judge), momentum),
    )
