"""Labels as a target beside another: what people said of the images, so that what learns from it is not self-supervised."""

from torch import Tensor, nn

from minimim.data.views import Inputs
from minimim.encoders.encoded import Streams
from minimim.errors import UserError


class Labels(nn.Module):
    """The class of each image, from 0 to classes − 1."""

    predicts = "labels"

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def prepare(self, data, generator=None) -> None:
        """Raise UserError where the data has a class that the head has no score for."""
        labels = getattr(data, "labels", None)
        if isinstance(labels, Tensor) and len(labels) and int(labels.max()) >= self.classes:
            raise UserError(f"these images have {int(labels.max()) + 1} classes and this method was built for {self.classes}: set classes to so many")

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """{"label": (B,) int64}. Raises UserError where there are none."""
        if "label" not in content:
            raise UserError('this method learns from labels, and these images come without: give {"image": images, "label": labels}')
        return {"label": content["label"].long()}
