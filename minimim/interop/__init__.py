"""Load foreign weights, those of the official MAE, timm and Hugging Face, and export encoders to timm and Hugging Face.

All three store the same numbers under different names. `files` reads a file, and `says` what it states besides tensors.
`spellings` renames the tensors as the official MAE names them, whose encoder has timm's names. `unsaid` settles what neither the
file nor the tensors state: the caller says it, or a usual value is assumed, with a warning. `fill` puts the weights into a method of
this library, as encoder.* and decoder.*. `causes` explains why weights do not fit. `folders` writes what the others open.
"""

from minimim.interop.files import load_file
from minimim.interop.fill import Loaded, has_decoder, load, method_for
from minimim.interop.folders import to_folder
from minimim.interop.says import Weights
from minimim.interop.spellings import to_official
from minimim.interop.timm import TimmEncoder, to_timm

__all__ = ["Loaded", "TimmEncoder", "Weights", "has_decoder", "load", "load_file", "method_for", "to_folder", "to_official", "to_timm"]
