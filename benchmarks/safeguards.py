"""What keeps a method from giving every image the same answer, taken out one at a time.

`take_out(safeguard, name, method)` changes a method in place, after it was built and before it is trained; `SAFEGUARDS` says which
methods have which safeguard. A teacher that is not slow is its student of this very step, still without gradient.
"""

from dataclasses import replace

import torch.nn.functional as F

from minimim.errors import UserError, unknown
from minimim.losses.places import cosine
from minimim.methods.teacher import Teacher


def agreement(prediction, target=None, where=None):
    """Minus the cosine of the answers for two views, and nothing that keeps images apart: (2, B, T) → (B,)."""
    return -F.cosine_similarity(prediction[0], prediction[1], dim=-1)


def no_negatives(method) -> None:
    """InfoNCE becomes the cosine of the two that should agree."""
    method.terms = [
        replace(term, loss=agreement if term.pair == "views" else cosine, weight=1.0) if "nce" in str(term.loss) or "nt_xent" in str(term.loss) else term
        for term in method.terms
    ]


def no_me_max(method) -> None:
    """Nothing asks that all prototypes be used."""
    method.terms = [term for term in method.terms if term.name != "me_max"]


def no_sinkhorn(method) -> None:
    """Each row of the teacher's scores is a softmax of its own."""
    method.target.iterations = 0


def no_places(method) -> None:
    """Clusters are balanced over all patches of the batch at once, and not at each place."""
    method.target.by_place = False


def no_centring(method) -> None:
    """The centre stays at zero."""
    method.target.momentum = 1.0


def no_sharpening(method) -> None:
    """The teacher's temperature is the student's."""
    method.target.temperature = (0.1, 0.1)


def no_slow_teacher(method) -> None:
    """The teacher is the student of this very step, without gradient."""
    method.teacher.momentum = (0.0, 0.0)


SAFEGUARDS = {  # name → which methods have it, and what takes it out
    "negatives": (("simclr", "cmae"), no_negatives),
    "me-max": (("msn",), no_me_max),
    "sinkhorn": (("msn", "capi"), no_sinkhorn),
    "places": (("capi",), no_places),
    "centring": (("ibot", "attmask"), no_centring),
    "sharpening": (("ibot", "attmask"), no_sharpening),
    "slow-teacher": ((), no_slow_teacher),  # every method with a Teacher
}


def take_out(safeguard: str, name: str, method) -> None:
    """Take a safeguard out of a method. Raises UserError for one that is not there, or that this method does not have."""
    if safeguard not in SAFEGUARDS:
        raise unknown("safeguard", safeguard, SAFEGUARDS)
    having, change = SAFEGUARDS[safeguard]
    if name not in having and not (safeguard == "slow-teacher" and isinstance(method.teacher, Teacher)):
        who = ", ".join(having) or "methods with a slow teacher"
        raise UserError(f"{name} has no safeguard called {safeguard}, {who} have: choose another method or another safeguard")
    change(method)
