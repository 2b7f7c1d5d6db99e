"""The head of a picture that shares a space with sentences."""

from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.layers import initialise
from minimim.masking.mask import Mask


class JointSpace(nn.Module):
    """A linear map, without bias, into the space in which a picture and its caption lie near each other (CLIP, arXiv 2103.00020).

    Where its method is a frozen teacher, it answers through this head: EVA's target is CLIP's projected patch tokens.
    Differs: a picture is the mean of its patches, where CLIP projects its CLS token. So each patch has a meaning in that space;
    of CLIP's last block the patch tokens have no gradient at all.
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
