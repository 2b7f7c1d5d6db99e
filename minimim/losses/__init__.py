"""How it is compared: losses give errors, and a Term says of what, where and how much they count."""

from minimim.losses.places import Loss, cross_entropy, l1, l2, ranking, smooth_l1
from minimim.losses.term import Term

__all__ = ["Loss", "Term", "cross_entropy", "l1", "l2", "ranking", "smooth_l1"]
