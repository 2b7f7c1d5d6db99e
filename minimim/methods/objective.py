"""Recipes whose contribution is the objective (survey, arXiv 2408.06687, §3.3, §3.15): CMAE, U-MAE."""

from functools import partial

from minimim.config import TrainConfig
from minimim.data.colour import Colour
from minimim.data.pairs import PairedViews
from minimim.decoders import FeatureDecoder, ProjectionHead, Together, TransformerDecoder, projector
from minimim.losses import Term, info_nce, l2, uniformity
from minimim.masking import RandomMasking
from minimim.methods.bases import decoder_sizes, mae_parts
from minimim.methods.masking_strategy import default_unit
from minimim.methods.method import Method
from minimim.methods.registry import recipe
from minimim.methods.teacher import Teacher
from minimim.targets import HeadAnswers, Pixels, SeveralTargets


@recipe(section="3.3", paper="2207.13532")
def cmae(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.65, unit: int | None = None,
         contrast: float = 1.0, temperature: float = 0.07, momentum: tuple[float, float] = (0.996, 0.996),
         crop_scale: tuple[float, float] | None = (0.2, 1.0), flip: bool = True) -> Method:  # fmt: skip
    """CMAE (Huang et al., arXiv 2207.13532): an MAE with a contrastive loss, which identifies the image among all images of the batch by
    the teacher's features of a second view, shifted by a few pixels and in other colours; the teacher, a moving average of the encoder,
    sees that view whole.

    A feature decoder fills in hidden places before the mean of all places is compared. unit: side, in patches, of the squares that are
    hidden together; by default the equivalent of 32 pixels in an image of 224. contrast: the weight of the contrastive loss, which is
    also multiplied by 2 · temperature, as in the official code. The teacher's patches are averaged without the last norm, and its batch
    norms use the statistics of its own batch.
    Differs: the hue is changed by a rotation about the grey axis; bilinear, not bicubic crops; the projectors' widths depend on the
    encoder's: 1536 and 256 for base, as in the paper.
    """
    base = mae_parts(image_size, patch_size, size, channels=channels, crop_scale=crop_scale, flip=flip)
    encoder, grid = base["encoder"], base["encoder"].home_grid
    hidden, out = 2 * encoder.dim, max(64, encoder.dim // 3)
    head = ProjectionHead(encoder.dim, (hidden,), out, on="mean", last_bias=False)
    filler = TransformerDecoder(encoder.dim, encoder.dim, grid, **decoder_sizes(size, depth=2))
    features = FeatureDecoder(filler, head, projector(out, (hidden,), out, last_bias=False))
    teacher = Teacher(encoder, head, momentum, norm="batch")
    teacher.encoder.normed = False
    compared = Term("cls", partial(info_nce, temperature=temperature), contrast * 2 * temperature, on="all")
    return Method(**base | {
        "views": PairedViews(image_size, differ="shift", scale=crop_scale, flip=flip, teacher=Colour(blur=0.5)),
        "masking": RandomMasking(mask_ratio, unit or default_unit(grid)),
        "decoder": Together(patch=base["decoder"], features=features),
        "target": SeveralTargets(Pixels(patch_size, normalize=True), HeadAnswers()),
        "terms": [Term("patch", l2), compared],
        "teacher": teacher,
        "defaults": TrainConfig(lr=1.5e-4, warmup=0.025),
    })  # fmt: skip


@recipe(section="3.15", paper="2210.08344")
def umae(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.75, spread: float = 0.01,
         crop_scale: tuple[float, float] | None = (0.2, 1.0)) -> Method:  # fmt: skip
    """U-MAE (Zhang et al., arXiv 2210.08344): an MAE with an additional term that keeps the CLS tokens of different images apart.

    The term is the mean squared cosine of all pairs of images in the batch, each with itself included. It is at least max(1/B, 1/D), so
    in a small batch it cannot fall far. CLS is that of the masked image. spread: the weight of the term.
    Differs: CLS goes through the encoder's last LayerNorm once, in the official code twice; the gradient is that of the whole batch,
    whereas the official code divides it by the number of GPUs, so that its weight of 0.01 on eight GPUs corresponds to 0.00125 here;
    bilinear, not bicubic crops.
    """
    parts = mae_parts(image_size, patch_size, size, channels=channels, mask_ratio=mask_ratio, crop_scale=crop_scale)
    terms = [Term("patch", l2), Term("latent_cls", uniformity, spread, pair=None, name="uniformity")]
    return Method(**parts | {"terms": terms, "defaults": TrainConfig(lr=1.5e-4)})
