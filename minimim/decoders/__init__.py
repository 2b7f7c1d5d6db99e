"""By which head: decoders map the encoder's output to predictions. All are called as (encoded, mask, question) → named streams.

The stream "patch" is (B, N, T), one row for each patch, hidden or not; "cls" is (B, T). The question is the set of patches that will
be scored, (B, N) bool. Most decoders predict all patches and ignore it; a predictor such as I-JEPA's predicts only these patches.
A decoder whose `want` contains "boxes" gets a fourth argument: the crop boxes of its own view and of the view that it predicts.
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
