"""Several decoders side by side."""

from torch import Tensor, nn

from minimim.encoders.encoded import Encoded, Streams
from minimim.masking.mask import Mask


class Together(nn.Module):
    """Several decoders side by side; the "patch" stream of each gets the name of the decoder.

    Other streams keep their names; if a name is already in use, the decoder's name is put before it, as in "judge.cls". `want` is the
    union of what the decoders want; crop boxes are passed only to those that want "boxes".
    """

    def __init__(self, **decoders: nn.Module):
        super().__init__()
        self.decoders = nn.ModuleDict(decoders)
        self.want = tuple(sorted({word for decoder in decoders.values() for word in getattr(decoder, "want", ())}))

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None, boxes: Tensor | None = None) -> Streams:
        """Latents → {name: (B, N, T of that decoder)}, and every other stream of each."""
        answers = {}
        for name, decoder in self.decoders.items():
            more = {"boxes": boxes} if boxes is not None and "boxes" in getattr(decoder, "want", ()) else {}
            answers[name] = decoder(encoded, mask, question, **more)
        streams = {name: answer["patch"] for name, answer in answers.items() if "patch" in answer}
        for name, answer in answers.items():
            for stream in answer:
                if stream != "patch":
                    streams[f"{name}.{stream}" if stream in streams else stream] = answer[stream]
        return streams
