"""A recipe that changes masking, architecture and objective at once (survey, arXiv 2408.06687, §3.16): Latent MIM."""

from functools import partial

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders import CrossDecoder, TokenHead
from minimim.encoders import ViT
from minimim.losses import SimilarityGoal, Term, patch_discrimination
from minimim.masking import RandomMasking
from minimim.methods.bases import decoder_sizes
from minimim.methods.method import Method
from minimim.methods.registry import recipe
from minimim.methods.teacher import Teacher
from minimim.targets import HiddenLatents


@recipe(section="3.16", paper="2407.15837")
def latent_mim(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.895, temperature: float = 0.2,
               similarity: float = 0.1, decoder_dim: int | None = None, decoder_depth: int = 3, decoder_heads: int | None = None,
               momentum: tuple[float, float] = (0.99, 1.0), crop_scale: tuple[float, float] | None = (0.2, 1.0)) -> Method:  # fmt: skip
    """Latent MIM (Wei et al., arXiv 2407.15837): from a tenth of the patches, predict the latents of the hidden ones, which a teacher
    computes from the hidden patches alone; a contrastive loss identifies each place among the hidden places of its image.

    mask_ratio: of 196 patches the default leaves 20 visible, as in the paper. similarity: the weight of two terms that keep the mean
    cosine between an image's predictions, and between the student's outputs for the visible patches, near a goal that falls from 0.75 to
    0.25. The loss compares the outputs of a head on the encoder, of which the teacher has an average, too; features are taken before it.
    Differs: patches are adjacent, where the paper cuts each at a random place from a cell a quarter wider, so that neighbouring patches
    rarely touch; no CLS among the queries; the learning rate ends at 0, where the official code starts and ends at a quarter of its peak.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels)
    head = TokenHead(encoder.dim, hidden_dim=4096 if encoder.dim >= 384 else 4 * encoder.dim)
    sizes = decoder_sizes(size, dim=decoder_dim, depth=decoder_depth, heads=decoder_heads)
    terms = [Term("patch", partial(patch_discrimination, temperature=temperature))]
    if similarity:
        terms.append(Term("patch", SimilarityGoal(), similarity, pair=None, name="similarity predicted"))
        terms.append(Term("visible", SimilarityGoal(scored=False), similarity, pair=None, name="similarity visible"))
    return Method(
        views=RandomViews(image_size, scale=crop_scale),
        masking=RandomMasking(mask_ratio),
        encoder=encoder,
        decoder=CrossDecoder(encoder.dim, encoder.dim, encoder.home_grid, **sizes, self_attention=True, cues=True, before=head),
        target=HiddenLatents(),
        terms=terms,
        teacher=Teacher(encoder, head, momentum),
        defaults=TrainConfig(lr=1.5e-4),
    )
