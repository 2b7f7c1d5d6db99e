"""Recipes whose contribution is the target: features of a teacher instead of pixels (survey, arXiv 2408.06687, §3.2)."""

from functools import partial

from minimim.config import TrainConfig
from minimim.data.colour import Colour
from minimim.data.crops import MultiCrop
from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder, ProjectionHead, PrototypeProjection, Prototypes
from minimim.encoders import ViT
from minimim.errors import UserError
from minimim.losses import Term, cross_entropy, me_max, smooth_l1
from minimim.masking import BlockMasking, RandomMasking
from minimim.masking.views import FirstViewsMasking
from minimim.methods.method import Method, joint_embedding
from minimim.methods.registry import recipe
from minimim.methods.teacher import Teacher
from minimim.targets import LayerMean
from minimim.targets.balanced import BalancedPrototypes

TEMPERATURE = 0.1  # of MSN's assignments


@recipe(section="3.2", paper="2202.03555")
def data2vec(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.6, layers: int | None = None,
             beta: float = 2.0, momentum: tuple[float, float] = (0.999, 0.9998), crop_scale: tuple[float, float] | None = (0.2, 1.0),
             drop_path: float = 0.0) -> Method:  # fmt: skip
    """data2vec for images (Baevski et al., arXiv 2202.03555): from a block-masked image, predict the mean of the teacher's last layers;
    the teacher sees the whole image.

    layers: how many of the teacher's last blocks are averaged, by default half of them. beta: of the smooth L1 loss.
    Differs: fixed sine-cosine positions, no layer scale, no drop path by default (0.25 in the paper's base run); each layer goes through
    the encoder's last norm before the LayerNorm without weights; the momentum increases along a cosine, not linearly.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels, hidden="token", drop_path=drop_path)
    if layers is not None and layers > encoder.depth:
        raise UserError(f"layers={layers} is more than the {encoder.depth} blocks of this encoder: choose fewer, or a larger size")
    return joint_embedding(
        views=RandomViews(image_size, scale=crop_scale),
        masking=BlockMasking(mask_ratio),
        encoder=encoder,
        decoder=LinearDecoder(encoder.dim, encoder.dim),
        target=LayerMean(layers or encoder.depth // 2),
        terms=[Term("patch", partial(smooth_l1, beta=beta))],
        momentum=momentum,
        defaults=TrainConfig(lr=2.5e-4, betas=(0.9, 0.999), clip=3.0, warmup=0.0125),
    )


@recipe(section="3.2", paper="2204.07141")
def msn(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.15, prototypes: int | None = None,
        focal: int | None = None, me_max_weight: float = 1.0, sharpen: float = 0.25, momentum: tuple[float, float] = (0.996, 0.9992),
        crop_scale: tuple[float, float] | None = (0.3, 1.0), focal_scale: tuple[float, float] = (0.05, 0.3)) -> Method:  # fmt: skip
    """Masked Siamese Networks (Assran et al., arXiv 2204.07141): the CLS tokens of a view with dropped patches, and of small focal views,
    are trained to have the same prototype assignment as the teacher's CLS of another, whole view; another term favours the use of all
    prototypes.

    mask_ratio: of the one large view; focal views are not masked. prototypes: by default 1024, as in the paper, for small and above, 64
    below, because Sinkhorn distributes a batch over all of them, and with more prototypes than images every target is nearly uniform;
    student and teacher own them together. focal: how many views, by default 10, as in the paper, 4 for sizes below small. The teacher's
    assignment is sharpened (sharpen) and then balanced by Sinkhorn; me_max_weight: weight of the term on the entropy of the mean
    assignment over all of the student's views. The teacher's batch norms use the statistics of its own batch.
    Differs: patches are dropped independently in each image, not the same ones in the whole batch; batch norm treats each focal view as
    a batch of its own, not all ten together; the momentum increases along a cosine, not linearly; prototypes have weight decay and are
    clipped; the student is kept, not the teacher.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels)
    large = encoder.dim >= 384
    hidden, out = (2048, 256) if large else (512, 64)
    focal = (10 if large else 4) if focal is None else focal
    shared = Prototypes(prototypes or (1024 if large else 64), out)
    head = PrototypeProjection(ProjectionHead(encoder.dim, (hidden, hidden), out, activation="gelu"), shared)
    crops = {"large": 2, "small": focal, "large_scale": crop_scale, "small_scale": focal_scale}
    return Method(
        views=MultiCrop(image_size, patch_size, **crops, colour=Colour(blur=0.5), apart=True),
        masking=FirstViewsMasking(RandomMasking(mask_ratio)),
        encoder=encoder,
        decoder=head,
        target=BalancedPrototypes(TEMPERATURE * sharpen),
        terms=[
            Term("cls", partial(cross_entropy, temperature=TEMPERATURE), on="all", pair="other"),
            Term("cls", partial(me_max, temperature=TEMPERATURE), weight=me_max_weight, pair="views", name="me_max"),
        ],
        teacher=Teacher(encoder, head, momentum, norm="batch", share=(shared,)),
        defaults=TrainConfig(lr=2.5e-4, betas=(0.9, 0.999), clip=3.0, warmup=0.019, weight_decay=0.04, weight_decay_end=0.4),
    )
