"""Weights in and out: the official MAE's, timm's and Hugging Face's, whichever it is.

All three hold the same numbers under other names. A file is read (`files`) together with what it states besides tensors
(`says`); its names are brought to the official MAE's spelling, whose encoder is timm's (`spellings`); what neither file
nor tensors state is asked for, or taken as usual and said (`unsaid`); then it is one step to ours, encoder.* and
decoder.* (`fill`). What does not fit is told with its cause (`causes`).
"""

from minimim.interop.files import load_file
from minimim.interop.fill import Loaded, has_decoder, load, method_for
from minimim.interop.says import Weights
from minimim.interop.spellings import to_official
from minimim.interop.timm import TimmEncoder, to_timm

__all__ = ["Loaded", "TimmEncoder", "Weights", "has_decoder", "load", "load_file", "method_for", "to_official", "to_timm"]
