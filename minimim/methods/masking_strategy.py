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

    hardest: the part of the hidden patches that is chosen at the end of the run; at its beginning none is. The second decoder is
    scored on pairs: is this hidden patch harder than that one, by the loss just made?
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
             crop_scale: tuple[float, float] = (0.2, 1.0)) -> Method:  # fmt: skip
    """ColorMAE (Hinojosa et al., arXiv 2407.13036): an MAE whose masks are filtered noise; they know nothing of the image and cost
    nothing, and are harder to fill in than single patches.

    colour: the band of the noise that is kept, green in the paper's best. widths: in patches, of the blurs that part the bands.
    Differs: noise is drawn for each image, where the official code reads it from a file and gives all images of a batch one crop
    of it; the widths are ours, the paper's are not published.
    """
    parts = mae_parts(image_size, patch_size, size, channels=channels, normalize_target=normalize_target, crop_scale=crop_scale)
    return Method(**parts | {"masking": ColourMasking(colour, mask_ratio, widths)})


@recipe(section="3.1", paper="2203.12719")
def attmask(image_size, patch_size, size, *, channels: int = 3, kind: Literal["high", "hint", "low"] = "high",
            mask_ratio: tuple[float, float] = (0.1, 0.5), prototypes: int | None = None,
            momentum: tuple[float, float] = (0.996, 1.0), crop_scale: tuple[float, float] = (0.25, 1.0), jitter: float = 0.4,
            drop_path: float = 0.0) -> Method:  # fmt: skip
    """AttMask (Kakogeorgiou et al., arXiv 2203.12719): iBOT, but what the teacher's CLS attends to most is hidden from the student.

    kind: "high" hides the most attended patches, "hint" shows a few of them again, "low" hides the least attended.
    Differs: as our iBOT does, which shares all but the mask: no small local crops, hue, grey, blur or solarisation; a constant weight
    decay, and a warm-up of 10 epochs in 800 (the paper: in 100); one clip for all weights, there each has its own; the loss is the mean
    over all scored patches, where there a view without a mask counts as 0, so that patches weigh twice as much beside CLS here; the
    student's encoder is kept, there the teacher's; no drop path unless told (paper: 0.1).
    """
    more = {"channels": channels, "prototypes": prototypes, "momentum": momentum, "drop_path": drop_path}
    parts = ibot_parts(image_size, patch_size, size, **more, crop_scale=crop_scale, jitter=jitter)
    return Method(**parts | {"masking": AttentionMasking(mask_ratio, kind, chance=0.5)})


@recipe(section="3.1", paper="2206.10207")
def semmae(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.75,
           parts: Literal["attention", "truth"] = "attention", momentum: tuple[float, float] = (0.999, 1.0),
           normalize_target: bool = True, crop_scale: tuple[float, float] = (0.2, 1.0)) -> Method:  # fmt: skip
    """SemMAE (Li et al., arXiv 2206.10207): an MAE that hides a part of each semantic part of an image at first, and whole parts in
    the end.

    parts: "attention", what each head of a slow average of the encoder looks at; or "truth", the true objects of scenes, which is
    what perfect parts would give. momentum: of that average.
    Differs: the paper's parts come from a network that is trained before, on features of iBOT, with a loss that keeps parts apart;
    its published code reads the parts from files, a quarter of all patches each, and does not crop. Here the heads of the encoder's
    own average are the parts, all patches are used, and crops are random.
    """
    made = mae_parts(image_size, patch_size, size, channels=channels, normalize_target=normalize_target, crop_scale=crop_scale)
    made |= {"masking": SemanticMasking(mask_ratio, parts)}
    if parts == "attention":
        return Method(**made, teacher=Teacher(made["encoder"], momentum=momentum))
    return Method(**made, needs=("segmentation",))
