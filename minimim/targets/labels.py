"""Class labels as a target beside another one; a method that uses them is not self-supervised."""

from torch import Tensor, nn

from minimim.data.views import Inputs
from minimim.encoders.encoded import Streams
from minimim.errors import UserError


class Labels(nn.Module):
    """The class of each image, (B,) from 0 to classes − 1."""

    predicts = "labels"

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def prepare(self, data, generator=None) -> None:
        """Raise UserError if the data has more classes than the head has scores."""
        labels = getattr(data, "labels", None)
        if isinstance(labels, Tensor) and len(labels) and int(labels.max()) >= self.classes:
            raise UserError(f"these images have {int(labels.max()) + 1} classes and this method was built for {self.classes}: set classes to match")

    def forward(self, content: Inputs, teacher=None, mask=None, progress: float = 0.0) -> Streams:
        """{"label": (B,) int64}. Raises UserError if the images have no labels."""
        if "label" not in content:
            raise UserError('this method learns from labels, and these images come without: give {"image": images, "label": labels}')
        return {"label": content["label"].long()}
