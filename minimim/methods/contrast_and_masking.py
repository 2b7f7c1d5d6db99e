"""Recipes that change masking and objective at once (survey, arXiv 2408.06687, §3.11): ConMIM."""

from functools import partial

from minimim.config import TrainConfig
from minimim.data.colour import Colour
from minimim.data.pairs import PairedViews
from minimim.decoders import ProjectionHead
from minimim.encoders import ViT
from minimim.losses import Term, patch_nce
from minimim.masking import RandomMasking
from minimim.methods.masking_strategy import default_unit
from minimim.methods.method import Method
from minimim.methods.registry import recipe
from minimim.methods.teacher import Teacher
from minimim.targets import HeadAnswers


@recipe(section="3.11", paper="2205.09616")
def conmim(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.75, unit: int | None = None,
           temperature: float = 0.1, momentum: tuple[float, float] = (0.996, 1.0), crop_scale: tuple[float, float] = (0.08, 1.0),
           flip: bool = True, drop_path: float = 0.0) -> Method:  # fmt: skip
    """ConMIM (Yi et al., arXiv 2205.09616): each hidden patch of a plain image finds itself among all patches that a slow average of
    the encoder sees of the same image, whole and in other colours.

    unit: patches along the side of what is hidden as one; by default 32 pixels of 224, in proportion. One head of three layers, with
    batch norm over all tokens, CLS and mask tokens too; no predictor. No other image counts as wrong, so where a patch lies already
    tells much: judge by the features, not by the loss.
    Differs: fixed sine-cosine positions, where the paper's ViT has learnt relative ones, and no layer scale; batch norm over all
    processes; hue is turned, not shifted; heads of sizes below small are ours. The official README fine-tunes the teacher; here, as
    everywhere, the student's encoder is what is kept.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels, hidden="token", drop_path=drop_path)
    hidden, out = (4096, 256) if encoder.dim >= 384 else (512, 64)
    head = ProjectionHead(encoder.dim, (hidden, hidden), out, on="tokens", bias=False, last_norm=True)
    colour = Colour(jitter=(0.4, 0.4, 0.2, 0.1), blur=0.1, solarise=0.2)
    return Method(
        views=PairedViews(image_size, differ="colour", scale=crop_scale, flip=flip, teacher=colour),
        masking=RandomMasking(mask_ratio, unit or default_unit(encoder.home_grid)),
        encoder=encoder,
        decoder=head,
        target=HeadAnswers(),
        terms=[Term("patch", partial(patch_nce, temperature=temperature))],
        teacher=Teacher(encoder, head, momentum, norm="batch"),
        defaults=TrainConfig(lr=9.4e-5, betas=(0.9, 0.98), clip=1.0, warmup=0.0125),
    )
