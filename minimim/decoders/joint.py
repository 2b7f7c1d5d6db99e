"""A head into a space that images and captions share."""

from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.layers import initialise
from minimim.masking.mask import Mask


class JointSpace(nn.Module):
    """A linear map, without bias, into the space in which an image and its caption are trained to be similar (CLIP, arXiv 2103.00020).

    If its method becomes a frozen teacher, the teacher's output goes through this head, because EVA's target (2211.07636) is CLIP's
    projected patch tokens.
    Differs: an image is the mean of its projected patches, where CLIP projects its CLS token. So the loss trains each patch's output;
    the patch tokens that leave CLIP's last block get no gradient at all.
    """

    answers_as_teacher = True

    def __init__(self, encoder_dim: int, dim: int):
        super().__init__()
        self.dim = dim
        self.project = nn.Linear(encoder_dim, dim, bias=False)
        self.apply(initialise)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents (B, N, D) → {"image": (B, T), "patch": (B, N, T)}."""
        patches = self.project(encoded.patches)  # (B, N, T)
        return {"image": patches.mean(dim=1), "patch": patches}
