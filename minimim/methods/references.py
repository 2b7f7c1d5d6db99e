"""References that are not masked image modeling: SimCLR, a purely contrastive method, on the same encoders."""

from functools import partial

from minimim.config import TrainConfig
from minimim.data.colour import Colour
from minimim.data.crops import MultiCrop
from minimim.decoders import ProjectionHead
from minimim.encoders import ViT
from minimim.losses import Term, nt_xent
from minimim.masking.nothing import NoMasking
from minimim.methods.method import Method
from minimim.methods.registry import recipe


@recipe(section="beyond", paper="2002.05709")
def simclr(image_size, patch_size, size, *, channels: int = 3, temperature: float = 0.1, jitter: float = 1.0, grey: float = 0.2,
           blur: float = 0.5, crop_scale: tuple[float, float] | None = (0.08, 1.0), flip: bool = True) -> Method:  # fmt: skip
    """SimCLR (Chen et al., arXiv 2002.05709): nothing is hidden; two views of an image have to identify each other among all views of the
    batch.

    jitter: its strength, where 1 means 0.4 for brightness, contrast and saturation and 0.1 for hue. grey, blur: the probability of each
    for a view. The version for a ViT and its numbers are from SLIP's code (arXiv 2112.12750): a projector of three layers on CLS, with
    batch norm in the hidden ones, over one view at a time and over all processes.
    Differs: fixed sine-cosine positions; the hue is changed by a rotation about the grey axis; projectors for sizes below small are ours.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels)
    hidden, out = (4096, 256) if encoder.dim >= 384 else (512, 64)
    colour = Colour(jitter=(0.4 * jitter, 0.4 * jitter, 0.4 * jitter, 0.1 * jitter), grey=grey, blur=blur)
    return Method(
        views=MultiCrop(image_size, patch_size, large=2, large_scale=crop_scale, flip=flip, colour=colour),
        masking=NoMasking(),
        encoder=encoder,
        decoder=ProjectionHead(encoder.dim, (hidden, hidden), out),
        target=None,
        terms=[Term("cls", partial(nt_xent, temperature=temperature), pair="views")],
        defaults=TrainConfig(lr=2e-4, betas=(0.9, 0.98), weight_decay=0.1, warmup=0.04),
    )
