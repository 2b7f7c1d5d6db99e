"""Recipes that hide frequencies instead of patches (survey, arXiv 2408.06687, §3.1): MFM."""

from minimim.config import TrainConfig
from minimim.decoders import LinearDecoder
from minimim.losses import Term
from minimim.losses.spectrum import SpectrumDistance
from minimim.masking.frequency import FrequencyMasking
from minimim.methods.bases import mae_parts
from minimim.methods.method import Method
from minimim.methods.registry import recipe
from minimim.targets.spectrum import Spectrum


@recipe(section="3.1", paper="2206.07706")
def mfm(image_size, patch_size, size, *, channels: int = 3, radius: float = 16.0, low_chance: float = 0.5,
        crop_scale: tuple[float, float] | None = (0.2, 1.0)) -> Method:  # fmt: skip
    """Masked Frequency Modeling (Xie et al., arXiv 2206.07706): low or high frequencies are removed from the whole image, and a linear map
    on its tokens predicts the clean image; the loss compares spectra at the removed frequencies.

    radius: of the disc of low frequencies, for a 224×224 image. low_chance: the probability that a sample keeps the low ones. As in the
    official code the loss is the mean over all removed frequencies of the batch, so that a sample which keeps the low ones has sixty
    times the weight of one that keeps the high ones.
    Differs: fixed sine-cosine positions, where the paper's are learnt, and the MAE's initialisation; bilinear, not bicubic crops.
    """
    parts = mae_parts(image_size, patch_size, size, channels=channels, crop_scale=crop_scale)
    encoder = parts["encoder"]
    return Method(**parts | {
        "masking": FrequencyMasking(radius, low_chance),
        "decoder": LinearDecoder(encoder.dim, patch_size**2 * channels),
        "target": Spectrum(),
        "terms": [Term("patch", SpectrumDistance(patch_size, encoder.home_grid))],
        "defaults": TrainConfig(lr=1.5e-4, warmup=0.067, clip=3.0),
    })  # fmt: skip
