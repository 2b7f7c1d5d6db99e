"""Weighted k nearest neighbours, which classify by features without any training (Wu et al., arXiv 1805.01978)."""

import torch
import torch.nn.functional as F

from minimim.evaluate.features import Features, check, standardise
from minimim.evaluate.score import Score, accuracy


def knn(train: Features, test: Features, *, k: int = 20, temperature: float = 0.07, device="cpu") -> Score:
    """Test accuracy of a vote among the k nearest train images, each weighted by exp(cosine similarity / temperature).

    train, test: x (n, D). They are standardised first, by the statistics of the train part; the paper takes features as they are.
    Raises UserError for missing labels, for tokens, and for train and test features that were made differently.
    """
    check(train, test)
    train, test = train.to(device), test.to(device)
    here, there = (F.normalize(x, dim=1) for x in standardise(train.x, test.x))
    classes = int(train.labels.max()) + 1
    predicted = []
    for part in there.split(1000):
        similarity, ids = (part @ here.T).topk(min(k, len(here)), dim=1)  # (b, k) both
        weights = ((similarity - similarity[:, :1]) / temperature).exp()
        votes = torch.zeros(len(part), classes, device=part.device).scatter_add_(1, train.labels[ids], weights)  # (b, classes)
        predicted.append(votes.argmax(dim=1))
    return accuracy(torch.cat(predicted), test.labels, k=k)
