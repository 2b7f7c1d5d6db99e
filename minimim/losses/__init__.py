"""How it is compared: losses give errors, and a Term says of what, where and how much they count."""

from minimim.losses.batch import info_nce, koleo, me_max, nt_xent, patch_nce, uniformity
from minimim.losses.places import Loss, cross_entropy, l1, l2, ranking, smooth_l1
from minimim.losses.term import Term

__all__ = ["Loss", "Term", "cross_entropy", "info_nce", "koleo", "l1", "l2", "me_max", "nt_xent", "patch_nce", "ranking", "smooth_l1"]
__all__ += ["uniformity"]
