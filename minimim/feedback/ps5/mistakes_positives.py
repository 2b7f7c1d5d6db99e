"""The mistakes that people make in ps5.1, several positives: what a check says of each, and a function that makes it.

A mistake that people write in several ways is stated only for the inputs where these ways agree; `only` leaves the rest.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from minimim.feedback.check import only


def partners(image: Tensor) -> Tensor:
    """Which rows are other views of the same image, (M, M) bool."""
    return (image.unsqueeze(1) == image) & ~torch.eye(len(image), dtype=torch.bool)


def others(image: Tensor) -> Tensor:
    """Which rows are of other images, (M, M) bool."""
    return image.unsqueeze(1) != image


def by_row(errors: Tensor, positive: Tensor) -> Tensor:
    """The mean over each row's positives, then over the rows that have one: (M, M) twice → ()."""
    return (torch.where(positive, errors, 0).sum(1) / positive.sum(1).clamp(min=1))[positive.any(1)].mean()


def contrast(*, positive=partners, rivals=others, mine=True, score=None, mean=by_row, length=True) -> Callable:
    """A mistake: other positives (image) or rivals (image), both → (M, M) bool, a candidate set without the positive itself (mine),
    another score(cosines, temperature), another mean(errors, positives), or rows that are not brought to length 1."""

    def mistaken(z, image, temperature):
        rows = F.normalize(z, dim=-1) if length else z
        cosines = rows @ rows.T
        scores = score(cosines, temperature) if score else cosines / temperature
        only(bool(scores.isfinite().all()))
        wrong = scores.masked_fill(~rivals(image), -torch.inf).unsqueeze(1).expand(-1, len(z), -1)  # (M, M, M)
        own = scores.unsqueeze(2)
        all_of_it = (torch.cat([own, wrong], dim=2) if mine else wrong).logsumexp(dim=2)
        chosen = positive(image)
        only(bool(all_of_it[chosen].isfinite().all()) and bool(chosen.any()))
        return mean(all_of_it - scores, chosen)

    return mistaken


def pair_by_pair(errors: Tensor, positive: Tensor) -> Tensor:
    return errors[positive].mean()


def summed(errors: Tensor, positive: Tensor) -> Tensor:
    return torch.where(positive, errors, 0).sum(1)[positive.any(1)].mean()


def over_all_rows(errors: Tensor, positive: Tensor) -> Tensor:
    return (torch.where(positive, errors, 0).sum(1) / positive.sum(1).clamp(min=1)).mean()


def total(errors: Tensor, positive: Tensor) -> Tensor:
    return (torch.where(positive, errors, 0).sum(1) / positive.sum(1).clamp(min=1)).sum()


def inside(z, image, temperature):
    """The mean over positives of the probabilities, inside the logarithm."""
    rows = F.normalize(z, dim=-1)
    scores, positive = rows @ rows.T / temperature, partners(image)
    wrong = scores.masked_fill(~others(image), -torch.inf).logsumexp(1, keepdim=True)
    chances = torch.where(positive, (scores - torch.logaddexp(scores, wrong)).exp(), 0).sum(1) / positive.sum(1).clamp(min=1)
    return -chances[positive.any(1)].log().mean()


def together(merge: Callable) -> Callable:
    """All positives of a row are one question: merge(scores, positives) → their one score."""

    def mistaken(z, image, temperature):
        rows = F.normalize(z, dim=-1)
        scores, positive = rows @ rows.T / temperature, partners(image)
        asked = positive.any(1)
        joint = merge(scores, positive)[asked]
        wrong = scores.masked_fill(~others(image), -torch.inf).logsumexp(1)[asked]
        return (torch.logaddexp(joint, wrong) - joint).mean()

    return mistaken


def image_by_image(errors: Tensor, positive: Tensor) -> Tensor:
    """A mean for each image, and then over images."""
    rows = torch.where(positive, errors, 0).sum(1) / positive.sum(1).clamp(min=1)
    weight = positive.any(1) / (1 + positive.sum(1))
    return (weight * rows).sum() / weight.sum()


def first_partner(image: Tensor) -> Tensor:
    found = partners(image)
    return found & (found.cumsum(1) == 1)


def next_row(image: Tensor) -> Tensor:
    """As where the two views of an image stand side by side."""
    only(len(image) % 2 == 0)
    place = torch.arange(len(image))
    return (place ^ 1).unsqueeze(1) == place


def two_halves(image: Tensor) -> Tensor:
    """As where the second views stand behind all first ones."""
    only(len(image) % 2 == 0)
    place = torch.arange(len(image))
    return ((place + len(image) // 2) % len(image)).unsqueeze(1) == place


def overflowing(z, image, temperature):
    """Right, but for exp of large numbers."""
    rows = F.normalize(z, dim=-1)
    powers = (rows @ rows.T / temperature).exp()
    wrong = torch.where(others(image), powers, 0).sum(1, keepdim=True)
    return by_row(-(powers / (powers + wrong)).log(), partners(image))


SEVERAL = {
    "a row is compared with itself as well: its cosine with itself is 1, and it is no candidate": contrast(
        rivals=lambda image: others(image) | torch.eye(len(image), dtype=torch.bool)
    ),
    "the other positives of a row stand among the candidates, and so views of one image push each other away: the candidates are one positive "
    "and the negatives": contrast(rivals=lambda image: ~torch.eye(len(image), dtype=torch.bool), mine=False),
    "all rows of the same image stand among the candidates, the row itself too: the candidates are one positive and the negatives": contrast(
        rivals=lambda image: torch.ones(len(image), len(image), dtype=torch.bool), mine=False
    ),
    "a row counts as a positive of itself": contrast(positive=lambda image: ~others(image)),
    "the positive is missing among the candidates: it stands below the fraction as well as above": contrast(mine=False),
    "the errors of a row's positives are added up; their mean was asked for": contrast(mean=summed),
    "each pair counts the same, so that images with many views count more: first a mean for each row": contrast(
        mean=pair_by_pair
    ),
    "rows without a positive are counted, with loss 0; they are left out of the mean": contrast(mean=over_all_rows),
    "the rows are summed; their mean was asked for": contrast(mean=total),
    "only the first other view of an image is a positive; all of them are": contrast(positive=first_partner),
    "only rows that stand side by side, 0 and 1, 2 and 3, are positives: image says which rows belong together": contrast(
        positive=next_row
    ),
    "row i and row i + M/2 are taken for positives: image says which rows belong together": contrast(positive=two_halves),
    "the positives are averaged inside the logarithm; the mean of the errors was asked for": inside,
    "the positives are added up inside the logarithm, as one question: each positive is a question of its own": together(
        lambda scores, positive: scores.masked_fill(~positive, -torch.inf).logsumexp(1)
    ),
    "the scores of the positives are averaged, and one question is asked; each positive is a question of its own": together(
        lambda scores, positive: torch.where(positive, scores, 0).sum(1) / positive.sum(1)
    ),
    "only the positive with the lowest score is asked for; each positive is a question of its own": together(
        lambda scores, positive: scores.masked_fill(~positive, torch.inf).amin(1)
    ),
    "only the positive with the highest score is asked for; each positive is a question of its own": together(
        lambda scores, positive: scores.masked_fill(~positive, -torch.inf).amax(1)
    ),
    "rows without a positive are missing among the negatives; they have no loss of their own, and are negatives of the others": contrast(
        rivals=lambda image: others(image) & partners(image).any(1)
    ),
    "each pair is asked once, from its first row; row j asks for row i as well": contrast(
        positive=lambda image: partners(image).triu()
    ),
    "a mean is taken for each image, and then over images; the mean is over all rows that have a positive": contrast(
        mean=image_by_image
    ),
    "the rows are not brought to length 1: the score is a cosine": contrast(length=False),
    "the temperature is multiplied with; the cosine is divided by it": contrast(score=lambda cosines, t: cosines * t),
    "the temperature is not used": contrast(score=lambda cosines, t: cosines),
    "the sign is turned: a good match must give a small loss": lambda z, image, temperature: (
        -contrast()(z, image, temperature)
    ),
    "exp of a cosine over a low temperature leaves the range of float32, and the quotient is NaN: use logsumexp or cross_entropy": overflowing,
}
