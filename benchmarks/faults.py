"""What does a sick run look like? One healthy small MAE, and the same with one thing broken at a time, several seeds each.

    python benchmarks/faults.py                  every fault, seeds 0 and 1; less than half a minute of one CPU core a run
    python benchmarks/faults.py --seeds 0 --only post-norm
    python benchmarks/faults.py --smoke          tiny sizes, to see that it works

A run that is in the results file is not done again, so the command can be stopped and started at will.
"""

import argparse
import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from machine import RESULTS, kind, write
from torch import nn

from minimim import data, diagnose, evaluate
from minimim.config import TrainConfig
from minimim.data.batches import batches
from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder, TransformerDecoder
from minimim.draws import mix
from minimim.encoders import ViT
from minimim.feedback.sabotaged import PostNorm
from minimim.layers import Block
from minimim.losses import l2
from minimim.masking import Mask, RandomMasking
from minimim.methods import reconstruction
from minimim.targets import Pixels
from minimim.train.schedule import cosine
from minimim.train.step import Stepper, adamw

NANO, DEEP = (64, 2, 4), (64, 12, 4)  # dim, depth, heads
IMAGES, LABELLED, TEST, PATCH = 6_000, 3_000, 1_000, 8
STEPS, SHORT = 1000, 300  # what is probed for classes needs time; how a run begins is seen at once
TRAIN = TrainConfig(batch_size=32, lr=3.2e-2)
POINTS, LOOKS = 60, 6  # of the curves; looks at the features on the way


class Itself(nn.Module):
    """What the same encoder says of the whole image, (B, N, D), and nothing stops the gradient there."""

    def __init__(self, encoder):
        super().__init__()
        self.encoders = [encoder]  # a plain list: it belongs to the method

    @torch.enable_grad()
    def forward(self, content, teacher=None, mask=None, progress=0.0):
        return {"patch": self.encoders[0](content).patches}


class Unshuffled(RandomMasking):
    """The encoder reads K random patches; the mask forgets the shuffle and calls the first K in reading order visible."""

    def forward(self, *args, **more):
        mask = super().forward(*args, **more)[0]
        hidden = torch.arange(mask.hidden.shape[1]).expand_as(mask.hidden) >= mask.visible
        return [Mask(hidden, order=mask.order, visible=mask.visible)]


class Half(torch.autograd.Function):
    """Round what passes, and the scaled gradient on its way back, to float16, which ends at 65,504."""

    @staticmethod
    def forward(x, scale):
        return x.half().float()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.scale = inputs[1]

    @staticmethod
    def backward(ctx, gradient):
        return (gradient * ctx.scale).half().float() / ctx.scale, None


def mae(size=NANO, ratio=0.75, masking=RandomMasking, block=Block, **more):
    """A small MAE with raw pixels as its target, flips its only augmentation."""
    encoder = ViT(32, PATCH, size)
    for part in encoder.blocks:
        part.__class__ = block  # the same weights to begin with
    return reconstruction(
        views=RandomViews((32, 32)),
        masking=masking(ratio),
        encoder=encoder,
        decoder=TransformerDecoder(encoder.dim, 3 * PATCH**2, encoder.home_grid, dim=64, depth=1, heads=4),
        target=Pixels(PATCH),
        loss=l2,
        **more,
    )


def agreeing():
    """A student that predicts its own features of the whole image, and may change them to make that easy."""
    encoder = ViT(32, PATCH, NANO, hidden="token")
    return reconstruction(
        views=RandomViews((32, 32)),
        masking=RandomMasking(0.75),
        encoder=encoder,
        decoder=LinearDecoder(encoder.dim, encoder.dim),
        target=Itself(encoder),
        loss=l2,
    )


def overflowing(method, step: int) -> None:
    """As in float16 with a loss scale that doubles every 10 steps, and that nothing takes back."""
    for block in [*method.encoder.blocks, *method.decoder.blocks]:
        block.scale = 2.0 ** (16 + step // 10)
        if not block._forward_hooks:
            block.register_forward_hook(lambda block, args, x: Half.apply(x, block.scale))


FAULTS = {  # name → how the method is built, steps, what is changed in the config, what is done before each step
    "healthy": (mae, STEPS, {}, None),
    "collapse": (agreeing, SHORT, {}, None),
    "mask unshuffled": (partial(mae, masking=Unshuffled), STEPS, {}, None),
    "loss on visible": (partial(mae, on="visible"), SHORT, {}, None),
    "too little masking": (partial(mae, ratio=0.15), STEPS, {}, None),
    "no warm-up": (mae, SHORT, {"lr": 8 * TRAIN.lr, "warmup": 0.0}, None),
    "post-norm": (partial(mae, DEEP, block=PostNorm), SHORT, {}, None),
    "post-norm, lr / 8": (partial(mae, DEEP, block=PostNorm), SHORT, {"lr": TRAIN.lr / 8}, None),
    "pre-norm, as deep": (partial(mae, DEEP), SHORT, {}, None),
    "fp16 overflow": (mae, SHORT, {}, overflowing),
}


def one(fault: str, seed: int, images, labelled, test, most: int) -> dict:
    """Train once, broken as told, for `most` steps at most, and measure."""
    build, steps, changes, before = FAULTS[fault]
    steps = min(steps, most)
    torch.manual_seed(mix(seed))
    method = build()
    fresh = [evaluate.extract(method.encoder, those) for those in (labelled, test)]
    blocks = diagnose.gradient_by_block(method, test.images[:64], torch.Generator().manual_seed(seed))
    config = replace(TRAIN, seed=seed, **changes)
    optimizer = adamw(method.train(), config)
    stepper, history, looks, began = Stepper(method, optimizer, config, steps), [], [], time.monotonic()
    sums, every = [], max(1, steps // POINTS)
    for step, batch in enumerate(batches(images, config.batch_size, seed=seed, stop=steps)):
        if step % max(1, steps // LOOKS) == 0:
            looks.append(look(method, test, step))
        if before:
            before(method, step)
        told = stepper(step, [batch])
        sums.append([float(told["loss"]), float(told["grad_norm"])])
        if (step + 1) % every == 0 or step + 1 == steps or int(stepper.first_bad) >= 0:
            loss, norm = torch.tensor(sums, dtype=torch.float64).mean(dim=0).tolist()
            rate = config.lr * config.batch_size / 256 * cosine(step, steps, round(config.warmup * steps))
            history.append({"step": step + 1, "loss": short(loss), "grad_norm": short(norm), "lr": short(rate)})
            sums = []
        if int(stepper.first_bad) >= 0:
            break
    seconds = time.monotonic() - began
    looks.append(look(method, test, len(history) and history[-1]["step"]))
    row = {"history": history, "looks": looks, "gradient_by_block": [short(g) for g in blocks]}
    pair = [evaluate.extract(method.encoder, those) for those in (labelled, test)]
    where = tuple(evaluate.place_and_size(those) for those in (labelled, test))
    for name, features in (("features", pair), ("random_features", fresh)):
        scores = {
            "linear_probe": evaluate.linear_probe(*features),
            "knn": evaluate.knn(*features),
            "place_and_size": evaluate.regression_probe(features[0], where[0], features[1], where[1]),
        }
        row[name] = {key: [short(score.value), short(score.stderr)] for key, score in scores.items()}
        row[name] |= {"effective_rank": short(diagnose.effective_rank(features[1].x)), "spread": short(diagnose.feature_spread(features[1].x))}
    verdicts = {"leak": diagnose.leak(method, test.images[:64])}
    if isinstance(method.target, Pixels):
        verdicts["baseline"] = diagnose.baseline(method, images.images[:2000], test.images[:1000])
    row |= {name: {key: short(value) for key, value in verdict.numbers.items()} for name, verdict in verdicts.items()}
    return {"steps": steps, **row, "seconds": round(seconds, 1)}


def look(method, test, step: int) -> dict:
    """Rank and spread of the features at a step."""
    x = evaluate.extract(method.encoder, test.take(slice(0, 500))).x
    return {"step": step, "effective_rank": short(diagnose.effective_rank(x)), "spread": short(diagnose.feature_spread(x))}


def short(number: float) -> float:
    """Four digits that count."""
    return float(f"{number:.4g}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Small runs with one thing broken at a time, and what each measurement says.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", default="", help="part of a fault's name")
    parser.add_argument("--device", choices=["cpu"], default="cpu", help="the runs are too small for anything else")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    args = parser.parse_args()
    torch.set_num_threads(1)  # models as small as these gain nothing from more
    count, labels, tests, steps = (256, 200, 200, 6) if args.smoke else (IMAGES, LABELLED, TEST, STEPS)
    images, test = data.load("scenes", count=count), data.load("scenes", "test", count=tests)
    path = args.out / f"faults-{kind('cpu')}.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    done = {(run["fault"], run["seed"]) for run in runs}
    for seed in args.seeds:
        for fault in FAULTS:
            if args.only in fault and (fault, seed) not in done:
                row = one(fault, seed, images, images.take(slice(0, labels)), test, steps)
                runs.append({"fault": fault, "seed": seed, **row})
                print(f"seed {seed}, {fault}: {row['seconds']} s")
                about = {"images": count, "labels": labels, "test_images": tests, "runs": runs}
                write("faults", "cpu", args.seeds[0], about, args.out)


if __name__ == "__main__":
    main()
