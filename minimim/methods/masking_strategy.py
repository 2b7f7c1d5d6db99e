"""Recipes whose contribution is the masking strategy (survey, arXiv 2408.06687, §3.1): MAE, SimMIM, HPM."""

import math
from functools import partial
from typing import Literal

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder, Together, TransformerDecoder
from minimim.encoders import Swin, ViT
from minimim.losses import Term, l1, l2, ranking
from minimim.masking import HardestMasking, RandomMasking
from minimim.methods.bases import decoder_sizes
from minimim.methods.method import Method, reconstruction
from minimim.methods.registry import recipe
from minimim.methods.teacher import Teacher
from minimim.targets import Pixels


@recipe(section="3.1", paper="2111.06377")
def mae(image_size, patch_size, size, *, channels: int = 3, cls: bool = True, mask_ratio: float = 0.75,
        decoder_dim: int | None = None, decoder_depth: int | None = None, decoder_heads: int | None = None,
        normalize_target: bool = True, crop_scale: tuple[float, float] = (0.2, 1.0), flip: bool = True) -> Method:  # fmt: skip
    """Masked Autoencoder (He et al., arXiv 2111.06377): a heavy encoder on the visible quarter, a light decoder on all.

    cls: whether the encoder has a CLS token. A size that has no name takes the decoder of the paper, unless told.
    Differs: bilinear, not bicubic crops; decoders for micro, tiny and small are ours, the paper has none.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels, cls=cls)
    sizes = decoder_sizes(size, dim=decoder_dim, depth=decoder_depth, heads=decoder_heads)
    return reconstruction(
        views=RandomViews(image_size, scale=crop_scale, flip=flip),
        masking=RandomMasking(mask_ratio),
        encoder=encoder,
        decoder=TransformerDecoder(encoder.dim, patch_size**2 * channels, encoder.home_grid, **sizes),
        target=Pixels(patch_size, normalize=normalize_target),
        loss=l2,
    )


@recipe(section="3.1", paper="2111.09886")
def simmim(image_size, patch_size, size, *, channels: int = 3, encoder: Literal["vit", "swin"] = "vit", mask_ratio: float = 0.6,
           unit: int | None = None, crop_scale: tuple[float, float] = (0.67, 1.0)) -> Method:  # fmt: skip
    """SimMIM (Xie et al., arXiv 2111.09886): mask tokens go through the encoder, a linear map predicts raw pixels, l1.

    encoder: a ViT, or a Swin-like one, whose patch_size is that of its last map, 32 in the paper. unit: patches along the side of
    what is hidden as one; by default 32 pixels of 224, in proportion.
    Differs: the ViT has fixed sine-cosine positions, where the paper's has learnt relative ones, and no layer scale.
    """
    kinds = {"vit": partial(ViT, cls=False, hidden="token"), "swin": Swin}
    encoder = kinds[encoder](image_size, patch_size, size, channels=channels)
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


@recipe(section="3.1", paper="2304.05919")
def hpm(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.75, hardest: float = 0.5,
        momentum: tuple[float, float] = (0.999, 1.0), crop_scale: tuple[float, float] = (0.2, 1.0)) -> Method:  # fmt: skip
    """Hard Patches Mining (Wang et al., arXiv 2304.05919): a second decoder learns which patches are hard, and a slow
    average of it and of the encoder chooses what is hidden, from easy to hard.

    The second decoder is scored on pairs: is this hidden patch harder than that one, by the loss just made?
    """
    encoder = ViT(image_size, patch_size, size, channels=channels)
    sizes = decoder_sizes(size)
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
