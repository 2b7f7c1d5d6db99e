"""Recipes whose contribution is the masking strategy (survey, arXiv 2408.06687, §3.1): MAE, SimMIM, HPM, ColorMAE, AttMask, SemMAE."""

import math
from functools import partial
from typing import Literal

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder, Together, TransformerDecoder
from minimim.encoders import Swin, ViT
from minimim.losses import Term, l1, l2, ranking
from minimim.masking import AttentionMasking, ColourMasking, HardestMasking, RandomMasking, SemanticMasking
from minimim.methods.bases import decoder_sizes, ibot_parts, mae_parts
from minimim.methods.method import Method, reconstruction
from minimim.methods.registry import recipe
from minimim.methods.teacher import Teacher
from minimim.targets import Pixels


@recipe(section="3.1", paper="2111.06377")
def mae(image_size, patch_size, size, *, channels: int = 3, cls: bool = True, mask_ratio: float = 0.75,
        decoder_dim: int | None = None, decoder_depth: int | None = None, decoder_heads: int | None = None,
        normalize_target: bool = True, crop_scale: tuple[float, float] | None = (0.2, 1.0), flip: bool = True) -> Method:  # fmt: skip
    """Masked Autoencoder (He et al., arXiv 2111.06377): a large encoder on the visible quarter of the patches, a small decoder on all.

    cls: whether the encoder has a CLS token. decoder_dim, decoder_depth, decoder_heads: by default they depend on the size of the
    encoder; a size given as three numbers gets the paper's decoder. normalize_target: whether the target is each patch's normalised
    pixels, or its pixels.
    Differs: bilinear, not bicubic crops; decoders for micro, tiny and small are ours, because the paper has no such sizes.
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
           unit: int | None = None, crop_scale: tuple[float, float] | None = (0.67, 1.0)) -> Method:  # fmt: skip
    """SimMIM (Xie et al., arXiv 2111.09886): the encoder reads mask tokens at hidden patches, and a linear map predicts raw pixels with an
    L1 loss.

    encoder: a ViT, or a Swin-like one, whose patch_size is that of its last map, 32 in the paper. unit: side, in patches, of the squares
    that are hidden together; by default the equivalent of 32 pixels in an image of 224.
    Differs: the ViT has fixed sine-cosine positions, where the paper's has learnt relative ones, and no layer scale; the learning rate
    is the paper's (8e-4 for 2048 images; the official configs have half of it), and falls along a cosine, where the paper's falls to a
    tenth after 700 of 800 epochs.
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
        defaults=TrainConfig(lr=1e-4, betas=(0.9, 0.999), clip=5.0, warmup=0.0125),
    )


def default_unit(grid: tuple[int, int]) -> int:
    """The side of the largest square of patches that divides the grid and is at most a seventh of it (32 of 224 pixels)."""
    common = math.gcd(*grid)
    return max(u for u in range(1, max(1, round(common / 7)) + 1) if common % u == 0)


@recipe(section="3.1", paper="2304.05919")
def hpm(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.75, hardest: float = 0.5,
        momentum: tuple[float, float] = (0.999, 1.0), crop_scale: tuple[float, float] | None = (0.2, 1.0)) -> Method:  # fmt: skip
    """Hard Patches Mining (Wang et al., arXiv 2304.05919): a second decoder predicts which patches have a high loss, and a teacher, a
    moving average of it and of the encoder, uses these predictions to choose the hidden patches, from easy to hard.

    hardest: the fraction of the hidden patches that the teacher chooses at the end of the run; it grows from 0. The second decoder's loss
    is a ranking of pairs of hidden patches by the reconstruction losses of the same step.
    Differs: bilinear, not bicubic crops; decoders for micro, tiny and small are ours.
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


@recipe(section="3.1", paper="2407.13036")
def colormae(image_size, patch_size, size, *, channels: int = 3, colour: Literal["green", "red", "blue", "purple"] = "green",
             mask_ratio: float = 0.75, widths: tuple[float, float] = (1.0, 2.0), normalize_target: bool = True,
             crop_scale: tuple[float, float] | None = (0.2, 1.0)) -> Method:  # fmt: skip
    """ColorMAE (Hinojosa et al., arXiv 2407.13036): an MAE whose masks come from filtered noise; they do not depend on the image, add
    hardly any computation, and hide larger areas than random patches.

    colour: the band of the noise that is kept; green is the paper's best. widths: standard deviations, in patches, of the blurs that
    separate the bands.
    Differs: noise is drawn for each image, where the official code reads it from a file and uses one crop of it for all images of a
    batch; the widths are ours, because the paper's are not published.
    """
    parts = mae_parts(image_size, patch_size, size, channels=channels, normalize_target=normalize_target, crop_scale=crop_scale)
    return Method(**parts | {"masking": ColourMasking(colour, mask_ratio, widths)})


@recipe(section="3.1", paper="2203.12719")
def attmask(image_size, patch_size, size, *, channels: int = 3, kind: Literal["high", "hint", "low"] = "high",
            mask_ratio: tuple[float, float] = (0.1, 0.5), prototypes: int | None = None,
            momentum: tuple[float, float] = (0.996, 1.0), crop_scale: tuple[float, float] | None = (0.25, 1.0), jitter: float = 0.4,
            drop_path: float = 0.0) -> Method:  # fmt: skip
    """AttMask (Kakogeorgiou et al., arXiv 2203.12719): an iBOT that hides the patches to which the teacher's CLS token attends most.

    kind: "high" hides the most attended patches, "hint" shows a few of them again, "low" hides the least attended.
    Differs: as our iBOT does, which shares all but the mask: no small local crops, hue, grey, blur or solarisation; a constant weight
    decay, and a warm-up of 10 in 800 epochs (the paper: 10 in 100); gradients are clipped by their global norm, not for each weight
    tensor; the loss is the mean over all scored patches, where in the official code a view without a mask counts as 0, so that patches
    have twice the weight relative to CLS here; the student's encoder is kept, not the teacher's; no drop path by default (paper: 0.1).
    """
    more = {"channels": channels, "prototypes": prototypes, "momentum": momentum, "drop_path": drop_path}
    parts = ibot_parts(image_size, patch_size, size, **more, crop_scale=crop_scale, jitter=jitter)
    return Method(**parts | {"masking": AttentionMasking(mask_ratio, kind, chance=0.5)})


@recipe(section="3.1", paper="2206.10207")
def semmae(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.75,
           parts: Literal["attention", "truth"] = "attention", momentum: tuple[float, float] = (0.999, 1.0),
           normalize_target: bool = True, crop_scale: tuple[float, float] | None = (0.2, 1.0)) -> Method:  # fmt: skip
    """SemMAE (Li et al., arXiv 2206.10207): an MAE that hides some patches of each semantic part of an image at first, and whole parts at
    the end of the run.

    parts: "attention", the patches to which each head of the teacher, a moving average of the encoder, attends; or "truth", the true
    objects of scenes, which shows what perfect parts would achieve. momentum: of the teacher.
    Differs: the paper's parts come from a network that is trained before, on features of iBOT, with a loss that makes parts distinct;
    its published code reads the parts from files, with a quarter of an image's patches, and takes no random crops. Here the parts are
    the teacher's heads, all patches are used, and crops are random.
    """
    made = mae_parts(image_size, patch_size, size, channels=channels, normalize_target=normalize_target, crop_scale=crop_scale)
    made |= {"masking": SemanticMasking(mask_ratio, parts)}
    if parts == "attention":
        return Method(**made, teacher=Teacher(made["encoder"], momentum=momentum))
    return Method(**made, needs=("segmentation",))
