"""The attentive probe: a linear classifier of a weighted mean of a frozen encoder's tokens, with learnt weights.

The plain mean over all patches dilutes what only a few of them show. Here the weights of the mean are learnt with the classifier:
s = x q / √D over the patches, a = softmax(s), z = aᵀ x, class scores = z W + b. With q = 0 it is a linear probe of the mean.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.batches import positions
from minimim.draws import mix
from minimim.errors import UserError
from minimim.evaluate.features import Features, check_alike, check_labels, standardise
from minimim.evaluate.score import Score, accuracy
from minimim.train.schedule import cosine

WEIGHT_DECAYS = (1.0, 0.3, 0.1, 0.03, 0.01)  # trained side by side


class Heads(nn.Module):
    """S probes that are trained side by side, a query and a linear classifier each. All begin at zero, which makes the plain mean."""

    def __init__(self, probes: int, dim: int, classes: int):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(dim, probes))
        self.weight = nn.Parameter(torch.zeros(probes, dim, classes))
        self.bias = nn.Parameter(torch.zeros(probes, 1, classes))

    def attention(self, tokens: Tensor) -> Tensor:
        """The attention weights of each probe: (b, N, D) → (b, S, N), rows sum to 1."""
        return (tokens @ self.query / tokens.shape[-1] ** 0.5).softmax(dim=1).transpose(1, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Class scores of each probe: (b, N, D) → (S, b, classes)."""
        taken = self.attention(tokens) @ tokens  # (b, S, D)
        return taken.transpose(0, 1) @ self.weight + self.bias


def attentive_probe(
    train: Features, test: Features, *, weight_decays=WEIGHT_DECAYS, steps: int = 600, held_out: float = 0.2, seed: int = 0
) -> Score:
    """Test accuracy of a linear classifier of each image's weighted mean of tokens, with weights by one learnt query.

    train, test: from `extract(…, pool="patches")`, x (n, N, D). The protocol is the linear probe's: tokens are standardised
    by the train part, the weight decay is chosen on a held-out part of the train features, and the probe is then trained again on
    all of them. details: the chosen weight_decay, and held_out, the accuracy it was chosen by. Everything random follows from the
    seed. Raises UserError for features that are not tokens, missing labels, and train and test features that were made differently.
    After the attentive probes of CAE (arXiv 2202.03026) and AIM (2401.08541), but with a single head. Their maps for keys and values
    are left out, since with one head the query and the classifier can do what these do (compare arXiv 2506.10178).
    """
    for name, features in (("train", train), ("test", test)):
        if features.x.dim() != 3:
            raise UserError(
                f"an attentive probe needs tokens, (n, N, D), and the {name} features are {tuple(features.x.shape)}: "
                'extract them with pool="patches"'
            )
    check_labels(train, test)
    check_alike(train, test)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(mix(seed)))
    split = max(1, int(len(train) * held_out))
    judge, pupil = train.take(order[:split]), train.take(order[split:])
    x, judged = standard_tokens(pupil.x, judge.x)
    heads = learn(x, pupil.labels, weight_decays, steps, seed)
    seen = [accuracy(predicted, judge.labels).value for predicted in predict(heads, judged)]
    best = max(range(len(seen)), key=seen.__getitem__)
    x, tested = standard_tokens(train.x, test.x)
    heads = learn(x, train.labels, weight_decays[best : best + 1], steps, seed)
    return accuracy(predict(heads, tested)[0], test.labels, weight_decay=weight_decays[best], held_out=seen[best])


def standard_tokens(train: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Bring each dimension to mean 0 and standard deviation 1 over all tokens of the first: (n, N, D) each → the same."""
    both = standardise(train.flatten(0, 1), other.flatten(0, 1))
    return both[0].view_as(train), both[1].view_as(other)


def learn(tokens: Tensor, labels: Tensor, weight_decays, steps: int, seed: int, lr: float = 0.1, batch: int = 128) -> Heads:
    """Train a probe for each weight decay, by Adam with decoupled decay and a cosine schedule: (n, N, D), labels (n,) → S probes."""
    heads = Heads(len(weight_decays), tokens.shape[-1], int(labels.max()) + 1)
    decays = torch.tensor(weight_decays)  # (S,)
    optimizer = torch.optim.Adam(heads.parameters(), lr=lr)
    for step in range(steps):
        ids = positions(step, min(batch, len(tokens)), len(tokens), seed)  # (b,)
        rate = lr * cosine(step, steps, 0)
        scores = heads(tokens[ids])  # (S, b, classes)
        loss = sum(F.cross_entropy(each, labels[ids]) for each in scores)  # the probes share no weights
        optimizer.zero_grad()
        loss.backward()
        with torch.no_grad():
            heads.query.mul_(1 - rate * decays)
            heads.weight.mul_(1 - rate * decays.view(-1, 1, 1))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return heads


@torch.no_grad()
def predict(heads: Heads, tokens: Tensor) -> Tensor:
    """The class that each probe predicts for each image: (n, N, D) → (S, n)."""
    return torch.cat([heads(part).argmax(dim=-1) for part in tokens.split(500)], dim=1)
