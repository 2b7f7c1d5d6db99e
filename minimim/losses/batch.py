"""Losses that look at several images, or at several places of one, at once: contrast, and what keeps answers apart.

One error for each row, as in places.py, so that the Method takes the mean. Those that look at the whole batch have `whole_batch`:
they compare with the rows of all processes, so that two processes compute what one does, and a batch cut into parts is refused.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.errors import UserError
from minimim.processes import gathered, rank, together


def own_places(rows: Tensor) -> Tensor:
    """Where this process's rows stand among those of all processes, (B,) ids: 0 to B−1 where there is one."""
    ids = torch.arange(len(rows), device=rows.device)
    if not together():
        return ids
    owner = gathered(torch.full_like(ids, rank()))  # (B of all,): of each row, the process that has it
    return ids + (owner < rank()).sum()


def oneself(rows: Tensor, everyone: Tensor) -> Tensor:
    """Which of the rows of all processes is this very row: (B, …) and (B of all, …) → (B, B of all) bool."""
    return own_places(rows).unsqueeze(1) == torch.arange(len(everyone), device=rows.device)


def info_nce(prediction: Tensor, target: Tensor, where: Tensor | None = None, temperature: float = 0.1) -> Tensor:
    """Which of all targets is mine? Cross-entropy of the cosines with the targets of the whole batch: (B, T) twice → (B,)
    (CPC, arXiv 1807.03748; MoCo v3, 2104.02057; CMAE, 2207.13532).

    The candidates of a row are its own target and those of all other images, on all processes. Gradient flows into the targets
    too, where they have any. Raises UserError for answers that are not one vector an image.
    """
    if prediction.dim() != 2 or prediction.shape != target.shape:
        shapes = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
        raise UserError(f"info_nce compares one vector an image with another, (B, T) twice, not {shapes}: for patches there is patch_nce")
    scores = F.normalize(prediction, dim=-1) @ F.normalize(gathered(target), dim=-1).T / temperature  # (B, B of all)
    return F.cross_entropy(scores, own_places(prediction), reduction="none")


info_nce.whole_batch = True


def nt_xent(prediction: Tensor, target: None = None, where: None = None, temperature: float = 0.1) -> Tensor:
    """SimCLR's loss of answers for several views, answer 0 against each other one: (V, B, T) → (V−1, 2, B) (arXiv 2002.05709).

    For a term with pair="views". Each of the 2B answers of such a pair looks for its partner among the 2B−1 that are not itself,
    so other images count as wrong in both views. Gradient flows into all of them. Raises UserError for a single answer.
    """
    if len(prediction) < 2:
        raise UserError("nt_xent compares two views or more of each image, and there is one: let the views be two")
    own = F.normalize(prediction, dim=-1)
    everyone = gathered(own.transpose(0, 1)).transpose(0, 1)  # (V, B of all, T)
    myself, others = oneself(own[0], everyone[0]), own[1:]
    first = own[:1].expand_as(others)  # (V−1, B, T)
    there = partner_errors(first, everyone[1:], everyone[:1], myself, temperature)
    back = partner_errors(others, everyone[:1], everyone[1:], myself, temperature)
    return torch.stack([there, back], dim=1)


nt_xent.whole_batch = True


def partner_errors(queries: Tensor, partners: Tensor, rivals: Tensor, myself: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding one's partner among the partners of all images and the other images of one's own view:
    unit rows (V, B, T), then (V or 1, B of all, T) twice, and which of all a query is, (B, B of all) bool → (V, B)."""
    across = queries @ partners.mT / temperature  # (V, B, B of all)
    within = (queries @ rivals.mT / temperature).masked_fill(myself, -math.inf)  # (V, B, B of all): nobody is his own rival
    partner = torch.where(myself, across, 0).sum(dim=-1)  # (V, B)
    return torch.cat([across, within], dim=-1).logsumexp(dim=-1) - partner


def uniformity(prediction: Tensor, target: None = None, where: None = None) -> Tensor:
    """How alike is an answer to all others: mean squared cosine with every row of the batch, itself included, (B, D) → (B,)
    (U-MAE, arXiv 2210.08344).

    Its mean is least, max(1/B, 1/D), when the answers spread over all directions. For a term with pair=None.
    """
    unit = F.normalize(prediction, dim=-1)
    return (unit @ gathered(unit).T).square().mean(dim=1)


uniformity.whole_batch = True


def me_max(prediction: Tensor, target: None = None, where: None = None, temperature: float = 0.1) -> Tensor:
    """Are all prototypes used? log K minus the entropy of the mean assignment: scores (…, K) → a scalar, 0 where all are used
    alike, log K where one takes everything (MSN, arXiv 2204.07141).

    The mean of softmax(scores / temperature) is over all rows: of all views, where pair="views", and of all processes.
    """
    used = (prediction / temperature).softmax(dim=-1).flatten(0, -2)  # (rows, K)
    total = torch.cat([used.sum(dim=0), used.new_full((1,), len(used))])  # (K + 1,)
    total = gathered(total.unsqueeze(0)).sum(dim=0)
    mean = total[:-1] / total[-1]  # (K,)
    return math.log(len(mean)) + (mean * mean.clamp(min=torch.finfo(mean.dtype).tiny).log()).sum()


me_max.whole_batch = True


def koleo(prediction: Tensor, target: None = None, where: None = None, eps: float = 1e-8) -> Tensor:
    """How near is the nearest other answer: −log of its distance on the unit sphere, (B, D) → (B,) (Kozachenko and Leonenko's
    estimate of the entropy; arXiv 1806.03198, DINOv2 2304.07193). For a term with pair=None.

    Raises UserError for a batch of one, which has no neighbours.
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
    """Which place of this image am I? Cross-entropy of the cosines with the targets of the same image: (B, N, T) twice → (B, N)
    (ConMIM, arXiv 2205.09616; Latent MIM, 2407.15837). Other images are not looked at.

    among: the candidates, "all" places of the image, or only the "scored" ones (where, (B, N) bool), beside its own.
    """
    scores = F.normalize(prediction, dim=-1) @ F.normalize(target, dim=-1).mT / temperature  # (B, N, N): place by candidate
    places = torch.arange(scores.shape[1], device=scores.device)
    if among == "scored":
        own = places.unsqueeze(1) == places  # (N, N)
        scores = scores.masked_fill(~(where.unsqueeze(1) | own), -math.inf)
    return F.cross_entropy(scores.flatten(0, 1), places.repeat(len(scores)), reduction="none").view(len(scores), -1)
