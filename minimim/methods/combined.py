"""Recipes that change target and objective at once (survey, arXiv 2408.06687, §3.7): iBOT."""

from minimim.methods.bases import ibot_parts
from minimim.methods.method import Method
from minimim.methods.registry import recipe


@recipe(section="3.7", paper="2111.07832")
def ibot(image_size, patch_size, size, *, channels: int = 3, mask_ratio: tuple[float, float] = (0.1, 0.5),
         prototypes: int | None = None, momentum: tuple[float, float] = (0.996, 1.0), crop_scale: tuple[float, float] = (0.3, 1.0),
         jitter: float = 0.4, drop_path: float = 0.0) -> Method:  # fmt: skip
    """iBOT (Zhou et al., arXiv 2111.07832): two views; each hidden patch agrees with the teacher's patch of the same
    view, each CLS with the teacher's CLS of the other view, both as soft prototypes, centred and sharpened.

    prototypes: by default 8192 as in the paper for small and above, 1024 below.
    Differs: no small local crops, blur or solarisation; half of the views are masked, as in the paper, but the loss is
    the mean over all scored patches of the batch, not the mean of each image's mean.
    """
    more = {"channels": channels, "mask_ratio": mask_ratio, "prototypes": prototypes, "momentum": momentum}
    return Method(**ibot_parts(image_size, patch_size, size, **more, crop_scale=crop_scale, jitter=jitter, drop_path=drop_path))
