"""A recipe that is not in the survey (arXiv 2408.06687): one view predicts another, patch by patch (SiameseIM)."""

from functools import partial

from minimim.config import TrainConfig
from minimim.data.colour import Colour
from minimim.data.pairs import PairedViews
from minimim.decoders import BlockProjector, ViewPredictor
from minimim.encoders import ViT
from minimim.losses import Term, unigrad
from minimim.masking import BlockMasking
from minimim.methods.method import Method
from minimim.methods.registry import recipe
from minimim.methods.teacher import Teacher
from minimim.targets import HeadAnswers


@recipe(section="beyond", paper="2206.01204")
def siameseim(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.6, spread: float = 0.02,
              decoder_depth: int | None = None, momentum: tuple[float, float] = (0.995, 1.0),
              crop_scale: tuple[float, float] | None = (0.08, 1.0), flip: bool = True) -> Method:  # fmt: skip
    """SiameseIM (Tao et al., arXiv 2206.01204): from the visible patches of one view, predict the teacher's features of every patch of
    another view, given only the position of its crop; the teacher is a moving average of the encoder, and the views differ in position,
    size, mirroring and colours.

    spread: the weight of the loss's second part, which pushes predictions away from the mean direction of all targets. decoder_depth:
    blocks of the predictor, by default 4, as in the paper, and 2 for micro. Projector and predictor have batch norm, which in the teacher
    uses the statistics of its own batch.
    Differs: the encoder has a last norm, the official one has none; its patch embedding is trained, the official one stays at its random
    initialisation; projector and predictor have as many heads as the encoder; the teacher is updated after each step, not before the next
    one; the hue is changed by a rotation about the grey axis.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels)
    depth = decoder_depth or (2 if size == "micro" else 4)
    projector = BlockProjector(encoder.dim, dim=encoder.dim, depth=2, heads=encoder.heads)
    jitter = (0.4, 0.4, 0.2, 0.1)
    return Method(
        views=PairedViews(
            image_size,
            differ="crop",
            scale=crop_scale,
            flip=flip,
            student=Colour(jitter, blur=1.0),
            teacher=Colour(jitter, blur=0.1, solarise=0.2),
        ),
        masking=BlockMasking(mask_ratio),
        encoder=encoder,
        decoder=ViewPredictor(projector, encoder.home_grid, dim=encoder.dim, depth=depth, heads=encoder.heads),
        target=HeadAnswers(norm=True),
        terms=[Term("patch", partial(unigrad, spread=spread), on="all", pair="other")],
        teacher=Teacher(encoder, projector, momentum, norm="batch"),
        defaults=TrainConfig(lr=6.25e-5, warmup=0.025, clip=1.0),
    )
