"""A decoder of features: hidden patches are filled in before the image is summarised as one vector."""

from torch import Tensor, nn

from minimim.decoders.projection import ProjectionHead
from minimim.encoders.encoded import Encoded, Streams
from minimim.masking.mask import Mask


class FeatureDecoder(nn.Module):
    """A decoder back to the encoder's width, then a projector and a predictor on the mean of all places (CMAE, arXiv 2207.13532).

    decoder: from the latents of the visible patches to (B, N, D). head: the projector, of which the teacher has a copy, applied there to
    the mean of all its patches. predictor: an MLP after the projector, which only the student has.
    """

    def __init__(self, decoder: nn.Module, head: ProjectionHead, predictor: nn.Module):
        super().__init__()
        self.decoder, self.head, self.predictor = decoder, head, predictor

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents of the visible patches → {"cls": (B, T)}."""
        filled = self.decoder(encoded, mask, question)["patch"]  # (B, N, D)
        return {"cls": self.predictor(self.head(Encoded(filled, grid=encoded.grid))["cls"])}
