"""Other modalities of a scene as targets: depth, segmentation and captions."""

from torch import Tensor, nn

from minimim.data.beside import beside
from minimim.data.views import Inputs
from minimim.encoders.encoded import Streams
from minimim.encoders.modalities import coarse, step_of
from minimim.errors import UserError
from minimim.patches import patchify


class Depth(nn.Module):
    """The depth of each pixel of a patch, normalised as images are, (B, N, P·P).

    Differs: MultiMAE (arXiv 2204.01678) standardises the depth of each image; here the scale is the same for all images, because the
    objects of scenes are flat and most of a scene is background.
    """

    predicts = "depth"

    def __init__(self, patch_size: int):
        super().__init__()
        self.patch_size = patch_size

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, P·P)}."""
        return {"patch": patchify(content["depth"], self.patch_size)}


class Classes(nn.Module):
    """The class of each pixel of a patch, (B, N, Q) int64; of large patches only every second, third … pixel, those that the encoder reads.

    classes: how many, the background included.
    """

    predicts = "segmentation"

    def __init__(self, patch_size: int, classes: int):
        super().__init__()
        self.step, self.classes = step_of(patch_size), classes
        self.side = patch_size // self.step
        self.pixels = self.side**2  # Q, of a patch

    def prepare(self, data, generator=None) -> None:
        """Raise UserError if the data has more classes than the method has scores."""
        maps = beside(data, "segmentation")
        if isinstance(maps, Tensor) and len(maps) and int(maps.max()) >= self.classes:
            raise UserError(
                f"these images show {int(maps.max())} classes beside the background, and this method was built for {self.classes - 1}: "
                "set classes to match"
            )

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, Q)}."""
        maps = coarse(content["segmentation"], self.step).unsqueeze(1)  # (B, 1, H', W')
        return {"patch": patchify(maps, self.side).long()}


class Words(nn.Module):
    """The words of each caption, ids (B, L)."""

    predicts = "words"

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, L)}."""
        return {"patch": content["caption"]}
