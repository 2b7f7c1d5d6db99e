"""Clusters of the teacher's patches that are learnt while the student is trained to predict them (CAPI, arXiv 2502.08769)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.encoders.encoded import Streams
from minimim.errors import UserError
from minimim.losses.places import cross_entropy
from minimim.processes import gathered, summed, world


@torch.no_grad()
def sinkhorn(scores: Tensor, temperature: float = 0.05, iterations: int = 3, *, by_place: bool = False) -> Tensor:
    """Soft assignments that use every prototype equally: scores (B, K) or (B, N, K) → the same shape, without gradient.

    The Sinkhorn-Knopp algorithm: exp(scores / temperature) is scaled in turns so that all columns (prototypes) have the same sum, over
    the images of all processes, and so that every row sums to one. At the end rows sum to one, and columns to rows / K, more exactly
    with more iterations; without iterations the result is a softmax of each row (Cuturi, arXiv 1306.0895; SwAV, 2006.09882).
    by_place: whether each of the N places is balanced separately, over the images alone, so that no prototype can stand for a place
    (CAPI, arXiv 2502.08769), or all places together. Computed with logarithms, in fp32 at least.
    Differs: nothing is added to the divisors, where CAPI's code adds 1e-8; so rows with very low scores are assigned, too.
    """
    rows = scores if by_place else scores.flatten(0, -2)  # (B, N, K) or (rows, K)
    logs = rows.to(torch.promote_types(rows.dtype, torch.float32)) / temperature
    for _ in range(iterations):
        highest = gathered(logs.amax(dim=0, keepdim=True)).amax(dim=0)  # ([N,] K)
        held = summed((logs - highest).exp().sum(dim=0)).log() + highest  # ([N,] K): log of each column's sum
        logs = (logs - held).log_softmax(dim=-1)
    return (logs if iterations else logs.log_softmax(dim=-1)).exp().view(scores.shape)


class OnlineClusters(nn.Module):
    """Soft clusters of the teacher's patches, together with the clustering, which is learnt during training (CAPI, arXiv 2502.08769).

    A linear map scores the teacher's patches, scaled to unit length; the student predicts Sinkhorn's balanced assignment of these scores,
    which is sharp (`target_temperature`). The linear map is not an average of students. It is trained by a loss of its own, the
    cross-entropy of its scores, less sharp (`temperature`), against that assignment, at half the learning rate (CAPI: 5e-4 for the
    clustering, 1e-3 for the student).
    dim: width of the teacher. clusters: how many. iterations, by_place: see `sinkhorn`. Raises UserError for fewer than two clusters.
    """

    predicts = "clusters"
    lr_scale = 0.5
    whole_batch = True  # Sinkhorn looks at all images

    def __init__(self, dim: int, clusters: int, *, target_temperature=0.06, temperature=0.12, iterations=3, by_place=True):
        super().__init__()
        if clusters < 2:
            raise UserError(f"to distinguish patches there must be two clusters or more, not {clusters}")
        self.weight = nn.Parameter(torch.randn(clusters, dim))
        self.bias = nn.Parameter(torch.zeros(clusters))
        self.target_temperature, self.temperature = target_temperature, temperature
        self.iterations, self.by_place = iterations, by_place
        self.seen: list[tuple[Tensor, Tensor]] = []  # scores with their gradient, and assignments, of this step

    def forward(self, content, teacher, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, clusters)} from the teacher's patches; rows sum to one."""
        latents = F.normalize(teacher.encoded.patches, dim=-1)  # (B, N, D)
        with torch.set_grad_enabled(self.training):  # for the linear map alone: the teacher's patches have no gradient
            scores = F.linear(latents.detach(), self.weight, self.bias)  # (B, N, clusters)
        assigned = sinkhorn(scores, self.target_temperature, self.iterations, by_place=self.by_place)
        if self.training:
            self.seen.append((scores, assigned))
        return {"patch": assigned}

    def own_loss(self) -> Tensor | None:
        """The clustering's cross-entropy, the mean over the patches of all processes, a scalar; None if there were no patches."""
        if not self.seen:
            return None
        scores, assigned = (torch.cat(parts) for parts in zip(*self.seen, strict=True))  # (views·B, N, clusters)
        self.seen = []
        errors = cross_entropy(scores.to(assigned.dtype), assigned, temperature=self.temperature)  # (views·B, N)
        count = summed(errors.detach().new_full((), errors.numel())) / world()
        return errors.sum() / count
