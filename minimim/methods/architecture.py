"""Recipes whose contribution is the architecture (survey, arXiv 2408.06687, §3.6): SparK."""

from typing import Literal

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders.unet import UNetDecoder
from minimim.encoders import ConvNet
from minimim.masking import RandomMasking
from minimim.methods.method import Method, reconstruction
from minimim.methods.registry import recipe
from minimim.targets import Pixels

UNETS = {"micro": 64, "tiny": 128}  # width of the U-Net at the last map; 768, as in the paper, for the other sizes


@recipe(section="3.6", paper="2301.03580")
def spark(image_size, patch_size, size, *, channels: int = 3, encoder: Literal["convnext", "resnet"] = "convnext", mask_ratio: float = 0.6,
          decoder_dim: int | None = None, drop_path: float = 0.0, crop_scale: tuple[float, float] | None = (0.67, 1.0)) -> Method:  # fmt: skip
    """SparK (Tian et al., arXiv 2301.03580): a convolutional encoder that computes visible cells only, on every map, and a U-Net that
    fills the hidden cells of each map and predicts normalised pixels.

    patch_size: side in pixels of a cell of the last map, 32 in the paper. decoder_dim: width of the U-Net at that map. drop_path: the
    paper uses 0.05 to 0.4.
    Differs: AdamW instead of LAMB, with the paper's learning rate, weight decay and clip; int(N · 0.4) cells stay visible, where the
    paper rounds (19 of 49 cells, not 20); the ResNet has basic blocks. As in the paper, the running statistics of a ResNet's batch norm
    come from visible cells: fine-tuning replaces them, but a frozen probe uses them.
    """
    kind = encoder
    encoder = ConvNet(image_size, patch_size, size, channels=channels, kind=kind, drop_path=drop_path)
    dim = decoder_dim or UNETS.get(size, 768)
    return reconstruction(
        views=RandomViews(image_size, scale=crop_scale),
        masking=RandomMasking(mask_ratio),
        encoder=encoder,
        decoder=UNetDecoder(encoder.widths, patch_size, channels, dim=dim, norm="layer" if kind == "convnext" else "batch"),
        target=Pixels(patch_size, normalize=True),
        defaults=TrainConfig(lr=2e-4, betas=(0.9, 0.999 if kind == "convnext" else 0.95), clip=5.0, warmup=0.025,
                             weight_decay=0.04, weight_decay_end=0.2),
    )  # fmt: skip
