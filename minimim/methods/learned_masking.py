"""Recipes whose contribution is a learnt mask (survey, arXiv 2408.06687, §3.1): ADIOS."""

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
          crop_scale: tuple[float, float] | None = (0.08, 1.0)) -> Method:  # fmt: skip
    """ADIOS (Shi et al., arXiv 2201.13100): SimCLR between a whole view and masked views of an image; the encoder minimises the loss, and
    a U-Net, which produces several soft masks that sum to one at each pixel, maximises it.

    masks: how many. alpha: weight of the penalty on masks that hide nothing or everything; the paper tunes it, and the default is its value
    for a ViT-Ti on 96-pixel images. masker_lr: the U-Net's learning rate relative to the encoder's. masker_width: features of its finest
    map, by default 16 for images of up to 32 pixels and 32 above (set it for the paper's 128 at 224). batch_norm: whether the projector's
    hidden layer has one. As in the paper the losses of all masks are summed.
    Differs: one backward pass trains both networks, the U-Net by a reversed gradient, where the paper alternates steps of the encoder and
    of the U-Net on the same images; AdamW with gradient clipping instead of LARS, hence another learning rate and weight decay; the
    whole view is encoded once; the projector has SimCLR's batch norm, where ADIOS has none: without it a small encoder learns half as
    fast at the beginning.
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
