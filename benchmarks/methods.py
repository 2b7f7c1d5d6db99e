"""Does every method learn? Each of the registry on the same images, encoder, number of images seen and batch, with floors beside it.

    python benchmarks/methods.py                          every method, seed 0, on scenes: hours on two CPU cores
    python benchmarks/methods.py --methods mae beit --seeds 0 1 2
    python benchmarks/methods.py --data cifar10 --device cuda
    python benchmarks/methods.py --precision bf16         three times as fast on a CPU with AVX512 for bf16
    python benchmarks/methods.py --time                   how long a step of each takes: with nothing else running
    python benchmarks/methods.py --table                  only the table and the picture of what is there
    python benchmarks/methods.py --smoke                  tiny, to see that it works

For each method three learning rates (the recipe's own, 2e-3 and 8e-3, for 256 images a step) are tried for half of the steps and
judged, by the linear probe, on images of the train part that nothing else sees; the best one makes the whole run, which is measured on
the test part. A whole run whose linear probe is not two standard errors above its encoder's random weights, each read at its best
block and pooling, is made again four times as long, at that rate or at 2e-3, the higher one first, and at the other where that does not
beat them either; the validation part says which of the two counts.
Each run is a line of the results as soon as it ends, and a run whose line is there is not made again: stop and start at will.
"""

import argparse
import csv
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch
from machine import RESULTS, kind, machine, version, wait
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from minimim import data, evaluate, methods
from minimim.data.batches import batches, in_order
from minimim.data.beside import beside
from minimim.diagnose import effective_rank, feature_spread
from minimim.draws import mix
from minimim.errors import UserError
from minimim.train import train
from minimim.train.processes import pick_device, precision

SIZE = {"patch_size": 4, "size": "micro"}
RATES = (None, 2e-3, 8e-3)  # None is the recipe's own
STEPS, BATCH = 600, 64
IMAGES, LABELLED, JUDGED = 10_000, 5_000, 2_000  # seen in pretraining; with labels for the probes; to choose a rate by
SEGMENTED = 1_000  # of those with labels, for the segmentation probe
COLUMNS = [  # new ones at the end: older lines are then shorter, and stay right
    "data", "method", "section", "seed", "stage", "steps", "lr", "chosen_by", "linear", "linear_se", "random_linear", "random_se", "knn",
    "shots20", "shots20_sd", "miou", "miou_se", "place_r2", "effective_rank", "spread", "loss_first", "loss_last", "seconds",
    "gflops_a_step", "teacher", "machine", "torch", "best_at", "best_linear", "best_se", "random_best_at", "random_best", "precision",
]  # fmt: skip
UNTRAINED = {}  # what `untrained` has measured so far


class Images:
    """The parts of a data set that the benchmark uses: seen without labels, labelled, judged by, tested by."""

    def __init__(self, name: str, smoke: bool):
        count, labelled, judged, tested = (320, 300, 64, 64) if smoke else (IMAGES, LABELLED, JUDGED, None)
        whole = data.load(name, count=count + judged) if name == "scenes" else data.load(name)
        test = data.load(name, "test", **({"count": tested or 4000} if name == "scenes" else {}))
        self.name, self.test = name, test.take(slice(0, tested)) if tested else test
        self.seen, self.judge = whole.take(slice(0, len(whole) - judged)), whole.take(slice(len(whole) - judged, len(whole)))
        self.labelled = self.seen.take(slice(0, labelled))


class Results:
    """The lines of a file, one a run. A line is written in one piece, so several commands may write to one file."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        if lines[:1] != [",".join(COLUMNS) + "\n"]:
            path.write_text(",".join(COLUMNS) + "\n" + "".join(lines[1:]))

    def rows(self) -> list[dict]:
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file, restval=""))

    def find(self, **what) -> list[dict]:
        return [row for row in self.rows() if all(row[key] == str(value) for key, value in what.items())]

    def add(self, row: dict) -> None:
        values = [f"{value:.5g}" if isinstance(value, float) else str(value) for value in (row.get(name, "") for name in COLUMNS)]
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(values)


def pretrain(name: str, images: Images, seed: int, steps: int, lr: float | None, how: dict):
    """A method after so many steps, and what its run told. how: on which device and in which precision."""
    torch.manual_seed(mix(seed))
    side = images.seen.images.shape[-2:]
    method = methods.create(name, image_size=tuple(side), **SIZE)
    config = replace(method.defaults, epochs=steps * BATCH / len(images.seen), batch_size=BATCH, seed=seed, log_every=max(1, steps // 20), **how)
    run = train(method, images.seen, config if lr is None else replace(config, lr=lr), bar=False)
    if not run.finished:
        raise SystemExit(130)  # stopped by hand: no line, and the next call makes this run anew
    return method.eval(), {"loss_first": run.history[0]["loss"], "loss_last": run.history[-1]["loss"], "seconds": run.seconds, "lr": lr or config.lr}


def linear(encoder, fit, test):
    """The linear probe of an encoder."""
    return evaluate.linear_probe(*(evaluate.extract(encoder, part) for part in (fit, test)))


@torch.no_grad()
def everywhere(encoder, images, places) -> dict:
    """What `evaluate.extract` gives for each place (block, pooling), from one pass over the images."""
    rows = {place: [] for place in places}
    for x in in_order(images, 200, next(encoder.parameters()).device):
        layers = encoder(x, want=("layers",)).layers
        for layer, pool in places:
            rows[layer, pool].append(layers[layer].pooled(pool).float().cpu())
    return {place: evaluate.Features(torch.cat(row), images.labels, str(place)) for place, row in rows.items()}


def best_place(encoder, fit, test, blocks=None) -> tuple[str, evaluate.Score]:
    """The block and the pooling whose features the linear probe reads best, chosen without the test images, and what it reads there:
    a method whose head is one linear map, or whose loss is on CLS alone, does not keep its best in the mean of the last block."""
    blocks = range(encoder.depth) if blocks is None else blocks
    places = [(layer, pool) for layer in blocks for pool in (("mean", "cls") if encoder.cls_token is not None else ("mean",))]
    fitted, tested = (everywhere(encoder, part, places) for part in (fit, test))
    found = {f"{pool} of block {layer + 1}": evaluate.linear_probe(fitted[layer, pool], tested[layer, pool]) for layer, pool in places}
    at = max(found, key=lambda name: found[name].details["held_out"])
    return at, found[at]


def measured(pair, encoder, images: Images) -> dict:
    """Every probe of one pair of features (labelled, test), and of an encoder's patches where there are some."""
    probe, shots = evaluate.linear_probe(*pair), evaluate.low_shot(*pair, shots=(20,))[20]
    row = {"linear": probe.value, "linear_se": probe.stderr, "knn": evaluate.knn(*pair).value, "shots20": shots.value, "shots20_sd": shots.details["spread"]}
    row |= {"effective_rank": effective_rank(pair[1].x[:2000]), "spread": feature_spread(pair[1].x[:2000])}
    if "box" in images.test.truth:
        where = [evaluate.place_and_size(part) for part in (images.labelled, images.test)]
        row["place_r2"] = evaluate.regression_probe(pair[0], where[0], pair[1], where[1]).value
    if encoder is not None and "segmentation" in images.test.truth:
        fit, test = images.labelled.take(slice(0, SEGMENTED)), images.test
        patches, there = (evaluate.extract(encoder, part, pool="patches") for part in (fit, test))
        score = evaluate.segmentation_probe(patches, beside(fit, "segmentation"), there, beside(test, "segmentation"))
        row |= {"miou": score.value, "miou_se": score.stderr}
    return row


def fresh(method, seed: int):
    """The same encoder with random weights."""
    return methods.anew(method, mix(seed)).encoder.eval()


def untrained(encoder, images: Images) -> dict:
    """What the linear probe reads of random weights; most methods have the same encoder, which is then measured once a command."""
    key = images.name, b"".join(tensor.detach().cpu().numpy().tobytes() for tensor in encoder.state_dict().values())
    if key not in UNTRAINED:
        floor, (at, best) = linear(encoder, images.labelled, images.test), best_place(encoder, images.labelled, images.test)
        UNTRAINED[key] = {"random_linear": floor.value, "random_se": floor.stderr, "random_best_at": at, "random_best": best.value}
    return UNTRAINED[key]


def gflops(method, images: Images) -> float:
    """Operations of the matrix products of one step of the batch, forward and backward, in 10⁹."""
    part = next(batches(images.seen, 4, needs=method.needs, device=next(method.parameters()).device))
    method.train()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        method(part, generator=torch.Generator(next(method.parameters()).device).manual_seed(0)).loss.backward()
    method.zero_grad()
    method.eval()
    return counter.get_total_flops() / 4 * BATCH / 1e9


def judged(method, images: Images) -> dict:
    """What the linear probe reads, on the validation part, at the best place of the middle and the last block."""
    halfway_and_last = (method.encoder.depth // 2 - 1, method.encoder.depth - 1)
    at, score = best_place(method.encoder, images.labelled, images.judge, halfway_and_last)
    return {"chosen_by": score.value, "best_at": at}


def whole_run(name: str, images: Images, seed: int, steps: int, lr: float, how: dict, stage: str) -> dict:
    """Pretrain once and measure everything."""
    method, told = pretrain(name, images, seed, steps, lr, how)
    pair = tuple(evaluate.extract(method.encoder, part) for part in (images.labelled, images.test))
    at, best = best_place(method.encoder, images.labelled, images.test)
    told |= judged(method, images) | {"best_at": at, "best_linear": best.value, "best_se": best.stderr}
    told |= untrained(fresh(method, seed), images)
    row = measured(pair, method.encoder, images) | told | {"stage": stage, "steps": steps}
    return row | {"gflops_a_step": gflops(method, images), "teacher": getattr(method.teacher, "saw", "")}


def one_method(name: str, images: Images, seed: int, steps: int, how: dict, results: Results) -> None:
    """Try the rates, run the best, and run it longer where it does not beat its random weights."""
    same = {"data": images.name, "method": name, "section": methods.RECIPES[name].section, "seed": seed}
    same |= {"machine": machine(how["device"]), "torch": version("torch"), "precision": how["precision"]}
    key = {"data": images.name, "method": name, "seed": seed, "precision": how["precision"]}
    own = methods.create(name, image_size=tuple(images.seen.images.shape[-2:]), **SIZE).defaults.lr
    for rate in dict.fromkeys(rate or own for rate in RATES):
        if results.find(**key, stage="try", lr=f"{rate:.5g}"):
            continue
        row = {"stage": "try", "steps": steps // 2, "lr": rate}
        try:
            method, told = pretrain(name, images, seed, steps // 2, rate, how)
            row |= told | judged(method, images)
        except UserError as error:  # such as a loss that is not finite: this rate is too high
            row |= {"chosen_by": 0.0, "teacher": str(error)}
        results.add(same | row)
        tell(name, row)
    tried = results.find(**key, stage="try")
    best = float(max(tried, key=lambda row: float(row["chosen_by"]))["lr"])
    runs = [("whole", steps, best)]
    # what learns slowly looks best where it has hardly moved: the longer run is made at a rate at which it does move, and then at the best
    runs += [("again", 4 * steps, rate) for rate in sorted({best, RATES[1]}, reverse=True)]
    for stage, length, rate in runs:
        if stage == "again" and any(learnt(row) for row in results.find(**key) if row["stage"] != "try"):
            return
        if not results.find(**key, stage=stage, lr=f"{rate:.5g}"):
            row = whole_run(name, images, seed, length, rate, how, stage)
            results.add(same | row)
            tell(name, row)


def learnt(row: dict) -> bool:
    """Whether a run's linear probe is above its random weights, each at its best place, by two standard errors of the difference."""
    gap = float(row["best_linear"]) - float(row["random_best"])
    return gap > 2 * (float(row["best_se"]) ** 2 + float(row["random_se"]) ** 2) ** 0.5


def timed(name: str, images: Images, seed: int, how: dict, results: Results, steps: int = 20) -> None:
    """A line with the seconds of a training step: the median of so many, after five that warm up."""
    key = {"data": images.name, "method": name, "seed": seed, "stage": "time", "precision": how["precision"]}
    if not results.find(**key):
        method = methods.create(name, image_size=tuple(images.seen.images.shape[-2:]), **SIZE)
        config = replace(method.defaults, epochs=(steps + 5) * BATCH / len(images.seen), batch_size=BATCH, seed=seed, log_every=1, **how)
        history = train(method, images.seen, config, bar=False).history
        row = {"steps": steps, "seconds": statistics.median(BATCH / line["images_per_s"] for line in history[5:])}
        results.add(key | row | {"machine": machine(how["device"]), "torch": version("torch")})
        print(f"{name}: {row['seconds']:.3f} s a step", flush=True)


def floors(images: Images, seed: int, device, results: Results) -> None:
    """Raw pixels, the ViT's random weights, and the teacher that eva takes by default."""
    makers = {
        "raw pixels": lambda: (tuple(evaluate.raw_pixels(part) for part in (images.labelled, images.test)), None),
        "random init": lambda: of_encoder(methods.create("mae", image_size=tuple(images.seen.images.shape[-2:]), **SIZE).encoder.to(device)),
        "eva's teacher": lambda: of_encoder(taught(images, device)),
    }

    def of_encoder(encoder):
        return tuple(evaluate.extract(encoder.eval(), part) for part in (images.labelled, images.test)), encoder

    for name, make in makers.items():
        if not results.find(data=images.name, method=name, seed=seed):
            torch.manual_seed(mix(seed))
            row = measured(*make(), images) | {"stage": "floor"}
            results.add({"data": images.name, "method": name, "seed": seed, "machine": machine(device.type), "torch": version("torch")} | row)
            tell(name, row)


def taught(images: Images, device):
    """The frozen teacher of eva, its weights read."""
    teacher = methods.create("eva", image_size=tuple(images.seen.images.shape[-2:]), **SIZE).teacher
    teacher.prepare(images.seen)
    return teacher.encoder.to(device)


def tell(name: str, row: dict) -> None:
    """One line about a run."""
    said = [f"{key} {row[key]:.3f}" for key in ("chosen_by", "linear", "random_linear", "knn", "shots20", "miou", "effective_rank") if key in row]
    wait(row.get("device", "cpu"))
    print(f"{time.strftime('%H:%M:%S')} {name}, {row['stage']}, lr {row.get('lr', 0) or 0:.3g}: {', '.join(said)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", nargs="+", default=methods.names())
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data", default="scenes")
    parser.add_argument("--steps", type=int, default=STEPS, help="of a whole run, 64 images each")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", help="of the training: fp32 or bf16; the probes are always fp32")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--time", action="store_true", help="train no method; only measure how long a step of each takes, with nothing else running")
    parser.add_argument("--table", action="store_true", help="run nothing; only the table and the picture of what is there")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that it works")
    args = parser.parse_args()
    device = pick_device(args.device)
    how = {"device": device.type, "precision": {torch.bfloat16: "bf16", torch.float32: "fp32"}[precision(args.precision, device)]}
    results = Results(args.out / f"methods-{kind(device.type)}.csv")
    if not args.table:
        images = Images(args.data, args.smoke)
        for seed in args.seeds:
            if not args.time:
                floors(images, seed, device, results)
            for name in args.methods:
                if args.time:
                    timed(name, images, seed, how, results)
                else:
                    one_method(name, images, seed, 4 if args.smoke else args.steps, how, results)
    from methods_table import draw, table  # the picture needs matplotlib, the runs do not

    text = table(results.rows())
    print(text)
    results.path.with_suffix(".md").write_text(text + "\n")
    draw(results.rows(), results.path.with_suffix(".png"))


if __name__ == "__main__":
    main()
