"""Recipes that learn from a teacher trained before (EVA, survey, arXiv 2408.06687, §3.2), and one that trains such a teacher on
captions (CLIP)."""

from minimim.config import TrainConfig
from minimim.data.captions import LENGTH, VOCABULARY
from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder
from minimim.decoders.joint import JointSpace
from minimim.encoders import ViT
from minimim.losses import Term
from minimim.losses.captions import CaptionContrast
from minimim.losses.places import cosine
from minimim.masking import BlockMasking
from minimim.masking.nothing import NoMasking
from minimim.methods.frozen import Frozen
from minimim.methods.method import Method
from minimim.methods.registry import recipe
from minimim.targets.captions import Captions
from minimim.targets.frozen import FrozenFeatures

TEXT = {  # joint width, and width, depth and heads of the text encoder, beside each size of picture encoder
    "micro": (64, {"width": 64, "depth": 2, "heads": 4}),
    "tiny": (96, {"width": 96, "depth": 2, "heads": 3}),
    "small": (256, {"width": 256, "depth": 4, "heads": 4}),
    "base": (512, {"width": 512, "depth": 12, "heads": 8}),
}


@recipe(section="3.2", paper="2211.07636")
def eva(image_size, patch_size, size, *, channels: int = 3, teacher: str = "mae-scenes", mask_ratio: float = 0.41,
        crop_scale: tuple[float, float] = (0.2, 1.0), drop_path: float = 0.0) -> Method:  # fmt: skip
    """EVA-01 (Fang et al., arXiv 2211.07636): predict, by a linear map, what a frozen teacher says of the hidden patches when it
    sees the whole image; the loss is −cosine.

    teacher: of which name or path, as `Frozen` takes them; the paper's is CLIP ViT-L/14, through its projection. Images that the
    teacher has not seen at this size are seen with interpolated positions, and another grid than the student's is interpolated.
    Differs: fixed sine-cosine positions, and the MAE's start; ImageNet's mean and spread for the student; every sample hides exactly
    the ratio (105 of 256), where the paper's may hide less; bilinear crops; no drop path unless asked (the paper's billion parameters
    have 0.1).
    """
    frozen = Frozen(teacher, image_size)
    encoder = ViT(image_size, patch_size, size, channels=channels, hidden="token", drop_path=drop_path)
    rows, cols = encoder.home_grid
    return Method(
        views=RandomViews(image_size, scale=crop_scale),
        masking=BlockMasking(mask_ratio, smallest=max(1, round(rows * cols * 16 / 256))),
        encoder=encoder,
        decoder=LinearDecoder(encoder.dim, frozen.dim),
        target=FrozenFeatures(patch_size),
        terms=[Term("patch", cosine)],
        teacher=frozen,
        defaults=TrainConfig(lr=6.25e-5, betas=(0.9, 0.98), clip=3.0, warmup=2 / 150),
    )


@recipe(section="beyond", paper="2103.00020")
def clip(image_size, patch_size, size, *, channels: int = 3, crop_scale: tuple[float, float] = (0.9, 1.0),
         flip: bool = False) -> Method:  # fmt: skip
    """CLIP (Radford et al., arXiv 2103.00020), small: a picture finds its caption among those of the batch, and a caption its
    picture. It is here as a teacher for `eva`.

    Nothing is hidden, so there is no mask to choose. The text encoder is trained with the loss, and left behind with it.
    Differs: no CLS, a picture is the mean of its patches (see JointSpace); a bidirectional text encoder that is averaged, and reads
    whole words; crops of nine tenths and no mirroring, for these captions say where things stand; lr and decay are a small
    model's (the paper's ViT-B has 5e-4 for 32,768 pictures, decay 0.2).
    """
    encoder = ViT(image_size, patch_size, size, channels=channels, cls=False)
    dim, text = TEXT[size if isinstance(size, str) and size in TEXT else "base"]
    return Method(
        views=RandomViews(image_size, scale=crop_scale, flip=flip),
        masking=NoMasking(),
        encoder=encoder,
        decoder=JointSpace(encoder.dim, dim),
        target=Captions(),
        terms=[Term("image", CaptionContrast(dim, words=max(VOCABULARY.values()) + 1, length=LENGTH, **text), on="all")],
        defaults=TrainConfig(lr=1e-3, betas=(0.9, 0.98), warmup=0.05, weight_decay=0.2),
        needs=("caption",),
    )
