"""Recipes whose contribution is the target: features of a teacher in place of pixels (survey, arXiv 2408.06687, §3.2)."""

from functools import partial

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder
from minimim.encoders import ViT
from minimim.errors import UserError
from minimim.losses import Term, smooth_l1
from minimim.masking import BlockMasking
from minimim.methods.method import Method, joint_embedding
from minimim.methods.registry import recipe
from minimim.targets import LayerMean


@recipe(section="3.2", paper="2202.03555")
def data2vec(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.6, layers: int | None = None,
             beta: float = 2.0, momentum: tuple[float, float] = (0.999, 0.9998), crop_scale: tuple[float, float] = (0.2, 1.0),
             drop_path: float = 0.0) -> Method:  # fmt: skip
    """data2vec for images (Baevski et al., arXiv 2202.03555): predict the mean of the teacher's last layers, from a
    block-masked image, when the teacher sees all of it.

    layers: how many of the teacher's last blocks are averaged, by default half of them.
    Differs: fixed sine-cosine positions, no layer scale; the momentum climbs along a cosine, not a line.
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
