"""The runs that problem set 5 asks about: tiny ones on plain garments, with six losses, of which some collapse, and one for its written question.

    python benchmarks/collapse_runs.py                  every run, three seeds; about two minutes of one CPU core
    python benchmarks/collapse_runs.py --seeds 0 --only prototypes
    python benchmarks/collapse_runs.py --smoke          tiny sizes, to see that it works

The results lie in minimim/assets, because the check of ps5.5 reads them: `minimim.feedback.ps5.runs`. A run that is in the file is not
done again. Students should not read on: what follows says which run is which.
"""

import copy
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from collapse import short, views
from machine import kind, options, write
from safeguards import agreement
from torch import Tensor, nn

from minimim import data, diagnose, evaluate
from minimim.data.batches import batches
from minimim.draws import mix
from minimim.encoders import ViT
from minimim.losses import info_nce

ASSETS = Path(__file__).parents[1] / "minimim" / "assets"
SIZE, PATCH, WIDTH, KINDS = (32, 2, 4), 14, 32, 64  # encoder (four patches an image), width of the head's output, prototypes
IMAGES, TEST, BATCH, STEPS, EVERY, WARMUP = 2_000, 500, 64, 150, 5, 8
MOMENTUM, SEEDS = 0.99, range(3)


class Network(nn.Module):
    """An encoder, and a head on the mean of its patches: images (B, 1, 28, 28) → (B, WIDTH)."""

    def __init__(self):
        super().__init__()
        self.encoder = ViT(28, PATCH, SIZE, channels=1, cls=False)
        self.head = nn.Sequential(nn.Linear(SIZE[0], 64), nn.GELU(), nn.Linear(64, WIDTH))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.encoder.features(images))


class Contrast(nn.Module):
    """InfoNCE of two views, both ways."""

    def __init__(self, temperature: float):
        super().__init__()
        self.temperature = temperature

    def forward(self, network, first, second):
        a, b = network(first), network(second)
        return (info_nce(a, b, temperature=self.temperature) + info_nce(b, a, temperature=self.temperature)).mean() / 2


class Agreement(nn.Module):
    """Squared distance of unit-length outputs, 2 − 2 cos."""

    def forward(self, network, first, second):
        return 2 + 2 * agreement(torch.stack([network(first), network(second)])).mean()


class Distance(nn.Module):
    """Mean squared distance of the outputs as they are."""

    def forward(self, network, first, second):
        return (network(first) - network(second)).square().mean()


class Variance(nn.Module):
    """Mean squared distance, and each number of the output is kept at a standard deviation of 1 or more over the batch: VICReg (arXiv
    2105.04906) with weights of 1, without its covariance term."""

    def forward(self, network, first, second):
        a, b = network(first), network(second)
        return (a - b).square().mean() + (F.relu(1 - a.std(dim=0)) + F.relu(1 - b.std(dim=0))).mean() / 2


class Assigned(nn.Module):
    """Scores of prototypes, against a slow teacher's, centred and sharpened: DINO's loss (arXiv 2104.14294) on two views."""

    def __init__(self):
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(KINDS, WIDTH))
        self.slow, self.centre = [], torch.zeros(KINDS)  # a plain list: the teacher does not learn

    def scores(self, network, images, prototypes):
        return F.normalize(network(images), dim=1) @ F.normalize(prototypes, dim=1).T  # (B, KINDS)

    def forward(self, network, first, second):
        if not self.slow:
            self.slow = [copy.deepcopy(network), self.prototypes.detach().clone()]
        with torch.no_grad():
            teacher = [self.scores(self.slow[0], x, self.slow[1]) for x in (second, first)]
            wanted = [((x - self.centre) / 0.04).softmax(dim=1) for x in teacher]
            self.centre = 0.9 * self.centre + 0.1 * torch.cat(teacher).mean(dim=0)
        said = [(self.scores(network, x, self.prototypes) / 0.1).log_softmax(dim=1) for x in (first, second)]
        return -sum((w * s).sum(dim=1).mean() for w, s in zip(wanted, said, strict=True)) / 2

    @torch.no_grad()
    def after_step(self, network):
        self.slow[1].lerp_(self.prototypes, 1 - MOMENTUM)
        for mine, student in zip(self.slow[0].parameters(), network.parameters(), strict=True):
            mine.lerp_(student, 1 - MOMENTUM)


RATE = 2e-3
SETTINGS = {  # name → its loss, the learning rate
    "InfoNCE": (lambda: Contrast(0.1), RATE),
    "InfoNCE, temperature 1": (lambda: Contrast(1.0), RATE),
    "InfoNCE, rate × 500": (lambda: Contrast(0.1), 500 * RATE),
    "agreement alone": (Agreement, RATE),
    "variance, no covariance": (Variance, RATE),
    "prototypes": (Assigned, RATE),
    "squared distance": (Distance, RATE),  # of the written question
}


def one(name: str, seed: int, images, test, steps: int) -> dict:
    """Train a run, and measure it and its random start."""
    torch.manual_seed(mix(seed))
    network, (build, rate) = Network(), SETTINGS[name]
    loss_of, began = build(), time.monotonic()
    row = {"random": measured(network, images, test)}
    learning = [p for p in [*network.parameters(), *loss_of.parameters()] if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=rate, weight_decay=0.05, betas=(0.9, 0.95))
    draw, generator, losses, row["history"] = views().train(), torch.Generator().manual_seed(mix(seed, 1)), [], []
    for step, batch in enumerate(batches(images, BATCH, seed=seed, stop=steps)):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / WARMUP) * (1 + math.cos(math.pi * step / steps)) / 2
        loss = loss_of(network, *(view["image"] for view in draw(batch, generator).student))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if hasattr(loss_of, "after_step"):
            loss_of.after_step(network)
        losses.append(float(loss.detach()))
        if step == 0 or (step + 1) % EVERY == 0:
            row["history"].append([step + 1, short(sum(losses) / len(losses))])
            losses = []
    row["trained"] = measured(network, images, test)
    return row | {"seconds": round(time.monotonic() - began, 1)}


@torch.no_grad()
def measured(network: Network, images, test) -> dict:
    """Of features and of the head's outputs for test images: relative standard deviation and effective rank; k-NN of the features, and how
    long the head's outputs are."""
    pair = [evaluate.extract(network.encoder, those) for those in (images, test)]
    heads, score = network.head(pair[1].x), evaluate.knn(*pair)
    row = {"std": diagnose.relative_std(pair[1].x), "rank": diagnose.effective_rank(pair[1].x), "knn": score.value, "knn_error": score.stderr}
    row |= {"head_std": diagnose.relative_std(heads), "head_rank": diagnose.effective_rank(heads), "head_length": float(heads.norm(dim=1).mean())}
    return {key: short(value) for key, value in row.items()}


def main() -> None:
    parser = options("The tiny runs that problem set 5 asks about.", ASSETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[*SEEDS])
    parser.add_argument("--only", default="", help="part of a setting's name")
    args = parser.parse_args()
    torch.set_num_threads(1)  # models as small as these gain nothing from more
    count, tests, steps = (100, 60, 5) if args.smoke else (IMAGES, TEST, STEPS)
    images, test = (data.load("fashion", split).take(slice(0, n)) for split, n in (("train", count), ("test", tests)))
    path = args.out / f"collapse-runs-{kind('cpu')}.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    done = {(run["setting"], run["seed"]) for run in runs}
    for seed in args.seeds:
        for name in SETTINGS:
            if args.only in name and (name, seed) not in done and not (name == "squared distance" and seed):
                row = one(name, seed, images, test, steps)
                runs.append({"setting": name, "seed": seed, **row})
                runs.sort(key=lambda run: (run["seed"], [*SETTINGS].index(run["setting"])))
                numbers = row["trained"]
                print(f"seed {seed}, {name}: {row['seconds']} s, loss {row['history'][-1][1]}, {numbers}", flush=True)
                write("collapse-runs", "cpu", seed, {"images": count, "test_images": tests, "batch_size": BATCH, "steps": steps, "runs": runs}, args.out)


if __name__ == "__main__":
    main()
