"""What is predicted: target modules, all called as (content, teacher, mask, progress) → named streams.

content: the view from which the target is computed, {"image": (B, C, H, W), …}. teacher: its output for that view (`Seen`), or None.
mask: the student's Mask. progress: the fraction of the run that is over."""

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
