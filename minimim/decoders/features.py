"""A decoder of features: what is hidden is filled in before the image is told as one vector."""

from torch import Tensor, nn

from minimim.decoders.projection import ProjectionHead
from minimim.encoders.encoded import Encoded, Streams
from minimim.masking.mask import Mask


class FeatureDecoder(nn.Module):
    """A decoder back to the encoder's width, then a projector and a predictor on the mean of all places (CMAE, arXiv 2207.13532).

    decoder: to (B, N, D) from what was seen. head: the projector, which a teacher has as well, on the mean of what it sees.
    predictor: behind it, the student's alone.
    """

    def __init__(self, decoder: nn.Module, head: ProjectionHead, predictor: nn.Module):
        super().__init__()
        self.decoder, self.head, self.predictor = decoder, head, predictor

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents of what was seen → {"cls": (B, T)}."""
        filled = self.decoder(encoded, mask, question)["patch"]  # (B, N, D)
        return {"cls": self.predictor(self.head(Encoded(filled, grid=encoded.grid))["cls"])}
