"""What does a sick run look like? One healthy small MAE, and the same with one thing changed at a time, on one schedule, several seeds each.

    python benchmarks/faults.py                  every fault: three seeds, five where a small difference is looked for; about 45 minutes of one CPU core
    python benchmarks/faults.py --seeds 0 --only post-norm
    python benchmarks/faults.py --smoke          tiny sizes, to see that it works

A run that is in the results file is not done again, so the command can be stopped and started at will.
"""

import copy
import json
import time
from dataclasses import replace
from functools import partial

import torch
from machine import kind, options, write
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
from minimim.train.step import Stepper, adamw, learning_rate

NANO, DEEP = (64, 2, 4), (64, 12, 4)  # dim, depth, heads
IMAGES, LABELLED, TEST, PATCH = 6_000, 3_000, 2_000, 4
STEPS = 1000  # of every run: a curve can be compared with another at a step only where both have the same schedule
TRAIN = TrainConfig(batch_size=32, lr=3.2e-2)
POINTS, LOOKS = 60, 6  # of the curves; looks at the features on the way
SEEDS, MORE_SEEDS = range(3), range(5)
PICTURED = ("collapse", "fixed target", "rate × 8, no warm-up")  # of these some features are kept, to be drawn


class Itself(nn.Module):
    """A target that is an encoder's output for the whole image, (B, N, D), without a stop-gradient."""

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
    """Round a tensor, and its scaled gradient on the way back, to float16, whose largest number is 65,504."""

    @staticmethod
    def forward(x, scale):
        return x.half().float()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.scale = inputs[1]

    @staticmethod
    def backward(ctx, gradient):
        return (gradient * ctx.scale).half().float() / ctx.scale, None


def mae(size=NANO, ratio=0.75, masking=RandomMasking, block=Block, patch=PATCH, **more):
    """A small MAE with raw pixels as its target, and flips as the only augmentation."""
    encoder = ViT(32, patch, size)
    for part in encoder.blocks:
        part.__class__ = block  # the same weights to begin with
    return reconstruction(
        views=RandomViews((32, 32)),
        masking=masking(ratio),
        encoder=encoder,
        decoder=TransformerDecoder(encoder.dim, 3 * patch**2, encoder.home_grid, dim=64, depth=1, heads=4),
        target=Pixels(patch),
        loss=l2,
        **more,
    )


def agreeing(fixed=False):
    """A student that predicts its own features of the whole image, which it can change to make that easy; fixed: it predicts the
    features of its own random start instead, which never change."""
    encoder = ViT(32, PATCH, NANO, hidden="token")
    asked = copy.deepcopy(encoder).requires_grad_(False) if fixed else encoder
    return reconstruction(
        views=RandomViews((32, 32)),
        masking=RandomMasking(0.75),
        encoder=encoder,
        decoder=LinearDecoder(encoder.dim, encoder.dim),
        target=Itself(asked),
        loss=l2,
    )


def overflowing(method, step: int) -> None:
    """Compute as in float16 with a loss scale that doubles every 10 steps and is never lowered."""
    for block in [*method.encoder.blocks, *method.decoder.blocks]:
        block.scale = 2.0 ** (16 + step // 10)
        if not block._forward_hooks:
            block.register_forward_hook(lambda block, args, x: Half.apply(x, block.scale))


FAST, SLOW = {"lr": 8 * TRAIN.lr}, {"lr": TRAIN.lr / 8}
twelve = partial(mae, DEEP, patch=2 * PATCH)  # larger patches, to save time: these four are compared with one another alone
FAULTS = {  # name → how the method is built, what is changed in the config, what is done before each step
    "healthy": (mae, {}, None),
    "mask unshuffled": (partial(mae, masking=Unshuffled), {}, None),
    "loss on visible": (partial(mae, on="visible"), {}, None),
    "too little masking": (partial(mae, ratio=0.15), {}, None),
    "rate × 8": (mae, FAST, None),
    "no warm-up": (mae, {"warmup": 0.0}, None),
    "rate × 8, no warm-up": (mae, FAST | {"warmup": 0.0}, None),
    "fp16 overflow": (mae, {}, overflowing),
    "pre-norm": (twelve, {}, None),
    "pre-norm, rate / 8": (twelve, SLOW, None),
    "post-norm": (partial(twelve, block=PostNorm), {}, None),
    "post-norm, rate / 8": (partial(twelve, block=PostNorm), SLOW, None),
    "collapse": (agreeing, {}, None),
    "fixed target": (partial(agreeing, fixed=True), {}, None),
}
MORE = tuple(FAULTS)[:4]  # what a leak does to the features is a small difference


def one(fault: str, seed: int, images, labelled, test, steps: int) -> dict:
    """Train a run with the fault, and measure it."""
    build, changes, before = FAULTS[fault]
    torch.manual_seed(mix(seed))
    method = build()
    fresh = [evaluate.extract(method.encoder, those) for those in (labelled, test)]
    blocks = diagnose.gradient_by_block(method, test.images[:64], torch.Generator().manual_seed(seed))
    verdicts = {"leak_at_start": diagnose.leak(method, test.images[:64])}
    config = replace(TRAIN, seed=seed, **changes)
    optimizer = adamw(method.train(), config)
    stepper, history, looks, began = Stepper(method, optimizer, config, steps), [], [], time.monotonic()
    sums, every = [], max(1, steps // POINTS)
    for step, batch in enumerate(batches(images, config.batch_size, seed=seed, stop=steps)):
        if step % max(1, steps // LOOKS) == 0:
            looks.append(look(method, labelled, test, step))
        if before:
            before(method, step)
        told = stepper(step, [batch])
        sums.append([float(told["loss"]), float(told["grad_norm"])])
        if step == 0 or (step + 1) % every == 0 or step + 1 == steps or int(stepper.first_bad) >= 0:
            loss, norm = torch.tensor(sums, dtype=torch.float64).mean(dim=0).tolist()
            history.append({"step": step + 1, "loss": short(loss), "grad_norm": short(norm), "lr": short(learning_rate(config, step, steps))})
            sums = []
        if int(stepper.first_bad) >= 0:
            break
    seconds = time.monotonic() - began
    looks.append(look(method, labelled, test, history[-1]["step"]))
    row = {"history": history, "looks": looks, "gradient_by_block": [short(g) for g in blocks]}
    pair = [evaluate.extract(method.encoder, those) for those in (labelled, test)]
    row["features"], row["random_features"] = probes(pair, labelled, test), probes(fresh, labelled, test)
    if fault in PICTURED and seed == 0:
        row["sample"] = {name: [[short(x) for x in line] for line in f.x[:32].tolist()] for name, f in (("features", pair[1]), ("random_features", fresh[1]))}
    verdicts["leak"] = diagnose.leak(method, test.images[:64])
    if isinstance(method.target, Pixels):
        verdicts["baseline"] = diagnose.baseline(method, images.images[:2000], test.images[:1000])
    row |= {name: {key: short(value) for key, value in verdict.numbers.items()} for name, verdict in verdicts.items()}
    return {"steps": steps, **row, "seconds": round(seconds, 1)}


def probes(pair, labelled, test) -> dict:
    """Scores of (train, test) features with their errors, and the rank and relative standard deviation of the features."""
    where = tuple(evaluate.place_and_size(those) for those in (labelled, test))
    scores = {
        "linear_probe": evaluate.linear_probe(*pair),
        "linear_probe_bf16": evaluate.linear_probe(*(replace(f, x=f.x.bfloat16().float()) for f in pair)),  # eight bits a number
        "knn": evaluate.knn(*pair),
        "place_and_size": evaluate.regression_probe(pair[0], where[0], pair[1], where[1]),
    }
    row = {key: [short(score.value), short(score.stderr)] for key, score in scores.items()}
    return row | {"effective_rank": short(diagnose.effective_rank(pair[1].x)), "std": short(diagnose.relative_std(pair[1].x))}


def look(method, labelled, test, step: int) -> dict:
    """Rank and relative standard deviation of the features at a step, and a quick probe of them."""
    pair = [evaluate.extract(method.encoder, those.take(slice(0, 1000))) for those in (labelled, test)]
    x, probe = pair[1].x, evaluate.linear_probe(*pair)
    return {"step": step, "effective_rank": short(diagnose.effective_rank(x)), "std": short(diagnose.relative_std(x)), "linear_probe": short(probe.value)}


def one_batch(positions: bool, images: torch.Tensor, steps: int) -> list[float]:
    """The losses of a small MAE that sees one batch under one mask again and again; without positions in its decoder it cannot tell the
    hidden places of an image apart."""
    torch.manual_seed(0)
    method, noise = mae().eval(), torch.rand(len(images), (32 // PATCH) ** 2)  # eval: no flips
    if not positions:
        method.decoder.pos_embed.data.zero_()
    optimizer, history = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=4e-3, betas=TRAIN.betas), []
    for _ in range(steps):
        loss = method(images, noise=noise).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(short(float(loss.detach())))
    return history


def short(number: float) -> float:
    """A number rounded to four significant digits."""
    return float(f"{number:.4g}")


def main() -> None:
    parser = options("Small runs with one thing changed at a time, and what each measurement says.")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of all")
    parser.add_argument("--only", default="", help="part of a fault's name")
    args = parser.parse_args()
    torch.set_num_threads(1)  # models as small as these gain nothing from more
    count, labels, tests, steps = (256, 200, 200, 6) if args.smoke else (IMAGES, LABELLED, TEST, STEPS)
    images, test = data.load("scenes", count=count), data.load("scenes", "test", count=tests)
    labelled = images.take(slice(0, labels))
    path = args.out / f"faults-{kind('cpu')}.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    done = {(run["fault"], run["seed"]) for run in runs}
    batch = {name: one_batch(name == "healthy", images.images[:16], min(200, steps)) for name in ("healthy", "no positions")}
    floor = probes([evaluate.raw_pixels(those) for those in (labelled, test)], labelled, test)
    for seed in args.seeds or MORE_SEEDS:
        for fault in FAULTS:
            wanted = args.only in fault and (args.seeds or fault in MORE or seed in SEEDS)
            if wanted and (fault, seed) not in done:
                row = one(fault, seed, images, labelled, test, steps)
                runs.append({"fault": fault, "seed": seed, **row})
                runs.sort(key=lambda run: (run["seed"], [*FAULTS].index(run["fault"])))
                print(f"seed {seed}, {fault}: {row['seconds']} s", flush=True)
                about = {"images": count, "labels": labels, "test_images": tests, "steps": steps, "raw_pixels": floor, "one_batch": batch, "runs": runs}
                write("faults", "cpu", seed, about, args.out)


if __name__ == "__main__":
    main()
