"""Recipes that are not in the survey (arXiv 2408.06687) because they look at something else, or came after: predictors that
answer for what is asked alone, in pixels (CrossMAE), in latents (I-JEPA) and in clusters (CAPI)."""

from functools import partial

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders import ClusterHead, CrossDecoder, MixedCrossDecoder, Predictor
from minimim.encoders import ViT
from minimim.losses import Term, cross_entropy, smooth_l1
from minimim.masking import InverseBlockMasking, MultiBlockMasking, PartlyAskedMasking
from minimim.methods.bases import decoder_sizes, mae_parts
from minimim.methods.method import Method, joint_embedding
from minimim.methods.registry import recipe
from minimim.methods.teacher import Teacher
from minimim.targets import LastLayer, OnlineClusters


def sized(size, paper, **smaller):
    """What a size without an entry of its own takes from the paper, and the smaller ones from here."""
    return smaller.get(size, paper) if isinstance(size, str) else paper


@recipe(section="beyond", paper="2401.14391")
def crossmae(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.75, asked: float = 0.25, mix: bool = True,
             decoder_dim: int | None = None, decoder_depth: int | None = None, decoder_heads: int | None = None,
             crop_scale: tuple[float, float] = (0.2, 1.0), flip: bool = True) -> Method:  # fmt: skip
    """CrossMAE (Fu et al., arXiv 2401.14391): an MAE whose mask tokens look at the visible patches and never at one another, so
    that only a part of what is hidden need be asked.

    asked: the part of all patches that is predicted, a third of the hidden ones by default. mix: each block of the decoder reads a mix
    of its own of the encoder's layers, and not the last alone. The learning rate falls with what is asked, as in the official
    code: the MAE's times asked / mask_ratio.
    Differs: the mixed layers are normed, and the first block's input is not among them (`MixedCrossDecoder`); bilinear crops.
    """
    base = mae_parts(image_size, patch_size, size, channels=channels, crop_scale=crop_scale, flip=flip)
    encoder, target_dim = base["encoder"], patch_size**2 * channels
    depth = sized(size, 12, micro=2, tiny=4) if decoder_depth is None else decoder_depth
    sizes = decoder_sizes(size, dim=decoder_dim, depth=depth, heads=decoder_heads)
    if mix:
        decoder = MixedCrossDecoder(encoder.dim, target_dim, encoder.home_grid, encoder.depth, **sizes)
    else:
        decoder = CrossDecoder(encoder.dim, target_dim, encoder.home_grid, **sizes)
    defaults = TrainConfig(lr=1.5e-4 * asked / mask_ratio)
    return Method(**base | {"masking": PartlyAskedMasking(mask_ratio, asked), "decoder": decoder, "defaults": defaults})


@recipe(section="beyond", paper="2301.08243")
def ijepa(image_size, patch_size, size, *, channels: int = 3, targets: int = 4, target_scale: tuple[float, float] = (0.15, 0.2),
          target_aspect: tuple[float, float] = (0.75, 1.5), context_scale: tuple[float, float] = (0.85, 1.0),
          decoder_dim: int | None = None, decoder_depth: int | None = None, momentum: tuple[float, float] = (0.996, 1.0),
          crop_scale: tuple[float, float] = (0.3, 1.0)) -> Method:  # fmt: skip
    """I-JEPA (Assran et al., arXiv 2301.08243): from one large block, predict what a slow average of the encoder, which sees the
    whole image, says of several smaller blocks, each by itself; no pixels, no colours, no second view.

    targets, target_scale, target_aspect, context_scale: see `MultiBlockMasking`. decoder_dim, decoder_depth: of the predictor, by
    default 384 wide with 6 blocks beside a base encoder and 12 beside larger ones; its heads are the encoder's.
    Differs: the blocks reach the edge and their counts are fixed (`MultiBlockMasking`); the momentum climbs along a cosine,
    not a line; the learning rate climbs from 0, not from a fifth, and ends at 0.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels, cls=False)
    dim, depth = sized(size, (384, 12), micro=(64, 2), tiny=(96, 4), small=(192, 6), base=(384, 6))
    depth = depth if decoder_depth is None else decoder_depth
    sizes = decoder_sizes(size, dim=decoder_dim or dim, depth=depth, heads=encoder.heads)
    return joint_embedding(
        views=RandomViews(image_size, scale=crop_scale, flip=False),
        masking=MultiBlockMasking(targets, target_scale, target_aspect, context_scale),
        encoder=encoder,
        decoder=Predictor(encoder.dim, encoder.dim, encoder.home_grid, **sizes),
        target=LastLayer(),
        terms=[Term("patch", smooth_l1)],
        momentum=momentum,
        defaults=TrainConfig(lr=1.25e-4, betas=(0.9, 0.999), warmup=0.133, weight_decay=0.04, weight_decay_end=0.4),
    )


@recipe(section="beyond", paper="2502.08769")
def capi(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.65, asked: float = 0.05, clusters: int | None = None,
         decoder_depth: int | None = None, momentum: tuple[float, float] = (0.999, 1.0), crop_scale: tuple[float, float] = (0.6, 1.0),
         drop_path: float = 0.0) -> Method:  # fmt: skip
    """CAPI (Darcet et al., arXiv 2502.08769): from one visible block, predict to which cluster the teacher's patches around it belong;
    the clusters are found on the way, balanced at each place over the images of the batch.

    asked: the part of the hidden patches that is predicted. clusters: by default 16,384 as in the paper for large and above, 4,096
    for small and base, 256 below. decoder_depth: by default half of the encoder's depth, as in the paper; as wide as the encoder.
    The paper's learning rate, 1e-3, is for 16,384 images a step: of that size give lr=1.6e-5. The default follows the root, not the
    size, of the batch down to 256.
    Differs: no registers; LayerNorm and fixed positions, added to context and mask tokens, in place of RMSNorm and rotary ones; the
    patch embedding learns at the full rate; no drop path by default (0.2 in the paper); the momentum has no warm-up of its own; the
    schedules end at 0 and are not cut at 0.8 of the way; the clustering decays as the rest does. The paper reads an image's
    vector from the predictor's first block, asked for all places; `features` are the encoder's, as for every method here.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels, cls=False, drop_path=drop_path)
    clusters = clusters or sized(size, 16384, micro=256, tiny=256, small=4096, base=4096)
    sizes = {"dim": encoder.dim, "depth": encoder.depth // 2 if decoder_depth is None else decoder_depth, "heads": encoder.heads}
    head = ClusterHead(encoder.dim, clusters)
    return Method(
        views=RandomViews(image_size, scale=crop_scale),
        masking=InverseBlockMasking(mask_ratio, asked),
        encoder=encoder,
        decoder=CrossDecoder(encoder.dim, clusters, encoder.home_grid, **sizes, pred=head),
        target=OnlineClusters(encoder.dim, clusters),
        terms=[Term("patch", partial(cross_entropy, temperature=0.12))],
        teacher=Teacher(encoder, momentum=momentum),
        defaults=TrainConfig(lr=1.25e-4, betas=(0.9, 0.95), warmup=0.1, weight_decay=0.1),
    )
