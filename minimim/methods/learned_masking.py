"""Recipes whose contribution is a mask that is learnt (survey, arXiv 2408.06687, §3.1): ADIOS."""

from functools import partial

from minimim.config import TrainConfig
from minimim.data.colour import Colour
from minimim.data.crops import MultiCrop
from minimim.decoders import ProjectionHead
from minimim.encoders import ViT
from minimim.losses import Term, nt_xent
from minimim.masking.learned import AdversarialMasking
from minimim.methods.method import Method
from minimim.methods.registry import recipe


@recipe(section="3.1", paper="2201.13100")
def adios(image_size, patch_size, size, *, channels: int = 3, masks: int = 4, alpha: float = 0.391, masker_lr: float = 1.0,
          masker_width: int | None = None, batch_norm: bool = True, temperature: float = 0.2,
          crop_scale: tuple[float, float] = (0.08, 1.0)) -> Method:  # fmt: skip
    """ADIOS (Shi et al., arXiv 2201.13100): a U-Net learns to hide from one view what makes it hard to find the other, whole view among
    all of the batch; several soft masks share out the image, and the encoder learns to find it all the same (SimCLR's loss).

    masks: how many. alpha: weight of the penalty on masks that hide nothing or everything; the paper sweeps it, and this is its number for
    a ViT-Ti of 96-pixel images. masker_lr: the U-Net's learning rate, in parts of the encoder's. masker_width: its features, by default
    16 up to 32 pixels and 32 above (the paper's 128 at 224 must be asked for). batch_norm: on the projector's hidden layer.
    As there the losses of all masks are summed, so that their number weighs them against the penalty.
    Differs: both players learn in one backward, the U-Net by reversed gradient, where the paper takes a step of the encoder and then one
    of the U-Net on the same images; AdamW, clipped, in place of LARS, hence other rates and decay; the whole view is encoded once;
    SimCLR's batch norm stays in the projector, where ADIOS has none: without it a small encoder begins to learn half as fast.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels)
    hidden, out = (2048, 128) if encoder.dim >= 384 else (512, 64)
    colour = Colour(jitter=(0.8, 0.8, 0.8, 0.2), grey=0.2, blur=0.5)
    width = masker_width or (16 if max(image_size) <= 32 else 32)
    return Method(
        views=MultiCrop(image_size, patch_size, large=2, large_scale=crop_scale, colour=colour),
        masking=AdversarialMasking(image_size, channels, masks=masks, alpha=alpha, width=width, lr_scale=masker_lr),
        encoder=encoder,
        decoder=ProjectionHead(encoder.dim, (hidden,), out, norm="batch" if batch_norm else None),
        target=None,
        terms=[Term("cls", partial(nt_xent, temperature=temperature), weight=masks, pair="views")],
        defaults=TrainConfig(lr=2e-4, clip=3.0),
    )
