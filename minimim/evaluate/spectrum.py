"""How many directions features use, and how much they differ between images: two numbers that need no label."""

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


def relative_std(features: Tensor) -> float:
    """The standard deviation of features relative to their length: (n, D) → from 0, all images alike, to 1.

    The root of the mean squared distance from the mean feature, over the root of the mean squared length. For features of unit
    length it is √D times the standard deviation a direction, the measure of SimSiam (Chen & He, arXiv 2011.10566, §4.1): near 1
    where they lie evenly on the sphere.
    """
    x = features.detach().float()
    distance, length = (x - x.mean(dim=0)).square().sum(dim=1).mean(), x.square().sum(dim=1).mean()
    return float((distance / length.clamp(min=1e-24)).sqrt())
