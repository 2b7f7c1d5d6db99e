"""Recipes with handcrafted features as the target (survey, arXiv 2408.06687, §3.14): MaskFeat."""

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder
from minimim.encoders import ViT
from minimim.losses import l2
from minimim.masking import BlockMasking
from minimim.methods.method import Method, reconstruction
from minimim.methods.registry import recipe
from minimim.targets.handmade import HOG


@recipe(section="3.14", paper="2112.09133")
def maskfeat(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.4, bins: int = 9, cells: int | None = None,
             crop_scale: tuple[float, float] | None = (0.5, 1.0)) -> Method:  # fmt: skip
    """MaskFeat (Wei et al., arXiv 2112.09133): predict histograms of oriented gradients of the hidden patches, from a block-masked
    image. No teacher and no tokenizer: the target describes edges, independent of brightness and contrast.

    bins, cells: number of directions of a histogram, and of cells along the side of a patch, see `HOG`; by default the paper's 9 and 2,
    and one cell in patches of less than 8 pixels.
    The official head is a LayerNorm and a linear map on an encoder without its last norm; here that norm is a part of the encoder, which
    computes the same. The clip of 0.02 is far below the usual norm of the gradient, so gradients are in effect normalised at each step.
    Differs: every image hides the same number of patches, where the official masks may fall short; fixed sine-cosine positions, where
    the paper's are learnt; the head is initialised by Xavier's rule, with larger weights than the official standard deviation of 0.02;
    bilinear, not bicubic crops. On smooth images such as `scenes` most gradients are small, and for a long time the method predicts
    little more than the mean histogram.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels, hidden="token")
    patches = encoder.home_grid[0] * encoder.home_grid[1]
    target = HOG(patch_size, bins=bins, cells=cells)
    return reconstruction(
        views=RandomViews(image_size, scale=crop_scale),
        masking=BlockMasking(mask_ratio, smallest=max(1, round(mask_ratio * patches) // 5)),
        encoder=encoder,
        decoder=LinearDecoder(encoder.dim, channels * bins * target.cells**2),
        target=target,
        loss=l2,
        defaults=TrainConfig(lr=2e-4, betas=(0.9, 0.999), clip=0.02, warmup=0.1),
    )
