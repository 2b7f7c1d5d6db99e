"""Recipes whose contribution is the objective (survey, arXiv 2408.06687, §3.3, §3.15): U-MAE."""

from minimim.config import TrainConfig
from minimim.losses import Term, l2, uniformity
from minimim.methods.bases import mae_parts
from minimim.methods.method import Method
from minimim.methods.registry import recipe


@recipe(section="3.15", paper="2210.08344")
def umae(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.75, spread: float = 0.01,
         crop_scale: tuple[float, float] = (0.2, 1.0)) -> Method:  # fmt: skip
    """U-MAE (Zhang et al., arXiv 2210.08344): an MAE with one term more, which keeps the CLS tokens of different images apart.

    The term is the mean squared cosine of all pairs in the batch, an image with itself too: at least max(1/B, 1/D), so that in a
    small batch it moves little above its floor. CLS is that of the masked image. spread: the weight of the term.
    Differs: CLS goes through the encoder's last LayerNorm once, in the official code twice; the gradient is that of the whole batch,
    the official code's is divided by the number of its GPUs, so that its 0.01 on eight is 0.00125 here; bilinear crops.
    """
    parts = mae_parts(image_size, patch_size, size, channels=channels, mask_ratio=mask_ratio, crop_scale=crop_scale)
    terms = [Term("patch", l2), Term("latent_cls", uniformity, spread, pair=None, name="uniformity")]
    return Method(**parts | {"terms": terms, "defaults": TrainConfig(lr=1.5e-4)})
