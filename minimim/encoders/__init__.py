"""Encoders, all with the same protocol (encoded.py)."""

from minimim.encoders.convnet import ConvNet
from minimim.encoders.encoded import Encoded, Streams, layer_number
from minimim.encoders.swin import Swin
from minimim.encoders.tokens import TokenViT
from minimim.encoders.vit import SIZES, ViT, size_of

__all__ = ["SIZES", "ConvNet", "Encoded", "Streams", "Swin", "ViT", "layer_number", "size_of"]
__all__ += ["TokenViT"]
