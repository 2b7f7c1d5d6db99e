"""How it is compared: a loss returns errors, and a Term defines on what it is computed, at which places, and with what weight."""

from minimim.losses.batch import info_nce, koleo, me_max, nt_xent, patch_nce, uniformity
from minimim.losses.moment import unigrad
from minimim.losses.places import Loss, cosine, cross_entropy, l1, l2, ranking, smooth_l1
from minimim.losses.similarity import SimilarityGoal, patch_discrimination
from minimim.losses.term import Term

__all__ = ["Loss", "Term", "cosine", "cross_entropy", "info_nce", "koleo", "l1", "l2", "me_max", "nt_xent", "patch_nce", "ranking"]
__all__ += ["smooth_l1", "uniformity"]
__all__ += ["SimilarityGoal", "patch_discrimination"]
__all__ += ["unigrad"]
