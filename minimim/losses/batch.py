"""Losses that compare several images, or several places of one image: contrastive losses, and terms that prevent collapse.

They return one error for each row, as in places.py, and the Method takes the mean. Losses with `whole_batch` compare the rows of all
processes, so that two processes compute the same as one; training refuses to cut a batch into accumulated parts for them.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.errors import UserError
from minimim.processes import gathered, rank, together


def own_places(rows: Tensor) -> Tensor:
    """The indices of this process's rows among those of all processes, (B,): 0 to B−1 if there is one process."""
    ids = torch.arange(len(rows), device=rows.device)
    if not together():
        return ids
    owner = gathered(torch.full_like(ids, rank()))  # (B of all,): for each row, the number of its process
    return ids + (owner < rank()).sum()


def oneself(rows: Tensor, everyone: Tensor) -> Tensor:
    """Which of the rows of all processes each row is itself: (B, …) and (B of all, …) → (B, B of all) bool."""
    return own_places(rows).unsqueeze(1) == torch.arange(len(everyone), device=rows.device)


def info_nce(prediction: Tensor, target: Tensor, where: Tensor | None = None, temperature: float = 0.1) -> Tensor:
    """InfoNCE: cross-entropy of identifying a row's own target among those of the whole batch, by cosines: (B, T) twice → (B,)
    (CPC, arXiv 1807.03748; MoCo v3, 2104.02057; CMAE, 2207.13532).

    The candidates of a row are its own target and those of all other images, on all processes. The targets get a gradient, too, if
    they require one. Raises UserError unless prediction and target are one vector for each image.
    """
    if prediction.dim() != 2 or prediction.shape != target.shape:
        shapes = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
        raise UserError(f"info_nce compares one vector for each image with another, (B, T) twice, not {shapes}: for patches use patch_nce")
    scores = F.normalize(prediction, dim=-1) @ F.normalize(gathered(target), dim=-1).T / temperature  # (B, B of all)
    return F.cross_entropy(scores, own_places(prediction), reduction="none")


info_nce.whole_batch = True


def nt_xent(prediction: Tensor, target: None = None, where: None = None, temperature: float = 0.1) -> Tensor:
    """SimCLR's NT-Xent loss between view 0 and each other view: predictions (V, B, T) → (V−1, 2, B) (arXiv 2002.05709).

    For a term with pair="views". In each pair of views, each of the 2B vectors has to identify its partner among the 2B−1 others, so
    the other images are negatives in both views. All vectors get a gradient. Raises UserError for fewer than two views.
    """
    if len(prediction) < 2:
        raise UserError("nt_xent compares two views or more of each image, and there is one: let the views be two or more")
    own = F.normalize(prediction, dim=-1)
    everyone = gathered(own.transpose(0, 1)).transpose(0, 1)  # (V, B of all, T)
    myself, others = oneself(own[0], everyone[0]), own[1:]
    first = own[:1].expand_as(others)  # (V−1, B, T)
    there = partner_errors(first, everyone[1:], everyone[:1], myself, temperature)
    back = partner_errors(others, everyone[:1], everyone[1:], myself, temperature)
    return torch.stack([there, back], dim=1)


nt_xent.whole_batch = True


def partner_errors(queries: Tensor, partners: Tensor, rivals: Tensor, myself: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of identifying each query's partner among the other view of all images and the own view of the other images: queries
    (V, B, T), partners and rivals (V or 1, B of all, T), all of unit length, and myself (B, B of all) bool → (V, B)."""
    across = queries @ partners.mT / temperature  # (V, B, B of all)
    within = (queries @ rivals.mT / temperature).masked_fill(myself, -math.inf)  # (V, B, B of all): without the query itself
    partner = torch.where(myself, across, 0).sum(dim=-1)  # (V, B)
    return torch.cat([across, within], dim=-1).logsumexp(dim=-1) - partner


def uniformity(prediction: Tensor, target: None = None, where: None = None) -> Tensor:
    """The mean squared cosine of each row with all rows of the batch, itself included: (B, D) → (B,) (U-MAE, arXiv 2210.08344).

    Its mean has the minimum max(1/B, 1/D), which is reached if the rows are distributed evenly over all directions. For a term with
    pair=None.
    """
    unit = F.normalize(prediction, dim=-1)
    return (unit @ gathered(unit).T).square().mean(dim=1)


uniformity.whole_batch = True


def me_max(prediction: Tensor, target: None = None, where: None = None, temperature: float = 0.1) -> Tensor:
    """log K minus the entropy of the mean assignment to prototypes: scores (…, K) → a scalar (me-max, MSN, arXiv 2204.07141).

    It is 0 if all prototypes are used equally, and log K if one gets all assignments. The mean of softmax(scores / temperature) is over
    the rows of all processes and, with pair="views", of all views.
    """
    used = (prediction / temperature).softmax(dim=-1).flatten(0, -2)  # (rows, K)
    total = torch.cat([used.sum(dim=0), used.new_full((1,), len(used))])  # (K + 1,)
    total = gathered(total.unsqueeze(0)).sum(dim=0)
    mean = total[:-1] / total[-1]  # (K,)
    return math.log(len(mean)) + (mean * mean.clamp(min=torch.finfo(mean.dtype).tiny).log()).sum()


me_max.whole_batch = True


def koleo(prediction: Tensor, target: None = None, where: None = None, eps: float = 1e-8) -> Tensor:
    """−log of the distance to the nearest other row, after scaling to unit length: (B, D) → (B,) (the Kozachenko-Leonenko estimator of
    the entropy; arXiv 1806.03198, DINOv2 2304.07193). For a term with pair=None.

    Raises UserError for a batch of one image, which has no neighbours.
    """
    unit = F.normalize(prediction, dim=-1)
    everyone = gathered(unit)  # (B of all, D)
    if len(everyone) < 2:
        raise UserError("koleo measures the distance to the nearest other image, and there is one image: let the batch be two or more")
    cosines = unit.detach() @ everyone.detach().T  # (B, B of all)
    nearest = cosines.masked_fill(oneself(unit, everyone), -math.inf).argmax(dim=1)  # (B,)
    return -(F.pairwise_distance(unit, everyone[nearest], eps=eps) + eps).log()


koleo.whole_batch = True


def patch_nce(prediction: Tensor, target: Tensor, where: Tensor | None = None, temperature: float = 0.1, among: str = "all") -> Tensor:
    """InfoNCE within an image: cross-entropy of identifying a place's own target among the places of the same image, by cosines:
    (B, N, T) twice → (B, N) (ConMIM, arXiv 2205.09616; Latent MIM, 2407.15837). Other images are not candidates.

    among: the candidates, "all" places of the image, or only the "scored" ones (where, (B, N) bool) and the place itself.
    """
    scores = F.normalize(prediction, dim=-1) @ F.normalize(target, dim=-1).mT / temperature  # (B, N, N): place by candidate
    places = torch.arange(scores.shape[1], device=scores.device)
    if among == "scored":
        own = places.unsqueeze(1) == places  # (N, N)
        scores = scores.masked_fill(~(where.unsqueeze(1) | own), -math.inf)
    return F.cross_entropy(scores.flatten(0, 1), places.repeat(len(scores)), reduction="none").view(len(scores), -1)
