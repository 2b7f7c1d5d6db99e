"""Batch normalisation whose batch is that of all processes (Ioffe & Szegedy, arXiv 1502.03167)."""

import torch
from torch import Tensor, nn

from minimim.processes import gathered


class BatchNorm(nn.Module):
    """Normalise each feature by its mean and variance over all rows of the batch: (…, D) → (…, D), features last.

    Unlike torch's, the statistics are those of all processes together, so two processes compute what one does, also on a CPU. In eval
    mode it uses the running statistics. `active`, (…) bool, names the rows that count; the others become 0 (as SparK needs, arXiv 2301.03580).
    whole_batch: a batch cut into parts has other statistics, so accumulation is refused.
    """

    whole_batch = True

    def __init__(self, dim: int, *, affine: bool = True, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(dim)) if affine else None
        self.bias = nn.Parameter(torch.zeros(dim)) if affine else None
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    def forward(self, x: Tensor, active: Tensor | None = None) -> Tensor:
        """(…, D) → (…, D), in the precision of x; the statistics are taken in fp32."""
        dtype = x.dtype
        x = x.float() if dtype in (torch.bfloat16, torch.float16) else x
        if self.training:
            mean, variance = self.statistics(x, active)
        else:
            mean, variance = self.running_mean, self.running_var
        x = (x - mean) * (variance + self.eps).rsqrt()
        if self.weight is not None:
            x = x * self.weight + self.bias
        if active is not None:
            x = x * active.unsqueeze(-1)
        return x.to(dtype)

    def statistics(self, x: Tensor, active: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and (biased) variance over the rows of all processes, (D,) each; the running ones move towards them."""
        weight = torch.ones_like(x[..., :1]) if active is None else active.unsqueeze(-1).to(x.dtype)  # (…, 1)
        count, total = weight.sum(), (x * weight).flatten(0, -2).sum(0)  # (), (D,)
        count, total = gathered(torch.cat([count.view(1), total]).unsqueeze(0)).sum(0).split([1, x.shape[-1]])
        mean = total / count
        around = ((x - mean).square() * weight).flatten(0, -2).sum(0)  # (D,)
        variance = gathered(around.unsqueeze(0)).sum(0) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1).clamp(min=1), self.momentum)
        return mean, variance
