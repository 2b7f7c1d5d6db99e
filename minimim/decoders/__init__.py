"""By what head: from what the encoder says to what is compared. Decoders answer (encoded, mask, question) with named streams.

"patch" is (B, N, T), one row a patch, hidden or not; "cls" is (B, T). The question is the (B, N) set of patches that will
be scored; a decoder may answer for all patches at once and not look at it, a predictor such as I-JEPA's does look. One that
wants "boxes" is told as a fourth argument where its view was cut, and where the view that it answers for was.
"""

from minimim.decoders.cross import CrossDecoder, MixedCrossDecoder, Predictor
from minimim.decoders.features import FeatureDecoder
from minimim.decoders.heads import ClusterHead, LinearDecoder, PrototypeHead, TokenHead
from minimim.decoders.projection import ProjectionHead, PrototypeProjection, Prototypes, projector
from minimim.decoders.siamese import BlockProjector, ViewPredictor
from minimim.decoders.together import Together
from minimim.decoders.tokens import TokenDecoder
from minimim.decoders.transformer import TransformerDecoder
from minimim.decoders.unet import UNetDecoder
from minimim.encoders.encoded import Streams

__all__ = ["ClusterHead", "CrossDecoder", "LinearDecoder", "MixedCrossDecoder", "Predictor", "PrototypeHead", "Streams", "Together"]
__all__ += ["TokenHead", "TransformerDecoder", "UNetDecoder"]
__all__ += ["ProjectionHead", "PrototypeProjection", "Prototypes", "projector"]
__all__ += ["TokenDecoder"]
__all__ += ["BlockProjector", "FeatureDecoder", "ViewPredictor"]
