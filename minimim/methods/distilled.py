"""Recipes with a frozen teacher that was trained before (EVA, survey, arXiv 2408.06687, §3.2), and one that trains such a teacher on
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

TEXT = {  # width of the shared space, and width, depth and heads of the text encoder, for each size of image encoder
    "micro": (64, {"width": 64, "depth": 2, "heads": 4}),
    "tiny": (96, {"width": 96, "depth": 2, "heads": 3}),
    "small": (256, {"width": 256, "depth": 4, "heads": 4}),
    "base": (512, {"width": 512, "depth": 12, "heads": 8}),
}


@recipe(section="3.2", paper="2211.07636")
def eva(image_size, patch_size, size, *, channels: int = 3, teacher: str = "mae-scenes", mask_ratio: float = 0.41,
        crop_scale: tuple[float, float] | None = (0.2, 1.0), drop_path: float = 0.0) -> Method:  # fmt: skip
    """EVA-01 (Fang et al., arXiv 2211.07636): predict the features of a frozen teacher, which sees the whole image, at the hidden patches
    by a linear map; the loss is −cosine.

    teacher: a name or path, or "random" for a control, see `Frozen`; the paper's teacher is CLIP ViT-L/14 with its projection. If images have another size than in
    the teacher's training, its positions are interpolated, and so are its features if its grid is not the student's.
    Differs: fixed sine-cosine, not learnt positions, and the MAE's initialisation; ImageNet's mean and standard deviation for the
    student, not CLIP's; every sample hides exactly the ratio (105 of 256 patches), where the paper's may hide fewer; bilinear, not
    bicubic crops; no drop path by default (the paper's model with a billion parameters has 0.1).
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
def clip(image_size, patch_size, size, *, channels: int = 3, crop_scale: tuple[float, float] | None = (0.9, 1.0),
         flip: bool = False) -> Method:  # fmt: skip
    """CLIP (Radford et al., arXiv 2103.00020), small: identify the caption of an image among those of the batch, and the image of a
    caption. It is included as a teacher for `eva`.

    Nothing is hidden. The text encoder is a part of the loss, and is not needed after training.
    Differs: no CLS token, an image is the mean of its patches (see JointSpace); the text encoder reads whole words in both directions,
    and its outputs are averaged; crops of at least nine tenths and no mirroring, because these captions state where things are; the
    learning rate is that of a small model (the paper's ViT-B has 5e-4 for 32,768 images), the weight decay of 0.2 is the paper's.
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
