"""Clusters that are found while the student learns to predict them (CAPI, arXiv 2502.08769)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.encoders.encoded import Streams
from minimim.errors import UserError
from minimim.losses.places import cross_entropy
from minimim.processes import gathered, summed, world


@torch.no_grad()
def sinkhorn(scores: Tensor, temperature: float = 0.05, iterations: int = 3, *, by_place: bool = False) -> Tensor:
    """Soft assignments in which every prototype is used alike: scores (B, K) or (B, N, K) → the same shape, without gradient.

    By turns each prototype is made to hold as much as every other, over the images of all processes, and each row to give itself
    away whole. Rows sum to one; columns to rows / K, the closer the more iterations (Cuturi, arXiv 1306.0895; SwAV, 2006.09882).
    by_place: one such problem for each of the N places, over the images alone, so that no prototype comes to stand for a place
    (CAPI, arXiv 2502.08769); or one for all places together. Worked out in logarithms, in fp32 at least.
    Differs: nothing is added to the divisors, where CAPI's code adds 1e-8, so that a row far below all others is shared out too.
    """
    rows = scores if by_place else scores.flatten(0, -2)  # (B, N, K) or (rows, K)
    logs = rows.to(torch.promote_types(rows.dtype, torch.float32)) / temperature
    for _ in range(iterations):
        highest = gathered(logs.amax(dim=0, keepdim=True)).amax(dim=0)  # ([N,] K)
        held = summed((logs - highest).exp().sum(dim=0)).log() + highest  # ([N,] K): log of what each prototype holds
        logs = (logs - held).log_softmax(dim=-1)
    return (logs if iterations else logs.log_softmax(dim=-1)).exp().view(scores.shape)


class OnlineClusters(nn.Module):
    """The teacher's patches as soft clusters that are found on the way: target and clustering in one (CAPI).

    Unit-length patches of the teacher are scored by a linear map, and Sinkhorn's balanced assignment of these scores, sharp
    (`target_temperature`), is what the student predicts. The linear map is no average of students: it learns by itself,
    by the cross-entropy of its own scores, softer (`temperature`), against that assignment, at half the learning rate (CAPI
    trains by 1e-3 and clusters by 5e-4).
    by_place: see `sinkhorn`. Raises UserError for fewer than two clusters.
    """

    predicts = "clusters"
    lr_scale = 0.5
    whole_batch = True  # Sinkhorn looks at all images

    def __init__(self, dim: int, clusters: int, *, target_temperature=0.06, temperature=0.12, iterations=3, by_place=True):
        super().__init__()
        if clusters < 2:
            raise UserError(f"patches are told apart by two clusters or more, not {clusters}")
        self.weight = nn.Parameter(torch.randn(clusters, dim))
        self.bias = nn.Parameter(torch.zeros(clusters))
        self.target_temperature, self.temperature = target_temperature, temperature
        self.iterations, self.by_place = iterations, by_place
        self.seen: list[tuple[Tensor, Tensor]] = []  # scores with their gradient, and assignments, of this step

    def forward(self, content, teacher, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, clusters)} from what the teacher saw, rows that sum to one."""
        latents = F.normalize(teacher.encoded.patches, dim=-1)  # (B, N, D)
        with torch.set_grad_enabled(self.training):  # of the linear map alone: the teacher's patches have none
            scores = F.linear(latents.detach(), self.weight, self.bias)  # (B, N, clusters)
        assigned = sinkhorn(scores, self.target_temperature, self.iterations, by_place=self.by_place)
        if self.training:
            self.seen.append((scores, assigned))
        return {"patch": assigned}

    def own_loss(self) -> Tensor | None:
        """The clustering's own cross-entropy, a mean over all patches of all processes; None where it has seen none."""
        if not self.seen:
            return None
        scores, assigned = (torch.cat(parts) for parts in zip(*self.seen, strict=True))  # (views·B, N, clusters)
        self.seen = []
        errors = cross_entropy(scores.to(assigned.dtype), assigned, temperature=self.temperature)  # (views·B, N)
        count = summed(errors.detach().new_full((), errors.numel())) / world()
        return errors.sum() / count
