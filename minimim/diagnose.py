"""Is a run healthy? Measurements that tell collapse from success."""

import torch
from torch import Tensor


def effective_rank(features: Tensor) -> float:
    """How many directions features really use: exp of the entropy of the normalised singular values (RankMe's measure,
    Garrido et al., arXiv 2210.02885; Roy & Vetterli 2007). features: (n, D) → between 1, all on a line, and min(n, D).

    Features are centred first, so that a common offset does not count as a direction.
    """
    centred = features.float() - features.float().mean(dim=0)
    values = torch.linalg.svdvals(centred)
    shares = values / values.sum().clamp(min=1e-12)
    return float(torch.exp(-(shares * shares.clamp(min=1e-12).log()).sum()))
