"""Where do heads look, by how an encoder was trained? Attention by block for MAE, contrast, labels, and random weights, of one size.

    python benchmarks/attention_by_method.py                  every encoder, seeds 0 to 2; a minute or two a run on a CPU core
    python benchmarks/attention_by_method.py --seeds 0 --only mae
    python benchmarks/attention_by_method.py --smoke          tiny sizes, to see that it works

All encoders are the ViT of the lessons (width 128, four blocks of four heads) with CLS, and see the same number of images: "mae" is the
demo's recipe; "contrast" is SimCLR; "labels" names the garment from CLS; "random" is not trained. What is measured, on test scenes that
are seen whole, is defined in `distance`, `difference` and `covered` below. A run that is in the results file is not done again.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from machine import RESULTS, kind, write
from torch import Tensor, nn

from minimim import data, evaluate, methods
from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.draws import mix
from minimim.encoders import ViT
from minimim.losses import Term, cross_entropy
from minimim.masking import NoMasking
from minimim.masking.semantic import true_parts
from minimim.methods.method import Method
from minimim.presets import preset
from minimim.targets.labels import Labels
from minimim.train import train
from minimim.train.processes import pick_device, precision

SIDE, PATCH, SIZE = 32, 4, "micro"
IMAGES, LABELLED, TEST, STEPS, BATCH, POINTS = 10_000, 5_000, 2_000, 400, 64, 20
HIDDEN = 0.75  # of the patches, by what CLS attends to


class FromCls(nn.Module):
    """Scores of classes from CLS: {"label": (B, classes)}."""

    def __init__(self, dim: int, classes: int):
        super().__init__()
        self.linear = nn.Linear(dim, classes)

    def forward(self, encoded, mask=None, question=None):
        return {"label": self.linear(encoded.cls)}


def labels() -> Method:
    """An encoder that learns the class of each image, from CLS, on the crops and flips of MAE."""
    encoder = ViT(SIDE, PATCH, SIZE)
    return Method(
        views=RandomViews((SIDE, SIDE)), masking=NoMasking(), encoder=encoder, decoder=FromCls(encoder.dim, 10), target=Labels(10),
        terms=[Term("label", cross_entropy, on="all")], defaults=TrainConfig(lr=2e-3), needs=("label",),
    )  # fmt: skip


def made(name: str) -> Method:
    """The method of an encoder; for "random" that of mae, which is then not trained."""
    sizes = {"image_size": SIDE, "patch_size": PATCH, "size": SIZE}
    if name == "labels":
        return labels()
    return methods.create("simclr", **sizes) if name == "contrast" else methods.create("mae", **sizes, **preset("demo").options)


RATES = {"mae": preset("demo").train.lr, "contrast": 8e-3, "labels": 2e-3, "random": None}  # for 256 images a step; SimCLR's is that of methods.py


def distance(attention: Tensor, grid: tuple[int, int]) -> Tensor:
    """How far from a patch lies what it attends to, in patches: the mean of the distances to all patches, weighted by its attention to
    them, averaged over patches and images: attention among patches (B, heads, N, N), rows of sum 1 → (heads,)."""
    row, col = torch.meshgrid(*(torch.arange(side, dtype=attention.dtype) for side in grid), indexing="ij")
    places = torch.stack([row.flatten(), col.flatten()], dim=1)  # (N, 2)
    return (attention * torch.cdist(places, places)).sum(dim=3).mean(dim=(0, 2))


def difference(attention: Tensor) -> Tensor:
    """Which fraction of their attention two heads place differently: half of the sum of |a − b|, from 0 (the same map) to 1 (nothing in
    common), averaged over pairs of heads, patches and images: (B, heads, N, N) → scalar."""
    heads = attention.shape[1]
    pairs = [(attention[:, a] - attention[:, b]).abs().sum(dim=2).mean() / 2 for a in range(heads) for b in range(a)]
    return torch.stack(pairs).mean()


def covered(weights: Tensor, garment: Tensor, ratio: float = HIDDEN) -> Tensor:
    """Which fraction of each garment is hidden where the patches of the largest weights are: (B, N), (B, N) bool → (B,)."""
    count = weights.shape[1] - int(weights.shape[1] * (1 - ratio))
    hidden = torch.zeros_like(garment).scatter_(1, weights.topk(count, dim=1).indices, True)
    return (hidden & garment).sum(dim=1) / garment.sum(dim=1).clamp(min=1)


@torch.no_grad()
def looked(encoder, images) -> dict:
    """Distance by block and head, difference of the heads by block, and what of the garments the last block's CLS would hide."""
    grid = encoder.home_grid
    rows = {"distance": [], "difference": []}
    for block in range(encoder.depth):
        attention = torch.cat([encoder(x, want=f"attention:{block}").attention.float().cpu() for x in images.images.split(200)])
        among = attention[:, :, 1:, 1:]  # patches only
        among = among / among.sum(dim=3, keepdim=True)
        rows["distance"].append([short(x) for x in distance(among, grid).tolist()])
        rows["difference"].append(short(difference(among)))
    hidden = covered(attention[:, :, 0, 1:].mean(dim=1), true_parts(images.truth["segmentation"], grid, 2) == 1)
    return rows | {"garment_hidden": [short(hidden.mean()), short(hidden.std() / len(hidden) ** 0.5)]}


def short(number) -> float:
    """A number rounded to four significant digits."""
    return float(f"{float(number):.4g}")


def one(name: str, seed: int, images, labelled, test, looks, steps: int, how: dict) -> dict:
    """Train an encoder and look at its heads."""
    torch.manual_seed(mix(seed))
    method, row = made(name), {}
    if RATES[name]:
        about = {"epochs": steps * BATCH / len(images), "batch_size": BATCH, "lr": RATES[name], "seed": seed, "log_every": max(1, steps // POINTS)}
        base = preset("demo").train if name == "mae" else method.defaults
        run = train(method, images, replace(base, **about, **how), bar=False)
        row = {"loss": [[line["step"], short(line["loss"])] for line in run.history], "seconds": round(run.seconds, 1), "lr": RATES[name]}
    encoder = method.encoder.cpu().eval()
    probe = evaluate.linear_probe(*(evaluate.extract(encoder, part) for part in (labelled, test)))
    return row | {"linear_probe": [short(probe.value), short(probe.stderr)]} | looked(encoder, looks)


def main() -> None:
    parser = argparse.ArgumentParser(description="Attention by block for encoders that were trained in different ways.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=RATES, default=list(RATES), help="these encoders alone")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="bf16", help="of the training: fp32 or bf16; everything is measured in fp32")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one seed")
    args = parser.parse_args()
    device = pick_device(args.device)
    count, labels_, tests, steps = (256, 200, 200, 3) if args.smoke else (IMAGES, LABELLED, TEST, STEPS)
    seeds = [0] if args.smoke else args.seeds
    images, test = data.load("scenes", count=count), data.load("scenes", "test", count=tests)
    how = {"device": device.type, "precision": {torch.bfloat16: "bf16", torch.float32: "fp32"}[precision(args.precision, device)]}
    path = args.out / f"attention-by-method-{kind(device.type)}.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    looks = test.take(slice(0, min(tests, 500)))
    for seed in seeds:
        for name in args.only:
            if (name, seed) not in {(run["encoder"], run["seed"]) for run in runs}:
                row = one(name, seed, images, images.take(slice(0, labels_)), test, looks, steps, how)
                runs.append({"encoder": name, "seed": seed, **row})
                runs.sort(key=lambda run: (run["seed"], [*RATES].index(run["encoder"])))
                print(f"seed {seed}, {name}: linear {row['linear_probe'][0]:.3f}, garment hidden {row['garment_hidden'][0]:.2f}", flush=True)
                about = {"images": count, "labels": labels_, "test_images": tests, "looked_at": len(looks), "steps": steps, "batch": BATCH, "precision": how["precision"]}
                write("attention-by-method", device.type, seed, about | {"runs": runs}, args.out)


if __name__ == "__main__":
    main()
