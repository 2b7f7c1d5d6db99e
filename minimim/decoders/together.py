"""Several decoders side by side."""

from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.masking.mask import Mask


class Together(nn.Module):
    """Several decoders side by side, each answering with its "patch" stream under its own name."""

    def __init__(self, **decoders: nn.Module):
        super().__init__()
        self.decoders = nn.ModuleDict(decoders)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents → {name: (B, N, T of that decoder)}."""
        return {name: decoder(encoded, mask, question)["patch"] for name, decoder in self.decoders.items()}
