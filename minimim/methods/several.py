"""Recipes that change the architecture together with the objective or the masking (survey, arXiv 2408.06687, §3.8 and §3.10):
SupMAE, MAE-GAN, MultiMAE."""

from functools import partial
from typing import Literal

from minimim.config import TrainConfig
from minimim.data.captions import LENGTH, VOCABULARY
from minimim.data.views import RandomViews
from minimim.decoders import Together
from minimim.decoders.labels import LabelHead
from minimim.decoders.modalities import OutputDecoder, RowDecoder
from minimim.encoders.modalities import ModalityViT
from minimim.losses import Term, cross_entropy, l1, l2
from minimim.losses.adversary import Adversary
from minimim.losses.places import pixel_cross_entropy
from minimim.masking.modalities import EachRatio, SharedBudget, scored_in
from minimim.methods.bases import decoder_sizes, mae_parts
from minimim.methods.method import Method
from minimim.methods.registry import recipe
from minimim.targets import Pixels, SeveralTargets
from minimim.targets.labels import Labels
from minimim.targets.modalities import Classes, Depth, Words


@recipe(section="3.8", paper="2205.14540")
def supmae(image_size, patch_size, size, *, channels: int = 3, classes: int = 10, mask_ratio: float = 0.75,
           class_weight: float = 0.01, crop_scale: tuple[float, float] | None = (0.2, 1.0)) -> Method:  # fmt: skip
    """SupMAE (Liang et al., arXiv 2205.14540): an MAE with a decoder of one block, and a head that classifies the image from the mean of
    the visible patches.

    It is trained with labels, so a probe of its features is not a self-supervised result: say so wherever it is compared with others.
    classes: how many. class_weight: of the cross-entropy, whose scores are divided by a temperature of 10.
    Differs: the head's batch norm uses the images of all processes, in the official code those of each process; bilinear, not bicubic
    crops.
    """
    parts = mae_parts(image_size, patch_size, size, channels=channels, mask_ratio=mask_ratio, decoder_depth=1, crop_scale=crop_scale)
    loss = partial(cross_entropy, temperature=10.0)
    return Method(**parts | {
        "decoder": Together(patch=parts["decoder"], head=LabelHead(parts["encoder"].dim, classes)),
        "target": SeveralTargets(parts["target"], Labels(classes)),
        "terms": [Term("patch", l2), Term("label", loss, class_weight, on="all")],
        "defaults": TrainConfig(lr=1.5e-4),
        "needs": ("label",),
    })  # fmt: skip


@recipe(section="3.8", paper="CVPR 2023")
def maegan(image_size, patch_size, size, *, channels: int = 3, mask_ratio: float = 0.75, fool_weight: float = 0.1,
           judge_weight: float = 0.1, judge_rate: float = 1.0, crop_scale: tuple[float, float] | None = (0.2, 1.0)) -> Method:  # fmt: skip
    """MAE-GAN (Fei et al., "Masked Auto-Encoders Meet Generative Adversarial Networks and Beyond", CVPR 2023): an MAE predicts the hidden
    patches, and a discriminator, its own encoder with a linear map on top, decides for each patch of the whole image whether it was
    predicted or is real.

    fool_weight: of the generator's adversarial loss; judge_weight: of the discriminator's loss; judge_rate: learning rate of the linear
    map, relative to the method's.
    Differs: no official code was published, so the paper's weights of the losses are not known. Here they are constants, whereas
    third-party implementations weight the adversarial loss by the ratio of two gradient norms. The adversarial loss does not train the
    shared encoder as a discriminator, because in those implementations it also pushes real patches towards "predicted". Targets are
    pixels that are not normalised patch by patch, so that predicted patches fit among real ones. One backward pass trains both.
    """
    more = {"channels": channels, "mask_ratio": mask_ratio, "normalize_target": False, "crop_scale": crop_scale}
    parts = mae_parts(image_size, patch_size, size, **more)
    adversary = Adversary(parts["encoder"], judge_weight, judge_rate)
    terms = [Term("patch", l2), Term("patch", adversary, fool_weight, name="unlikely")]
    return Method(**parts | {"terms": terms, "defaults": TrainConfig(lr=1.5e-4)})


OUTPUTS = {"micro": (64, 1, 4), "tiny": (96, 2, 3)}  # dim, depth and heads of each of MultiMAE's decoders; (256, 2, 8) for the others


@recipe(section="3.10", paper="2204.01678")
def multimae(image_size, patch_size, size, *, channels: int = 3, modalities: Literal["scenes", "caption"] = "scenes", classes: int = 10,
             mask_ratio: float | None = None, crop_scale: tuple[float, float] | None = (0.2, 1.0)) -> Method:  # fmt: skip
    """MultiMAE (Bachmann et al., arXiv 2204.01678): image, depth and segmentation as one sequence, of which a sixth is visible, divided
    among them at random; each modality has a decoder of its own that attends to all visible tokens.

    modalities: "scenes" for these three. "caption" for the image with its caption, as in M3AE (Geng et al., arXiv 2205.14204): three
    quarters of each are hidden, and one decoder predicts pixels and words; views are not mirrored, because captions say left and right.
    The segmentation and captions of scenes state the true classes of objects, whereas the paper's are predicted by another network. So a
    probe of its features is not a self-supervised result: say so wherever it is compared with others.
    classes: of the segmentation, without the background. mask_ratio: of the whole sequence, by default 5/6; for "caption" of each
    modality, by default 0.75.
    Differs: one CLS token, before the patches, and a LayerNorm at the encoder's end; of MultiMAE's two losses on pixels, only the one on
    normalised patches; depth is not standardised for each image; the loss is the mean over all scored patches of the batch, not of each
    image's mean; norms and biases have no weight decay. From M3AE: masks are drawn for each sample; a place without a word is a token
    like others, and is not scored.
    """
    views = RandomViews(image_size, scale=crop_scale, flip=modalities == "scenes")
    defaults = TrainConfig(lr=1e-4 if modalities == "scenes" else 1.5e-4, warmup=0.025 if modalities == "scenes" else 0.05)
    build = scene_parts if modalities == "scenes" else caption_parts
    return Method(views=views, defaults=defaults, **build(image_size, patch_size, size, channels, classes + 1, mask_ratio))


def scene_parts(image_size, patch_size, size, channels, classes, mask_ratio) -> dict:
    """The parts of a MultiMAE of image, segmentation and depth, as arguments for Method."""
    streams = ("image", "segmentation", "depth")
    encoder = ModalityViT(image_size, patch_size, size, streams=streams, channels=channels, classes=classes)
    maps = Classes(patch_size, classes)
    widths = {"image": patch_size**2 * channels, "segmentation": maps.pixels * classes, "depth": patch_size**2}
    dim, depth, heads = OUTPUTS.get(size, (256, 2, 8)) if isinstance(size, str) else (256, 2, 8)
    more = {"dim": dim, "depth": depth, "heads": heads}
    losses = {"image": l2, "segmentation": pixel_cross_entropy, "depth": l1}
    return {
        "masking": SharedBudget(streams, mask_ratio or 5 / 6),
        "encoder": encoder,
        "decoder": Together(**{s: OutputDecoder(encoder.dim, widths[s], encoder.home_grid, s, streams, **more) for s in streams}),
        "target": SeveralTargets(image=Pixels(patch_size, normalize=True), segmentation=maps, depth=Depth(patch_size)),
        "terms": [Term(stream, loss, on=scored_in(stream)) for stream, loss in losses.items()],
        "needs": ("segmentation", "depth"),
    }


def caption_parts(image_size, patch_size, size, channels, classes, mask_ratio) -> dict:
    """The parts of an M3AE of image and caption, as arguments for Method."""
    streams, words = ("image", "caption"), len(VOCABULARY) + 2  # and one id each for no word and for an unknown word
    encoder = ModalityViT(image_size, patch_size, size, streams=streams, channels=channels, words=words, length=LENGTH)
    widths = {"image": patch_size**2 * channels, "caption": words}
    return {
        "masking": EachRatio(streams, mask_ratio or 0.75),
        "encoder": encoder,
        "decoder": RowDecoder(encoder.dim, widths, encoder.home_grid, length=LENGTH, **decoder_sizes(size)),
        "target": SeveralTargets(image=Pixels(patch_size), caption=Words()),
        "terms": [Term("image", l2, on=scored_in("image")), Term("caption", cross_entropy, 0.5, on=scored_in("caption"))],
        "needs": ("caption",),
    }
