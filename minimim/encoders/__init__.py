"""Who looks: encoders, all with one protocol (encoded.py)."""

from minimim.encoders.encoded import Encoded, Streams, layer_number
from minimim.encoders.vit import SIZES, ViT, size_of

__all__ = ["SIZES", "Encoded", "Streams", "ViT", "layer_number", "size_of"]
