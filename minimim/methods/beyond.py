"""Recipes that are not in the survey (arXiv 2408.06687), with predictors that are computed only for the patches to predict: of pixels
(CrossMAE), of latents (I-JEPA) and of clusters (CAPI)."""

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
    """The value for a size: one of `smaller`, or the paper's for all other sizes."""
    return smaller.get(size, paper) if isinstance(size, str) else paper


@recipe(section="beyond", paper="2401.14391")
def crossmae(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.75, asked: float = 0.25, mix: bool = True,
             decoder_dim: int | None = None, decoder_depth: int | None = None, decoder_heads: int | None = None,
             crop_scale: tuple[float, float] | None = (0.2, 1.0), flip: bool = True) -> Method:  # fmt: skip
    """CrossMAE (Fu et al., arXiv 2401.14391): an MAE whose mask tokens attend to the visible patches but not to each other, so that
    only some of the hidden patches have to be predicted.

    asked: the fraction of all patches that is predicted, by default a third of the hidden ones. mix: whether each block of the decoder
    reads its own weighted sum of the encoder's layers, instead of the last layer. As in the official code the learning rate is the MAE's
    times asked / mask_ratio.
    Differs: the layers that are mixed have been through the encoder's last norm, and the first block's input is not among them
    (`MixedCrossDecoder`); bilinear, not bicubic crops.
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
          crop_scale: tuple[float, float] | None = (0.3, 1.0)) -> Method:  # fmt: skip
    """I-JEPA (Assran et al., arXiv 2301.08243): from one large block, predict the latents of several smaller blocks, each separately;
    the teacher, a moving average of the encoder, sees the whole image. There is one view, without mirroring or changes of colour.

    targets, target_scale, target_aspect, context_scale: see `MultiBlockMasking`. decoder_dim, decoder_depth: of the predictor, by
    default a width of 384 with 6 blocks for a base encoder and 12 for larger ones; it has as many heads as the encoder.
    Differs: blocks may touch every edge, and their numbers of patches are fixed (`MultiBlockMasking`); the momentum increases along a
    cosine, not linearly; the learning rate starts at 0, not at a fifth of its peak, and ends at 0.
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
         decoder_depth: int | None = None, momentum: tuple[float, float] = (0.999, 1.0), crop_scale: tuple[float, float] | None = (0.6, 1.0),
         drop_path: float = 0.0) -> Method:  # fmt: skip
    """CAPI (Darcet et al., arXiv 2502.08769): from one visible block, predict the clusters to which the teacher's patches around it
    belong; the clusters are learnt during training, and balanced at each place over the images of the batch.

    asked: the fraction of the hidden patches that is predicted. clusters: by default 16,384, as in the paper, for large and above, 4,096
    for small and base, 256 below. decoder_depth: of the predictor, by default half of the encoder's, as in the paper; it is as wide as
    the encoder. The paper's learning rate, 1e-3, is for 16,384 images in a step; to use it for such batches, give lr=1.6e-5. The default
    is the paper's scaled down to 256 images by the square root of the batch size.
    Differs: no registers; LayerNorm instead of RMSNorm, and fixed positions, added to context and mask tokens, instead of rotary ones;
    the patch embedding is trained at the full learning rate; no drop path by default (0.2 in the paper); the momentum has no warm-up of
    its own; the schedules end at 0 and are not cut off at 0.8 of their length; the clustering has the same weight decay as the other
    parts. For evaluation the paper uses the predictor's first block, computed for all places; here `features` come from the encoder, as
    for every method.
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
