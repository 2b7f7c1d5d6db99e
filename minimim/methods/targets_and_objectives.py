"""Recipes that change target and objective at once (survey, arXiv 2408.06687, §3.7)."""

from functools import partial

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders import PrototypeHead
from minimim.losses import Term, cross_entropy
from minimim.masking import BlockMasking
from minimim.methods.method import Method, joint_embedding
from minimim.targets import CentredPrototypes
from minimim.vit import ViT


def ibot(image_size, patch_size, size, *, channels=3, mask_ratio=(0.1, 0.5), prototypes=None, momentum=(0.996, 1.0),
         crop_scale=(0.3, 1.0), jitter=0.4, drop_path=0.0) -> Method:  # fmt: skip
    """iBOT (Zhou et al., arXiv 2111.07832): two views; each hidden patch agrees with the teacher's patch of the same
    view, each CLS with the teacher's CLS of the other view, both as soft prototypes, centred and sharpened.

    prototypes: by default 8192 as in the paper for small and above, 1024 below.
    Differs: no small local crops, blur or solarisation; half of the views are masked, as in the paper, but the loss is
    the mean over all scored patches of the batch, not the mean of each image's mean.
    """
    encoder = ViT(image_size, patch_size, size, channels=channels, hidden="token", drop_path=drop_path)
    large = encoder.dim >= 384
    prototypes = prototypes or (8192 if large else 1024)
    loss = partial(cross_entropy, temperature=0.1)
    return joint_embedding(
        views=RandomViews(image_size, count=2, scale=crop_scale, jitter=jitter),
        masking=BlockMasking(tuple(mask_ratio), chance=0.5),
        encoder=encoder,
        decoder=PrototypeHead(
            encoder.dim,
            prototypes=prototypes,
            hidden_dim=2048 if large else 512,
            bottleneck_dim=256 if large else 64,
        ),
        target=CentredPrototypes(prototypes),
        terms=[Term("patch", loss), Term("cls", loss, on="all", pair="other")],
        momentum=momentum,
        teach_decoder=True,
        defaults=TrainConfig(lr=5e-4, betas=(0.9, 0.999), clip=3.0, warmup=0.0125, weight_decay=0.04),
    )
