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
           class_weight: float = 0.01, crop_scale: tuple[float, float] = (0.2, 1.0)) -> Method:  # fmt: skip
    """SupMAE (Liang et al., arXiv 2205.14540): an MAE whose decoder is one block, and beside it a head that names the class from
    the mean of the visible patches.

    It learns from labels: a probe of its features is not a self-supervised one, and must not stand beside others without a word.
    classes: how many there are. class_weight: of the cross-entropy, whose scores are divided by 10 first.
    Differs: the head's batch norm takes the statistics of all processes, the official code's those of each alone; bilinear crops.
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
           judge_weight: float = 0.1, judge_rate: float = 1.0, crop_scale: tuple[float, float] = (0.2, 1.0)) -> Method:  # fmt: skip
    """MAE-GAN (Fei et al., "Masked Auto-Encoders Meet Generative Adversarial Networks and Beyond", CVPR 2023): an MAE paints what is
    hidden, and its own encoder, with a linear judge on top, says of each patch of the whole picture whether it was painted.

    fool_weight: of the painter's wish to pass; judge_weight: of what judge and encoder learn; judge_rate: times the learning rate.
    Differs: no code was published, and its weights are not known. Here they are fixed numbers, where ports weigh the painter's wish
    by the ratio of two gradients; the painter's step leaves the shared encoder alone as a judge, for in the ports it teaches
    it to take the real for painted; targets are pixels that were not normalised patch by patch, so that painted ones can stand among
    real ones; both players learn in one backward.
    """
    more = {"channels": channels, "mask_ratio": mask_ratio, "normalize_target": False, "crop_scale": crop_scale}
    parts = mae_parts(image_size, patch_size, size, **more)
    adversary = Adversary(parts["encoder"], judge_weight, judge_rate)
    terms = [Term("patch", l2), Term("patch", adversary, fool_weight, name="unlikely")]
    return Method(**parts | {"terms": terms, "defaults": TrainConfig(lr=1.5e-4)})


OUTPUTS = {"micro": (64, 1, 4), "tiny": (96, 2, 3)}  # dim, depth and heads of each of MultiMAE's decoders; (256, 2, 8) beside the others


@recipe(section="3.10", paper="2204.01678")
def multimae(image_size, patch_size, size, *, channels: int = 3, modalities: Literal["scenes", "caption"] = "scenes", classes: int = 10,
             mask_ratio: float | None = None, crop_scale: tuple[float, float] = (0.2, 1.0)) -> Method:  # fmt: skip
    """MultiMAE (Bachmann et al., arXiv 2204.01678): image, depth and segmentation in one row, a sixth of it seen, shared out among them
    at random; each is predicted by a decoder of its own that looks at all that was seen.

    modalities: "scenes" is that. "caption" is the image with its caption as in M3AE (Geng et al., arXiv 2205.14204): three quarters of
    each are hidden, and one decoder over both predicts pixels and words; no view is mirrored, for captions say left and right.
    Segmentation and captions of scenes name the classes of things, and are true, not another network's guess as in the paper: a probe of
    its features is not a self-supervised one, and must not stand beside others without a word.
    classes: of segmentation, beside the background. mask_ratio: of the row, or of each of both; by default 5/6 and 0.75.
    Differs: one CLS token at the front, and a LayerNorm at the encoder's end; of MultiMAE's two losses on pixels, the one on
    normalised patches alone; depth keeps its scale; the mean over all scored patches of the batch, not of each image's mean; norms
    and biases are not decayed. Of M3AE: masks of each sample's own; a place without a word is a token like others, and is not scored.
    """
    views = RandomViews(image_size, scale=crop_scale, flip=modalities == "scenes")
    defaults = TrainConfig(lr=1e-4 if modalities == "scenes" else 1.5e-4, warmup=0.025 if modalities == "scenes" else 0.05)
    build = scene_parts if modalities == "scenes" else caption_parts
    return Method(views=views, defaults=defaults, **build(image_size, patch_size, size, channels, classes + 1, mask_ratio))


def scene_parts(image_size, patch_size, size, channels, classes, mask_ratio) -> dict:
    """What MultiMAE makes of image, segmentation and depth."""
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
    """What M3AE makes of image and caption."""
    streams, words = ("image", "caption"), len(VOCABULARY) + 2  # no word, and a word of no scene
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
