"""The mistakes that people make in ps8.3, a dendrogram: what a check says of each, and a function that makes it."""

from collections.abc import Callable

import torch

from minimim.feedback.ps8.truth import read_tree


def members(merges) -> dict[int, list[int]]:
    """The papers of each cluster, by its number."""
    n = len(merges) + 1
    below = {i: [i] for i in range(n)}
    for step, (a, b) in enumerate(merges[:, :2].long().tolist()):
        below[n + step] = below[a] + below[b]
    return below


def cutting(done: Callable = lambda at, height: at <= height, numbers: Callable = lambda labels, merges: labels) -> Callable:
    """A mistake: done(heights of the merges, height) → which are done; numbers(labels, merges) → others."""

    def mistaken(merges, height):
        kept = merges.clone()
        kept[:, 2] = torch.where(done(merges[:, 2], height), 0.0, 1.0)
        labels, _ = read_tree(kept, 0.5)
        return numbers(labels, merges), read_tree(merges, height)[1]

    return lambda merges, height: mistaken(merges, height)


def from_left_to_right(labels, merges):
    """Numbered as the clusters stand in the drawing."""
    leaves = members(merges)[2 * len(merges)]
    order = list(dict.fromkeys(labels[leaves].tolist()))
    return torch.tensor([order.index(label) for label in labels.tolist()])


def as_scipy_numbers(labels, merges):
    """Numbered as scipy's fcluster does: from the top down, papers that stand alone after the clusters beside them."""
    n, order = len(merges) + 1, []
    below = members(merges)

    def walk(node: int) -> None:
        if len(set(labels[below[node]].tolist())) == 1:
            order.append(int(labels[below[node][0]]))
            return
        children = [int(x) for x in merges[node - n, :2]]
        for child in sorted(children, key=lambda child: child < n):  # those of several papers first
            walk(child)

    walk(2 * n - 2)
    return torch.tensor([order.index(label) for label in labels.tolist()])


def by_own_numbers(labels, merges):
    """In the order of the numbers that papers and new clusters have in the merges."""
    node = {}
    for number, below in members(merges).items():
        if len(set(labels[below].tolist())) == 1:
            node[int(labels[below[0]])] = number  # the last and largest counts
    order = sorted(node, key=node.get)
    return torch.tensor([order.index(label) for label in labels.tolist()])


def largest_first(labels, merges):
    order = labels.bincount().argsort(descending=True, stable=True).argsort()
    return order[labels]


def lowest_paper(labels, merges):
    return torch.tensor([labels.tolist().index(label) for label in labels.tolist()])


def joined(change: Callable) -> Callable:
    """A mistake: change(together, merges) → other heights."""

    def mistaken(merges, height):
        labels, together = read_tree(merges, height)
        return labels, change(together.clone(), merges).to(merges.dtype)

    return lambda merges, height: mistaken(merges, height)


def steps(together, merges):
    """The number of the merge, from 1, in place of its height."""
    return sum((together >= at) * 1.0 for at in merges[:, 2]) if len(merges) else together


def added(together, merges):
    """The way up from the one and down to the other."""
    return 2 * together


def own_number_alone(together, merges):
    """Only the pairs that are papers when they merge."""
    n, found = len(merges) + 1, torch.zeros_like(together)
    for a, b, at, _ in merges.tolist():
        if a < n and b < n:
            found[int(a), int(b)] = found[int(b), int(a)] = at
    return found


def the_last(together, merges):
    """The height of the last merge that either of two papers takes part in."""
    return torch.where(together > 0, merges[-1, 2] if len(merges) else 0.0, together)


def own_first(together, merges):
    """The diagonal holds the height at which a paper first merges."""
    if len(merges):
        far = together.masked_fill(torch.eye(len(together)).bool(), torch.inf)
        together.diagonal().copy_(far.amin(0))
    return together


def only_cut(merges, height):
    labels, together = read_tree(merges, height)
    return labels, together.where(together <= height, 0.0)


TREE = {
    "a merge exactly at the height of the cut is left undone; it is done": cutting(lambda at, height: at < height),
    "the merges above the cut are done, and those below it are not": cutting(lambda at, height: at > height),
    "every paper is a cluster of its own": cutting(lambda at, height: torch.zeros_like(at).bool()),
    "all papers are one cluster": cutting(lambda at, height: torch.ones_like(at).bool()),
    "the clusters are numbered from 1; they begin at 0": cutting(numbers=lambda labels, merges: labels + 1),
    "the clusters are numbered from left to right in the drawing, which could be drawn otherwise; the cluster of paper 0 is 0, and so on": cutting(
        numbers=from_left_to_right
    ),
    "the clusters have the numbers of scipy's fcluster, less 1; the cluster of paper 0 is 0, and so on": cutting(
        numbers=as_scipy_numbers
    ),
    "the clusters are numbered in the order of their numbers in merges, papers that are alone first; the cluster of paper 0 is 0, and so on": cutting(
        numbers=by_own_numbers
    ),
    "the clusters are numbered by their size; the cluster of paper 0 is 0, and so on": cutting(numbers=largest_first),
    "a cluster has the number of its lowest paper; these numbers have gaps: 0, 1, 2 … are asked for": cutting(
        numbers=lowest_paper
    ),
    "together holds the number of the merge; its height is asked for": joined(steps),
    "together goes up to the merge and down again, which is twice its height": joined(added),
    "together is 0 for papers that merge as members of clusters; every pair stands in one cluster sooner or later": joined(
        own_number_alone
    ),
    "together holds the height of the last merge for every pair; the first cluster that holds both counts": joined(the_last),
    "together is filled on one side of the diagonal; it is the same for (i, j) and (j, i)": joined(
        lambda t, merges: t.triu()
    ),
    "together is filled on one side of the diagonal, the lower one; it is the same for (i, j) and (j, i)": joined(
        lambda t, merges: t.tril()
    ),
    "the diagonal of together holds the height at which a paper first merges; it is 0": joined(own_first),
    "together is 0 above the cut; it does not depend on the cut": only_cut,
}
