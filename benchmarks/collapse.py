"""Which losses and which safeguards let two views agree without giving every image the same answer? Short runs on plain garments, three seeds each.

    python benchmarks/collapse.py                        every run; about five minutes of one quiet CPU core
    python benchmarks/collapse.py --seeds 0 --only prototypes
    python benchmarks/collapse.py --smoke                tiny sizes, to see that it works

All runs have the same encoder, projector, views, batches, rate and start; they differ in the loss, and in what keeps the answers apart.
No batch norm anywhere, because it would compare the images of a batch. A run that is in the results file is not done again, so the
command can be stopped and started at will.
"""

import json
import time
from functools import partial

import torch
import torch.nn.functional as F
from machine import kind, options, write
from methods_measure import head_std
from safeguards import agreement
from torch import Tensor, nn

from minimim import data, diagnose, evaluate
from minimim.config import TrainConfig
from minimim.data.batches import batches
from minimim.data.views import RandomViews
from minimim.decoders import ProjectionHead, PrototypeProjection, Prototypes, projector
from minimim.draws import mix
from minimim.encoders import ViT
from minimim.losses import Term, cosine, cross_entropy, info_nce
from minimim.masking.nothing import NoMasking
from minimim.methods import Method
from minimim.methods.teacher import Teacher
from minimim.targets import CentredPrototypes, HeadAnswers
from minimim.train.step import Stepper, adamw

SIDE, PATCH, NANO, WIDTH, KINDS = 28, 7, (64, 2, 4), 64, 64  # pixels, pixels of a patch, encoder, width of the projector's output, prototypes
IMAGES, TEST = 4_000, 1_000
TRAIN = TrainConfig(batch_size=64, lr=4e-3)
SHORT, LONG, EVERY = 150, 300, 10  # steps of a run, and between two points of its curve
SAMPLE = (1, 2, 0, 8, 9)  # of these classes one test image each is kept: of two views of them, all cosines
SEEDS = range(3)


def both_ways(prediction: Tensor, target=None, where=None, temperature: float = 0.1) -> Tensor:
    """InfoNCE of two views, each looking for the other: answers (2, B, T) → (B,)."""
    first, second = prediction
    return (info_nce(first, second, temperature=temperature) + info_nce(second, first, temperature=temperature)) / 2


class Predicting(nn.Module):
    """A projector, and behind it a predictor, which the student alone has."""

    def __init__(self, head: nn.Module, predictor: nn.Module):
        super().__init__()
        self.head, self.predictor = head, predictor

    def forward(self, encoded, mask=None, question=None):
        return {"cls": self.predictor(self.head(encoded)["cls"])}


def views() -> RandomViews:
    """Two views of each image: crops, half of them mirrored, in other brightness and contrast."""
    return RandomViews((SIDE, SIDE), count=2, scale=(0.3, 1.0), jitter=0.4)


def method(*, loss=None, predictor=False, teacher: float | None = None, prototypes=False, centring=True, sharpening=True) -> Method:
    """An encoder and a projector on the mean of its patches, and how its answers for two views are compared.

    loss: of the answers for both views, with gradient in both; or else the student's answer is compared with the teacher's for the other view.
    teacher: its momentum; 0 is the student itself, without gradient. predictor: whether the student has one.
    prototypes: whether the answers are scores of prototypes; centring, sharpening: what their targets go through.
    """
    encoder = ViT(SIDE, PATCH, NANO, channels=1, cls=False)
    small = {"norm": None, "activation": "gelu"}
    head = ProjectionHead(encoder.dim, (2 * WIDTH,), WIDTH, on="mean", **small)
    parts = {"views": views(), "masking": NoMasking(), "encoder": encoder, "decoder": head, "target": None}
    if loss is not None:
        return Method(**parts, terms=[Term("cls", loss, pair="views")])
    compared, parts["target"] = cosine, HeadAnswers()
    if prototypes:
        head = parts["decoder"] = PrototypeProjection(head, Prototypes(KINDS, WIDTH))
        compared = partial(cross_entropy, temperature=0.1)
        parts["target"] = CentredPrototypes(KINDS, temperature=(0.04, 0.04) if sharpening else (0.1, 0.1), momentum=0.9 if centring else 1.0)
    if predictor:
        parts["decoder"] = Predicting(head, projector(WIDTH, (2 * WIDTH,), WIDTH, **small))
    return Method(**parts, terms=[Term("cls", compared, on="all", pair="other")], teacher=Teacher(encoder, head, (teacher, teacher)))


RUNS = {  # name → steps, and how the method is built
    "agreement alone": (SHORT, {"loss": agreement}),
    "InfoNCE": (SHORT, {"loss": both_ways}),
    "stop-gradient alone": (LONG, {"teacher": 0.0}),
    "predictor, stop-gradient": (LONG, {"teacher": 0.0, "predictor": True}),
    "slow teacher alone": (LONG, {"teacher": 0.99}),
    "predictor, slow teacher": (LONG, {"teacher": 0.99, "predictor": True}),
    "prototypes": (LONG, {"teacher": 0.99, "prototypes": True}),
    "prototypes, no centring": (LONG, {"teacher": 0.99, "prototypes": True, "centring": False}),
    "prototypes, no sharpening": (LONG, {"teacher": 0.99, "prototypes": True, "sharpening": False}),
}


def one(name: str, seed: int, images, test, steps: int, fresh: dict | None = None) -> dict:
    """Train a run, and measure it. fresh: what an earlier run of this seed has measured of the same encoder before training."""
    torch.manual_seed(mix(seed))
    built = method(**RUNS[name][1])
    row = {"random_features": fresh or measured(built.encoder, images, test), "random_head_std": short(head_std(built, test))}
    config = TrainConfig(batch_size=TRAIN.batch_size, lr=TRAIN.lr, seed=seed)
    stepper, history, losses, began = Stepper(built.train(), adamw(built, config), config, steps), [], [], time.monotonic()
    for step, batch in enumerate(batches(images, config.batch_size, seed=seed, stop=steps)):
        losses.append(float(stepper(step, [batch])["loss"]))
        if step == 0 or (step + 1) % EVERY == 0:
            few = head_std(built, test.take(slice(0, 200)))
            history.append({"step": step + 1, "loss": short(sum(losses) / len(losses)), "head_std": short(few)})
            losses = []
    row |= {"seconds": round(time.monotonic() - began, 1), "history": history, "head_std": short(head_std(built, test))}
    row["features"] = measured(built.encoder, images, test)
    return row | pairs(built, test)


def measured(encoder, images, test) -> dict:
    """Three instruments on an encoder's features: k-NN, the linear probe, and how they lie."""
    pair = [evaluate.extract(encoder, those) for those in (images, test)]
    scores = {"knn": evaluate.knn(*pair), "linear_probe": evaluate.linear_probe(*pair)}
    row = {key: [short(score.value), short(score.stderr)] for key, score in scores.items()}
    return row | {"effective_rank": short(diagnose.effective_rank(pair[1].x)), "std": short(diagnose.relative_std(pair[1].x))}


@torch.no_grad()
def pairs(built: Method, test) -> dict:
    """What the head says of two views of each test image: alignment and uniformity (arXiv 2005.10242), and the cosines of a few."""
    built.eval()
    drawn = views().train()({"image": test.images}, torch.Generator().manual_seed(0)).student
    first, second = (F.normalize(built.decoder(built.encoder(view))["cls"], dim=1) for view in drawn)  # (n, T) each
    built.train()
    some = [int((test.labels == label).nonzero()[0]) for label in SAMPLE if bool((test.labels == label).any())]
    return {
        "alignment": short(float((first - second).square().sum(dim=1).mean())),
        "uniformity": short(float(torch.pdist(first).square().mul(-2).exp().mean().log())),
        "cosines": [[round(value, 3) for value in line] for line in (first[some] @ second[some].T).tolist()],
        "sample": some,
    }


def short(number: float) -> float:
    """A number rounded to four significant digits."""
    return float(f"{number:.4g}")


def main() -> None:
    parser = options("Two views that should agree, with and without what keeps images apart.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[*SEEDS])
    parser.add_argument("--only", default="", help="part of a run's name")
    args = parser.parse_args()
    torch.set_num_threads(1)  # models as small as these gain nothing from more
    count, tests = (200, 100) if args.smoke else (IMAGES, TEST)
    images = data.load("fashion").take(slice(0, count))
    test = data.load("fashion", "test").take(slice(0, tests))
    path = args.out / f"collapse-{kind('cpu')}.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    done = {(run["name"], run["seed"]) for run in runs}
    for seed in args.seeds:
        for name, (steps, _) in RUNS.items():
            if args.only in name and (name, seed) not in done:
                steps = 4 if args.smoke else steps
                fresh = next((run["random_features"] for run in runs if run["seed"] == seed), None)
                row = one(name, seed, images, test, steps, fresh)
                runs.append({"name": name, "seed": seed, "steps": steps, **row})
                runs.sort(key=lambda run: ([*RUNS].index(run["name"]), run["seed"]))
                print(f"seed {seed}, {name}: {row['seconds']} s, standard deviation {row['head_std']}, k-NN {row['features']['knn'][0]}", flush=True)
                write("collapse", "cpu", seed, {"images": count, "test_images": tests, "batch_size": TRAIN.batch_size, "lr": TRAIN.lr, "runs": runs}, args.out)


if __name__ == "__main__":
    main()
