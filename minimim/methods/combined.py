"""Recipes that change target and objective at once (survey, arXiv 2408.06687, §3.7): BEiT, iBOT."""

from typing import Literal

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder
from minimim.encoders import ViT
from minimim.losses import cross_entropy
from minimim.masking import BlockMasking
from minimim.methods.bases import ibot_parts
from minimim.methods.method import Method, reconstruction
from minimim.methods.registry import recipe
from minimim.targets.tokens import KMeansTokens
from minimim.targets.vq import VQTokens


@recipe(section="3.7", paper="2106.08254")
def beit(image_size, patch_size, size, *, channels: int = 3, tokenizer: Literal["kmeans", "vq"] = "kmeans",
         codebook: int | None = None, mask_ratio: float = 0.38, crop_scale: tuple[float, float] | None = (0.08, 1.0), jitter: float = 0.4,
         drop_path: float = 0.0) -> Method:  # fmt: skip
    """BEiT (Bao et al., arXiv 2106.08254): predict the token of each hidden patch of a block-masked image.

    tokenizer: "kmeans" or "vq", fitted on the images of the run before training. codebook: the number of tokens, by default 8192, as in
    the paper, for small and above, 512 below.
    Differs: the paper's tokenizer, that of DALL-E, was trained on 250 million images, and reads the image at half the size and each patch
    with its neighbours; every image hides the same number of patches, where the official masks may fall short of it; fixed sine-cosine
    positions, where the paper's are learnt relative ones; no layer scale, and no drop path by default, where the official ImageNet-1K
    run has 0.1 of both.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels, hidden="token", drop_path=drop_path)
    codebook = codebook or (8192 if encoder.dim >= 384 else 512)
    tokens = {"kmeans": KMeansTokens, "vq": VQTokens}[tokenizer]
    return reconstruction(
        views=RandomViews(image_size, scale=crop_scale, jitter=jitter),
        masking=BlockMasking(mask_ratio),
        encoder=encoder,
        decoder=LinearDecoder(encoder.dim, codebook),
        target=tokens(image_size, patch_size, codebook, channels=channels),
        loss=cross_entropy,
        defaults=TrainConfig(lr=1.9e-4, betas=(0.9, 0.999), clip=3.0, warmup=0.0125),
    )


@recipe(section="3.7", paper="2111.07832")
def ibot(image_size, patch_size, size, *, channels: int = 3, mask_ratio: tuple[float, float] = (0.1, 0.5),
         prototypes: int | None = None, momentum: tuple[float, float] = (0.996, 1.0), crop_scale: tuple[float, float] | None = (0.3, 1.0),
         jitter: float = 0.4, drop_path: float = 0.0) -> Method:  # fmt: skip
    """iBOT (Zhou et al., arXiv 2111.07832): of two views, predict the teacher's prototype assignment of each hidden patch in the same
    view, and that of CLS in the other view; the assignments are centred and sharpened.

    prototypes: by default 8192, as in the paper, for small and above, 1024 below. Half of the views are masked, as in the paper.
    Differs: no small local crops, blur or solarisation; the loss is the mean over all scored patches of the batch, not the mean of each
    image's mean; weight decay stays at 0.04, whereas the paper's increases to 0.4; gradients are clipped by their global norm, not for
    each weight tensor; the student is kept for evaluation, not the teacher.
    """
    more = {"channels": channels, "mask_ratio": mask_ratio, "prototypes": prototypes, "momentum": momentum}
    return Method(**ibot_parts(image_size, patch_size, size, **more, crop_scale=crop_scale, jitter=jitter, drop_path=drop_path))
