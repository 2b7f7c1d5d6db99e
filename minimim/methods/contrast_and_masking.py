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
           temperature: float = 0.1, momentum: tuple[float, float] = (0.996, 1.0), crop_scale: tuple[float, float] | None = (0.08, 1.0),
           flip: bool = True, drop_path: float = 0.0) -> Method:  # fmt: skip
    """ConMIM (Yi et al., arXiv 2205.09616): identify each hidden patch of an image among all patches of the same image, as the teacher, a
    moving average of the encoder, encodes them from the whole image in other colours.

    unit: side, in patches, of the squares that are hidden together; by default the equivalent of 32 pixels in an image of 224. There is
    one head of three layers, with batch norm over all tokens, CLS and mask tokens included, and no predictor. Other images are not
    negatives, so the position of a patch alone lowers the loss: judge a run by its features, not by the loss.
    Differs: fixed sine-cosine positions, where the paper's ViT has learnt relative ones, and no layer scale; batch norm over all
    processes; the hue is changed by a rotation about the grey axis; heads for sizes below small are ours. The official README fine-tunes
    the teacher; here, as for all methods, the student's encoder is kept.
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
