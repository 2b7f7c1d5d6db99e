"""Recipes that change the architecture together with the objective or the masking (survey, arXiv 2408.06687, §3.8 and §3.10):
SupMAE, MAE-GAN."""

from functools import partial

from minimim.config import TrainConfig
from minimim.decoders import Together
from minimim.decoders.labels import LabelHead
from minimim.losses import Term, cross_entropy, l2
from minimim.losses.adversary import Adversary
from minimim.methods.bases import mae_parts
from minimim.methods.method import Method
from minimim.methods.registry import recipe
from minimim.targets import SeveralTargets
from minimim.targets.labels import Labels


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
