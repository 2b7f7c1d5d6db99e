"""How many directions features use, and how far apart they put images: two numbers that need no label."""

import torch
from torch import Tensor


def effective_rank(features: Tensor) -> float:
    """How many directions features really use: exp of the entropy of the normalised singular values (RankMe's measure,
    Garrido et al., arXiv 2210.02885; Roy & Vetterli 2007). features: (n, D) → between 1, all on a line, and min(n, D).

    Features are centred first, so that a common offset does not count as a direction.
    """
    x = features.detach().float()
    centred = x - x.mean(dim=0)
    values = torch.linalg.svdvals(centred)
    shares = values / values.sum().clamp(min=1e-12)
    return float(torch.exp(-(shares * shares.clamp(min=1e-12).log()).sum()))


def feature_spread(features: Tensor) -> float:
    """How different images are, relative to how long their features are: (n, D) → from 0, all images alike, to 1.

    The root of the mean squared distance from the mean feature, over the root of the mean squared length.
    """
    x = features.detach().float()
    distance, length = (x - x.mean(dim=0)).square().sum(dim=1).mean(), x.square().sum(dim=1).mean()
    return float((distance / length.clamp(min=1e-24)).sqrt())
