"""What is predicted: modules with one call, (content, teacher, mask, progress) → streams."""

from minimim.targets.answers import HeadAnswers
from minimim.targets.balanced import BalancedPrototypes
from minimim.targets.clusters import OnlineClusters, sinkhorn
from minimim.targets.handmade import HOG
from minimim.targets.latents import HiddenLatents, LastLayer
from minimim.targets.pixels import Pixels
from minimim.targets.teacher import CentredPrototypes, LayerMean
from minimim.targets.together import SeveralTargets
from minimim.targets.tokens import KMeansTokens
from minimim.targets.vq import VQTokens

__all__ = ["CentredPrototypes", "LayerMean", "Pixels", "SeveralTargets", "sinkhorn"]
__all__ += ["HiddenLatents", "LastLayer", "OnlineClusters"]
__all__ += ["HOG", "KMeansTokens", "VQTokens"]
__all__ += ["HeadAnswers"]
__all__ += ["BalancedPrototypes"]
