"""What is predicted: modules with one call, (content, teacher, mask, progress) → streams."""

from minimim.targets.clusters import OnlineClusters, sinkhorn
from minimim.targets.latents import HiddenLatents, LastLayer
from minimim.targets.pixels import Pixels
from minimim.targets.teacher import CentredPrototypes, LayerMean
from minimim.targets.together import SeveralTargets

__all__ = ["CentredPrototypes", "LayerMean", "Pixels", "SeveralTargets", "sinkhorn"]
__all__ += ["HiddenLatents", "LastLayer", "OnlineClusters"]
