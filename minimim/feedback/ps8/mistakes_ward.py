"""The mistakes that people make in ps8.2, Ward's linkage: what a check says of each, and a function that makes it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from minimim.feedback.ps8.truth import ward


@dataclass
class Cluster:
    """What a mistake may know of a cluster."""

    number: int
    centre: torch.Tensor
    weight: float
    members: list[int]


def apart(a: Cluster, b: Cluster) -> float:
    return float((a.centre - b.centre).norm())


def ward_height(a: Cluster, b: Cluster) -> float:
    return math.sqrt(2 * a.weight * b.weight / (a.weight + b.weight)) * apart(a, b)


def weighted(a: Cluster, b: Cluster) -> torch.Tensor:
    return (a.weight * a.centre + b.weight * b.centre) / (a.weight + b.weight)


def merging(
    *, use=lambda w: w, rise=ward_height, choose=None, centre=weighted, number=lambda n, step, a, b: n + step,
    last=lambda a, b, weights: sum(float(weights[i]) for i in a.members + b.members), pair=sorted, shown=lambda height: height
) -> Callable:  # fmt: skip
    """A mistake: use(weights) → others; rise(a, b) → the height of a merge; choose(a, b) → by what the next pair is chosen, where not by the
    height; centre(a, b); number(n, step, a, b) of a new cluster; last(a, b, weights) → the last column; pair([a, b]) → as they are
    written; shown(height)."""

    def mistaken(x, weights):
        points, own = x.double(), use(weights.tolist())
        clusters = [Cluster(i, points[i], own[i], [i]) for i in range(len(x))]
        merges = []
        for step in range(len(x) - 1):
            pairs = [(a, b) for i, a in enumerate(clusters) for b in clusters[i + 1 :]]
            a, b = min(pairs, key=lambda two: (choose or rise)(*two))
            merges.append([*pair([a.number, b.number]), shown(rise(a, b)), last(a, b, weights)])
            clusters = [c for c in clusters if c is not a and c is not b]
            clusters.append(Cluster(number(len(x), step, a, b), centre(a, b), a.weight + b.weight, a.members + b.members))
        return torch.tensor(merges, dtype=x.dtype).view(len(x) - 1, 4)

    return lambda x, weights: mistaken(x, weights)


def linked(x, weights, join: Callable):
    """Another linkage: join(distances between the members of two clusters) → the height."""
    distances = torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return merging(rise=lambda a, b: float(join(distances[a.members][:, b.members])))(x, weights)


def half_way(a: Cluster, b: Cluster) -> torch.Tensor:
    return (a.centre + b.centre) / 2


def by_count(a: Cluster, b: Cluster) -> torch.Tensor:
    return (len(a.members) * a.centre + len(b.members) * b.centre) / (len(a.members) + len(b.members))


def counted(a: Cluster, b: Cluster) -> float:
    n, m = len(a.members), len(b.members)
    return math.sqrt(2 * n * m / (n + m)) * apart(a, b)


def weight_without_root(a: Cluster, b: Cluster) -> float:
    return 2 * a.weight * b.weight / (a.weight + b.weight) * apart(a, b)


def shifted(x, weights):
    merges = ward(x, weights)
    merges[:, :2] += 1
    return merges


def upside_down(x, weights):
    return ward(x, weights).flip(0)


WARD = {
    "every paper has the weight 1; the weights that are given are to be used": merging(
        use=lambda w: [1.0] * len(w), last=lambda a, b, weights: len(a.members) + len(b.members)
    ),
    "every paper has the weight 1, and the last column alone is by the weights": merging(rise=counted, centre=by_count),
    "every paper has the weight 1 where heights are taken; the height uses the weights of both clusters": merging(
        rise=counted
    ),
    "the centre of a new cluster is half way between the two; it is their mean by weight": merging(centre=half_way),
    "the centre of a new cluster is the mean of its papers; it is their mean by weight": merging(centre=by_count),
    "the factor 2 under the root is missing: two papers of weight 1 would merge lower than their distance": merging(
        shown=lambda h: h / math.sqrt(2)
    ),
    "2 · w · v / (w + v) stands without its root": merging(rise=weight_without_root),
    "the square of the height is returned": merging(shown=lambda h: h * h),
    "half the square of the height is returned, which is what the merge costs; the height is its root": merging(
        shown=lambda h: h * h / 2
    ),
    "the height is the distance of the centres alone, without the weights (centroid linkage)": merging(rise=apart),
    "the pair with the nearest centres is merged; the pair with the lowest height is asked for": merging(choose=apart),
    "the height is the least distance between two papers of the clusters (single linkage)": lambda x, weights: linked(
        x, weights, torch.min
    ),
    "the height is the largest distance between two papers of the clusters (complete linkage)": lambda x, weights: linked(
        x, weights, torch.max
    ),
    "the height is the mean distance between the papers of the clusters (average linkage)": lambda x, weights: linked(
        x, weights, torch.mean
    ),
    "the pair with the greatest height is merged first": merging(choose=lambda a, b: -ward_height(a, b)),
    "a new cluster keeps the lower number of the two; the cluster of row s has the number n + s": merging(
        number=lambda n, step, a, b: min(a.number, b.number)
    ),
    "the first new cluster has the number n + 1; it has n, because papers are 0 to n − 1": merging(
        number=lambda n, step, a, b: n + step + 1
    ),
    "papers and clusters are numbered from 1; they begin at 0": shifted,
    "the higher number stands first; the lower one is asked for": merging(pair=lambda two: sorted(two, reverse=True)),
    "the last column counts papers; it holds their weights": merging(
        last=lambda a, b, weights: len(a.members) + len(b.members)
    ),
    "the last column holds the weight of one of the two clusters; it holds that of both": merging(
        last=lambda a, b, weights: min(a, b, key=lambda c: c.number).weight
    ),
    "the last merge stands first": upside_down,
}
