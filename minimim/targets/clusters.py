"""Clusters that are found while the student learns to predict them (CAPI, arXiv 2502.08769)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.encoders.encoded import Streams
from minimim.errors import UserError
from minimim.losses.places import cross_entropy
from minimim.processes import gathered, summed, world


@torch.no_grad()
def sinkhorn(scores: Tensor, temperature: float = 0.06, iterations: int = 3) -> Tensor:
    """Soft assignments in which every cluster is used alike: scores (B, K), or (B, N, K) place by place, → the same shape.

    By turns each cluster is made to hold as much as every other over the images of all processes (dim 0), and each image
    to give itself away whole (the last dim). The rows sum to one; the columns to B / K, the closer the more iterations
    (Cuturi, arXiv 1306.0895; Caron et al., arXiv 2006.09882). Worked out in logarithms, in fp32 at least.
    """
    dtype = torch.promote_types(scores.dtype, torch.float32)
    logs = scores.to(dtype) / temperature  # (B, …, K)
    for _ in range(iterations):
        highest = gathered(logs.amax(dim=0, keepdim=True)).amax(dim=0)  # (…, K)
        held = summed((logs - highest).exp().sum(dim=0)).log() + highest  # (…, K): log of what each cluster holds
        logs = (logs - held).log_softmax(dim=-1)
    return logs.exp()


class OnlineClusters(nn.Module):
    """The teacher's patches as soft clusters that are found on the way: target and clustering in one (CAPI).

    Unit-length patches of the teacher are scored by a linear map, and Sinkhorn's balanced assignment of these scores, sharp
    (`target_temperature`), is what the student predicts. The linear map is no average of students: it learns by itself,
    by the cross-entropy of its own scores, softer (`temperature`), against that assignment, at half the learning rate (CAPI
    trains by 1e-3 and clusters by 5e-4).
    positionwise: balance the clusters at each place of the grid by itself, over the images, so that none comes to stand for a
    place; or over all patches at once. Raises UserError for fewer than two clusters.
    """

    predicts = "clusters"
    lr_scale = 0.5
    whole_batch = True  # Sinkhorn looks at all images

    def __init__(self, dim: int, clusters: int, *, target_temperature=0.06, temperature=0.12, iterations=3, positionwise=True):
        super().__init__()
        if clusters < 2:
            raise UserError(f"patches are told apart by two clusters or more, not {clusters}")
        self.weight = nn.Parameter(torch.randn(clusters, dim))
        self.bias = nn.Parameter(torch.zeros(clusters))
        self.target_temperature, self.temperature = target_temperature, temperature
        self.iterations, self.positionwise = iterations, positionwise
        self.seen: list[tuple[Tensor, Tensor]] = []  # scores with their gradient, and assignments, of this step

    def forward(self, content, teacher, mask=None, progress: float = 0.0) -> Streams:
        """{"patch": (B, N, clusters)} from what the teacher saw, rows that sum to one."""
        latents = F.normalize(teacher.encoded.patches, dim=-1)  # (B, N, D)
        with torch.set_grad_enabled(self.training):  # of the linear map alone: the teacher's patches have none
            scores = F.linear(latents.detach(), self.weight, self.bias)  # (B, N, clusters)
        assigned = self.assign(scores.detach())
        if self.training:
            self.seen.append((scores, assigned))
        return {"patch": assigned}

    def assign(self, scores: Tensor) -> Tensor:
        """Balanced assignments of scores (B, N, clusters), of the same shape."""
        rows = scores if self.positionwise else scores.flatten(0, 1)  # (B, N, clusters) or (B·N, clusters)
        return sinkhorn(rows, self.target_temperature, self.iterations).view(scores.shape)

    def own_loss(self) -> Tensor | None:
        """The clustering's own cross-entropy, a mean over all patches of all processes; None where it has seen none."""
        if not self.seen:
            return None
        scores, assigned = (torch.cat(parts) for parts in zip(*self.seen, strict=True))  # (views·B, N, clusters)
        self.seen = []
        errors = cross_entropy(scores.to(assigned.dtype), assigned, temperature=self.temperature)  # (views·B, N)
        count = summed(errors.detach().new_full((), errors.numel())) / world()
        return errors.sum() / count
